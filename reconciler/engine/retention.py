"""How much of the past the journal keeps, and in which order an ended transaction's keys go. Pure.

The head goes last, in one commit with the plan. While it exists, `begin` refuses the same plan a second
time, and everything else that is still there is explained by it: a transaction removed by half is listed and
shown as what it is, with fewer steps. With the head first, a plan that is applied again would find the marks
of its former life, and take steps for done that nobody does.
"""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.model import keys
from reconciler.model.ids import ClusterId, TxnId
from reconciler.ports.store import MAX_OPS, Commit, Delete, Entry, ModifiedAt

KEEP = 50  #: ended transactions: weeks of changes to look back on, and few megabytes even of large plans
SLACK = 10  #: more than KEEP before any are removed, so that nodes' keys are listed once for several


def superfluous(ended: Iterable[tuple[int, TxnId]]) -> tuple[TxnId, ...]:
    """Return the ended transactions to remove, oldest first; none until there are more than KEEP + SLACK.

    Args:
        ended: each with the create-revision of its head, which orders them whatever their clocks said.
    """
    newest_first = sorted(ended, reverse=True)
    if len(newest_first) <= KEEP + SLACK:
        return ()
    return tuple(txn for _, txn in reversed(newest_first[KEEP:]))


def node_keys(cluster: ClusterId, entries: Iterable[Entry]) -> dict[TxnId, tuple[str, ...]]:
    """Return, by transaction, the keys of commands and records in a listing of all nodes; commands first.

    A record without its command means nothing to an agent; a command without its record is one to look at.
    """
    found: dict[TxnId, list[str]] = {}
    for entry in entries:
        parts = keys.parts_below(keys.nodes_prefix(cluster), entry.key)
        if len(parts) == 4 and parts[1] in ("cmd", "step"):
            found.setdefault(TxnId(parts[2]), []).append(entry.key)
    prefix = keys.nodes_prefix(cluster)
    return {
        txn: tuple(sorted(every, key=lambda key: (keys.parts_below(prefix, key)[1], key)))
        for txn, every in found.items()
    }


def removal(cluster: ClusterId, head: Entry, own: Iterable[str], on_nodes: Iterable[str]) -> list[Commit]:
    """Return the commits that remove an ended transaction, in order: each while its head is unchanged.

    Args:
        cluster: whose.
        head: its head, which the caller has found to be terminal.
        own: the keys below the transaction's own prefix, as listed with the head.
        on_nodes: its commands and records at nodes, commands first.
    """
    txn = TxnId(keys.parts_below(keys.all_txns_prefix(cluster), head.key)[0])
    listed = sorted(own)
    plan = [k for k in listed if k.startswith(keys.plan_prefix(cluster, txn))]
    with_head = plan[: MAX_OPS - 1]  # all of it, unless it is larger than 10 MB
    last = [*with_head, head.key]
    first = [*on_nodes, *(k for k in listed if k not in last)]
    batches = [first[i : i + MAX_OPS] for i in range(0, len(first), MAX_OPS)]
    unchanged = (ModifiedAt(head.key, head.mod_revision),)
    return [Commit(when=unchanged, then=tuple(Delete(k) for k in batch)) for batch in (*batches, last)]
