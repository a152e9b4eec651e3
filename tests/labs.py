"""A lab of their own for tests: in a network and mount namespace, always taken down."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler.lab import control


@dataclass(frozen=True, slots=True)
class Lab:
    """A running lab at `root`."""

    root: Path

    def run(self, *command: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a command inside the lab with its variables; never raises for a non-zero exit."""
        words = [*control.inside(self.root), *command]
        variables = {**os.environ, **control.environment(self.root)}
        return subprocess.run(
            words, env=variables, capture_output=True, text=True, timeout=timeout, check=False
        )

    def cli(self, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run gluster-state with `arguments` inside the lab."""
        return self.run(sys.executable, "-m", "reconciler", *arguments, timeout=timeout)

    @contextlib.contextmanager
    def mounted(self, volume: str) -> Iterator[Path]:
        """Mount `volume` with the stock client; the path is visible to commands run inside the lab only."""
        point = self.root / "mnt" / volume
        point.mkdir(parents=True, exist_ok=True)
        done = self.run("mount", "-t", "glusterfs", f"127.0.1.1:/{volume}", str(point))
        assert done.returncode == 0, done.stderr
        try:
            yield point
        finally:
            self.run("umount", str(point))

    def kill(self, target: str) -> None:
        """SIGKILL ``etcd``, ``agent:N`` or ``brick:VOL:N``."""
        control.kill(self.root, target)


def eventually(check: Callable[[], bool], seconds: float = 20) -> None:
    """Wait until `check` returns true; fail if it does not in time."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "did not come about in time"
        time.sleep(0.05)


@contextlib.contextmanager
def lab(*, nodes: int = 3, agent: Sequence[str] = control.DEFAULT_AGENT) -> Iterator[Lab]:
    """Yield a lab in a random short directory; take it down whatever happens."""
    root = Path("/run") / f"gsl-{secrets.token_hex(4)}"
    control.up(root, nodes=nodes, netns=True, agent=agent)
    try:
        yield Lab(root)
    finally:
        control.down(root)
