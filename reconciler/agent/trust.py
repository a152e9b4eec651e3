"""Whether a node may follow a store: only the one that it knows, as it was or later.

Etcd restored from a backup knows nothing of what came after it, and counts revisions, and with them epochs,
a second time. What the node has on its disk is then newer than the configuration, its phase higher than any
command's. So it stays with its disk, starts and stops nothing, and says so in the store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.errors import StoreRestored
from reconciler.model import keys
from reconciler.model.codec import decode, encode
from reconciler.model.observed import Doubt
from reconciler.ports.store import Absent, Commit, Delete, ModifiedAt, Put
from reconciler.txn.record import Barrier

if TYPE_CHECKING:
    from reconciler.agent.memory import NodeMemory
    from reconciler.model.ids import ClusterId, NodeId, PeerName
    from reconciler.ports.store import Store


def trust(store: Store, memory: NodeMemory, cluster: ClusterId, node: NodeId, peer: PeerName) -> str:
    """Make sure that the store is the one the node knows, keep that on the disk, and return its identity.

    A node that doubts it writes its doubt and nothing else. The doubt stays, for all to see, until the
    node's memory of the store is set aside: the revision alone would soon be passed.

    Raises:
        StoreRestored: it is another store, or has an older history.
        JournalError: what the node remembers of it is damaged.
    """
    identity = store.identity()
    listed = store.read_prefix(keys.node_prefix(cluster, node))
    entries = {entry.key: entry for entry in listed.entries}
    asked = entries.get(keys.barrier_request(cluster, node))
    phase = decode(Barrier, asked.value).phase if asked else None
    reason = memory.objection(identity, listed.revision, phase)
    key = keys.doubt(cluster, node)
    doubted = entries.get(key)
    if doubted is not None and memory.knows_store():
        reason = decode(Doubt, doubted.value).reason
    elif reason and doubted is None:
        said = encode(Doubt(peer=peer, reason=reason))
        store.commit(Commit(when=(Absent(key),), then=(Put(key, said),)))
    elif doubted is not None and not reason:
        store.commit(Commit(when=(ModifiedAt(key, doubted.mod_revision),), then=(Delete(key),)))
    if reason:
        raise StoreRestored(reason)
    memory.keep_store(identity, listed.revision)
    return identity
