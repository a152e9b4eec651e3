"""Let a real GlusterFS process load a volfile, and read what it says of it."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

Until = str | Callable[[str], bool]  #: a text that the log holds, or what is asked of the log so far


@contextlib.contextmanager
def loaded(text: str, folder: Path, *words: str, until: Until, timeout_s: float = 10) -> Iterator[str]:
    """Let a process load `text`; yield its log once it holds `until`, or when the time is over.

    `words` are further arguments of ``glusterfs``; its files are in `folder`. It is killed at the end.
    """
    enough = (lambda log: until in log) if isinstance(until, str) else until
    volfile, log = folder / "x.vol", folder / "x.log"
    volfile.write_text(text, encoding="utf-8")
    log.write_text("", encoding="utf-8")
    with subprocess.Popen(["glusterfs", "-N", "-f", volfile, "-l", log, *words]) as process:
        try:
            end = time.monotonic() + timeout_s
            while not enough(log.read_text(encoding="utf-8")) and time.monotonic() < end:
                time.sleep(0.05)
            yield log.read_text(encoding="utf-8")
        finally:
            process.kill()


def log_of_loading(text: str, folder: Path, *words: str, until: Until) -> str:
    """Let a process load `text`, end it, and return its log, see `loaded`."""
    with loaded(text, folder, *words, until=until) as log:
        return log
