"""A directory of small text files that survive a crash of the process and of the machine. Protocol only."""

from __future__ import annotations

from typing import Protocol

MAX_FILE_BYTES = 16 * 1024 * 1024  #: longest file that is written or read


class LocalFiles(Protocol):
    """Small files by name, where a name is ``FILE`` or ``FOLDER/FILE``. Thread-safe.

    Every change is durable when its call returns, and a crash in the middle leaves the old content or the
    new one, never a mixture. All methods raise EnvironmentProblem if the disk refuses.
    """

    def read(self, name: str) -> str | None:
        """Return the text of a file, or None if there is no such file.

        Raises JournalError if it is longer than MAX_FILE_BYTES or not UTF-8: damaged, or not ours.
        """
        ...

    def write(self, name: str, text: str) -> None:
        """Replace a file's content, or create it (0600; folders 0700). Idempotent."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file; nothing happens if it is absent."""
        ...

    def names(self, folder: str) -> tuple[str, ...]:
        """Return the files of a folder, as ``FOLDER/FILE``, sorted; files set aside are among them."""
        ...

    def set_aside(self, name: str) -> str:
        """Rename a file to ``NAME.bad`` (over an older one of that name) and return that name."""
        ...
