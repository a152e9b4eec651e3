"""Writes, syncs and reads back small files in a directory until it is told to end; prints what happened.

Run as ``python -m reconciler.lab.writer DIR``; SIGTERM ends it. Prints one JSON line: operations, errors,
longest operation in seconds. Exits 1 if there was an error.
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
_PAUSE_S = 0.02


def write_until_told(folder: Path) -> dict[str, object]:
    """Write and verify until SIGTERM; return the counts."""
    ending: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        del frame
        ending.append(number)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    operations, errors, longest = 0, [], 0.0
    while not ending:
        path = folder / f"writer-{operations % FILES}"
        content = os.urandom(4096)
        started = time.monotonic()
        try:
            with path.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            if path.read_bytes() != content:
                errors.append(f"{path} reads back differently")
        except OSError as exc:
            errors.append(str(exc))
        operations += 1
        longest = max(longest, time.monotonic() - started)
        time.sleep(_PAUSE_S)
    return {"operations": operations, "errors": errors[:5], "longest_s": round(longest, 2)}


if __name__ == "__main__":
    result = write_until_told(Path(sys.argv[1]))
    sys.stdout.write(json.dumps(result) + "\n")
    sys.exit(1 if result["errors"] else 0)
