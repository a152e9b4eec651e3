"""Keeps the lab's etcd and agents running: ``python -m reconciler.lab.supervisor DIR``.

A child that ends is started again, at once the first time and then with growing pauses, unless
``DIR/stopped/NAME`` exists. SIGTERM ends the agents, then etcd; bricks are not its children and stay.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from reconciler.lab.identity import ProcessIdentity
from reconciler.lab.layout import LabLayout

POLL = 0.2
"""Seconds between looks at the children."""
LONGEST_PAUSE = 10.0


@dataclass(slots=True)
class Child:
    """One supervised command. `due` is the monotonic time of the next permitted start, in seconds."""

    name: str
    command: list[str]
    process: subprocess.Popen[bytes] | None = None
    due: float = 0.0
    pause: float = 0.0
    started: float = field(default=0.0)

    def tend(self, layout: LabLayout, now: float) -> None:
        """Start the child if it should run and does not."""
        if self.process is not None and self.process.poll() is None:
            return
        if self.process is not None:
            self.pause = 0.0 if now - self.started > 30 else min(LONGEST_PAUSE, self.pause * 2 or 0.5)
            self.due, self.process = now + self.pause, None
        if (layout.stopped / self.name).exists():
            self.due, self.pause = 0.0, 0.0
        elif now >= self.due:
            self._start(layout, now)

    def _start(self, layout: LabLayout, now: float) -> None:
        with (layout.logs / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - commands come from the root-only record of the lab
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self.started = now
        identity = ProcessIdentity.of(self.process.pid)
        if identity is not None:
            fresh = layout.processes / f".{self.name}"
            fresh.write_text(json.dumps({"pid": identity.pid, "started": identity.started}), encoding="utf-8")
            fresh.replace(layout.processes / f"{self.name}.json")

    def end(self) -> None:
        """Ask the child to end and wait; kill it after ten seconds."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def main(root: Path) -> None:
    """Supervise the lab at `root` until SIGTERM or SIGINT."""
    layout = LabLayout(root)
    record = json.loads(layout.record.read_text(encoding="utf-8"))
    children = [Child(name, command) for name, command in record["commands"].items()]
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
    for child in reversed(children):  # agents first: they say goodbye to an etcd that still answers
        child.end()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
