"""Volumes in one line, and what becomes of them: ``1/b0 2/b1 | 3/b2 1/b3`` is two subvolumes of two."""

from __future__ import annotations

from reconciler.model.cluster import BrickSpec, ClusterSpec, Desired, PeerSpec, VolumeSpec
from reconciler.model.configured import VolumeRecord
from reconciler.model.ids import BrickId, PeerName, VolumeName
from reconciler.model.volume import Shape, VolumeState, VolumeType
from reconciler.plan.succession import offline_creation, offline_successor

PEERS = tuple(PeerSpec(name=PeerName(str(i)), address=f"10.77.0.{i}") for i in range(1, 4))
DISTRIBUTE = Shape(type=VolumeType.DISTRIBUTE)
EC = Shape(type=VolumeType.DISPERSE, data=2, redundancy=1)


def replicate(count: int, arbiter: int = 0) -> Shape:
    return Shape(type=VolumeType.REPLICATE, replica=count, arbiter=arbiter)


def declared(shape: Shape, line: str, name: str = "home") -> VolumeSpec:
    """Return a volume; a word is ``PEER/DIRECTORY`` or ``PEER/DIRECTORY=NUMBER``, the number of its id."""
    bricks = []
    for word in line.replace("|", " ").split():
        place, _, number = word.partition("=")
        peer, _, path = place.partition("/")
        brick_id = BrickId(f"{name}-client-{number}") if number else None
        bricks.append(BrickSpec(peer=PeerName(peer), path=f"/srv/{path}", brick_id=brick_id))
    return VolumeSpec(name=VolumeName(name), state=VolumeState.STARTED, shape=shape, bricks=tuple(bricks))


def a_cluster(volume: VolumeSpec) -> Desired:
    spec = ClusterSpec(name="prod", peers=PEERS, volumes=(volume,))
    return Desired(spec=spec, spans={}, digest="", files=("c.yaml",))


def created(volume: VolumeSpec) -> VolumeRecord:
    record = offline_creation(a_cluster(volume), volume.name)
    assert record is not None
    return record


def changed(record: VolumeRecord, volume: VolumeSpec) -> VolumeRecord:
    return offline_successor(record, a_cluster(volume), volume)


def line_of(record: VolumeRecord) -> str:
    """Return a record's bricks as `declared` reads them, with their numbers."""
    return " | ".join(
        " ".join(
            f"{b.peer}/{b.path.removeprefix('/srv/')}={b.brick_id.removeprefix(f'{record.name}-client-')}"
            for b in group
        )
        for group in record.subvolumes()
    )
