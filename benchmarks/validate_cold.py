"""How much a cold load costs over importing the libraries it needs.

Prints the median wall time (ms) of fresh processes, taken in turns, and the ratio. Target: <= 1.5, so that
the whole ``gluster-state validate`` stays within 2.5.

Run: ``python benchmarks/validate_cold.py [ROUNDS]``
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BASE = "import yaml, jsonschema, click"
LOAD = (
    "from reconciler.adapters.desired_files import read_files\n"
    "from reconciler.desired.load import load\n"
    "load(read_files(['examples/clusters/quickstart.yaml']))"
)


def run_ms(code: str) -> float:
    """Return the milliseconds of one fresh interpreter running `code`."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    return (time.perf_counter() - start) * 1000


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    run_ms(BASE), run_ms(LOAD)  # warm the file cache
    pairs = [(run_ms(BASE), run_ms(LOAD)) for _ in range(rounds)]
    base, load = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"import of yaml, jsonschema, click: {base:.0f} ms")
    print(f"cold load of quickstart.yaml:      {load:.0f} ms")
    print(f"ratio: {load / base:.2f} (target 1.5)")


if __name__ == "__main__":
    main()
