"""A relay of one agent's connection to etcd that tests can cut: ``python -m tests.relay HOST:PORT``.

It runs in the lab's network namespace, as the agent does, and obeys lines on its standard input.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from reconciler.lab import control
from reconciler.lab.layout import LabLayout
from reconciler.lab.record import load
from tests.labs import Lab
from tests.servers import Relay


@dataclass(frozen=True, slots=True)
class Line:
    """The connection between one agent and etcd."""

    process: subprocess.Popen[str]

    def cut(self) -> None:
        """Break it: the agent hears nothing more of etcd, until it is mended."""
        self._order("cut")

    def mend(self) -> None:
        """Let the agent through again."""
        self._order("mend")

    def _order(self, word: str) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == f"{word}\n"


@contextlib.contextmanager
def relayed(it: Lab, number: int) -> Iterator[Line]:
    """Let the agent of a node reach etcd only through a relay; for as long as the lab lives."""
    endpoint = load(it.root).endpoint
    words = [sys.executable, "-m", "tests.relay", endpoint]
    process = subprocess.Popen(
        [*control.inside(it.root), *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            part, config = f"agent:{number}", LabLayout(it.root).node(number).config
            it.stop(part)
            config.write_text(config.read_text().replace(f'"{endpoint}"', f'"{address}"'))
            it.start(part)
            yield Line(process)
        finally:
            process.kill()


def main(target: str) -> None:
    """Relay until standard input ends, and do what its lines say."""
    with Relay(target) as relay:
        sys.stdout.write(f"{relay.host}\n")
        sys.stdout.flush()
        for line in sys.stdin:
            {"cut": relay.cut, "mend": relay.mend}[line.strip()]()
            sys.stdout.write(line)
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
