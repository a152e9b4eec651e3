"""The life of one GlusterFS process on a node: found again, launched, given up, ended.

At most one process per pidfile, and none that is not ours is ever signalled: a process is ours if it holds
the lock of our pidfile and its arguments name our brick or daemon.

Source: glusterfs 10.3 glusterfsd/src/glusterfsd.c: daemonize (the starting process ends with 0 once the graph
is up and the sign-in is answered), glusterfs_pidfile_update (the lock); exit codes verified by running it.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.errors import ReconcilerError, StepError
from reconciler.ports.node import Footprint

if TYPE_CHECKING:
    from reconciler.agent.paths import NodePaths
    from reconciler.model.ids import NodeId
    from reconciler.ports.brick import Launch, Processes, RunningProcess
    from reconciler.ports.node import Clock

LONGEST_PAUSE_S = 60.0
KILL_S = 5.0  #: a killed process that is still there after this is stuck in the kernel
_EXIT_CODES: Mapping[int, str] = {
    1: "its graph could not be set up",
    2: "the agent has no volfile for it",
    107: "the agent's volfile socket did not answer",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What all processes of a node share.

    Attributes:
        bind: bricks listen on their declared host only, not on every address (several nodes on one machine).
        ready_s: seconds a process has to come up; stop_s: to go down before it is killed.
    """

    node: NodeId
    paths: NodePaths
    bind: bool = False
    glusterfsd: str = "/usr/sbin/glusterfsd"
    glusterfs: str = "/usr/sbin/glusterfs"
    ready_s: float = 30.0
    stop_s: float = 10.0

    def volfile_arguments(self, key: str) -> tuple[str, ...]:
        """Return the arguments that make a process fetch the volfile `key` over the agent's unix socket."""
        return (
            *("-s", str(self.paths.agent_socket)),
            *("--volfile-server-transport", "unix"),
            *("--volfile-id", key),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A process as it should be: `argv` starts it, `words` among its arguments tell that it is this one."""

    name: str
    argv: tuple[str, ...]
    words: tuple[str, ...]
    pidfile: str
    log: str
    socket: str

    @property
    def lockfile(self) -> str:
        """Return the file whose lock is held while the process is started or ended."""
        return f"{self.pidfile}.lock"

    def footprint(self, *written: str) -> Footprint:
        """Tell what starting and ending it changes; `written`: where the process itself writes."""
        traces = (self.pidfile, self.lockfile, self.socket, self.log, *written)
        return Footprint(processes=(self.words,), traces=traces)


@dataclass(frozen=True, slots=True, kw_only=True)
class Launched:
    """A program that was started; `deadline` in monotonic seconds."""

    launch: Launch
    log_from: int
    deadline: float


@dataclass(slots=True)
class Pauses:
    """Pauses between restarts: the first is `first_s`, then doubling up to a minute (or `first_s`)."""

    first_s: float
    due: float = 0.0  #: monotonic seconds before which nothing is restarted
    _next_s: float = 0.0

    def failed(self, now: float) -> float:
        """Note one more end, and return the pause in seconds."""
        pause = self._next_s or self.first_s
        self._next_s = min(max(LONGEST_PAUSE_S, self.first_s), pause * 2)
        self.due = now + pause
        return pause

    def settled(self) -> None:
        """Note that the process has run well: the next pause is the first again."""
        self._next_s = 0.0
        self.due = 0.0


class Programs:
    """Finds, launches and ends programs. Holds no state; thread-safe."""

    def __init__(self, processes: Processes, clock: Clock) -> None:
        self.processes = processes
        self.clock = clock

    def running(self, program: Program) -> RunningProcess | None:
        """Return the program's live process, or None.

        Raises StepError if another program's process holds its pidfile.
        """
        holder = self.processes.lock_holder(program.pidfile)
        if holder is None or self.processes.carries(holder, program.words):
            return holder
        if not self.processes.alive(holder):
            return None
        raise StepError(f"pidfile {program.pidfile} is locked by process {holder.pid}, not {program.name}")

    def refuse_strangers(self, program: Program) -> None:
        """Raise StepError if a process that is not ours does the program's work (of a glusterd, say)."""
        for process in self.processes.find(program.words):
            if not self.processes.carries(process, ("-p", program.pidfile)) and self.processes.alive(process):
                raise StepError(
                    f"{program.name} is already served by process {process.pid}, which this agent did not "
                    "start",
                    hint="End that process, or stop what manages it.",
                )

    def launch(self, program: Program, ready_s: float) -> Launched:
        """Start the program's process; it is not up yet when this returns.

        Raises StepError if somebody else's process does the same work, or an earlier start of ours is not
        over (the agent was killed during it).
        """
        self.refuse_strangers(program)
        earlier = self.processes.find(("-p", program.pidfile))
        if earlier:
            raise StepError(
                f"{program.name} is being started by process {earlier[0].pid} already", retryable=True
            )
        log_from = self.processes.log_end(program.log)
        return Launched(
            launch=self.processes.spawn(program.argv, program.log),
            log_from=log_from,
            deadline=self.clock.monotonic() + ready_s,
        )

    def failure(self, program: Program, launched: Launched) -> str:
        """Return why a launched program will not come up; empty if it has, or still may."""
        code = launched.launch.ended()
        if code is None:
            if self.clock.monotonic() < launched.deadline:
                return ""
            return self._with_log(f"{program.name} did not come up in time", program, launched)
        if code == 0:
            if self.running(program):
                return ""
            return self._with_log(f"{program.name} ended right after its start", program, launched)
        why = _EXIT_CODES.get(code, "")
        if code < 0:
            why = f"signal {-code}"
        text = f"{program.name} did not start: exit code {code}" + (f", {why}" if why else "")
        return self._with_log(text, program, launched)

    def _with_log(self, text: str, program: Program, launched: Launched) -> str:
        logged = self.processes.complaints(program.log, launched.log_from)
        return f"{text} ({logged})" if logged else f"{text} (see {program.log})"

    def give_up(self, program: Program, launched: Launched) -> None:
        """Kill what was launched: the starting process, and the background process if it made one."""
        launched.launch.abandon()
        own = ("-p", program.pidfile)
        for process in self.processes.find(own):
            self.processes.send(process, signal.SIGKILL, own)
            self.processes.wait_end(process, KILL_S)

    def end(self, program: Program, stop_s: float, ask: Callable[[], None] | None = None) -> None:
        """Have no process of the program: ask it, then SIGTERM, then SIGKILL.

        Args:
            program: what to end.
            stop_s: seconds for each of the first two.
            ask: a polite request; if it raises a ReconcilerError, SIGTERM follows at once.

        Raises:
            StepError: it survives SIGKILL, or the pidfile is another's.
        """
        process = self.running(program)
        if process is None:
            return
        if ask is not None:
            try:
                ask()
            except ReconcilerError:
                pass
            else:
                if self.processes.wait_end(process, stop_s):
                    return
        for number, patience_s in ((signal.SIGTERM, stop_s), (signal.SIGKILL, KILL_S)):
            self.processes.send(process, number, program.words)
            if self.processes.wait_end(process, patience_s):
                return
        raise StepError(
            f"{program.name}: process {process.pid} does not end, not even by SIGKILL", retryable=True
        )
