"""Declaration -> volume records without a cluster, for the offline ``volfile`` command (design 5.5).

Ids and ports that the declaration gives are used; others are derived from it, so that the same file always
gives the same volfiles. They are not the ones a plan would choose.
"""

from __future__ import annotations

import uuid

from reconciler.model.brick_ids import brick_ids, next_client
from reconciler.model.cluster import BrickSpec, ClusterSpec, Desired, VolumeSpec
from reconciler.model.configured import BrickRecord, VolumeRecord
from reconciler.model.ids import (
    BrickId,
    BrickUuid,
    ClusterId,
    NodeId,
    PeerName,
    derive_brick_uuid,
    derive_volume_id,
)

_NAMESPACE = uuid.UUID("0b0a4e7e-7f0d-5c58-9a54-6f5a8f4f2c02")


def offline_records(desired: Desired) -> tuple[VolumeRecord, ...]:
    """Return a record for every volume that has a shape (a tombstone may have none), sorted by name."""
    cluster = OfflineCluster(desired.spec)
    return tuple(cluster.record(volume) for volume in desired.spec.volumes if volume.shape and volume.bricks)


def offline_node_id(cluster: str, peer: PeerName) -> NodeId:
    """Return the node id that stands in for the one a joined peer would have."""
    return NodeId(str(uuid.uuid5(_NAMESPACE, f"node/{cluster}/{peer}")))


class OfflineCluster:
    """What stands in for a cluster that declared peers have joined: their nodes, and ports on them.

    Ports are the declared ones, else the lowest free one of the range on each peer, in order of the calls.
    """

    def __init__(self, spec: ClusterSpec) -> None:
        self._name = spec.name
        self._hosts = {peer.name: peer.address for peer in spec.peers}
        self._first, self._last = spec.brick_ports
        self._taken: dict[PeerName, set[int]] = {}
        self._next: dict[PeerName, int] = {}
        for volume in spec.volumes:
            for brick in volume.bricks:
                if brick.port is not None:
                    self.take(brick.peer, brick.port)

    def take(self, peer: PeerName, port: int) -> None:
        """Never hand out this port."""
        self._taken.setdefault(peer, set()).add(port)

    def brick(self, spec: BrickSpec, slot: str, brick_id: BrickId, brick_uuid: BrickUuid) -> BrickRecord:
        """Return the record of a declared brick; each call without a declared port hands out another one."""
        return BrickRecord(
            slot=slot,
            brick_id=brick_id,
            uuid=brick_uuid,
            peer=spec.peer,
            node_id=offline_node_id(self._name, spec.peer),
            host=self._hosts[spec.peer],
            path=spec.path,
            port=self._port(spec),
            mount=spec.mount or "",
            fs_uuid=spec.fs_uuid or "",
        )

    def record(self, volume: VolumeSpec) -> VolumeRecord:
        """Return the first record of a volume that has a shape."""
        assert volume.shape is not None
        cluster = ClusterId(str(uuid.uuid5(_NAMESPACE, f"cluster/{self._name}")))
        volume_id = volume.volume_id or volume.confirm or derive_volume_id(cluster, volume.name, 1)
        ids = brick_ids(volume)
        size = volume.shape.bricks_per_subvolume
        bricks = tuple(
            self.brick(brick, f"{i // size}.{i % size}", ids[i], derive_brick_uuid(volume_id, ids[i]))
            for i, brick in enumerate(volume.bricks)
        )
        return VolumeRecord(
            name=volume.name,
            volume_id=volume_id,
            incarnation=1,
            generation=1,
            shape=volume.shape,
            state=volume.state,
            bricks=bricks,
            options=tuple((option.name, option.value) for option in volume.options),
            feature_options=tuple(
                (option.name, option.feature) for option in volume.options if option.feature
            ),
            deletion_policy=volume.deletion_policy,
            restart=volume.restart,
            next_client=next_client(ids),
            thin_arbiter=volume.thin_arbiter,
        )

    def _port(self, brick: BrickSpec) -> int:
        if brick.port is not None:
            return brick.port
        taken = self._taken.setdefault(brick.peer, set())
        port = self._next.get(brick.peer, self._first)
        while port in taken and port < self._last:
            port += 1
        self._next[brick.peer] = port + 1
        return port
