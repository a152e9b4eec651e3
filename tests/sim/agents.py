"""The agents of the simulation: the real Executor, and here what performs its effects instead of a link."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from reconciler.adapters.memory_store import MemoryLease
from reconciler.agent import messages as msg
from reconciler.agent.executor import Executor
from reconciler.engine.journal import frozen_plan
from reconciler.errors import JournalError, OutcomeUnknown, PlanError, StepError, StoreError, StoreUnavailable
from reconciler.model import keys
from reconciler.model.ids import NodeId
from reconciler.plan.step import Plan
from reconciler.ports.store import Changes, Commit, Committed, ModifiedAt, Put, Snapshot, WatchEnded
from reconciler.txn.record import Barrier, Command, Head
from tests.sim.connection import Client
from tests.sim.scenarios import CLUSTER
from tests.sim.simulation import Simulation
from tests.sim.world import decoded

RESTART_S = 3.0  #: after a kill
RETRY_S = 1.0  #: after trouble with the store, as `reconciler.agent.service` waits
LOST = object()  #: in an agent's inbox: its connection is over


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
    _running: msg.Run | None = None  #: an effect whose first half is done: the worker thread is at it
    _ending: bool = False  #: the link is over as soon as the worker is
    _again: float | None = None
    _starts_at: float = 0.0
    _starts: int = 0
    _plans: dict[str, Plan] = field(default_factory=dict)

    # ------------------------------------------------------------ the schedule's side

    def ready(self) -> bool:
        if self._executor is None:
            return self.sim.now >= self._starts_at
        again = self._again is not None and self.sim.now >= self._again
        return bool(self._running or self._ending or self._effects or self._inbox or again)

    def wakes_at(self) -> float | None:
        if self._executor is None:
            return None if self.stays_dead else self._starts_at
        return self._again

    def step(self) -> None:
        """Start if need be, else perform one effect, take one event, or go on with what the worker does."""
        try:
            if self._executor is None:
                self._start()
            elif self._ending:
                self._end()
            elif self._effects:
                self._perform(self._effects[0])
                self._effects.pop(0)
            else:
                self._go_on(self._executor)
        except StoreError:  # the link ends, and another is made after a pause
            self._ending = True
            if self._executor is None:
                self._end()

    def _go_on(self, executor: Executor) -> None:
        if self._inbox:
            event = self._inbox.pop(0)
            if event is LOST:
                self._ending = True
            else:
                self._effects += executor.handle(event)  # type: ignore[arg-type]  # anything but LOST is one
        elif self._running is not None:
            self._finish(self._running)
        else:
            self._again = None
            self._effects += executor.handle(msg.Again())

    def kill(self) -> None:
        """SIGKILL: what was begun stays half done. It is started again unless it stays dead."""
        self._starts += 1
        self._lease = None  # it goes in its own time
        self._running = None
        self.sim.world.died(self.node)
        self._let_go(RESTART_S)
        self.alive = not self.stays_dead

    def _end(self) -> None:
        """End the link: what the worker does is waited for, then everything is given back."""
        if self._running is not None:
            self._finish(self._running)
        else:
            self._let_go(RETRY_S)

    def _let_go(self, pause_s: float) -> None:
        """Forget everything but what is on the disk, and connect anew after a pause."""
        if self._lease is not None:
            self._lease.close()
        if self._client is not None:
            self._client.close()
        self._executor, self._client, self._lease, self._again = None, None, None, None
        self._ending = False
        self._inbox, self._effects, self._plans = [], [], {}
        self._starts_at = self.sim.now + pause_s

    def revive(self) -> None:
        """Start it after all."""
        self.alive, self.stays_dead, self.stopped = True, False, False

    def lose_lease(self) -> None:
        """Let the live key go while the process goes on; it will notice, and connect again."""
        if self._lease is not None:
            self.sim.data.expire(self._lease.lease_id)

    # ------------------------------------------------------------ the link's side

    def _start(self) -> None:
        client = self._client = self.sim.client(self.name)
        instance = f"{self.name}-{self._starts}"
        made = Executor(CLUSTER, self.node, instance, phase=self.sim.world.phase(self.node))
        self._lease = client.lease(10, lambda: self._inbox.append(LOST))
        self._live(client, instance)
        own = keys.node_prefix(CLUSTER, self.node)
        snapshot = client.read_prefix(own)
        client.watch(own, snapshot.revision, self._heard)
        self._executor = made
        self._inbox.insert(0, msg.Listed(snapshot))

    def _live(self, client: Client, instance: str) -> None:
        assert self._lease is not None
        live = keys.live(CLUSTER, self.node)
        entry = client.read(live)
        guard = ModifiedAt(live, entry.mod_revision if entry else 0)
        client.store.commit(Commit(when=(guard,), then=(Put(live, instance, self._lease.lease_id),)))

    def ask_to_stop(self) -> None:
        """Nobody asks an agent."""

    def _heard(self, item: Changes | WatchEnded) -> None:
        self._inbox.append(msg.Heard(item.changes) if isinstance(item, Changes) else LOST)

    def _perform(self, effect: msg.Effect) -> None:
        """Perform an effect; of a do or undo only the first half."""
        assert self._client is not None
        match effect:
            case msg.ReadContext(command=command):
                self._inbox.append(self._context(command))
            case msg.StoreIt(commit=commit):
                try:
                    answer = self._client.commit(commit)
                except (OutcomeUnknown, StoreUnavailable):
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
                assert self._running is None, "two steps at once"
                if self._half(effect, self.sim.world.begin):
                    self._running = effect

    def _finish(self, effect: msg.Run) -> None:
        """The second half: between the two the agent may be killed, and goes on hearing and answering."""
        done = self._half(effect, self.sim.world.finish)
        self._running = None
        if done:
            self._inbox.append(msg.Ran({}))

    def _half(self, effect: msg.Run, half: Callable[..., None]) -> bool:
        """Do half of an effect; return false if it failed."""

        def act() -> Committed:
            half(effect.step, effect.before, undo=effect.undo)
            return Committed(succeeded=True, revision=0)

        failed = _outcome(lambda: self.sim.act(self.name, act))
        if isinstance(failed, msg.Failure):
            self._inbox.append(msg.Ran(failed))
            return False
        return True

    def _keep(self, barrier: Barrier) -> Committed:
        if not self.sim.world.keep(self.node, barrier):
            raise StoreUnavailable("asked for a phase that is long past")
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
