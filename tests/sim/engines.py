"""Who drives a transaction in the simulation: an apply, a steward, a person who settles.

The real Applier with the real lock, journal, steward and settling. What is written here is only what performs
their effects, one per step, where the product has `reconciler.engine.driver`.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from enum import Enum

from reconciler.adapters.memory_store import MemoryLease, MemoryWatch
from reconciler.controller.settling import take_up
from reconciler.controller.steward import Steward
from reconciler.engine import messages as engine
from reconciler.engine.applier import Applier
from reconciler.engine.journal import begin, txn_of
from reconciler.engine.lock import acquire
from reconciler.errors import (
    JournalError,
    LockHeld,
    OutcomeUnknown,
    StalePlan,
    StoreError,
    StoreUnavailable,
    UsageError,
)
from reconciler.model import keys
from reconciler.model.configured import Secret
from reconciler.model.ids import TxnId
from reconciler.plan.step import Plan
from reconciler.ports.store import Changes, Snapshot, WatchEnded
from reconciler.txn.record import Head, HeadState, LockRecord, Phase
from tests.sim.connection import Client
from tests.sim.scenarios import CLUSTER, SECRET
from tests.sim.simulation import Simulation

TICK_S = 1.0
LOOK_EVERY_S = 2.0
RESTART_S = 3.0


def secret() -> Secret:
    """Return the credentials that every run makes."""
    return SECRET


class Job(Enum):
    """What an engine is started for."""

    APPLY = "apply"
    STEWARD = "steward"
    RESUME = "resume"
    ROLLBACK = "rollback"


@dataclass(slots=True)
class Engine:
    """A process that drives transactions: an apply or a settling ends with it, a steward looks on."""

    sim: Simulation
    name: str
    job: Job
    alive: bool = True
    stopped: bool = False
    result: Head | None = None
    over: bool = False
    plan: Plan | None = None  #: what it applies, if that is not the scenario's
    _client: Client | None = None
    _applier: Applier | None = None
    _lease: MemoryLease | None = None
    _watch: MemoryWatch | None = None
    _inbox: list[engine.Event | WatchEnded] = field(default_factory=list)
    _effects: list[engine.Effect] = field(default_factory=list)
    _unanswered: list[engine.Event] = field(default_factory=list)
    _at: float = 0.0  #: the next tick, or start
    _not_before: float = 0.0  #: the store did not answer a listing

    # ------------------------------------------------------------ the schedule's side

    def ready(self) -> bool:
        if self.over or self.sim.now < self._not_before:
            return False
        return bool(self._effects or self._inbox or self.sim.now >= self._at)

    def wakes_at(self) -> float | None:
        return max(self._at, self._not_before) if self.alive and not self.over else None

    def step(self) -> None:
        """Perform one effect, else take one event, else do what time brings."""
        if self._effects:
            effect = self._effects[0]
            if self._perform(effect) and self._effects:
                self._effects.pop(0)
        elif self._inbox:
            self._take(self._inbox.pop(0))
        elif self._applier is None:
            self._at = self.sim.now + LOOK_EVERY_S
            self._start()
        else:
            self._at = self.sim.now + TICK_S
            unanswered, self._unanswered = self._unanswered, []
            self._effects += self._applier.handle(self._tick(), *unanswered)

    def _take(self, event: engine.Event | WatchEnded) -> None:
        assert self._applier is not None
        if not isinstance(event, WatchEnded):
            self._effects += self._applier.handle(event)
        elif not self._follow():
            self._inbox.insert(0, event)

    def kill(self) -> None:
        """SIGKILL: memory and connection go, what was sent stays. A steward is started again."""
        self.alive = self.job is Job.STEWARD
        self._forget()
        if self._client is not None:
            self._client.close()
        self._client, self._lease = None, None
        self._at = self.sim.now + RESTART_S

    def _forget(self) -> None:
        self._effects, self._inbox, self._unanswered, self._applier = [], [], [], None
        self._not_before = 0.0

    def ask_to_stop(self) -> None:
        """Ctrl-C: the driver hands it over after the event that is being handled."""
        if self._applier is not None:
            self._inbox.insert(0, engine.StopAsked())

    def lose_lease(self) -> None:
        """Let the lock's lease end while the process lives."""
        if self._lease is not None:
            self.sim.data.expire(self._lease.lease_id)

    # ------------------------------------------------------------ beginning and ending

    def _start(self) -> None:
        """Take the lock and make the engine, as apply, settle and the steward do."""
        client = self._client = self._client or self.sim.client(self.name)
        who = Steward(client, CLUSTER, _SimClock(self.sim, self.name), threading.Event())
        try:
            if self.job is Job.STEWARD:
                who.look()
                if who.orphan() is None:
                    return
            self._take_lock(who)
        except LockHeld:
            return
        except (StoreError, JournalError, StalePlan, UsageError):
            # It says so and ends; whether it has begun and how it stands, the journal knows.
            self._give_up()

    def _take_lock(self, who: Steward) -> None:
        assert self._client is not None
        record = LockRecord(holder=self.name, op_id=f"{self.name}-{self.sim.steps}", since=self.sim.wall())
        lock = acquire(self._client, CLUSTER, record, timeout_s=0, on_lost=self._lost)
        self._lease = lock.lease
        try:
            self._applier = self._make(who, lock.epoch)
        except StalePlan:
            head = self.sim.world.head()
            assert head is None or head.phase.epoch != lock.epoch, "called stale what it has begun itself"
            raise
        if self._applier is None or not self._follow():
            self._give_up()

    def _give_up(self) -> None:
        if self._lease is not None:
            self._lease.close()
        self._forget()
        self.over = self.job is not Job.STEWARD

    def _follow(self) -> bool:
        """List the cluster and watch it from there; return false if the store does not answer."""
        snapshot = self._list()
        if snapshot is None:
            return False
        assert self._client is not None
        if self._watch is not None:
            self._watch.close()
        self._watch = self._client.watch(keys.cluster_prefix(CLUSTER), snapshot.revision, self._heard)
        self._inbox = [self._tick(), engine.Loaded(snapshot), *self._inbox]
        return True

    def _list(self) -> Snapshot | None:
        assert self._client is not None
        try:
            return self._client.read_prefix(keys.cluster_prefix(CLUSTER))
        except StoreUnavailable:
            self._not_before = self.sim.now + TICK_S
            return None

    def _make(self, steward: Steward, epoch: int) -> Applier | None:
        assert self._client is not None
        plan, txn = self.plan or self.sim.scenario.plan, self.sim.world.txn
        match self.job:
            case Job.APPLY:
                txn = txn_of(plan)
                begin(self._client, CLUSTER, plan, self._head(txn, epoch), epoch)
            case Job.STEWARD:
                return steward.take_over(epoch)
            case Job.RESUME | Job.ROLLBACK:
                head = self.sim.world.head()
                assert head is not None
                if head.state.terminal:
                    return None  # somebody was faster
                plan = take_up(self._client, CLUSTER, txn, epoch, rollback=self.job is Job.ROLLBACK)
        return Applier(CLUSTER, txn, plan, epoch=epoch, holder=self.name, secret=secret)

    def _head(self, txn: TxnId, epoch: int) -> Head:
        return Head(
            txn=txn,
            state=HeadState.RUNNING,
            phase=Phase(epoch, 0),
            plan_id="",
            plan_digest="",
            chunks=0,
            started_at=self.sim.wall(),
            holder=self.name,
        )

    def _ended(self, head: Head | None) -> None:
        self.result = head
        self._forget()
        if self._watch is not None:
            self._watch.close()
        if self._lease is not None:
            self._lease.close()
        self.over = self.job is not Job.STEWARD

    # ------------------------------------------------------------ the driver's side

    def _perform(self, effect: engine.Effect) -> bool:
        """Perform an effect; return false if it has to be tried again."""
        assert self._client is not None
        match effect:
            case engine.Write(tag=tag, commit=commit):
                try:
                    self._inbox.insert(0, engine.Answered(tag, self._client.commit(commit)))
                except (OutcomeUnknown, StoreUnavailable):
                    self._unanswered.append(engine.Answered(tag, None))
            case engine.Reload():
                snapshot = self._list()
                if snapshot is None:
                    if any(isinstance(one, engine.LockGone) for one in self._inbox):
                        self._ended(None)  # nothing can be decided without the store, and the lock is gone
                    return False
                self._inbox.insert(0, engine.Loaded(snapshot))
            case engine.End(head=head):
                self._ended(head)
        return True

    def _heard(self, item: Changes | WatchEnded) -> None:
        if self._applier is not None:
            self._inbox.append(item)

    def _lost(self) -> None:
        if self._applier is not None:
            self._inbox.append(engine.LockGone())

    def _tick(self) -> engine.Tick:
        return engine.Tick(*self.sim.clock(self.name))


@dataclass(frozen=True, slots=True)
class _SimClock:
    sim: Simulation
    who: str

    def now(self) -> int:
        return self.sim.clock(self.who)[1]

    def monotonic(self) -> float:
        return self.sim.clock(self.who)[0]
