"""A cluster in one thread: real engines, real executors, a store that fails as etcd does, time that jumps.

Everybody is a process that makes one small step when the schedule picks it: takes one event, or performs one
effect. So any interleaving is a list of picks, and the same picks give the same run. A process that is
killed loses its memory and whatever it was about to do; what it sent may still arrive. After every step the
journal's reader checks what was written in it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from reconciler.adapters.memory_store import MemoryStore
from reconciler.engine.journal import txn_of
from reconciler.errors import OutcomeUnknown, StoreError
from reconciler.model import keys
from reconciler.ports.store import Change, Changes, Commit, Committed, Delete, Entry, WatchEnded
from tests.sim.connection import Client, Telling
from tests.sim.faults import Mishap, Point
from tests.sim.hosts import HostWorld
from tests.sim.journal import JournalReader
from tests.sim.scenarios import CLUSTER, NOW, Scenario
from tests.sim.schedules import InTurn, Process, Schedule
from tests.sim.world import Trouble, World

MAX_STEPS = 30_000  #: of all processes together; a run that takes more goes round in circles


class SimulatedCrash(BaseException):
    """The process that runs is gone from here on."""


class Standstill(BaseException):
    """The process that runs stands still before this call (SIGSTOP)."""


@dataclass(frozen=True, slots=True)
class _Late:
    """A write that is on its way: it arrives at a step, or, if that is infinite, at a time."""

    step: float
    time: float
    commit: Commit


@dataclass(slots=True)
class Simulation:
    """One run: the store, the nodes, the processes, the faults that are to come, and time."""

    scenario: Scenario
    schedule: Schedule = field(default_factory=InTurn)
    on_hosts: bool = False  #: the real actions on machines, instead of cells
    points: list[Point] = field(default_factory=list)
    mishaps: list[Mishap] = field(default_factory=list)
    now: float = 1000.0
    steps: int = 0
    processes: list[Process] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    late: list[_Late] = field(default_factory=list)
    wall_off: dict[str, int] = field(default_factory=dict)  #: by process: how wrong its clock is
    rates: dict[str, float] = field(default_factory=dict)  #: by process: how fast its clock runs
    disturbed_at: float = 0.0  #: when the last fault ended
    data: MemoryStore = field(init=False)
    world: World = field(init=False)
    reader: JournalReader = field(init=False)
    _clients: dict[str, Client] = field(default_factory=dict)
    _timers: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    _cut: dict[str, float] = field(default_factory=dict)  #: until when
    _lagging: dict[str, float] = field(default_factory=dict)
    _tellings: list[Telling] = field(default_factory=list)
    _unread: list[Changes] = field(default_factory=list)
    _log: dict[int, Changes] = field(default_factory=dict)
    _trusted: bool = False

    def __post_init__(self) -> None:
        self.data = MemoryStore(self.monotonic, inline=True)
        self.scenario.store(self.data)
        plan = self.scenario.plan
        made = HostWorld if self.on_hosts else World
        self.world = made(
            cluster=CLUSTER,
            txn=txn_of(plan),
            plan=plan,
            cells=dict(self.scenario.cells),
            entries=self.entries,
        )
        if isinstance(self.world, HostWorld):
            self.world.settle_in()
        beginning = self.data.read_prefix("")
        revisions = {entry.key: entry.mod_revision for entry in beginning.entries}
        self.reader = JournalReader(plan, self.world, revisions)
        self.data.another().watch("", beginning.revision, self._written)

    # ------------------------------------------------------------ what processes use

    def monotonic(self) -> float:
        """Return the seconds of the simulation."""
        return self.now

    def clock(self, who: str) -> tuple[float, int]:
        """Return what a process takes for the time: a monotonic one, and the second of the day."""
        return self.now * self.rates.get(who, 1.0), self.wall() + self.wall_off.get(who, 0)

    def wall(self) -> int:
        """Return the second of the day, for records."""
        return NOW + int(self.now)

    def entries(self) -> Mapping[str, Entry]:
        """Return the store's content, past every fault."""
        return self.data._data.entries

    def client(self, who: str) -> Client:
        """Return a new connection."""
        made = self._clients[who] = Client(self, who, self.data.another())
        if self._cut.get(who, 0.0) > self.now:
            made.store.cut()
        return made

    def act(self, who: str, call: Callable[[], Committed], commit: Commit | None = None) -> Committed:
        """Make a call of a process, with what is to happen to it. Also used for effects on a node."""
        self.calls[who] += 1
        for point in self.points:
            if (point.who, point.number) == (who, self.calls[who]):
                return self._strike(point, call, commit)
        return call()

    def _strike(self, point: Point, call: Callable[[], Committed], commit: Commit | None) -> Committed:
        self._disturbed(point.seconds)
        match point.what:
            case "before":
                raise SimulatedCrash
            case "after":
                call()
                raise SimulatedCrash
            case "stop":
                raise Standstill
        if commit is None:
            return call()  # an effect has no answer that could get lost
        match point.what:
            case "unheard":
                call()
            case "late":
                due = math.inf if point.seconds else self.steps + point.later
                self.late.append(_Late(due, self.now + point.seconds, commit))
        raise OutcomeUnknown("no answer")

    # ------------------------------------------------------------ what is read of every write

    def changes_between(self, last: int, until: int, prefix: str) -> tuple[Change, ...]:
        """Return what was written under a prefix after one revision up to another."""
        batches = (self._log[n] for n in range(last + 1, until + 1) if n in self._log)
        return tuple(change for batch in batches for change in batch.changes if change.key.startswith(prefix))

    def _written(self, batch: Changes | WatchEnded) -> None:
        assert isinstance(batch, Changes), batch
        self._log[batch.revision] = batch
        self._unread.append(batch)

    def _read(self) -> None:
        unread, self._unread = self._unread, []
        for batch in unread:
            self.reader.take(batch, trusted=self._trusted)

    @contextmanager
    def tampering(self) -> Iterator[None]:
        """Let somebody with administrator's rights write what no process of ours may."""
        self._trusted = True
        yield
        self._read()
        self._trusted = False

    # ------------------------------------------------------------ running

    def run(self, until: Callable[[], bool] | None = None, *, seconds: float = 600.0) -> None:
        """Go on until nothing moves for the rest of the given time, or `until` says so."""
        deadline = self.now + seconds
        while not (until and until()):
            self._happen()
            self._deliver_late()
            ready = [p for p in self.processes if p.alive and not p.stopped and p.ready()]
            if ready:
                self._step(self.schedule.pick(ready))
                continue
            if (due := min((late.step for late in self.late), default=math.inf)) < math.inf:
                self.steps = int(due)
                continue
            wakes = [late.time for late in self.late] + [time for time, _ in self._timers]
            wakes += [w for p in self.processes if not p.stopped and (w := p.wakes_at()) is not None]
            if not wakes or min(wakes) > deadline:
                return
            self.now = max(self.now, min(wakes))
            self.data.tick()
            self._read()

    def _step(self, process: Process) -> None:
        self.steps += 1
        assert self.steps < MAX_STEPS, "the run goes round in circles"
        try:
            process.step()
        except SimulatedCrash:
            process.kill()
        except Standstill:
            self._stand_still(process)
        self._read()

    def _deliver_late(self) -> None:
        for late in list(self.late):
            if late.step <= self.steps or (late.step == math.inf and late.time <= self.now):
                self.late.remove(late)
                with suppress(StoreError):  # its lease is gone
                    self.data.commit(late.commit)
                    self._read()

    def misbehave(self, trouble: Mapping[int, Trouble]) -> None:
        """Have steps fail."""
        self.world.trouble = {self.scenario.plan.steps[i - 1].step_id: t for i, t in trouble.items()}

    # ------------------------------------------------------------ faults that last

    def lags(self, who: str) -> bool:
        """Return true while what a process' watches tell is kept back."""
        return self._lagging.get(who, 0.0) > self.now

    def telling(self, telling: Telling) -> None:
        """Note a watch that has something to tell later."""
        if telling not in self._tellings:
            self._tellings.append(telling)

    def still_to_come(self) -> bool:
        """Return true while some fault lasts that will end by itself."""
        return bool(self._timers or self.late)

    def _happen(self) -> None:
        for time, call in [timer for timer in self._timers if timer[0] <= self.now]:
            self._timers.remove((time, call))
            call()
        while self.mishaps and self.mishaps[0].at <= self.steps:
            self._befall(self.mishaps.pop(0))

    def _befall(self, mishap: Mishap) -> None:
        self._disturbed(mishap.seconds)
        match mishap.what:
            case "full":
                self.data.set_full(True)
                self._later(mishap.seconds, lambda: self.data.set_full(False))
            case "compact":
                with suppress(StoreError):  # nothing new to compact
                    self.data.compact(self.data._data.revision)
            case "outlive":
                self.data.let_leases_outlive(mishap.seconds)
            case "unlock":
                self._unlock()
            case "outage":
                for who in list(self._clients):
                    self._cut_off(who, mishap.seconds)
            case "cut":
                self._cut_off(mishap.who, mishap.seconds)
            case "lag":
                self._lagging[mishap.who] = self.now + mishap.seconds
                self._later(mishap.seconds, self._tell)
            case _:
                self._befall_process(mishap)

    def _befall_process(self, mishap: Mishap) -> None:
        for process in [p for p in self.processes if p.name == mishap.who and p.alive]:
            match mishap.what:
                case "kill":
                    process.kill()
                case "lease":
                    process.lose_lease()
                case "ask":
                    process.ask_to_stop()
                case "stop" if not process.stopped:
                    self._stand_still(process)
                    self._later(mishap.seconds, lambda it=process: self._wake(it))  # type: ignore[misc]  # bound now

    def _cut_off(self, who: str, seconds: float) -> None:
        self._cut[who] = self.now + seconds
        if (client := self._clients.get(who)) is not None:
            client.store.cut()
        self._later(seconds, lambda: self._mend(who))

    def _mend(self, who: str) -> None:
        client = self._clients.get(who)
        if client is not None and not client.store.closed and self._cut.get(who, 0.0) <= self.now:
            client.store.mend()

    def _tell(self) -> None:
        for telling in [one for one in self._tellings if not self.lags(one.who)]:
            self._tellings.remove(telling)
            telling.deliver()

    def _unlock(self) -> None:
        """Force-unlock: the lock's key goes by its very revision; everything else stays as it is."""
        if (lock := self.entries().get(keys.lock(CLUSTER))) is not None:
            self.data.commit(Commit(when=(), then=(Delete(lock.key),)))

    def _stand_still(self, process: Process) -> None:
        process.stopped = True
        if (client := self._clients.get(process.name)) is not None:
            client.store.stop_renewing()

    def _wake(self, process: Process) -> None:
        process.stopped = False
        if (client := self._clients.get(process.name)) is not None and client.who not in self._cut:
            client.store.renew()

    def wake_all(self) -> None:
        """Let everybody that stands still go on."""
        for process in self.processes:
            if process.stopped:
                self._wake(process)

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        self._timers.append((self.now + seconds, call))

    def _disturbed(self, seconds: float) -> None:
        self.disturbed_at = max(self.disturbed_at, self.now + seconds)
