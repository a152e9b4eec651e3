"""How long ``validate`` takes for large declarations: it must grow with the number of volumes, not faster.

Prints seconds and peak memory for 100 peers and 500, 1000, 2000 volumes of 6 bricks. Exits 1 if four times as
many volumes take more than eight times as long.

Run: ``make bench``, or ``python benchmarks/validate_large.py``
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

GLUSTER_STATE = str(Path(sys.executable).parent / "gluster-state")
SIZES = (500, 1000, 2000)
PEERS = 100


def declaration(volumes: int) -> str:
    """Return a valid declaration with that many volumes, each of two subvolumes of three bricks."""
    lines = [
        "apiVersion: gluster-state.io/v1", "kind: Cluster", "metadata: {name: large}", "spec:",
        "  profiles: [{name: base, options: {network.ping-timeout: 30}}]", "  peers:",
    ]  # fmt: skip
    lines += [f"    - {{name: gs{n}, address: 10.0.0.{n + 1}, zone: z{n % 3}}}" for n in range(PEERS)]
    lines.append("  volumes:")
    for number in range(volumes):
        lines += [
            f"    - name: vol{number}", "      type: replicate", "      replica: 3",
            "      profiles: [base]", '      options: {storage.reserve: "5"}', "      bricks:",
        ]  # fmt: skip
        lines += [f"        - gs{(number + n) % PEERS}:/bricks/vol{number}/b{n // 3}" for n in range(6)]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure and print; return the exit code."""
    taken = []
    for volumes in SIZES:
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(declaration(volumes))
            file.flush()
            start = time.perf_counter()
            subprocess.run([GLUSTER_STATE, "validate", file.name], check=True, stdout=subprocess.DEVNULL)
            taken.append(time.perf_counter() - start)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
        print(f"{PEERS} peers, {volumes} volumes: {taken[-1]:.2f} s, {peak} MiB")
    return int(taken[-1] > 8 * taken[0])


if __name__ == "__main__":
    sys.exit(main())
