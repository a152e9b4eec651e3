"""Use cases of one cluster: observe, plan, drift, apply. What the command line and continuous mode call.

Everything that decides is pure and lives below (diff, plan, txn); this module reads, asks, and runs.
"""

from __future__ import annotations

import os
import pwd
import secrets
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from reconciler import __version__, failpoints
from reconciler.controller.convergence import committed, converge
from reconciler.controller.findings import findings_plan
from reconciler.controller.settling import take_up
from reconciler.controller.status import cluster_status
from reconciler.controller.transactions import part_reports, summaries, transaction
from reconciler.engine.applier import Applier
from reconciler.engine.driver import Driver
from reconciler.engine.journal import begin, frozen_plan, heads, open_heads, txn_of
from reconciler.engine.lock import Lock, acquire, holder_of
from reconciler.engine.mirror import Mirror
from reconciler.errors import Blocked, JournalError, LockHeld, NotObserved, StalePlan, StoreError
from reconciler.model import keys
from reconciler.model.configured import ConfiguredCluster, Secret
from reconciler.model.ids import ClusterId, NodeId, PeerName, TxnId, VolumeName
from reconciler.model.report import (
    ApplyResult,
    ClusterStatus,
    Outcome,
    PartReport,
    ProgressEvent,
    TxnSummary,
)
from reconciler.model.volume import VolumeState
from reconciler.observe import ask, configured_in, doubts_in, joined_in, observed_in, refuse_doubted
from reconciler.plan.document import summary
from reconciler.plan.planner import Given, Stamp, make_plan
from reconciler.plan.provenance import traced
from reconciler.txn.record import Head, HeadState, LockRecord, Phase
from reconciler.txn.state import PARALLEL

if TYPE_CHECKING:
    from reconciler.model.cluster import Desired
    from reconciler.model.observed import ObservedCluster
    from reconciler.model.questions import Answer
    from reconciler.plan.step import Plan
    from reconciler.ports.node import Clock
    from reconciler.ports.store import Snapshot, Store
    from reconciler.volgen.slots import Slots

Progress = Callable[[ProgressEvent], None]


class StopRequest(Protocol):
    """Whether the user asked to stop."""

    @property
    def requested(self) -> bool:
        """Return true once a stop was asked for."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One observation: configuration, joined nodes and facts at one revision."""

    configured: ConfiguredCluster
    joined: Mapping[PeerName, NodeId]
    observed: ObservedCluster


class ClusterSession:
    """A connection to one cluster. Not thread-safe."""

    def __init__(
        self,
        store: Store,
        cluster: tuple[ClusterId, str],
        clock: Clock,
        lock_timeout_s: float,
        slots: Slots,
    ) -> None:
        """Take over an open store.

        Args:
            store: the shared store; closed with the session.
            cluster: id and name.
            clock: the time.
            lock_timeout_s: how long an apply waits for the cluster's lock.
            slots: what the program's features add to graphs.
        """
        self._store, self._clock = store, clock
        self._cluster, self._name = cluster
        self._lock_timeout_s = lock_timeout_s
        self._slots = slots

    # ------------------------------------------------------------ looking

    def plan(self, desired: Desired, *, allow: tuple[str, ...], progress: Progress) -> Plan:
        """Observe and plan; changes nothing. Blocked objects are in the plan, not raised."""
        del progress
        seen = self._look(desired)
        given = Given(
            desired=desired,
            configured=seen.configured,
            observed=seen.observed,
            joined=seen.joined,
            slots=self._slots,
            allow=allow,
        )
        return traced(make_plan(given, self._stamp()), desired.spans)

    def drift(self, desired: Desired | None, *, progress: Progress) -> Plan:
        """Observe and compare with the configuration; nothing is planned."""
        del progress
        seen = self._look(None)
        ignore = {v.name: v.ignore_drift for v in desired.spec.volumes} if desired else {}
        return self._findings(seen, ignore, desired)

    def status(self) -> ClusterStatus:
        """Return what is known now, from reports already in the store."""
        snapshot = self._list()
        seen = self._seen(snapshot, None)
        open_txns = open_heads(heads(snapshot, self._cluster))
        holder = holder_of(self._store, self._cluster)
        return cluster_status(
            seen.configured,
            seen.observed,
            open_txn=summaries(open_txns[:1])[0] if open_txns else None,
            doubts=tuple(f"{d.peer}: {d.reason}" for d in doubts_in(snapshot, self._cluster)),
            lock_holder=f"{holder.holder} ({holder.purpose})" if holder else "",
        )

    def transactions(self) -> tuple[TxnSummary, ...]:
        """Return all transactions kept, newest first, without steps."""
        return summaries(heads(self._list(), self._cluster))

    def transaction(self, txn: TxnId) -> TxnSummary:
        """Return one transaction with its steps; raises UsageError if there is none of that id."""
        snapshot = self._list()
        return transaction(
            txn, snapshot, self._cluster, lambda head: frozen_plan(self._store, self._cluster, head)
        )

    def close(self) -> None:
        """Give back the connection. May be called twice."""
        self._store.close()

    # ------------------------------------------------------------ applying

    def apply(self, plan: Plan, *, progress: Progress, stop: StopRequest, parallel: int) -> ApplyResult:
        """Run a plan to its outcome, with so many commands under way at once.

        Raises StalePlan, Blocked, LockHeld before any effect.
        """
        self._refuse(plan)
        if not plan.steps:
            return ApplyResult(
                outcome=Outcome.NOTHING,
                txn=None,
                exit_code=0,
                message=f"Nothing to do: cluster {self._name} is as declared.",
            )
        driver = Driver(self._store, self._cluster, self._clock, progress, lambda: stop.requested)
        began = self._clock.monotonic()
        record = self._lock_record(f"apply {plan.plan_id}")
        failpoints.hit("apply.plan.loaded")
        with acquire(
            self._store,
            self._cluster,
            record,
            timeout_s=self._lock_timeout_s,
            on_lost=driver.lock_lost,
        ) as lock:
            self._refuse_open()
            head = self._begin(plan, lock)
            end = driver.run(self._applier(head.txn, plan, lock, parallel))
        return self._result(plan, head.txn, end, self._clock.monotonic() - began)

    def settle(self, txn: TxnId, *, rollback: bool, progress: Progress, stop: StopRequest) -> ApplyResult:
        """Bring an open transaction to its end: forward as it was, or back.

        Raises UsageError for an unknown or ended one, Blocked for a rollback past the point of no return.
        """
        driver = Driver(self._store, self._cluster, self._clock, progress, lambda: stop.requested)
        began = self._clock.monotonic()
        word = "rollback" if rollback else "resume"
        with acquire(
            self._store,
            self._cluster,
            self._lock_record(f"txn {word} {txn}"),
            timeout_s=self._lock_timeout_s,
            on_lost=driver.lock_lost,
        ) as lock:
            refuse_doubted(self._list(), self._cluster)
            plan = take_up(self._store, self._cluster, txn, lock.epoch, rollback=rollback)
            end = driver.run(self._applier(txn, plan, lock, PARALLEL))
        result = self._result(plan, txn, end, self._clock.monotonic() - began)
        if rollback and result.outcome is Outcome.ROLLED_BACK:
            return replace(result, exit_code=0, message="The cluster is as it was before.")
        return result

    def _refuse(self, plan: Plan) -> None:
        if plan.cluster_id != self._cluster:
            raise StalePlan(f"plan {plan.plan_id} is for another cluster, {plan.cluster_name}")
        if plan.blockers:
            raise Blocked(f"plan {plan.plan_id} has blocked changes: {plan.blockers[0].summary}")
        if plan.unobserved:
            raise NotObserved(f"not observed when the plan was made: {', '.join(plan.unobserved)}")
        if self._clock.now() > plan.expires:
            raise StalePlan(f"plan {plan.plan_id} has expired", hint="Make a new plan and review it.")

    def _refuse_open(self) -> None:
        listed = self._list()
        refuse_doubted(listed, self._cluster)
        found = open_heads(heads(listed, self._cluster))
        if found:
            head = found[0]
            way = f"A steward brings it to its end; watch it with: gluster-state txn show {head.txn}"
            if not head.state.active:
                way = (
                    f"Decide: gluster-state txn resume {head.txn}, or: gluster-state txn rollback {head.txn}"
                )
            raise LockHeld(
                f"transaction {head.txn} is {head.state.value}: {head.reason or head.summary}", hint=way
            )

    def _begin(self, plan: Plan, lock: Lock) -> Head:
        counts = summary(plan)
        head = Head(
            txn=txn_of(plan),
            state=HeadState.RUNNING,
            phase=Phase(lock.epoch, 0),
            plan_id=plan.plan_id,
            plan_digest="",
            chunks=0,
            started_at=self._clock.now(),
            holder=who(),
            summary=f"{counts['add']} to add, {counts['change']} to change, {counts['remove']} to remove",
        )
        return begin(self._store, self._cluster, plan, head, lock.epoch)

    def _applier(self, txn: TxnId, plan: Plan, lock: Lock, parallel: int) -> Applier:
        return Applier(
            self._cluster, txn, plan, epoch=lock.epoch, holder=who(), secret=new_secret, parallel=parallel
        )

    def _lock_record(self, purpose: str) -> LockRecord:
        return LockRecord(holder=who(), op_id=secrets.token_hex(8), since=self._clock.now(), purpose=purpose)

    def _result(self, plan: Plan, txn: TxnId, head: Head | None, seconds: float) -> ApplyResult:
        show = ("look at it", f"gluster-state txn show {txn}")
        ways = (
            ("go on", f"gluster-state txn resume {txn}"),
            ("undo it", f"gluster-state txn rollback {txn}"),
            show,
        )
        if head is None:
            return ApplyResult(
                outcome=Outcome.HANDED_OVER,
                txn=txn,
                exit_code=7,
                message=f"The lock was lost; {self._others(txn)}",
                decisions=(show,),
                seconds=seconds,
            )
        if head.state is HeadState.COMMITTED:
            parts = self._parts(plan, head)
            return committed(self._name, txn, converge(plan, lambda: self._look(None)), parts, seconds)
        outcome, code, message = {
            HeadState.ROLLED_BACK: (
                Outcome.ROLLED_BACK,
                5,
                head.reason,
            ),
            HeadState.PARTLY: (Outcome.PARTLY, 11, head.reason),
            HeadState.PAUSED: (Outcome.STOPPED, 8, head.reason),
        }.get(head.state, (Outcome.STUCK, 6, head.reason))
        return ApplyResult(
            outcome=outcome,
            txn=txn,
            exit_code=code,
            message=message,
            decisions=() if head.state.terminal else ways,
            seconds=seconds,
            parts=self._parts(plan, head),
        )

    def _parts(self, plan: Plan, head: Head) -> tuple[PartReport, ...]:
        """Return where the parts of a transaction stand, by its journal; nothing if that cannot be read now.

        The outcome is known by then, and more than an account of it.
        """
        mirror = Mirror(self._cluster)
        try:
            mirror.load(self._list())
            return part_reports(mirror.state(plan, head))
        except (StoreError, JournalError):
            return ()

    def _others(self, txn: TxnId) -> str:
        """Say what became of a transaction that is not ours any more, as far as that can be read now."""
        try:
            head = next((h for h in heads(self._list(), self._cluster) if h.txn == txn), None)
        except (StoreError, JournalError):
            head = None
        if head is None or head.state.active:
            return "another process brings the transaction to its end."
        return f"another process has brought the transaction to its end: {head.state.value}."

    # ------------------------------------------------------------ observing

    def _list(self) -> Snapshot:
        return self._store.read_prefix(keys.cluster_prefix(self._cluster))

    def _look(self, desired: Desired | None) -> Seen:
        """Ask every live node to look again, then read what they reported."""
        listed = self._list()
        refuse_doubted(listed, self._cluster)
        first = self._seen(listed, None)
        paths: dict[NodeId, tuple[str, ...]] = {}
        for peer, node in first.observed.nodes.items():
            if node.live:
                wanted = sorted(
                    b.path
                    for v in (desired.spec.volumes if desired else ())
                    if v.name not in first.configured.volumes and v.state is not VolumeState.ABSENT
                    for b in v.bricks
                    if b.peer == peer
                )
                paths[node.node_id] = tuple(wanted)
        answers = ask(self._store, self._cluster, paths) if paths else {}
        return self._seen(self._list(), answers)

    def _seen(self, snapshot: Snapshot, answers: Mapping[NodeId, Answer] | None) -> Seen:
        joined = joined_in(snapshot, self._cluster)
        return Seen(
            configured=configured_in(snapshot, self._cluster, self._name),
            joined=joined,
            observed=observed_in(
                snapshot,
                self._cluster,
                joined,
                now=self._clock.now(),
                answers=answers,
            ),
        )

    def _findings(
        self, seen: Seen, ignore: Mapping[VolumeName, tuple[str, ...]], desired: Desired | None
    ) -> Plan:
        return findings_plan(seen.configured, seen.observed, ignore, self._stamp(), desired)

    def _stamp(self) -> Stamp:
        now = self._clock.now()
        return Stamp(plan_id=f"p-{now:x}-{secrets.token_hex(5)}", now=now, tool_version=__version__)


def who() -> str:
    """Return who we are, for people: ``user@host pid N``."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()} pid {os.getpid()}"


def new_secret() -> Secret:
    """Return new brick credentials, 128 bits each."""
    return Secret(username=secrets.token_hex(16), password=secrets.token_hex(16))
