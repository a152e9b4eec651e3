"""Keeps the lab's etcd and agents running: ``python -m reconciler.lab.supervisor DIR``.

A child that ends is started again, at once the first time and then with growing pauses, unless
``DIR/stopped/NAME`` exists. What to run is read from the lab's record at every start, for a reboot changes
it. SIGTERM ends the agents, then etcd; bricks are not its children and stay.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from reconciler.adapters.processes import identify
from reconciler.lab.layout import LabLayout
from reconciler.lab.record import load, note_child

POLL = 0.2
"""Seconds between looks at the children."""
LONGEST_PAUSE = 10.0
RECOVERED = 30.0
"""Seconds after which a child that ran has recovered: its next pause is the first again."""


@dataclass(slots=True)
class Child:
    """One supervised command. `due` is the monotonic time of the next permitted start, in seconds."""

    name: str
    process: subprocess.Popen[bytes] | None = None
    due: float = 0.0
    pause: float = 0.0
    started: float = 0.0

    def tend(self, layout: LabLayout, now: float) -> None:
        """Start the child if it should run and does not."""
        if self.process is not None and self.process.poll() is None:
            return
        if self.process is not None:
            self.pause = 0.0 if now - self.started > RECOVERED else min(LONGEST_PAUSE, self.pause * 2 or 0.5)
            self.due, self.process = now + self.pause, None
        if (layout.stopped / self.name).exists():
            self.due, self.pause = 0.0, 0.0
        elif now >= self.due:
            self._start(layout, now)

    def _start(self, layout: LabLayout, now: float) -> None:
        command = load(layout.root).commands[self.name]
        self.started = now
        with (layout.logs / f"{self.name}.log").open("ab") as log:
            try:
                self.process = subprocess.Popen(  # noqa: S603 - commands come from the root-only record of the lab
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )
            except OSError as error:  # the program is being replaced, say: the others still need us
                log.write(f"{command[0]} cannot be started: {error.strerror}\n".encode())
                self.due = now + LONGEST_PAUSE
                return
        identity = identify(self.process.pid)
        if identity is not None:
            note_child(layout, self.name, identity)

    def ask(self) -> None:
        """Ask the child to end."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def end(self) -> None:
        """Ask the child to end and wait; kill it after ten seconds."""
        if self.process is None:
            return
        self.ask()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def main(root: Path) -> None:
    """Supervise the lab at `root` until SIGTERM or SIGINT."""
    layout = LabLayout(root)
    children = [Child(name) for name in load(root).commands]
    ending = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal ending
        ending = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    while not ending:
        for child in children:
            child.tend(layout, time.monotonic())
        time.sleep(POLL)
    agents = [child for child in children if not child.name.startswith("etcd")]
    for child in agents:  # first, and all at once: they say goodbye to an etcd that still answers
        child.ask()
    for child in [*agents, *children]:
        child.end()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
