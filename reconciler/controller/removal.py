"""Remove an ended transaction from the store."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from reconciler.engine.retention import removal
from reconciler.model import keys
from reconciler.model.codec import decode
from reconciler.txn.record import Head

if TYPE_CHECKING:
    from reconciler.model.ids import ClusterId, TxnId
    from reconciler.ports.store import Store


def remove_ended(store: Store, cluster: ClusterId, txn: TxnId, on_nodes: Iterable[str]) -> bool:
    """Remove all keys of an ended transaction; return whether they are gone by us.

    Needs no lock: nothing is written to a transaction that has ended, so an unchanged head is all that has
    to be compared. Two stewards that do it at once only repeat each other's deletions. Stopped half way it
    is finished by being done again.

    Args:
        store: the shared store.
        cluster: whose.
        txn: which; one that is open or unknown is left alone.
        on_nodes: its keys at nodes, commands first, listed while its head was terminal.

    Raises JournalError for a head that cannot be read.
    """
    entries = store.read_prefix(keys.txn_prefix(cluster, txn)).entries
    head = next((e for e in entries if e.key == keys.head(cluster, txn)), None)
    if head is None or not decode(Head, head.value).state.terminal:
        return False
    commits = removal(cluster, head, (e.key for e in entries), on_nodes)
    return all(store.commit(commit).succeeded for commit in commits)
