"""Small files on a local disk that are whole after a crash.

A write goes to a temporary file in the same directory, is flushed to the disk, takes the name's place by a
rename, and the directory is flushed: a crash leaves the old content or the new. A temporary file that a
crash left behind is never read, and the next write of the same name replaces it.

Sources: POSIX rename (atomic replacement); Linux fsync(2) (a new name is durable only once its directory is).
"""

from __future__ import annotations

import os
import re
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from reconciler.errors import EnvironmentProblem, JournalError
from reconciler.ports.local import MAX_FILE_BYTES

if TYPE_CHECKING:
    from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}(/[A-Za-z0-9_][A-Za-z0-9_.-]{0,199})?")
_TEMPORARY = ".new"  #: with a leading dot, so that no name can be taken for one


class DiskFiles:
    """LocalFiles below one directory that belongs to this process alone.

    Architecture Invariant: nothing outside the directory is touched, and no directory is ever removed.
    """

    def __init__(self, root: Path) -> None:
        """Take `root`, creating it (0700) if needed.

        Raises:
            EnvironmentProblem: it cannot be created or closed to others.
        """
        self._root = root
        self._lock = threading.Lock()  # one temporary name per file: one writer at a time
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            if root.stat().st_mode & 0o077:
                root.chmod(0o700)
            _flush_directory(root.parent)
        except OSError as exc:
            raise _refused("use", root, exc) from exc

    def read(self, name: str) -> str | None:
        """Return the text of a file, or None if there is none; see the port for what it raises."""
        path = self._path(name)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise _refused("read", path, exc) from exc
        try:
            with os.fdopen(descriptor, "rb") as file:
                content = file.read(MAX_FILE_BYTES + 1)
        except OSError as exc:
            raise _refused("read", path, exc) from exc
        if len(content) > MAX_FILE_BYTES:
            raise JournalError(f"{path} is longer than {MAX_FILE_BYTES} bytes")
        try:
            return content.decode()
        except UnicodeDecodeError as exc:
            raise JournalError(f"{path} is damaged: not UTF-8 at byte {exc.start}") from exc

    def write(self, name: str, text: str) -> None:
        """Replace a file's content durably. A crash leaves the old content or the new one."""
        path = self._path(name)
        content = text.encode()
        if len(content) > MAX_FILE_BYTES:
            raise JournalError(f"{path}: {len(content)} bytes are more than {MAX_FILE_BYTES}")
        temporary = path.with_name(f".{path.name}{_TEMPORARY}")
        with self._lock:
            try:
                self._make_folder(path.parent)
                _write_flushed(temporary, content)
                temporary.replace(path)
                _flush_directory(path.parent)
            except OSError as exc:
                with suppress(OSError):
                    temporary.unlink()
                raise _refused("write", path, exc) from exc

    def remove(self, name: str) -> None:
        """Remove a file durably; idempotent."""
        path = self._path(name)
        with self._lock:
            try:
                path.unlink()
            except FileNotFoundError:
                return
            except OSError as exc:
                raise _refused("remove", path, exc) from exc
            try:
                _flush_directory(path.parent)
            except OSError as exc:
                raise _refused("flush", path.parent, exc) from exc

    def names(self, folder: str) -> tuple[str, ...]:
        """Return the files of a folder, sorted; none if there is no such folder."""
        path = self._path(folder)
        try:
            with os.scandir(path) as entries:
                found = [e.name for e in entries if e.is_file(follow_symlinks=False)]
        except FileNotFoundError:
            return ()
        except OSError as exc:
            raise _refused("list", path, exc) from exc
        return tuple(sorted(f"{folder}/{name}" for name in found if not name.startswith(".")))

    def set_aside(self, name: str) -> str:
        """Rename a file to ``NAME.bad`` durably and return that name; idempotent."""
        path, aside = self._path(name), f"{name}.bad"
        with self._lock:
            try:
                with suppress(FileNotFoundError):
                    path.replace(self._path(aside))
                _flush_directory(path.parent)
            except OSError as exc:
                raise _refused("rename", path, exc) from exc
        return aside

    def _path(self, name: str) -> Path:
        """Return where a name is kept. Names come from ids; one that could leave the directory is a bug."""
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a local file")
        return self._root / name

    def _make_folder(self, folder: Path) -> None:
        if not folder.is_dir():
            folder.mkdir(mode=0o700, exist_ok=True)
            _flush_directory(folder.parent)


def _write_flushed(path: Path, content: bytes) -> None:
    # O_NOFOLLOW: a leftover is replaced, whatever is planted under its name is not followed.
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        os.fchmod(file.fileno(), 0o600)  # a leftover may have another mode
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _flush_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refused(verb: str, path: Path, exc: OSError) -> EnvironmentProblem:
    return EnvironmentProblem(
        f"cannot {verb} {path}: {exc.strerror or exc}",
        hint="The agent's state directory must be on a healthy local disk with free space.",
    )
