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

#: the operating version of glusterd 10.3; options that came later it cannot know
RECORDED_VERSION = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class OracleCase:
    """A volume as a record, and glusterd's volfiles for it as written by the node of the first brick."""

    volume: VolumeRecord
    secret: Secret
    host: str
    volfiles: dict[str, str]


def load_case(path: Path) -> OracleCase:
    """Return the case in `path`."""
    return case_of(json.loads(path.read_text(encoding="utf-8")))


def load_sequence(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """Return the steps in `path`: the command, and the volume after it in the form of a case.

    A step in the file holds only the volfiles that the command changed, and names those that it removed.
    """
    steps: list[tuple[str, dict[str, Any]]] = []
    volfiles: dict[str, str] = {}
    for step in json.loads(path.read_text(encoding="utf-8")):
        volfiles = {k: v for k, v in volfiles.items() if k not in step["removed"]} | step["volfiles"]
        steps.append((step["command"], step | {"volfiles": volfiles}))
    return steps


def case_of(raw: dict[str, Any]) -> OracleCase:
    """Return a case from its JSON form."""
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
        host=raw.get("node", volume.bricks[0].host),
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
    raw_id = raw["brick_ids"][number] if "brick_ids" in raw else f"{raw['name']}-client-{number}"
    return BrickRecord(
        slot=f"0.{number}",
        brick_id=BrickId(raw_id),
        uuid=BrickUuid(f"00000000-0000-4000-8000-{number:012d}"),
        peer=PeerName(host),
        node_id=NodeId(f"node-of-{host}"),
        host=host,
        path=path,
        port=61000 + number,
        decommissioned=raw_id in raw.get("decommissioned", ()),
    )
