"""Take up an open transaction by hand: check that it may go the asked way, and open it in a new phase."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.controller.transactions import open_head
from reconciler.engine.journal import frozen_plan, heads, reopen
from reconciler.engine.mirror import Mirror
from reconciler.errors import Blocked
from reconciler.model import keys

if TYPE_CHECKING:
    from reconciler.model.ids import ClusterId, TxnId
    from reconciler.plan.step import Plan
    from reconciler.ports.store import Store


def take_up(store: Store, cluster: ClusterId, txn: TxnId, epoch: int, *, rollback: bool) -> Plan:
    """Open a transaction again in a phase of `epoch`, the lock held by the caller, and return its plan.

    Raises UsageError for an unknown or ended one, Blocked for a rollback past the point of no return.
    """
    snapshot = store.read_prefix(keys.cluster_prefix(cluster))
    head = open_head(heads(snapshot, cluster), txn)
    plan = frozen_plan(store, cluster, head)
    mirror = Mirror(cluster)
    mirror.load(snapshot)
    if rollback and mirror.state(plan, head, dead=frozenset(), stopping=False).past_pivot:
        raise Blocked(
            f"transaction {txn} is past its point of no return: it can only go forward",
            hint=f"gluster-state txn resume {txn}",
        )
    reopen(store, cluster, head, epoch, undo=rollback)
    return plan
