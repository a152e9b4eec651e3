"""The journal -> summaries of transactions."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from reconciler.engine.journal import heads
from reconciler.engine.mirror import Mirror
from reconciler.errors import UsageError
from reconciler.model.ids import ClusterId, TxnId
from reconciler.model.report import TxnStep, TxnSummary
from reconciler.plan.step import Plan
from reconciler.ports.store import Snapshot
from reconciler.txn.machine import settled_backward
from reconciler.txn.record import Head, Mark


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
    state = mirror.state(plan, head, dead=frozenset(), stopping=False)
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
            )
        )
    undoing = head.phase.undoing
    done = sum(settled_backward(state, s) if undoing else state.mark(s) is Mark.DONE for s in plan.steps)
    return _summary(head, tuple(steps), done)


def _summary(head: Head, steps: tuple[TxnStep, ...] = (), done: int = 0) -> TxnSummary:
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
        done=done,
        total=len(steps),
        steps=steps,
    )
