"""Configured x observed -> status for people and machines. Pure."""

from __future__ import annotations

from reconciler.model.configured import BrickRecord, ConfiguredCluster, VolumeRecord
from reconciler.model.observed import BrickFact, ObservedCluster
from reconciler.model.report import (
    BrickStatus,
    ClusterStatus,
    DaemonStatus,
    NodeStatus,
    TxnSummary,
    VolumeStatus,
)
from reconciler.model.volume import VolumeState


def cluster_status(
    configured: ConfiguredCluster,
    observed: ObservedCluster,
    *,
    open_txn: TxnSummary | None,
    lock_holder: str,
    doubts: tuple[str, ...] = (),
) -> ClusterStatus:
    """Return the status of a cluster from reports in the store."""
    silent = tuple(
        sorted(p for p in configured.peers if not (p in observed.nodes and observed.nodes[p].live))
    )
    return ClusterStatus(
        cluster_id=configured.cluster_id,
        name=configured.name,
        revision=configured.revision,
        nodes=_nodes(configured, observed),
        volumes=tuple(_volume(configured.volumes[n], observed) for n in sorted(configured.volumes)),
        open_txn=open_txn,
        lock_holder=lock_holder,
        unobserved=silent,
        doubts=doubts,
    )


def _nodes(configured: ConfiguredCluster, observed: ObservedCluster) -> tuple[NodeStatus, ...]:
    """Return the configured peers, and nodes that joined under a name that no apply has configured yet."""
    found = []
    for name in sorted({*configured.peers, *observed.nodes}):
        peer, node = configured.peers.get(name), observed.nodes.get(name)
        fact = node.fact if node else None
        known = peer or node
        assert known is not None
        found.append(
            NodeStatus(
                peer=name,
                node_id=known.node_id,
                address=peer.address if peer else (fact.address if fact else ""),
                live=bool(node and node.live),
                zone=peer.zone if peer else "",
                agent_version=fact.agent_version if fact else "",
                gluster_version=fact.gluster_version if fact else "",
                configured=peer is not None,
            )
        )
    return tuple(found)


def _volume(volume: VolumeRecord, observed: ObservedCluster) -> VolumeStatus:
    bricks = tuple(_brick(volume, b, _fact(b, observed)) for b in volume.bricks)
    daemons = []
    for peer in sorted({b.peer for b in volume.bricks}) if volume.shape.heals else ():
        node = observed.nodes.get(peer)
        fact = node.volumes.get(volume.volume_id) if node and node.live else None
        expected = fact.shd_expected if fact else volume.state is VolumeState.STARTED
        pid = fact.shd_pid if fact else None
        daemons.append(DaemonStatus(kind="shd", peer=peer, expected=expected, pid=pid))
    pending = [b.heal_pending for b in bricks]
    known = [p for p in pending if p is not None]
    total = sum(known) if len(known) == len(pending) else None
    return VolumeStatus(
        name=volume.name,
        volume_id=volume.volume_id,
        shape=volume.shape.describe(len(volume.bricks)),
        state=volume.state,
        generation=volume.generation,
        bricks=bricks,
        daemons=tuple(daemons),
        heal_pending=total if volume.shape.heals else 0,
    )


def _fact(brick: BrickRecord, observed: ObservedCluster) -> BrickFact | None:
    """Return the brick's fact if its node is live: an old fact of a silent node is not known to hold."""
    node = observed.nodes.get(brick.peer)
    return node.bricks.get(brick.uuid) if node and node.live else None


def _brick(volume: VolumeRecord, brick: BrickRecord, fact: BrickFact | None) -> BrickStatus:
    address = volume.brick_address(brick)
    if fact is None:
        return BrickStatus(address=address, peer=brick.peer, path=brick.path, state=None)
    return BrickStatus(
        address=address,
        peer=brick.peer,
        path=brick.path,
        state=fact.state,
        problem=fact.problem,
        pid=fact.pid,
        port=fact.port,
        heal_pending=fact.heal_pending,
        size_bytes=fact.size_bytes,
        free_bytes=fact.free_bytes,
    )
