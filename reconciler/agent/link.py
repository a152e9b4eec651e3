"""One connection of an agent to the store: follow the configuration, execute commands, answer, report.

A link lives from one successful connection to the first trouble; the service then makes another. All store
calls happen on the link's own thread; steps run on a worker; watches and the lease only put into a queue.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler import failpoints
from reconciler.agent import joining
from reconciler.agent import messages as msg
from reconciler.agent.executor import Executor
from reconciler.agent.facts import FactBook
from reconciler.agent.following import Follower
from reconciler.agent.kept import Binding
from reconciler.agent.trust import trust
from reconciler.engine.journal import frozen_plan
from reconciler.engine.points import hit_record
from reconciler.errors import (
    JournalError,
    OutcomeUnknown,
    ReconcilerError,
    StepError,
    StoreError,
    StoreUnavailable,
)
from reconciler.model import keys
from reconciler.model.codec import decode, encode
from reconciler.model.configured import Secret, VolumeRecord
from reconciler.model.questions import Question
from reconciler.ports.node import Call
from reconciler.ports.store import (
    Absent,
    Changes,
    Commit,
    Committed,
    Put,
    Snapshot,
    WatchEnded,
)
from reconciler.txn.record import Command, Head, HeadState, Phase

if TYPE_CHECKING:
    from reconciler.agent.node import Node
    from reconciler.model.ids import ClusterId, NodeId, PeerName, VolumeId
    from reconciler.plan.step import Plan, Step
    from reconciler.ports.store import Store

LOG = logging.getLogger("gluster-state.agent")
LEASE_TTL_S = 10
REPORT_EVERY_S = 2.0
TICK_S = 0.25
NOTE_EVERY_S = 10.0  #: how old the revision that the disk knows may be


@dataclass(frozen=True, slots=True)
class _Watched:
    prefix: str
    item: Changes | WatchEnded


@dataclass(frozen=True, slots=True)
class _Lost:
    """The live lease is gone, or the store did not answer a step."""


class Link:
    """An agent's connection to the store."""

    def __init__(self, node: Node, store: Store, *, cluster_name: str, peer: PeerName, instance: str) -> None:
        self._node, self._store = node, store
        self._name, self._peer, self._instance = cluster_name, peer, instance
        self._me: NodeId = node.parts.node
        self._queue: queue.SimpleQueue[_Watched | _Lost | msg.Event] = queue.SimpleQueue()
        self._again: float | None = None
        self._plans: dict[str, Plan] = {}
        self._revision = 0
        self._reported_at = 0.0
        self._live_revision = 0
        self._noted_at = 0.0
        self._identity = ""
        self._worker: threading.Thread | None = None

    # ------------------------------------------------------------ life

    def run(self, stop: threading.Event) -> None:
        """Connect, then serve until `stop` or trouble. Raises StoreError or JournalError for trouble."""
        clock, memory = self._node.parts.clock, self._node.parts.memory
        cluster = joining.find_cluster(self._store, memory, self._name)
        self._cluster: ClusterId = cluster
        at = Binding(cluster_id=cluster, cluster_name=self._name, peer=self._peer)
        memory.bind(at)
        self._identity = trust(self._store, memory, cluster, self._me, self._peer)
        joining.bind_name(self._store, at, self._me)
        self._facts = FactBook(cluster, self._me)
        self._follower = Follower(self._node.parts, cluster, self._name)
        known = memory.phase()
        self._executor = Executor(
            cluster, self._me, self._instance, phase=known.phase if known else Phase(0, 0)
        )
        lease = self._store.lease(LEASE_TTL_S, lambda: self._queue.put(_Lost()))
        watches = []
        try:
            self._live_revision = joining.take_live_key(
                self._store, cluster, self._me, self._instance, lease.lease_id
            )
            own = keys.node_prefix(cluster, self._me)
            for prefix in (keys.config_prefix(cluster), keys.secrets_prefix(cluster), own):
                snapshot = self._store.read_prefix(prefix)
                self._listed(prefix, snapshot)
                watches.append(self._store.watch(prefix, snapshot.revision, self._sink(prefix)))
            self._follow()
            self._node.parts.table.set_connected(True)
            LOG.info("connected to cluster %s (%s) as %s", self._name, cluster, self._peer)
            while not stop.is_set():
                self._step(clock.monotonic())
        finally:
            self._node.parts.table.set_connected(False)
            for watch in watches:
                watch.close()
            self._join_worker()
            lease.close()
            memory.keep_store(self._identity, self._revision)  # last: a disk that refuses leaves nothing open

    def _step(self, now: float) -> None:
        """Handle one thing from the queue, or what time brings."""
        try:
            item = self._queue.get(timeout=TICK_S)
        except queue.Empty:
            item = None
        match item:
            case None:
                pass
            case _Lost():
                raise StoreUnavailable("this agent's lease in etcd has ended, or etcd did not answer")
            case _Watched(prefix=prefix, item=news):
                if isinstance(news, WatchEnded):
                    raise StoreUnavailable(f"the watch of {prefix} ended: {news.reason}")
                self._changed(prefix, news)
            case event:
                self._perform(self._executor.handle(event))
        if self._again is not None and now >= self._again:
            self._again = None
            self._perform(self._executor.handle(msg.Again()))
        if now - self._reported_at >= REPORT_EVERY_S:
            self._report(now)

    def _sink(self, prefix: str) -> Callable[[Changes | WatchEnded], None]:
        return lambda item: self._queue.put(_Watched(prefix, item))

    def _join_worker(self) -> None:
        """Wait for a running step: what it did must not be left unknown to the next link."""
        if self._worker is not None:
            self._worker.join()

    # ------------------------------------------------------------ what changed

    def _listed(self, prefix: str, snapshot: Snapshot) -> None:
        self._revision = max(self._revision, snapshot.revision)
        if prefix == keys.node_prefix(self._cluster, self._me):
            facts = keys.facts_prefix(self._cluster, self._me)
            mine = [e for e in snapshot.entries if e.key.startswith(facts)]
            self._facts.load(mine, self._node.parts.clock.monotonic())
            self._perform(self._executor.handle(msg.Listed(self._commands(snapshot))))
        else:
            self._follower.load(snapshot.entries)

    def _follow(self) -> None:
        self._follower.follow(self._revision)
        self._reported_at = 0.0  # what changed is worth a report now

    def _commands(self, snapshot: Snapshot) -> Snapshot:
        """Return the part of this node's keys that the executor works with."""
        facts = keys.facts_prefix(self._cluster, self._me)
        kept = tuple(e for e in snapshot.entries if not e.key.startswith(facts))
        return Snapshot(revision=snapshot.revision, entries=kept)

    def _changed(self, prefix: str, changes: Changes) -> None:
        self._revision = max(self._revision, changes.revision)
        if prefix != keys.node_prefix(self._cluster, self._me):
            self._follower.take(changes.changes)
            self._follow()
            return
        asks = keys.asks_prefix(self._cluster, self._me)
        skip = (keys.facts_prefix(self._cluster, self._me), asks)
        for change in changes.changes:
            if change.key.startswith(asks) and change.value is not None:
                self._answer(decode(Question, change.value))
        heard = tuple(c for c in changes.changes if not c.key.startswith(skip))
        if heard:
            self._perform(self._executor.handle(msg.Heard(heard)))

    # ------------------------------------------------------------ facts and answers

    def _settle_staged(self) -> None:
        """Forget what a transaction staged here and nobody undid, once it has been rolled back.

        What a committed one staged goes when its configuration arrives. One without a head ended so long
        ago that it was removed; had it been committed, its configuration would be here.
        """
        table = self._node.parts.table
        for volume_id, held in table.volumes().items():
            if held.staged is None or self._executor.busy:
                continue
            entry = self._store.read(keys.head(self._cluster, held.staged.txn))
            state = decode(Head, entry.value).state if entry else HeadState.ROLLED_BACK
            undone = state is HeadState.ROLLED_BACK
            if undone or (state is HeadState.PARTLY and not self._agreed(volume_id, held.staged.record)):
                table.unstage(volume_id)

    def _agreed(self, volume_id: VolumeId, staged: VolumeRecord) -> bool:
        """Return true if what is staged has become the configuration, which is on its way here."""
        entry = self._store.read(keys.volume(self._cluster, volume_id))
        if entry is None:
            return self._store.read(keys.retained(self._cluster, volume_id)) is not None
        return decode(VolumeRecord, entry.value).generation >= staged.generation

    def _report(self, now: float) -> None:
        self._reported_at = now
        if now - self._noted_at >= NOTE_EVERY_S:
            self._noted_at = now
            self._node.parts.memory.keep_store(self._identity, self._revision)
        self._settle_staged()
        for commit in self._facts.writes(self._node.report(), self._live_revision, now):
            if self._commit(commit) is None or not self._succeeded:
                prefix = keys.facts_prefix(self._cluster, self._me)
                self._facts.load(self._store.read_prefix(prefix).entries, now)
                return
            self._facts.note_written(commit)

    def _answer(self, question: Question) -> None:
        self._report(self._node.parts.clock.monotonic())
        key = keys.answer(self._cluster, self._me, question.question, "all")
        answer = encode(self._node.answer(question.paths))
        try:
            self._store.commit(Commit(when=(Absent(key),), then=(Put(key, answer, question.lease),)))
        except (OutcomeUnknown, StoreUnavailable):
            raise
        except StoreError:
            LOG.info("question %s was withdrawn", question.question)  # its lease is gone: nobody waits

    # ------------------------------------------------------------ the executor's effects

    def _perform(self, effects: list[msg.Effect]) -> None:
        for effect in effects:
            self._effect(effect)

    def _effect(self, effect: msg.Effect) -> None:
        match effect:
            case msg.ReadContext(command=command):
                failpoints.hit("agent.command.seen")
                self._queue.put(self._context(command))
            case msg.StoreIt(commit=commit):
                hit_record(commit, "before")
                self._queue.put(msg.Stored(self._commit(commit)))
                hit_record(commit, "after")
            case msg.Relist():
                snapshot = self._store.read_prefix(keys.node_prefix(self._cluster, self._me))
                self._queue.put(msg.Listed(self._commands(snapshot)))
            case msg.KeepPhase(barrier=barrier):
                failpoints.hit("agent.phase.before")
                if self._node.parts.memory.enter_phase(barrier):
                    failpoints.hit("agent.phase.after")
                    self._queue.put(msg.PhaseKept(barrier))
                else:
                    raise StoreUnavailable(f"asked for phase {barrier.phase}, which is long past")
            case msg.Wait(seconds=seconds):
                self._again = self._node.parts.clock.monotonic() + seconds
            case msg.Check() | msg.Run():
                # The credentials are read here: trouble with the store is no failure of the step.
                work = (effect, self._call(effect.step, effect.plan, effect.txn))
                self._worker = threading.Thread(target=self._work, args=work, name="step", daemon=True)
                self._worker.start()

    def _commit(self, commit: Commit) -> Committed | None:
        try:
            done = self._store.commit(commit)
        except (OutcomeUnknown, StoreUnavailable):
            self._succeeded = False
            return None
        self._succeeded = done.succeeded
        return done

    def _context(self, command: Command) -> msg.Context:
        """Read what a command refers to. Trouble with the store ends the link instead."""
        entry = self._store.read(keys.head(self._cluster, command.txn))
        lock = self._store.read(keys.lock(self._cluster))
        head = decode(Head, entry.value) if entry else None
        plan: Plan | None = None
        problem = ""
        if head is not None and head.plan_digest == command.plan_digest:
            plan = self._plans.get(head.plan_digest)
            if plan is None:
                try:
                    plan = frozen_plan(self._store, self._cluster, head)
                except JournalError as exc:
                    problem = exc.message
                    LOG.error("%s", problem)  # noqa: TRY400  expected, told without a traceback
                else:
                    self._plans = {head.plan_digest: plan}
        return msg.Context(
            head,
            entry.mod_revision if entry else 0,
            lock.create_revision if lock else 0,
            plan,
            problem=self._lag(command, plan) if plan else problem,
        )

    def _lag(self, command: Command, plan: Plan) -> str:
        """Say that the configuration this plan was made from has not reached us yet; empty if it has.

        Configuration and commands come on separate watches, in no order between them.
        """
        step = next((s for s in plan.steps if s.step_id == command.step), None)
        before = plan.previous.get(step.volume) if step and step.volume else None
        held = self._node.parts.table.committed(before.volume_id) if before else None
        if before is None or (held is not None and held.generation >= before.generation):
            return ""
        return f"generation {before.generation} of volume {before.name} has not arrived yet"

    def _work(self, effect: msg.Check | msg.Run, call: Call) -> None:
        """Run a check, do or undo on the worker thread and hand the answer back, whatever happens.

        An error that nobody foresaw is a bug of ours. It fails the step, which is then undone: an agent that
        died of it would meet it again at every start.
        """
        try:
            event = self._act(effect, call)
        except StepError as exc:
            event = _failed(effect, msg.Failure(exc.message, exc.hint, exc.retryable))
        except (ReconcilerError, OSError) as exc:
            event = _failed(effect, msg.Failure(f"{type(exc).__name__}: {exc}", "", retryable=False))
        except Exception as exc:
            LOG.exception("step %s (%s) of %s", call.step.step_id, call.step.kind, call.txn)
            problem = f"a bug in this agent, see its log: {exc!r}"
            event = _failed(effect, msg.Failure(problem, "", retryable=False))
        self._queue.put(event)

    def _act(self, effect: msg.Check | msg.Run, call: Call) -> msg.Looked | msg.Ran:
        action = self._node.parts.actions.get(call.step.kind)
        if action is None:
            raise StepError(f"this agent does not know steps of kind {call.step.kind}")
        if isinstance(effect, msg.Check):
            return msg.Looked(action.check(call))
        if effect.undo:
            failpoints.hit("agent.undo.before")
            action.undo(call, effect.before)
            failpoints.hit("agent.undo.after")
            return msg.Ran({})
        failpoints.hit("agent.do.before")
        result = action.do(call, effect.before)
        failpoints.hit("agent.do.after")
        return msg.Ran(result)

    def _call(self, step: Step, plan: Plan, txn: str) -> Call:
        secret = None
        if step.volume is not None:
            entry = self._store.read(keys.secret(self._cluster, step.volume))
            secret = decode(Secret, entry.value) if entry else None
        return Call(
            step=step,
            txn=txn,
            volume=plan.volumes.get(step.volume) if step.volume else None,
            previous=plan.previous.get(step.volume) if step.volume else None,
            secret=secret,
        )


def _failed(effect: msg.Check | msg.Run, failure: msg.Failure) -> msg.Looked | msg.Ran:
    return msg.Looked(failure) if isinstance(effect, msg.Check) else msg.Ran(failure)
