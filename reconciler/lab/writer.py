"""Writes, syncs and reads back small files in a directory until it is told to end; prints what happened.

Each round makes a fresh file, writes an older one again in place and removes the oldest. At the end all that
are left are read once more.

Run as ``python -m reconciler.lab.writer DIR [PAUSE]``, with seconds between rounds; SIGTERM ends it. Prints
one JSON line: operations, errors, longest operation in seconds. Exits 1 if there was an error.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

FILES = 8
PAUSE_S = 0.02


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
        longest = max(longest, time.monotonic() - started)
        time.sleep(pause_s)
    try:
        for path, content in contents.items():
            _verify(path, content)
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
        contents.pop(path, None)  # not known while it is written
        content = os.urandom(4096)
        with path.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _verify(path, content)
        contents[path] = content
    if contents.pop(oldest, None) is not None:
        oldest.unlink()


def _verify(path: Path, content: bytes) -> None:
    if path.read_bytes() != content:
        raise OSError(f"{path} reads back differently")


if __name__ == "__main__":
    result = write_until_told(Path(sys.argv[1]), *map(float, sys.argv[2:3]))
    sys.stdout.write(json.dumps(result) + "\n")
    sys.exit(1 if result["errors"] else 0)
