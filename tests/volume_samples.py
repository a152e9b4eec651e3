"""Volumes of a three-node cluster, and an in-memory LocalFiles, for tests of what a node holds and serves."""

from __future__ import annotations

from reconciler.errors import JournalError
from reconciler.model.configured import BrickRecord, Secret, VolumeRecord
from reconciler.model.ids import (
    BrickId,
    ClusterId,
    NodeId,
    PeerName,
    VolumeId,
    VolumeName,
    derive_brick_uuid,
    derive_volume_id,
)
from reconciler.model.volume import Shape, VolumeState, VolumeType
from reconciler.shipped import shipped_features

CLUSTER = ClusterId("11111111-2222-4333-8444-555555555555")
NODES = tuple(NodeId(f"00000000-0000-4000-8000-00000000000{i}") for i in (1, 2, 3))
NODE = NODES[0]
SLOTS = shipped_features().slots()
SECRET = Secret(username="user-of-home", password="canary-password")


def volume_id(name: str, incarnation: int = 1) -> VolumeId:
    return derive_volume_id(CLUSTER, VolumeName(name), incarnation)


def brick(volume: VolumeId, name: str, number: int, path: str, replica: int) -> BrickRecord:
    brick_id = BrickId(f"{name}-client-{number}")
    return BrickRecord(
        slot=f"{number // replica}.{number % replica}",
        brick_id=brick_id,
        uuid=derive_brick_uuid(volume, brick_id),
        peer=PeerName(f"gs{number % 3 + 1}"),
        node_id=NODES[number % 3],
        host=f"10.0.0.1{number % 3 + 1}",
        path=path,
        port=61000 + number,
        mount="/bricks",
        fs_uuid=f"fs-{number % 3}",
    )


def volume(
    name: str = "home",
    generation: int = 1,
    *,
    bricks: int = 3,
    replica: int = 3,
    state: VolumeState = VolumeState.STARTED,
    options: tuple[tuple[str, str], ...] = (),
) -> VolumeRecord:
    """Return a volume with bricks dealt out over the nodes in turn."""
    vid = volume_id(name)
    shape = Shape(type=VolumeType.REPLICATE, replica=replica)
    if replica == 1:
        shape = Shape(type=VolumeType.DISTRIBUTE)
    return VolumeRecord(
        name=VolumeName(name),
        volume_id=vid,
        incarnation=1,
        generation=generation,
        shape=shape,
        state=state,
        bricks=tuple(brick(vid, name, i, f"/bricks/{name}/b{i}", replica) for i in range(bricks)),
        options=options,
        next_client=bricks,
    )


class MemoryFiles:
    """LocalFiles in a dictionary; held to tests/contract/test_local_files_contract.py."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self.writes = 0

    def read(self, name: str) -> str | None:
        text = self.files.get(name)
        if text is not None and "\udcff" in text:
            raise JournalError(f"{name} is damaged")
        return text

    def write(self, name: str, text: str) -> None:
        self.writes += 1
        self.files[name] = text

    def remove(self, name: str) -> None:
        self.files.pop(name, None)

    def names(self, folder: str) -> tuple[str, ...]:
        return tuple(sorted(name for name in self.files if name.startswith(f"{folder}/")))

    def set_aside(self, name: str) -> str:
        if name in self.files:
            self.files[f"{name}.bad"] = self.files.pop(name)
        return f"{name}.bad"
