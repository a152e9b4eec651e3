"""Self-heal daemons: one per volume and node, restarted whenever they end by themselves.

A daemon holds no data and no lock on any, so nothing about it is remembered across an agent's restart but
its pidfile. It is a plain process: under the process name ``glustershd`` it would wait for glusterd to attach
volumes to it (glusterfs 10.3 glusterfsd/src/glusterfsd-mgmt.c: mgmt_getspec_cbk, SVC_ATTACH), under any other
name it serves the volfile it is given. Verified for replicate and disperse volumes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reconciler.agent.programs import Launched, Pauses, Program, Programs, Site
from reconciler.errors import ReconcilerError, StepError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.model.configured import VolumeRecord
    from reconciler.model.ids import VolumeId
    from reconciler.ports.brick import RunningProcess
    from reconciler.ports.node import Footprint

FIRST_PAUSE_S = 1.0
SETTLED_S = 60.0
_POLL_S = 0.03
_KIND = "shd"


@dataclass(slots=True)
class _Slot:
    """One daemon. `busy` is held while something is done about it."""

    volume: VolumeRecord
    wanted: bool = False
    process: RunningProcess | None = None
    launched: Launched | None = None
    problem: str = ""
    up_since: float = 0.0
    pauses: Pauses = field(default_factory=lambda: Pauses(FIRST_PAUSE_S))
    busy: threading.RLock = field(default_factory=threading.RLock)


def shd_program(site: Site, volume: VolumeRecord) -> Program:
    """Return the self-heal daemon of a volume.

    ``*replicate*.node-uuid`` is given for disperse volumes too, as glusterd does: it matches nothing there.
    """
    paths = site.paths
    pidfile = str(paths.daemon_pidfile(_KIND, volume.volume_id))
    log = str(paths.daemon_log(_KIND, volume.name))
    return Program(
        name=f"self-heal daemon of {volume.name}",
        argv=(
            site.glusterfs,
            *site.volfile_arguments(f"{_KIND}/{volume.name}"),
            *("-p", pidfile),
            *("-l", log),
            *("-S", str(paths.daemon_socket(_KIND, volume.volume_id))),
            *("--xlator-option", f"*replicate*.node-uuid={site.node}"),
            *("--process-name", "selfheal"),
            "--client-pid=-6",
        ),
        words=("-p", pidfile),
        pidfile=pidfile,
        socket=str(paths.daemon_socket(_KIND, volume.volume_id)),
        log=log,
    )


class DaemonSupervisor:
    """A DaemonRunner that also keeps the desired daemons running. Thread-safe."""

    def __init__(self, site: Site, programs: Programs) -> None:
        self._site = site
        self._programs = programs
        self._clock = programs.clock
        self._lock = threading.Lock()
        self._slots: dict[VolumeId, _Slot] = {}

    def desire(self, volumes: Sequence[VolumeRecord]) -> None:
        """Replace the volumes whose daemon `tick` keeps running. Starts and ends nothing.

        A volume whose daemon a step has stopped is started again by this: leave it out until the step's
        transaction has ended.
        """
        wanted = {volume.volume_id: volume for volume in volumes}
        with self._lock:
            for volume_id, volume in wanted.items():
                self._slots.setdefault(volume_id, _Slot(volume)).volume = volume
            for volume_id, slot in self._slots.items():
                slot.wanted = volume_id in wanted

    def adopt(self) -> None:
        """Take note of every daemon that runs already. Starts nothing."""
        for slot in self._all():
            with slot.busy:
                self._look(slot)

    def tick(self) -> None:
        """Restart what has ended and is due. Waits for no process; to be called about once a second."""
        for slot in self._all():
            if slot.busy.acquire(blocking=False):
                try:
                    self._look(slot)
                    self._start_if_due(slot)
                finally:
                    slot.busy.release()

    def running(self, volume: VolumeRecord) -> bool:
        """Return true if the daemon's process is alive."""
        return self._programs.running(shd_program(self._site, volume)) is not None

    def start(self, volume: VolumeRecord) -> RunningProcess:
        """Have the daemon run with its graph up, and return its process. Idempotent.

        Raises StepError if it does not come up in time; nothing of it is left then.
        """
        slot = self._slot(volume)
        with slot.busy:
            self._look(slot)
            if slot.process is None and slot.launched is None:
                self._launch(slot)
            while slot.launched is not None:
                time.sleep(_POLL_S)
                self._look(slot)
            if slot.process is None:
                raise StepError(slot.problem)
            slot.pauses.settled()
            return slot.process

    def stop(self, volume: VolumeRecord) -> None:
        """Have no process of the daemon; `tick` does not start it until it is started or desired again."""
        slot = self._slot(volume)
        program = shd_program(self._site, volume)
        with slot.busy, self._programs.processes.claim(program.lockfile):
            slot.wanted = False
            if slot.launched is not None and slot.launched.launch.ended() is None:
                self._programs.give_up(program, slot.launched)
            self._programs.end(program, self._site.stop_s)
            slot.process = slot.launched = None

    def footprint(self, volume: VolumeRecord) -> Footprint:
        """Tell what `start` and `stop` may change."""
        return shd_program(self._site, volume).footprint()

    def pids(self) -> Mapping[VolumeId, int]:
        """Return the daemons that were alive at the last look."""
        return {slot.volume.volume_id: slot.process.pid for slot in self._all() if slot.process is not None}

    def problems(self) -> Mapping[VolumeId, str]:
        """Return why wanted daemons do not run."""
        found = (slot for slot in self._all() if slot.wanted and slot.process is None)
        return {slot.volume.volume_id: slot.problem for slot in found if slot.problem}

    # ------------------------------------------------------------ inside: all with slot.busy held

    def _look(self, slot: _Slot) -> None:
        """Bring the slot up to date with what is."""
        program = shd_program(self._site, slot.volume)
        now = self._clock.monotonic()
        try:
            process = self._programs.running(program)
            if slot.launched is not None:
                self._note_launch(slot, program)
                process = self._programs.running(program)
            elif slot.process is not None and process is None:
                slot.problem = f"the {program.name} ended by itself"
                slot.pauses.failed(now)
        except ReconcilerError as exc:
            slot.problem, process = exc.message, None
        if process is not None and process != slot.process:
            slot.up_since = now
        slot.process = process
        if process is not None and slot.launched is None:
            slot.problem = ""
            if now - slot.up_since > SETTLED_S:
                slot.pauses.settled()

    def _note_launch(self, slot: _Slot, program: Program) -> None:
        assert slot.launched is not None
        problem = self._programs.failure(program, slot.launched)
        if problem:
            self._programs.give_up(program, slot.launched)
            slot.problem = problem
            slot.pauses.failed(self._clock.monotonic())
        if problem or slot.launched.launch.ended() == 0:
            slot.launched = None

    def _start_if_due(self, slot: _Slot) -> None:
        dead = slot.process is None and slot.launched is None
        if not (slot.wanted and dead) or self._clock.monotonic() < slot.pauses.due:
            return
        try:
            self._launch(slot)
        except ReconcilerError as exc:
            slot.problem = exc.message
            slot.pauses.failed(self._clock.monotonic())

    def _launch(self, slot: _Slot) -> None:
        program = shd_program(self._site, slot.volume)
        with self._programs.processes.claim(program.lockfile):
            if self._programs.running(program) is None:
                slot.launched = self._programs.launch(program, self._site.ready_s)

    def _slot(self, volume: VolumeRecord) -> _Slot:
        with self._lock:
            slot = self._slots.setdefault(volume.volume_id, _Slot(volume))
            slot.volume = volume
            return slot

    def _all(self) -> tuple[_Slot, ...]:
        with self._lock:
            return tuple(self._slots.values())
