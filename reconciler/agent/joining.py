"""Joining a cluster: which one it is, the peer name bound to this node, the key that says that it lives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.errors import PlanError, StoreUnavailable
from reconciler.model import keys
from reconciler.observe import claim_cluster, cluster_id
from reconciler.ports.store import Absent, Commit, ModifiedAt, Put

if TYPE_CHECKING:
    from reconciler.agent.kept import Binding
    from reconciler.agent.memory import NodeMemory
    from reconciler.model.ids import ClusterId, NodeId
    from reconciler.ports.store import Store


def find_cluster(store: Store, memory: NodeMemory, name: str) -> ClusterId:
    """Return the cluster's id. Only a node that belongs to none yet may create one.

    An etcd without the cluster that this node belongs to has been emptied, or is another one: a new
    cluster under the old name would make the loss look like a beginning. Raises PlanError for that.
    """
    return claim_cluster(store, name) if memory.binding() is None else cluster_id(store, name)


def bind_name(store: Store, at: Binding, node: NodeId) -> None:
    """Bind the declared peer name to this node; a second node under the name is refused (PlanError)."""
    key = keys.join(at.cluster_id, at.peer)
    entry = store.read(key)
    if entry is None:
        store.commit(Commit(when=(Absent(key),), then=(Put(key, node),)))
        entry = store.read(key)
    if entry is None or entry.value != node:
        other = entry.value if entry else "unknown"
        raise PlanError(
            f"peer {at.peer} of cluster {at.cluster_name} is bound to node {other}; this is {node}",
            hint="Give this node its old state directory back, or another peer name.",
        )


def take_live_key(store: Store, cluster: ClusterId, node: NodeId, instance: str, lease: int) -> int:
    """Put the live key on our lease, in place of one a former agent of this node left.

    Returns its create-revision. Raises StoreUnavailable if another agent took it at the same time.
    """
    key = keys.live(cluster, node)
    entry = store.read(key)
    guard = ModifiedAt(key, entry.mod_revision if entry else 0)
    store.commit(Commit(when=(guard,), then=(Put(key, instance, lease),)))
    entry = store.read(key)
    if entry is None or entry.value != instance:
        raise StoreUnavailable("another agent took this node's live key")
    return entry.create_revision
