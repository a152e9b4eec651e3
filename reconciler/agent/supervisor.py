"""Bricks as processes: started for steps, kept running by policy, adopted after the agent's own restart.

Decisions follow from what is: the pidfile's lock, the sign-ins that stand, and the durable marks; an event
only makes `tick` come sooner. Nothing here stops a brick except `stop`, called by a step; one that should not
run any more and does is left alone.

Locks: each brick has one, held during a start, stop or tend, which may take seconds; the supervisor's own
guards the values and is never held during I/O. `port_of` takes only that one.

Source of the arguments: glusterfs 10.3 xlators/mgmt/glusterd/src/glusterd-utils.c:
glusterd_volume_start_glusterfs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from reconciler.agent.programs import Launched, Pauses, Program, Programs, Site
from reconciler.agent.run_marks import RunMarks, RunState, mark_file, may_start
from reconciler.agent.serving import brick_key
from reconciler.errors import ReconcilerError, StepError
from reconciler.model.observed import BrickFact, BrickState

if TYPE_CHECKING:
    from reconciler.agent.portmap import SignIn
    from reconciler.agent.serving import DesiredBrick
    from reconciler.model.configured import BrickRecord, VolumeRecord
    from reconciler.model.fields import Json
    from reconciler.model.ids import BrickUuid
    from reconciler.ports.brick import BrickFiles, Ports, RunningProcess, Terminate
    from reconciler.ports.node import Footprint

SETTLED_S = 60.0  #: a brick that ran this long has recovered: the next pause is the first again
_POLL_S = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class BrickShell:
    """What a supervisor acts through.

    Attributes:
        signed_in_as: the sign-in of a brick (by path) that stands now, or None; must not block.
        terminate: asks a brick process to end; should give up after a few seconds.
    """

    files: BrickFiles
    programs: Programs
    ports: Ports
    marks: RunMarks
    signed_in_as: Callable[[str], SignIn | None]
    terminate: Terminate


@dataclass(slots=True)
class _Slot:
    """One brick. `busy` is held while something is done about it; the rest is guarded by the supervisor."""

    volume: VolumeRecord
    brick: BrickRecord
    wanted: bool = False
    state: BrickState = BrickState.STOPPED
    problem: str = ""
    since: int = 0
    restarts: int = 0
    process: RunningProcess | None = None
    launched: Launched | None = None
    listens: bool = False  #: seen to accept connections since it was launched or adopted
    up_since: float = 0.0
    pauses: Pauses = field(default_factory=lambda: Pauses(0.0))
    busy: threading.RLock = field(default_factory=threading.RLock)


def brick_program(site: Site, volume: VolumeRecord, brick: BrickRecord) -> Program:
    """Return the process of a brick.

    The listen address must be given to the server xlator by name: glusterd's own form of the option,
    ``transport.socket.bind-address=...``, changes nothing in 10.3 (verified).
    """
    pidfile = str(site.paths.brick_pidfile(brick.uuid))
    log = str(site.paths.brick_log(volume.name, brick.path))
    server = f"{volume.name}-server"
    bind = ("--xlator-option", f"{server}.transport.socket.bind-address={brick.host}") if site.bind else ()
    return Program(
        name=f"brick {volume.name}:{brick.path}",
        argv=(
            site.glusterfsd,
            *site.volfile_arguments(brick_key(brick.uuid)),
            *("--brick-name", brick.path),
            *("--brick-port", str(brick.port)),
            *("--xlator-option", f"{server}.listen-port={brick.port}"),
            *("--xlator-option", f"*-posix.glusterd-uuid={site.node}"),
            *bind,
            *("--process-name", "brick"),
            *("-p", pidfile),
            *("-S", str(site.paths.brick_socket(brick.uuid))),
            *("-l", log),
        ),
        words=("--brick-name", brick.path),
        pidfile=pidfile,
        socket=str(site.paths.brick_socket(brick.uuid)),
        log=log,
    )


class BrickSupervisor:
    """A BrickRunner that also keeps the desired bricks running. Thread-safe."""

    def __init__(self, site: Site, shell: BrickShell) -> None:
        self._site = site
        self._shell = shell
        self._programs = shell.programs
        self._clock = shell.programs.clock
        self._lock = threading.Lock()
        self._slots: dict[BrickUuid, _Slot] = {}

    # ------------------------------------------------------------ what should run

    def desire(self, wanted: Sequence[DesiredBrick], others: Sequence[DesiredBrick] = ()) -> None:
        """Replace the bricks that `tick` keeps running, and those that are only reported. Starts nothing."""
        with self._lock:
            before, self._slots = self._slots, {}
            for desired, keep in [*((d, False) for d in others), *((d, True) for d in wanted)]:
                slot = before.get(desired.brick.uuid) or _Slot(desired.volume, desired.brick)
                slot.volume, slot.brick, slot.wanted = desired.volume, desired.brick, keep
                slot.pauses.first_s = desired.volume.restart.delay_s
                self._slots[desired.brick.uuid] = slot

    def adopt(self) -> None:
        """Take note of every brick's process that runs already. For the agent's start; starts nothing."""
        for slot in self._all():
            with slot.busy:
                self._look(slot)

    def tick(self) -> None:
        """Look at every brick that nobody works on, and do what is due. Waits for no process.

        To be called about once a second. A problem of one brick is kept in its fact and hides no other.
        """
        for slot in self._all():
            if slot.busy.acquire(blocking=False):
                try:
                    self._look(slot)
                    if slot.wanted and slot.process is None and slot.launched is None:
                        self._start_if_due(slot)
                finally:
                    slot.busy.release()

    # ------------------------------------------------------------ BrickRunner

    def running(self, volume: VolumeRecord, brick: BrickRecord) -> bool:
        """Return true if the brick's process is alive.

        Raises StepError if a process that is not ours serves the brick: neither true nor false would do.
        """
        program = brick_program(self._site, volume, brick)
        process = self._programs.running(program)
        if process is None:
            self._programs.refuse_strangers(program)
        return process is not None

    def start(self, volume: VolumeRecord, brick: BrickRecord) -> RunningProcess:
        """Have the brick run, signed in and listening; returns its process. Idempotent.

        Raises:
            StepError: the directory is not that brick, the port is taken, or it does not come up in time.
                What this call launched is gone then; a process that ran before is left running.
        """
        slot = self._slot(volume, brick)
        with slot.busy:
            self._shell.files.verify(volume, brick)
            self._look(slot)
            if slot.process is None and slot.launched is None:
                self._launch(slot)
            slot.pauses.settled()
            return self._wait_until_up(slot)

    def stop(self, volume: VolumeRecord, brick: BrickRecord) -> None:
        """Have no process of ours on the brick; one that somebody else started is left alone.

        The mark comes first: a crash on the way leads to no restart.

        Raises:
            StepError: the process survives SIGKILL, or its pidfile is locked by another program.
        """
        slot = self._slot(volume, brick)
        program = brick_program(self._site, volume, brick)
        socket = str(self._site.paths.brick_socket(brick.uuid))
        with slot.busy, self._programs.processes.claim(program.lockfile):
            mark = self._shell.marks.read(brick.uuid)
            if mark is None or mark.state is not RunState.STOPPED:  # else it says since when already
                self._shell.marks.write(brick.uuid, RunState.STOPPED, since=self._clock.now())
            if slot.launched is not None and slot.launched.launch.ended() is None:
                self._programs.give_up(program, slot.launched)
            self._programs.end(program, self._site.stop_s, lambda: self._shell.terminate(socket, brick.path))
            slot.launched = slot.process = None
            self._set(slot, BrickState.STOPPED)

    def noted(self, brick: BrickRecord) -> Json:
        """Return the brick's mark, for a before-image."""
        return self._shell.marks.noted(brick.uuid)

    def note_again(self, brick: BrickRecord, noted: Json) -> None:
        """Put back what `noted` returned: from now on `tick` decides by it again."""
        self._shell.marks.note_again(brick.uuid, noted)

    def footprint(self, volume: VolumeRecord, brick: BrickRecord) -> Footprint:
        """Tell what `start` and `stop` may change; a running brick writes into its directory."""
        program = brick_program(self._site, volume, brick)
        return replace(
            program.footprint(brick.path),
            ports=(f"{brick.host if self._site.bind else '*'}:{brick.port}",),
            memory=(mark_file(brick.uuid),),
        )

    # ------------------------------------------------------------ what is

    def facts(self) -> tuple[BrickFact, ...]:
        """Return one fact per brick, freshly looked at (`volfile_digest` is for the caller to add)."""
        return tuple(self._fact(slot) for slot in self._all())

    def port_of(self, path: str) -> int:
        """Return the port of a brick's running process as it was started, or 0. Never blocks."""
        with self._lock:
            found = (s for s in self._slots.values() if s.brick.path == path and s.process is not None)
            return next((slot.brick.port for slot in found), 0)

    def _fact(self, slot: _Slot) -> BrickFact:
        sight = self._shell.files.look(slot.volume, slot.brick)
        with self._lock:
            process = slot.process
            up = process is not None and slot.state is BrickState.RUNNING
            down = process is None and slot.launched is None
            return BrickFact(
                uuid=slot.brick.uuid,
                volume_id_configured=slot.volume.volume_id,
                # Whatever ended it, and whatever the policy: nobody may start it on such a directory.
                state=BrickState.REFUSED if down and sight.problem else slot.state,
                problem=sight.problem if down and sight.problem else slot.problem or sight.problem,
                pid=process.pid if process else 0,
                start_time=process.start_time if process else 0,
                port=slot.brick.port if up else 0,
                volume_id=sight.volume_id,
                identity=sight.identity,
                mount=sight.mount,
                fs_uuid=sight.fs_uuid,
                size_bytes=sight.size_bytes,
                free_bytes=sight.free_bytes,
                heal_pending=sight.heal_pending,
                restarts=slot.restarts,
                since=slot.since,
            )

    # ------------------------------------------------------------ inside: all with slot.busy held

    def _look(self, slot: _Slot) -> None:
        """Bring the slot's state up to date with what is; starts and ends nothing but failed launches."""
        program = brick_program(self._site, slot.volume, slot.brick)
        try:
            process = self._programs.running(program)
            if process is not None:
                self._note_alive(slot, process)
            if slot.launched is not None:
                self._note_launch(slot, program)
            elif process is None:
                self._note_dead(slot)
        except ReconcilerError as exc:
            self._set(slot, BrickState.REFUSED, exc.message)

    def _note_alive(self, slot: _Slot, process: RunningProcess) -> None:
        if process != slot.process:
            slot.listens, slot.up_since = False, self._clock.monotonic()
            with self._lock:
                slot.process = process
        if slot.launched is None:
            mark = self._shell.marks.read(slot.brick.uuid)
            if mark is None or mark.state is RunState.CRASHED:  # adopted: from now on an end is a crash
                self._shell.marks.write(slot.brick.uuid, RunState.STARTED, since=self._clock.now())
        # One that an agent adopts serves, and signs in with it within seconds: glusterfsd tries every three.
        sign_in = self._shell.signed_in_as(slot.brick.path)
        ready = slot.launched is None or (sign_in is not None and sign_in.pid in (0, process.pid))
        slot.listens = slot.listens or (ready and self._listens(slot))
        up = ready and slot.listens
        # A brick that loses its agent's connection for a moment goes on serving: it stays RUNNING.
        if up or slot.state is not BrickState.RUNNING or not slot.listens:
            self._set(slot, BrickState.RUNNING if up else BrickState.STARTING)
        if self._clock.monotonic() - slot.up_since > SETTLED_S:
            slot.pauses.settled()

    def _note_launch(self, slot: _Slot, program: Program) -> None:
        """See what became of a launch: up, still coming, or failed."""
        assert slot.launched is not None
        late = self._clock.monotonic() >= slot.launched.deadline
        problem = self._programs.failure(program, slot.launched)
        if not problem and slot.state is BrickState.RUNNING and slot.launched.launch.ended() == 0:
            slot.launched = None
            return
        if not problem and not late:
            return
        problem = problem or f"{program.name} runs, but does not listen and sign in"
        holder = self._port_holder(slot) if slot.process is None else ""
        self._programs.give_up(program, slot.launched)
        self._note_end(slot, f"{problem}; port {slot.brick.port} is used by {holder}" if holder else problem)

    def _note_dead(self, slot: _Slot) -> None:
        mark = self._shell.marks.read(slot.brick.uuid)
        if mark is not None and mark.state is RunState.STARTED:
            self._note_end(slot, "the brick process ended by itself")
        elif mark is not None and mark.state is RunState.CRASHED:
            if slot.state is not BrickState.REFUSED:
                self._set(slot, BrickState.CRASHED, mark.problem)
        elif slot.state is not BrickState.REFUSED:
            self._set(slot, BrickState.STOPPED)
        with self._lock:
            slot.process = None

    def _note_end(self, slot: _Slot, problem: str) -> None:
        """Note, durably, that the brick ended or failed by itself; the next start waits for its pause."""
        self._shell.marks.write(slot.brick.uuid, RunState.CRASHED, since=self._clock.now(), problem=problem)
        slot.pauses.failed(self._clock.monotonic())
        with self._lock:
            slot.process = slot.launched = None
        self._set(slot, BrickState.CRASHED, problem)

    def _start_if_due(self, slot: _Slot) -> None:
        """Start a dead brick if the marks and the policy say so and its pause is over."""
        try:
            mark = self._shell.marks.read(slot.brick.uuid)
            if not may_start(mark.state if mark else None, slot.volume.restart.policy):
                return
            if self._clock.monotonic() < slot.pauses.due:
                return
            self._shell.files.verify(slot.volume, slot.brick)
            self._launch(slot)
            slot.restarts += mark is not None
        except ReconcilerError as exc:
            slot.pauses.failed(self._clock.monotonic())
            self._set(slot, BrickState.REFUSED, exc.message)

    def _launch(self, slot: _Slot) -> None:
        """Start the process, without waiting. The caller has verified the directory."""
        program = brick_program(self._site, slot.volume, slot.brick)
        with self._programs.processes.claim(program.lockfile):
            if self._programs.running(program) is not None:
                return  # another agent was faster: adopted at the next look
            self._programs.refuse_strangers(program)  # before the port, which such a process has as well
            holder = self._port_holder(slot)
            if holder:
                raise StepError(
                    f"port {slot.brick.port} of {program.name} is used by {holder}",
                    hint="End it, or plan again: the plan chooses another port.",
                )
            self._shell.marks.write(slot.brick.uuid, RunState.STARTED, since=self._clock.now())
            slot.launched = self._programs.launch(program, self._site.ready_s)
            slot.listens = False
            self._set(slot, BrickState.STARTING)

    def _wait_until_up(self, slot: _Slot) -> RunningProcess:
        deadline = self._clock.monotonic() + self._site.ready_s
        while True:
            self._look(slot)
            if slot.state is BrickState.RUNNING and slot.process is not None and slot.launched is None:
                return slot.process
            if slot.state in (BrickState.CRASHED, BrickState.REFUSED, BrickState.STOPPED):
                raise StepError(slot.problem or f"brick {slot.volume.name}:{slot.brick.path} does not run")
            if slot.launched is None and self._clock.monotonic() >= deadline:
                raise StepError(
                    f"brick {slot.volume.name}:{slot.brick.path}: process "
                    f"{slot.process.pid if slot.process else 0} was already there and does not listen",
                    retryable=True,
                )
            time.sleep(_POLL_S)

    def _port_holder(self, slot: _Slot) -> str:
        return self._shell.ports.port_holder(slot.brick.host if self._site.bind else "", slot.brick.port)

    def _listens(self, slot: _Slot) -> bool:
        return self._shell.ports.listening(slot.brick.host if self._site.bind else "", slot.brick.port)

    def _set(self, slot: _Slot, state: BrickState, problem: str = "") -> None:
        with self._lock:
            if state is not slot.state:
                slot.since = self._clock.now()
            slot.state, slot.problem = state, problem

    def _slot(self, volume: VolumeRecord, brick: BrickRecord) -> _Slot:
        """Return the brick's slot, a new one if nobody has spoken of it yet."""
        with self._lock:
            slot = self._slots.setdefault(brick.uuid, _Slot(volume, brick))
            slot.volume, slot.brick = volume, brick
            slot.pauses.first_s = volume.restart.delay_s
            return slot

    def _all(self) -> tuple[_Slot, ...]:
        with self._lock:
            return tuple(self._slots.values())
