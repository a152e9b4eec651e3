"""Read an oracle case: a volume, and the volfiles that glusterd 10.3 generated for it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconciler.model.configured import BrickRecord, Secret, VolumeRecord
from reconciler.model.ids import BrickId, BrickUuid, NodeId, PeerName, VolumeId, VolumeName
from reconciler.model.volume import Shape, VolumeState, VolumeType

if TYPE_CHECKING:
    from pathlib import Path

# What the recording of a few volfiles caught from the shell around it; no part of any volfile.
_NOISE = "Cannot open network namespace: No such file or directory\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class OracleCase:
    """A volume as a record, and glusterd's volfiles for it as written by the node of the first brick."""

    volume: VolumeRecord
    secret: Secret
    host: str
    volfiles: dict[str, str]


def load_case(path: Path) -> OracleCase:
    """Return the case in `path`."""
    raw = json.loads(path.read_text(encoding="utf-8"))
    volume = VolumeRecord(
        name=VolumeName(raw["name"]),
        volume_id=VolumeId(raw["volume_id"]),
        incarnation=1,
        generation=1,
        shape=_shape(raw),
        state=VolumeState.STARTED if raw["started"] else VolumeState.STOPPED,
        bricks=tuple(_brick(raw, number) for number in range(len(raw["bricks"]))),
        options=tuple(sorted(raw["stored_options"].items())),
    )
    return OracleCase(
        volume=volume,
        secret=Secret(username=raw["username"], password=raw["password"]),
        host=volume.bricks[0].host,
        volfiles={name: text.removesuffix(_NOISE) for name, text in raw["volfiles"].items()},
    )


def _shape(raw: dict[str, Any]) -> Shape:
    kind = VolumeType(raw["type"])
    if kind is VolumeType.DISPERSE:
        return Shape(type=kind, data=raw["disperse"] - raw["redundancy"], redundancy=raw["redundancy"])
    if kind is VolumeType.REPLICATE:
        return Shape(type=kind, replica=raw["replica"], arbiter=raw["arbiter"])
    return Shape(type=kind)


def _brick(raw: dict[str, Any], number: int) -> BrickRecord:
    host, path = raw["bricks"][number].split(":", 1)
    return BrickRecord(
        slot=f"0.{number}",
        brick_id=BrickId(f"{raw['name']}-client-{number}"),
        uuid=BrickUuid(f"00000000-0000-4000-8000-{number:012d}"),
        peer=PeerName(host),
        node_id=NodeId(f"node-of-{host}"),
        host=host,
        path=path,
        port=61000 + number,
    )
