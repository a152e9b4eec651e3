"""Writes, syncs and reads back small files in a directory until it is told to end; prints what happened.

Each round makes a fresh file, writes an older one again in place and removes the oldest. At the end all that
are left are read once more.

Run as ``python -m reconciler.lab.writer DIR [PAUSE]``, with seconds between rounds; SIGTERM ends it. Prints
the line ``writing`` after the first round, so that nobody has to list the directory to see that it has begun:
on a disperse volume a listing makes a file look empty (docs/operations.md). At its end it prints one JSON
line: operations, errors, longest operation in seconds. Exits 1 if there was an error.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

FILES = 8
SIZE = 4096
PAUSE_S = 0.02
BEGUN = "writing\n"
#: longer than the kernel and md-cache believe what they were told (1 s, both of them by default)
CACHED_S = 1.5


def write_until_told(folder: Path, pause_s: float = PAUSE_S) -> dict[str, object]:
    """Write and verify until SIGTERM; return the counts."""
    ending: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        del frame
        ending.append(number)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    contents: dict[Path, bytes] = {}
    operations, errors, longest = 0, [], 0.0
    while not ending:
        started = time.monotonic()
        try:
            _round(folder, operations, contents)
        except OSError as exc:
            errors.append(str(exc))
        operations += 1
        if operations == 1:
            sys.stdout.write(BEGUN)
            sys.stdout.flush()
        longest = max(longest, time.monotonic() - started)
        time.sleep(pause_s)
    try:
        for path, content in contents.items():
            verify(path, content)
    except OSError as exc:
        errors.append(f"at the end: {exc}")
    return {
        "operations": operations,
        "errors": errors[:5],
        "error_count": len(errors),
        "longest_s": round(longest, 2),
    }


def _round(folder: Path, number: int, contents: dict[Path, bytes]) -> None:
    """Do one round; `contents` holds what each file must read as.

    Raises:
        OSError: an operation failed, or a file reads back differently.
    """
    fresh, older, oldest = (folder / f"writer-{n}" for n in (number, number - FILES // 2, number - FILES))
    for path in (fresh, older):
        if path is older and path not in contents:
            continue
        before = contents.pop(path, b"")  # not known while it is written
        content = os.urandom(SIZE)
        with path.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        verify(path, content, before)
        contents[path] = content
    if contents.pop(oldest, None) is not None:
        oldest.unlink()


def verify(path: Path, content: bytes, before: bytes = b"") -> None:
    """Read a file, which held `before` until it was written.

    Raises:
        OSError: it cannot be read, or does not hold `content`; the message says how it differs, and how it
            does past the page cache and once no cache can be the reason any more.
    """
    found = path.read_bytes()
    if found == content:
        return
    when = datetime.now(UTC).time()  # as GlusterFS' logs tell it
    seen = [
        f"at first {_difference(content, before, found)}",
        f"past the page cache {_seen(_read_direct, path, content, before)}",
    ]
    time.sleep(CACHED_S)
    seen += [
        f"{CACHED_S:g} s later {_seen(Path.read_bytes, path, content, before)}",
        f"then past the page cache {_seen(_read_direct, path, content, before)}",
    ]
    raise OSError(f"{path} reads back differently at {when}: {'; '.join(seen)}")


def _seen(read: Callable[[Path], bytes], path: Path, content: bytes, before: bytes) -> str:
    try:
        return _difference(content, before, read(path))
    except OSError as exc:
        return f"unreadable ({exc.strerror})"


def _read_direct(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECT)
    try:
        with mmap.mmap(-1, 2 * SIZE) as pages:  # memory as open(2) demands it of O_DIRECT
            return pages[: os.readv(descriptor, [pages])]
    finally:
        os.close(descriptor)


def _difference(content: bytes, before: bytes, found: bytes) -> str:
    """Say how what was `found` in a file differs from its `content`, and where that comes from."""
    if found == content:
        return "as written"
    if not found:
        return "empty"
    wrong = [at for at, byte in enumerate(found) if content[at : at + 1] != bytes([byte])]
    if not wrong:
        return f"cut off after {len(found)} bytes"
    first, last = wrong[0], wrong[-1]
    part = found[first : last + 1]
    origin = "other bytes"
    if not any(part):
        origin = "zeros"
    elif part == before[first : last + 1]:
        origin = "what was there before"
    elif len(part) >= 16 and (where := content.find(part[:16])) >= 0:
        origin = f"what belongs to offset {where}"
    return f"{len(found)} bytes, {len(wrong)} of them wrong from {first} to {last}: {origin}"


if __name__ == "__main__":
    result = write_until_told(Path(sys.argv[1]), *map(float, sys.argv[2:3]))
    sys.stdout.write(json.dumps(result) + "\n")
    sys.exit(1 if result["errors"] else 0)
