"""Which process is which: a pid together with its start time, so that a reused pid is never signalled."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler.errors import EnvironmentProblem


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process: `started` is field 22 of /proc/PID/stat in clock ticks since boot (proc(5))."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity | None:
        """Return the identity of the running process `pid`; None when there is none, or it is a zombie."""
        try:
            text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        fields = text[text.rindex(")") + 2 :].split()  # the command may itself hold blanks and brackets
        return None if fields[0] in "ZX" else cls(pid, int(fields[19]))

    def alive(self) -> bool:
        """Return whether exactly this process still runs."""
        return ProcessIdentity.of(self.pid) == self

    def send(self, number: signal.Signals) -> None:
        """Send a signal unless the process has ended.

        The pidfd pins the process before its start time is compared, so the pid cannot be reused in between.
        """
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            if self.alive():
                signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            return
        finally:
            os.close(handle)

    def end(self, grace: float) -> None:
        """Send SIGTERM, wait up to `grace` seconds, then SIGKILL. Ending an ended process does nothing.

        Raises:
            EnvironmentProblem: the process survives SIGKILL for five seconds (stuck in the kernel).
        """
        self.send(signal.SIGTERM)
        if self.wait(grace):
            return
        self.send(signal.SIGKILL)
        if not self.wait(5.0):
            raise EnvironmentProblem(f"process {self.pid} does not end, not even by SIGKILL")

    def wait(self, seconds: float) -> bool:
        """Wait up to `seconds` for the process to end; return whether it has."""
        deadline = time.monotonic() + seconds
        while self.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True


def spawn(command: Sequence[str], log: Path) -> int:
    """Start `command` in a session of its own, output appended to `log`, and return its pid.

    It outlives this process on purpose, so no `Popen` object is kept for it.

    Raises:
        EnvironmentProblem: the program cannot be started.
    """
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), append, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    try:
        return os.posix_spawnp(command[0], list(command), os.environ, file_actions=actions, setsid=True)
    except OSError as error:
        raise EnvironmentProblem(f"{command[0]} cannot be started: {error}") from error


def running_below(root: Path, names: tuple[str, ...]) -> list[ProcessIdentity]:
    """Return the processes called one of `names` with an argument that holds a path below `root`."""
    found = []
    needle = f"{root}/".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        identity = ProcessIdentity.of(int(entry.name))
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        name = words[0].rsplit(b"/", 1)[-1].decode(errors="replace")
        if identity is not None and name in names and any(needle in word for word in words[1:]):
            found.append(identity)
    return found
