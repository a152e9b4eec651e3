"""Declaration -> record: ids, ports and filesystems are decided at plan time, and shown (design 3.13)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from reconciler.diff.compare import settled_options
from reconciler.model.brick_ids import brick_ids, next_client
from reconciler.model.cluster import BrickSpec, ClusterSpec, VolumeSpec
from reconciler.model.configured import BrickRecord, ConfiguredCluster, PeerRecord, VolumeRecord
from reconciler.model.ids import (
    ClusterId,
    NodeId,
    PeerName,
    derive_brick_uuid,
    derive_volume_id,
)
from reconciler.model.observed import ObservedCluster
from reconciler.volgen.options import converted_defaults, creation_defaults


@dataclass(slots=True)
class Ports:
    """Hands out brick ports per peer: the lowest free one of the range, never one in use or handed out.

    `reserved` ports are declared for bricks that are still to be made: they go to those bricks only.
    """

    low: int
    high: int
    taken: dict[PeerName, set[int]] = field(default_factory=dict)
    reserved: dict[PeerName, set[int]] = field(default_factory=dict)

    def give(self, peer: PeerName, wanted: int | None) -> int:
        """Return a port for a brick on `peer`; 0 if the range is used up or the wanted one is taken."""
        taken = self.taken.setdefault(peer, set())
        candidates: Iterable[int] = (wanted,) if wanted is not None else range(self.low, self.high + 1)
        closed = taken if wanted is not None else taken | self.reserved.get(peer, set())
        port = next((p for p in candidates if p not in closed), 0)
        taken.add(port)
        return port


def ports_of(spec: ClusterSpec, configured: ConfiguredCluster, observed: ObservedCluster) -> Ports:
    """Return the port allotment as it stands: configured, retained and observed ports are taken."""
    ports = Ports(*spec.brick_ports)
    records = [*configured.volumes.values(), *(r.volume for r in configured.retained)]
    for record in records:
        for brick in record.bricks:
            ports.taken.setdefault(brick.peer, set()).add(brick.port)
    for peer, node in observed.nodes.items():
        ports.taken.setdefault(peer, set()).update(node.ports_in_use)
    for volume in spec.volumes:
        for wanted in volume.bricks:
            if wanted.port is not None and volume.name not in configured.volumes:
                ports.reserved.setdefault(wanted.peer, set()).add(wanted.port)
    return ports


def peer_records(spec: ClusterSpec, joined: Mapping[PeerName, NodeId]) -> dict[PeerName, PeerRecord]:
    """Return the records of declared peers that have joined."""
    return {
        p.name: PeerRecord(name=p.name, address=p.address, zone=p.zone, node_id=joined[p.name])
        for p in spec.peers
        if p.name in joined
    }


def new_volume(
    spec: VolumeSpec,
    configured: ConfiguredCluster,
    peers: Mapping[PeerName, PeerRecord],
    observed: ObservedCluster,
    ports: Ports,
) -> VolumeRecord:
    """Return the first record of a volume."""
    assert spec.shape is not None
    incarnation = configured.incarnations.get(spec.name, 0) + 1
    cluster = ClusterId(configured.cluster_id)
    volume_id = spec.volume_id or derive_volume_id(cluster, spec.name, incarnation)
    size = spec.shape.bricks_per_subvolume
    bricks = []
    ids = brick_ids(spec)
    for number, (brick, brick_id) in enumerate(zip(spec.bricks, ids, strict=True)):
        mount, fs_uuid = _filesystem(brick, observed)
        bricks.append(
            BrickRecord(
                slot=f"{number // size}.{number % size}",
                brick_id=brick_id,
                uuid=derive_brick_uuid(volume_id, brick_id),
                peer=brick.peer,
                node_id=peers[brick.peer].node_id,
                host=peers[brick.peer].address,
                path=brick.path,
                port=ports.give(brick.peer, brick.port),
                mount=mount,
                fs_uuid=fs_uuid,
            )
        )
    record = VolumeRecord(
        name=spec.name,
        volume_id=volume_id,
        incarnation=incarnation,
        generation=1,
        shape=spec.shape,
        state=spec.state,
        bricks=tuple(bricks),
        pinned=creation_defaults(spec.shape, [option.name for option in spec.options]),
        next_client=next_client(ids),
    )
    return replace(with_settings(record, spec), generation=1)


def successor(
    record: VolumeRecord, spec: VolumeSpec, next_client: int, bricks: Sequence[BrickRecord]
) -> VolumeRecord:
    """Return the record of a volume that has other bricks now, one generation on.

    Args:
        record: the volume as it was.
        spec: what is declared now.
        next_client: `Lineage.next_client` of that change.
        bricks: the records of its places.
    """
    assert spec.shape is not None
    changed = replace(
        record,
        shape=spec.shape,
        bricks=tuple(bricks),
        next_client=next_client,
        pinned=converted_defaults(record.pinned, record.shape, spec.shape),
    )
    return with_settings(changed, spec)


def with_settings(record: VolumeRecord, spec: VolumeSpec) -> VolumeRecord:
    """Return the record with the declared settings, one generation on.

    Since when a new deletion policy is live is known when it is committed: until then it is 0.
    """
    same = record.deletion_policy is spec.deletion_policy
    options = settled_options(spec, record)
    return replace(
        record,
        generation=record.generation + 1,
        state=spec.state,
        options=tuple((o.name, o.value) for o in options),
        feature_options=tuple((o.name, o.feature) for o in options if o.feature),
        deletion_policy=spec.deletion_policy,
        policy_since=record.policy_since if same else 0,
        restart=spec.restart,
    )


def _filesystem(brick: BrickSpec, observed: ObservedCluster) -> tuple[str, str]:
    """Return mount point and filesystem UUID: as declared, else as observed at the brick's path."""
    node = observed.nodes.get(brick.peer)
    probe = node.probes.get(brick.path) if node else None
    return (
        brick.mount or (probe.mount if probe else ""),
        brick.fs_uuid or (probe.fs_uuid if probe else ""),
    )
