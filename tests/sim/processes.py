"""The processes of a simulated cluster: who drives a transaction, and the agents that execute it.

Engines are the real Applier with the real lock, journal, steward and settling; agents the real Executor. What
is written here is only what performs their effects, one per step, where the product has a thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from reconciler.adapters.memory_store import MemoryLease, MemoryWatch
from reconciler.agent import messages as msg
from reconciler.agent.executor import Executor
from reconciler.controller.settling import take_up
from reconciler.controller.steward import Steward
from reconciler.engine import messages as engine
from reconciler.engine.applier import Applier
from reconciler.engine.journal import begin, frozen_plan, txn_of
from reconciler.engine.lock import acquire
from reconciler.errors import JournalError, LockHeld, OutcomeUnknown, PlanError, StalePlan, StepError
from reconciler.model import keys
from reconciler.model.configured import Secret
from reconciler.model.ids import NodeId
from reconciler.plan.step import Plan
from reconciler.ports.store import Changes, Commit, Committed, Put, Snapshot, WatchEnded
from reconciler.txn.record import Barrier, Command, Head, HeadState, LockRecord, Phase
from tests.sim.scenarios import CLUSTER, SECRET
from tests.sim.simulation import Client, Simulation
from tests.sim.world import decoded

TICK_S = 1.0
LOOK_EVERY_S = 2.0
RESTART_S = 3.0
LOST = object()  #: in an agent's inbox: its lease has ended


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
    _client: Client | None = None
    _applier: Applier | None = None
    _lease: MemoryLease | None = None
    _watch: MemoryWatch | None = None
    _inbox: list[engine.Event] = field(default_factory=list)
    _effects: list[engine.Effect] = field(default_factory=list)
    _at: float = 0.0

    # ------------------------------------------------------------ the schedule's side

    def ready(self) -> bool:
        return not self.over and bool(self._effects or self._inbox or self.sim.now >= self._at)

    def wakes_at(self) -> float | None:
        return self._at if self.alive and not self.over else None

    def step(self) -> None:
        """Perform one effect, else take one event, else do what time brings."""
        if self._effects:
            self._perform(self._effects[0])
            if self._effects:
                self._effects.pop(0)
        elif self._inbox:
            assert self._applier is not None
            self._effects += self._applier.handle(self._inbox.pop(0))
        elif self._applier is None:
            self._at = self.sim.now + LOOK_EVERY_S
            self._start()
        else:
            self._at = self.sim.now + TICK_S
            self._inbox.append(self._tick())

    def kill(self) -> None:
        """SIGKILL: memory and connection go, what was sent stays. A steward is started again."""
        self.alive = self.job is Job.STEWARD
        self._effects, self._inbox, self._applier = [], [], None
        if self._client is not None:
            self._client.close()
        self._client, self._lease = None, None
        self._at = self.sim.now + RESTART_S

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
        who = Steward(client, CLUSTER, _SimClock(self.sim), threading.Event())
        if self.job is Job.STEWARD:
            who.look()
            if who.orphan() is None:
                return
        record = LockRecord(holder=self.name, op_id=f"{self.name}-{self.sim.steps}", since=self.sim.wall())
        try:
            lock = acquire(client, CLUSTER, record, timeout_s=0, on_lost=self._lost)
        except LockHeld:
            return
        self._lease = lock.lease
        try:
            made = self._make(who, lock.epoch)
        except (OutcomeUnknown, JournalError):
            made = None  # it says so and ends; whether it began and how it stands, the journal knows
        except StalePlan:
            head = self.sim.world.head()
            assert head is None or head.phase.epoch != lock.epoch, "called stale what it has begun itself"
            made = None
        if made is None:
            lock.release()
            self.over = self.job is not Job.STEWARD
            return
        self._applier = made
        snapshot = client.read_prefix(keys.cluster_prefix(CLUSTER))
        self._watch = client.watch(keys.cluster_prefix(CLUSTER), snapshot.revision, self._heard)
        self._inbox = [self._tick(), engine.Loaded(snapshot)]

    def _make(self, steward: Steward, epoch: int) -> Applier | None:
        assert self._client is not None
        plan, txn = self.sim.scenario.plan, self.sim.world.txn
        match self.job:
            case Job.APPLY:
                begin(self._client, CLUSTER, plan, self._head(epoch), epoch)
            case Job.STEWARD:
                return steward.take_over(epoch)
            case Job.RESUME | Job.ROLLBACK:
                head = self.sim.world.head()
                assert head is not None
                if head.state.terminal:
                    return None  # somebody was faster
                plan = take_up(self._client, CLUSTER, txn, epoch, rollback=self.job is Job.ROLLBACK)
        return Applier(CLUSTER, txn, plan, epoch=epoch, holder=self.name, secret=secret)

    def _head(self, epoch: int) -> Head:
        return Head(
            txn=txn_of(self.sim.scenario.plan),
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
        self._effects, self._inbox, self._applier = [], [], None
        if self._watch is not None:
            self._watch.close()
        if self._lease is not None:
            self._lease.close()
        self.over = self.job is not Job.STEWARD

    # ------------------------------------------------------------ the driver's side

    def _perform(self, effect: engine.Effect) -> None:
        assert self._client is not None
        match effect:
            case engine.Write(tag=tag, commit=commit):
                try:
                    answer = self._client.commit(commit)
                except OutcomeUnknown:
                    answer = None
                self._inbox.insert(0, engine.Answered(tag, answer))
            case engine.Reload():
                prefix = keys.cluster_prefix(CLUSTER)
                self._inbox.insert(0, engine.Loaded(self._client.read_prefix(prefix)))
            case engine.End(head=head):
                self._ended(head)

    def _heard(self, item: Changes | WatchEnded) -> None:
        if self._applier is not None:
            assert isinstance(item, Changes)
            self._inbox.append(item)

    def _lost(self) -> None:
        if self._applier is not None:
            self._inbox.append(engine.LockGone())

    def _tick(self) -> engine.Tick:
        return engine.Tick(self.sim.monotonic(), self.sim.wall())


@dataclass(slots=True)
class Agent:
    """A node's agent. Killed, it is started again after a while, with what its disk has."""

    sim: Simulation
    node: NodeId
    name: str
    alive: bool = True
    stopped: bool = False
    stays_dead: bool = False
    _client: Client | None = None
    _executor: Executor | None = None
    _lease: MemoryLease | None = None
    _inbox: list[object] = field(default_factory=list)
    _effects: list[msg.Effect] = field(default_factory=list)
    _half: bool = False  #: an effect's first half is done
    _again: float | None = None
    _starts_at: float = 0.0
    _starts: int = 0
    _plans: dict[str, Plan] = field(default_factory=dict)

    # ------------------------------------------------------------ the schedule's side

    def ready(self) -> bool:
        if self._executor is None:
            return self.sim.now >= self._starts_at
        return bool(self._effects or self._inbox or (self._again is not None and self.sim.now >= self._again))

    def wakes_at(self) -> float | None:
        if self._executor is None:
            return None if self.stays_dead else self._starts_at
        return self._again

    def step(self) -> None:
        """Start if need be, else perform one effect, else take one event."""
        if self._executor is None:
            self._start()
        elif self._effects:
            if self._perform(self._effects[0]):
                self._effects.pop(0)
        elif self._inbox:
            event = self._inbox.pop(0)
            if event is LOST:
                self._let_go()
            else:
                self._effects += self._executor.handle(event)
        else:
            self._again = None
            self._effects += self._executor.handle(msg.Again())

    def kill(self) -> None:
        """SIGKILL: what was begun stays half done. It is started again unless it stays dead."""
        self._let_go()
        self.sim.world.died(self.node)
        self._starts_at = self.sim.now + RESTART_S
        self.alive = not self.stays_dead

    def _let_go(self) -> None:
        """Forget everything but what is on the disk. The next step connects anew."""
        if self._client is not None:
            self._client.close()
        self._executor, self._client, self._lease, self._again = None, None, None, None
        self._half = False
        self._inbox, self._effects, self._plans = [], [], {}

    def revive(self) -> None:
        """Start it after all."""
        self.alive, self.stays_dead, self.stopped = True, False, False

    def lose_lease(self) -> None:
        """Let the live key go while the process goes on; it will notice, and connect again."""
        if self._lease is not None:
            self.sim.data.expire(self._lease.lease_id)

    # ------------------------------------------------------------ the link's side

    def _start(self) -> None:
        self._starts += 1
        client = self.sim.client(self.name)
        known = self.sim.phases.get(self.node)
        executor = Executor(
            CLUSTER, self.node, f"{self.name}-{self._starts}", phase=known.phase if known else Phase(0, 0)
        )
        self._lease = client.lease(10, lambda: self._inbox.append(LOST))
        live = keys.live(CLUSTER, self.node)
        assert client.store.commit(
            Commit(when=(), then=(Put(live, self.name, self._lease.lease_id),))
        ).succeeded
        own = keys.node_prefix(CLUSTER, self.node)
        snapshot = client.read_prefix(own)
        client.watch(own, snapshot.revision, self._heard)
        self._client, self._executor = client, executor
        self._inbox.insert(0, msg.Listed(snapshot))

    def _heard(self, item: Changes | WatchEnded) -> None:
        assert isinstance(item, Changes)
        self._inbox.append(msg.Heard(item.changes))

    def _perform(self, effect: msg.Effect) -> bool:
        """Perform an effect, or its first half; return true when it is done."""
        assert self._client is not None
        match effect:
            case msg.ReadContext(command=command):
                self._inbox.append(self._context(command))
            case msg.StoreIt(commit=commit):
                try:
                    answer = self._client.commit(commit)
                except OutcomeUnknown:
                    answer = None
                self._inbox.append(msg.Stored(answer))
            case msg.Relist():
                self._inbox.append(msg.Listed(self._list()))
            case msg.KeepPhase(barrier=barrier):
                self.sim.act(self.name, lambda: self._keep(barrier))
                self._inbox.append(msg.PhaseKept(barrier))
            case msg.Wait(seconds=seconds):
                self._again = self.sim.now + seconds
            case msg.Check(step=step):
                self._inbox.append(msg.Looked(_outcome(lambda: self.sim.world.check(step))))
            case msg.Run():
                return self._run(effect)
        return True

    def _run(self, effect: msg.Run) -> bool:
        """Do or undo in two steps of the simulation, each of them a point where the agent may be killed."""
        world, step = self.sim.world, effect.step
        half = world.finish if self._half else world.begin

        def act() -> Committed:
            half(step, effect.before, undo=effect.undo)
            return Committed(succeeded=True, revision=0)

        failed = _outcome(lambda: self.sim.act(self.name, act))
        if isinstance(failed, msg.Failure):
            self._half = False
            self._inbox.append(msg.Ran(failed))
            return True
        self._half = not self._half
        if not self._half:
            self._inbox.append(msg.Ran({}))
        return not self._half

    def _keep(self, barrier: Barrier) -> Committed:
        known = self.sim.phases.get(self.node)
        assert known is None or known.phase <= barrier.phase, "asked for a phase that is long past"
        self.sim.phases[self.node] = barrier
        return Committed(succeeded=True, revision=0)

    def _list(self) -> Snapshot:
        assert self._client is not None
        return self._client.read_prefix(keys.node_prefix(CLUSTER, self.node))

    def _context(self, command: Command) -> msg.Context:
        assert self._client is not None
        entry = self._client.read(keys.head(CLUSTER, command.txn))
        lock = self._client.read(keys.lock(CLUSTER))
        head = decoded(Head, entry.value) if entry else None
        plan, problem = None, ""
        if head is not None and head.plan_digest == command.plan_digest:
            plan = self._plans.get(head.plan_digest)
            if plan is None:
                try:
                    plan = self._plans[head.plan_digest] = frozen_plan(self._client, CLUSTER, head)
                except (JournalError, PlanError) as exc:
                    problem = exc.message
        revision, epoch = entry.mod_revision if entry else 0, lock.create_revision if lock else 0
        return msg.Context(head, revision, epoch, plan, problem)


def _outcome(act: Callable[[], object]) -> object:
    try:
        return act()
    except StepError as exc:
        return msg.Failure(exc.message, exc.hint, exc.retryable)


@dataclass(frozen=True, slots=True)
class _SimClock:
    sim: Simulation

    def now(self) -> int:
        return self.sim.wall()

    def monotonic(self) -> float:
        return self.sim.monotonic()
