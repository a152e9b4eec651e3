"""Identifiers. Each idea has one type, so that a checker sees a brick id passed for a volume id."""

from __future__ import annotations

import uuid
from typing import NewType

ClusterId = NewType("ClusterId", str)  #: UUID text of a cluster
NodeId = NewType("NodeId", str)  #: UUID text of a running agent's node
PeerName = NewType("PeerName", str)  #: name of a peer in the declaration; bound to a NodeId when it joins
VolumeName = NewType("VolumeName", str)
VolumeId = NewType("VolumeId", str)  #: UUID text; what bricks carry in trusted.glusterfs.volume-id
BrickUuid = NewType("BrickUuid", str)  #: UUID text of one brick, for ever; in its identity file
BrickId = NewType("BrickId", str)  #: the name AFR knows a brick by, such as ``home-client-2``; never reused
TxnId = NewType("TxnId", str)
StepId = NewType("StepId", int)  #: 1-based position of a step in its plan
Address = NewType("Address", str)  #: ``volume/home``, ``brick/home/0.2``, ``peer/gs1``, ``option/home/NAME``

_NAMESPACE = uuid.UUID("6f2d1c1a-5a0e-5f5e-9d55-3d3a4f0b7c11")


def derive_volume_id(cluster: ClusterId, name: VolumeName, incarnation: int) -> VolumeId:
    """Return the id of the `incarnation`-th volume called `name`.

    Derived (UUIDv5), so that two plans of the same input are identical; counted, so that a volume
    created anew never accepts the bricks of its predecessor.
    """
    return VolumeId(str(uuid.uuid5(_NAMESPACE, f"volume/{cluster}/{name}/{incarnation}")))


def derive_brick_uuid(volume: VolumeId, brick_id: BrickId, replaced_in: int = 0) -> BrickUuid:
    """Return the UUID of a volume's brick.

    `brick_id` is never given to two bricks of a volume, but to the one that replaces another; that one's UUID
    also depends on the generation of the record in which it took the place, `replaced_in`: the directory
    before it must never be started in its stead.
    """
    life = f"/{replaced_in}" if replaced_in else ""
    return BrickUuid(str(uuid.uuid5(_NAMESPACE, f"brick/{volume}/{brick_id}{life}")))


def is_uuid(text: str) -> bool:
    """Return true if `text` is a UUID in its canonical lower-case form."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False
