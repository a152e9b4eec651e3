"""Drift that an apply repairs: bricks and daemons that do not run as their volume says. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from reconciler.model.cluster import ClusterSpec
from reconciler.model.configured import BrickRecord, ConfiguredCluster, VolumeRecord
from reconciler.model.ids import PeerName, VolumeId
from reconciler.model.volume import VolumeState
from reconciler.plan.step import DriftItem


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
    spec: ClusterSpec,
    configured: ConfiguredCluster,
    drift: Iterable[DriftItem],
    moved: AbstractSet[VolumeId],
) -> tuple[Repair, ...]:
    """Return what an apply puts right, sorted by volume: of the drift that was found, what it can.

    Volumes that are not declared are nobody's to repair; those in `moved` are started, stopped or deleted
    by the plan itself.
    """
    repairable = {item.address for item in drift if item.repair}
    declared = {v.name for v in spec.volumes if v.state is not VolumeState.ABSENT}
    found = []
    for name in sorted(configured.volumes):
        record = configured.volumes[name]
        if name not in declared or record.volume_id in moved:
            continue
        bricks = tuple(b for b in record.bricks if record.brick_address(b) in repairable)
        peers = sorted({b.peer for b in record.bricks})
        daemons = tuple(peer for peer in peers if f"daemon/{name}/{peer}" in repairable)
        if bricks or daemons:
            found.append(Repair(record, bricks, daemons))
    return tuple(found)
