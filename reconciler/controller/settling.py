"""Take up an open transaction by hand: check that it may go the asked way, and open it in a new phase."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.controller.transactions import open_head
from reconciler.engine.journal import frozen_plan, heads, reopen
from reconciler.engine.mirror import Mirror
from reconciler.errors import Blocked
from reconciler.model import keys
from reconciler.txn.state import parts_of

if TYPE_CHECKING:
    from reconciler.model.ids import ClusterId, TxnId
    from reconciler.plan.step import Plan
    from reconciler.ports.store import Store
    from reconciler.txn.state import TxnState


def take_up(store: Store, cluster: ClusterId, txn: TxnId, epoch: int, *, rollback: bool) -> Plan:
    """Open a transaction again in a phase of `epoch`, the lock held by the caller, and return its plan.

    Raises UsageError for an unknown or ended one, Blocked for a rollback while a part is past its point of no
    return and not at its end, or if that is true of all there is.
    """
    snapshot = store.read_prefix(keys.cluster_prefix(cluster))
    head = open_head(heads(snapshot, cluster), txn)
    plan = frozen_plan(store, cluster, head)
    mirror = Mirror(cluster)
    mirror.load(snapshot)
    if rollback:
        _refuse_past_pivot(mirror.state(plan, head))
    reopen(store, cluster, head, epoch, undo=rollback)
    return plan


def _refuse_past_pivot(state: TxnState) -> None:
    """Raise Blocked unless every part can go back or is at its end, and one can go back."""
    parts, kept = parts_of(state.steps), state.kept()
    forward = [p.address for p in parts if p.number in kept and not state.complete(p)]
    if not forward and len(kept) < len(parts):
        return
    what = f"transaction {state.head.txn}" if len(forward) in (0, len(parts)) else ", ".join(forward)
    raise Blocked(
        f"{what} is past its point of no return: it can only go forward",
        hint=f"gluster-state txn resume {state.head.txn}",
    )
