"""The journal -> summaries of transactions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from reconciler.engine.journal import heads
from reconciler.engine.mirror import Mirror
from reconciler.errors import UsageError
from reconciler.model.ids import ClusterId, TxnId
from reconciler.model.report import PartReport, PartState, TxnStep, TxnSummary
from reconciler.plan.step import Plan
from reconciler.ports.store import Snapshot
from reconciler.txn.machine import parked, said_of
from reconciler.txn.record import Head, HeadState
from reconciler.txn.state import Part, TxnState, parts_of


def summaries(found: Iterable[Head]) -> tuple[TxnSummary, ...]:
    """Return summaries without steps."""
    return tuple(_summary(head) for head in found)


def open_head(found: Iterable[Head], txn: TxnId) -> Head:
    """Return the head of an open transaction; raises UsageError for an unknown or ended one."""
    head = next((h for h in found if h.txn == txn), None)
    if head is None:
        raise UsageError(f"there is no transaction {txn}", hint="gluster-state txn list shows all")
    if head.state.terminal:
        raise UsageError(f"transaction {txn} has ended: {head.state.value}")
    return head


def transaction(
    txn: TxnId, snapshot: Snapshot, cluster: ClusterId, plan_of: Callable[[Head], Plan]
) -> TxnSummary:
    """Return one transaction with its steps; raises UsageError if there is none of that id."""
    head = next((h for h in heads(snapshot, cluster) if h.txn == txn), None)
    if head is None:
        raise UsageError(f"there is no transaction {txn}", hint="gluster-state txn list shows all")
    plan = plan_of(head)
    mirror = Mirror(cluster)
    mirror.load(snapshot)
    state = mirror.state(plan, head)
    steps = []
    for step in plan.steps:
        record = state.records.get(step.step_id)
        steps.append(
            TxnStep(
                step=step.step_id,
                op=step.kind,
                address=step.address,
                title=step.title,
                peer=step.peer,
                mark=record.mark.value if record else "",
                attempt=record.attempt if record else 0,
                error=record.error if record else "",
                hint=record.hint if record else "",
                at=record.at if record else 0,
                part=step.part,
            )
        )
    undone = state.kept() if head.phase.undoing else None
    done = sum(
        state.settled(s) if undone is None or s.part in undone else state.settled_backward(s)
        for s in plan.steps
    )
    return replace(_summary(head), steps=tuple(steps), parts=part_reports(state), done=done, total=len(steps))


def part_reports(state: TxnState) -> tuple[PartReport, ...]:
    """Return where each part of a transaction stands, and why it is not committed."""
    stopped, kept = parked(state), state.kept()
    return tuple(_part_report(state, part, stopped, kept) for part in parts_of(state.steps))


def _part_report(state: TxnState, part: Part, stopped: Mapping[int, str], kept: frozenset[int]) -> PartReport:
    undoing, number = state.head.phase.undoing, part.number
    if state.complete(part) if not undoing else number in kept:
        return PartReport(part=number, address=part.address, state=PartState.COMMITTED)
    where = PartState.OPEN
    if undoing and all(state.settled_backward(s) for s in part.steps):
        where = PartState.ROLLED_BACK
    elif state.head.state is HeadState.STUCK:
        where = PartState.STUCK
    errors = (r.error for s in part.steps if (r := state.records.get(s.step_id)) and r.error)
    reason = stopped.get(number) or next(errors, "") or said_of(part, state.head.reason)
    return PartReport(part=number, address=part.address, state=where, reason=reason)


def _summary(head: Head) -> TxnSummary:
    return TxnSummary(
        txn=head.txn,
        state=head.state.value,
        plan_id=head.plan_id,
        plan_digest=head.plan_digest,
        holder=head.holder,
        started_at=head.started_at,
        updated_at=head.updated_at,
        attempts=head.attempts,
        summary=head.summary,
        reason=head.reason,
    )
