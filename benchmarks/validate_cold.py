"""How much a cold ``gluster-state validate`` of a small file costs over importing the libraries it needs.

Prints the median wall and CPU time (ms) of fresh processes, taken in turns, and the ratios. The CPU ratio is
the one that counts on a busy machine. Exits 1 if it is above 2.5.

Run: ``make bench``, or ``python benchmarks/validate_cold.py [ROUNDS]``
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BASE = [sys.executable, "-c", "import yaml, jsonschema, click"]
VALIDATE = [
    str(Path(sys.executable).parent / "gluster-state"),
    "validate",
    "examples/clusters/quickstart.yaml",
]
TARGET = 2.5


def run_ms(words: list[str]) -> tuple[float, float]:
    """Return the milliseconds (wall, CPU) of one fresh process."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall * 1000, cpu * 1000


def main() -> int:
    """Measure and print; return the exit code."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 25
    for words in (BASE, VALIDATE):  # warm the file cache
        run_ms(words)
    pairs = [(run_ms(BASE), run_ms(VALIDATE)) for _ in range(rounds)]
    ratio = 0.0
    for index, name in enumerate(("wall", "CPU")):
        base, cold = (statistics.median(run[index] for run in column) for column in zip(*pairs, strict=True))
        ratio = cold / base
        print(f"{name}: yaml, jsonschema, click {base:.0f} ms; validate {cold:.0f} ms; ratio {ratio:.2f}")
    print(f"target: at most {TARGET}")
    return int(ratio > TARGET)


if __name__ == "__main__":
    sys.exit(main())
