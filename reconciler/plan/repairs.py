"""Drift that an apply repairs: bricks and daemons that do not run as their volume says. Pure."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import NamedTuple

from reconciler.model.cluster import ClusterSpec
from reconciler.model.configured import BrickRecord, ConfiguredCluster, VolumeRecord
from reconciler.model.ids import PeerName, VolumeId
from reconciler.model.observed import BrickState, ObservedCluster
from reconciler.model.volume import VolumeState


class Repair(NamedTuple):
    """What is to be put right at one volume.

    Attributes:
        bricks: to be started, or stopped, by the volume's state.
        daemons: peers whose self-heal daemon is to be started.
    """

    volume: VolumeRecord
    bricks: tuple[BrickRecord, ...]
    daemons: tuple[PeerName, ...]


def find_repairs(
    spec: ClusterSpec, configured: ConfiguredCluster, observed: ObservedCluster, moved: AbstractSet[VolumeId]
) -> tuple[Repair, ...]:
    """Return what an apply puts right, sorted by volume.

    Volumes that are not declared are nobody's to repair; those in `moved` are started, stopped or deleted
    by the plan itself.
    """
    declared = {v.name for v in spec.volumes if v.state is not VolumeState.ABSENT}
    found = []
    for name in sorted(configured.volumes):
        record = configured.volumes[name]
        if name not in declared or record.volume_id in moved:
            continue
        bricks = tuple(b for b in record.bricks if _wrong(record, b, observed))
        peers = sorted({b.peer for b in record.bricks})
        daemons = tuple(peer for peer in peers if _no_shd(record, peer, observed))
        if bricks or daemons:
            found.append(Repair(record, bricks, daemons))
    return tuple(found)


def _wrong(record: VolumeRecord, brick: BrickRecord, observed: ObservedCluster) -> bool:
    node = observed.nodes.get(brick.peer)
    fact = node.bricks.get(brick.uuid) if node and node.live else None
    if fact is None or fact.state is BrickState.REFUSED:
        return False
    return (record.state is VolumeState.STARTED) is not (fact.state is BrickState.RUNNING)


def _no_shd(record: VolumeRecord, peer: PeerName, observed: ObservedCluster) -> bool:
    node = observed.nodes.get(peer)
    fact = node.volumes.get(record.volume_id) if node and node.live else None
    started = record.state is VolumeState.STARTED
    return bool(fact and started and fact.shd_expected and not fact.shd_pid)
