"""A cluster in one thread: real engines, real executors, a store that can lose answers, time that jumps.

Everybody is a process that makes one small step when the schedule picks it: takes one event, or performs one
effect. So any interleaving is a list of picks, and the same picks give the same run. A process that is
killed loses its memory and whatever it was about to do; what it sent may still arrive.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from reconciler.adapters.memory_store import MemoryLease, MemoryStore, MemoryWatch
from reconciler.engine.journal import txn_of
from reconciler.errors import OutcomeUnknown, StoreError
from reconciler.model.ids import NodeId
from reconciler.ports.store import Changes, Commit, Committed, Entry, Snapshot, WatchEnded
from tests.sim.scenarios import CLUSTER, NOW, Scenario
from tests.sim.world import Trouble, World

MAX_STEPS = 15_000  #: of all processes together; a run that takes more goes round in circles


class SimulatedCrash(BaseException):
    """The process that runs is gone from here on."""


@dataclass(slots=True)
class Point:
    """Something that happens to one call: `who`'s `number`-th of its kind.

    `what`: ``before`` or ``after`` (the process is killed), ``unsent`` or ``unheard`` (no answer; the
    write did not or did happen), ``late`` (no answer; it happens later), ``stop`` (it stands still,
    before the call, until it is woken).
    """

    who: str
    number: int
    what: str
    later: int = 40  #: for ``late``: steps of the simulation until it arrives,
    seconds: float = 0.0  #: or, if not 0, seconds

    def __str__(self) -> str:
        return f"{self.who} {self.what} {self.number} ({self.later} steps, {self.seconds} s)"


@dataclass(frozen=True, slots=True)
class _Late:
    """A write that is on its way: it arrives at a step, or, if that is infinite, at a time."""

    step: float
    time: float
    commit: Commit


class Process(Protocol):
    """Something that the schedule picks."""

    name: str
    alive: bool
    stopped: bool

    def ready(self) -> bool: ...
    def step(self) -> None: ...
    def wakes_at(self) -> float | None: ...
    def kill(self) -> None: ...
    def lose_lease(self) -> None: ...


class Schedule(Protocol):
    """Who is next."""

    def pick(self, ready: list[Process]) -> Process: ...


class InTurn:
    """Everybody after the other."""

    def __init__(self) -> None:
        self._turn = 0

    def pick(self, ready: list[Process]) -> Process:
        self._turn += 1
        return ready[self._turn % len(ready)]


class AgentsFirst:
    """Agents go as far as they can before an engine makes its next step."""

    def pick(self, ready: list[Process]) -> Process:
        return min(ready, key=lambda process: not process.name.startswith("agent"))


class AtRandom:
    """By a seed; now and then somebody is kept waiting for a long time."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._slow: tuple[str, int] = ("", 0)

    def pick(self, ready: list[Process]) -> Process:
        name, left = self._slow
        if left <= 0 and self._rng.random() < 0.02:
            name, left = self._rng.choice(ready).name, self._rng.randrange(5, 120)
        self._slow = (name, left - 1)
        others = [p for p in ready if p.name != name] if left > 0 else ready
        return self._rng.choice(others or ready)


@dataclass(slots=True)
class Client:
    """A process' connection to the store, on which the simulation's faults act. A `ports.store.Store`."""

    sim: Simulation
    who: str
    store: MemoryStore

    def read(self, key: str) -> Entry | None:
        return self.store.read(key)

    def read_prefix(self, prefix: str) -> Snapshot:
        return self.store.read_prefix(prefix)

    def commit(self, commit: Commit) -> Committed:
        return self.sim.act(self.who, lambda: self.store.commit(commit), commit)

    def watch(self, prefix: str, after: int, sink: Callable[[Changes | WatchEnded], None]) -> MemoryWatch:
        return self.store.watch(prefix, after, sink)

    def lease(self, ttl_s: int, on_lost: Callable[[], None] | None = None) -> MemoryLease:
        return self.store.lease(ttl_s, on_lost)

    def close(self) -> None:
        self.store.close()


@dataclass(slots=True)
class Simulation:
    """One run: the store, the nodes, the processes, the faults that are to come, and time."""

    scenario: Scenario
    schedule: Schedule = field(default_factory=InTurn)
    points: list[Point] = field(default_factory=list)
    now: float = 1000.0
    steps: int = 0
    processes: list[Process] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    late: list[_Late] = field(default_factory=list)
    phases: dict[NodeId, object] = field(default_factory=dict)  #: what nodes have on their disks
    data: MemoryStore = field(init=False)
    world: World = field(init=False)

    def __post_init__(self) -> None:
        self.data = MemoryStore(self.monotonic, inline=True)
        self.scenario.store(self.data)
        self.world = World(
            cluster=CLUSTER,
            txn=txn_of(self.scenario.plan),
            plan=self.scenario.plan,
            cells=dict(self.scenario.cells),
            entries=self.entries,
        )

    # ------------------------------------------------------------ what processes use

    def monotonic(self) -> float:
        """Return the seconds of the simulation."""
        return self.now

    def wall(self) -> int:
        """Return the second of the day, for records."""
        return NOW + int(self.now)

    def entries(self) -> Mapping[str, Entry]:
        """Return the store's content, past every fault."""
        return self.data._data.entries

    def client(self, who: str) -> Client:
        """Return a new connection."""
        return Client(self, who, self.data.another())

    def act(self, who: str, call: Callable[[], Committed], commit: Commit | None = None) -> Committed:
        """Make a call of a process, with what is to happen to it. Also used for effects on a node."""
        self.calls[who] += 1
        for point in self.points:
            if (point.who, point.number) == (who, self.calls[who]):
                return self._strike(point, call, commit)
        return call()

    def _strike(self, point: Point, call: Callable[[], Committed], commit: Commit | None) -> Committed:
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

    # ------------------------------------------------------------ running

    def run(self, until: Callable[[], bool] | None = None, *, seconds: float = 600.0) -> None:
        """Go on until nothing moves for the rest of the given time, or `until` says so."""
        deadline = self.now + seconds
        while not (until and until()):
            self._deliver_late()
            ready = [p for p in self.processes if p.alive and not p.stopped and p.ready()]
            if ready:
                self._step(self.schedule.pick(ready))
                continue
            if (due := min((late.step for late in self.late), default=math.inf)) < math.inf:
                self.steps = int(due)
                continue
            wakes = [late.time for late in self.late] + [
                w for p in self.processes if not p.stopped and (w := p.wakes_at()) is not None
            ]
            if not wakes or min(wakes) > deadline:
                return
            self.now = max(self.now, min(wakes))
            self.data.tick()

    def _step(self, process: Process) -> None:
        self.steps += 1
        assert self.steps < MAX_STEPS, "the run goes round in circles"
        try:
            process.step()
        except SimulatedCrash:
            process.kill()
        except Standstill:
            process.stopped = True
            process.lose_lease()

    def _deliver_late(self) -> None:
        for late in list(self.late):
            if late.step <= self.steps or (late.step == math.inf and late.time <= self.now):
                self.late.remove(late)
                with suppress(StoreError):  # its lease is gone
                    self.data.commit(late.commit)

    def misbehave(self, trouble: Mapping[int, Trouble]) -> None:
        """Have steps fail."""
        self.world.trouble = {self.scenario.plan.steps[i - 1].step_id: t for i, t in trouble.items()}


class Standstill(BaseException):
    """The process that runs stands still before this call (SIGSTOP)."""
