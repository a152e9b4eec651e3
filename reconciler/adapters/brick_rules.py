"""What is wrong with a place for a brick, in words. Pure: decided from what was found there.

A refusal names the path, what was found and what was expected. There is no way to override one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.adapters.mounts import Mount
from reconciler.model.observed import DISK_TYPES
from reconciler.ports.node import Checked, Effect

if TYPE_CHECKING:
    from reconciler.model.configured import BrickRecord, VolumeRecord
    from reconciler.model.ids import ClusterId
    from reconciler.plan.step import Args
    from reconciler.ports.brick import BrickIdentity

_HIDDEN = ".glusterfs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What stands at a path.

    Attributes:
        mount: the filesystem it is on, or would be.
        missing: directories that do not exist, outermost first; empty if the path is a directory.
        entries: names in it except ``.glusterfs``.
        hidden, hidden_used: there is a ``.glusterfs``, and it holds more than our identity file.
        damaged: why its identity file cannot be understood.
        attributes: names of its extended attributes.
    """

    mount: Mount
    missing: tuple[str, ...] = ()
    entries: tuple[str, ...] = ()
    hidden: bool = False
    hidden_used: bool = False
    volume_id: str = ""
    identity: BrickIdentity | None = None
    damaged: str = ""
    owner: int = 0
    read_only: bool = False
    full: bool = False
    attributes: tuple[str, ...] = ()
    heal_pending: int | None = None

    @property
    def identity_uuid(self) -> str:
        """Return the brick UUID it carries, or an empty string."""
        return self.identity.brick if self.identity else ""

    def checked(self) -> Checked:
        """Return how much of a brick's preparation is there, with the before-image that undo goes back to."""
        before: Args = {
            "made": list(self.missing),
            "hidden": self.hidden,
            "hidden_used": self.hidden_used,
            "volume_id": self.volume_id,
            "identity": self.identity_uuid,
            "attributes": list(self.attributes),
        }
        if self.volume_id and self.identity:
            return Checked(effect=Effect.PRESENT, before=before)
        begun = bool(self.volume_id or self.identity)
        return Checked(effect=Effect.PARTIAL if begun else Effect.ABSENT, before=before)


def filesystem_problem(brick: BrickRecord, mount: Mount, fs_uuid: str) -> str:
    """Return why `mount`, with UUID `fs_uuid`, is not the brick's filesystem, or an empty string."""
    path, point, expected = brick.path, mount.point, brick.mount
    if expected and point != expected:
        return (
            f"{path} is on the filesystem mounted at {point}, its brick belongs on the one at {expected}, "
            "which is not mounted"
        )
    if point == "/" and expected != "/":
        return f"{path} is on the root filesystem, and the declaration does not say mount: /"
    if not expected and mount.fs_type not in DISK_TYPES:
        return (
            f"{path} is on {mount.fs_type} at {point}, which is no local disk, and the declaration does not "
            "name this mount"
        )
    if brick.fs_uuid and fs_uuid != brick.fs_uuid.lower():
        return (
            f"{path}: the filesystem at {point} has the UUID {fs_uuid or '(none)'}, the brick's has "
            f"{brick.fs_uuid}: another disk is mounted here"
        )
    return ""


def foreign(
    volume: VolumeRecord, brick: BrickRecord, found: Found, cluster: ClusterId, *, known: bool
) -> str:
    """Return why the directory is not this brick's, or an empty string.

    A `known` brick must carry both stamps: without them its disk is missing, or was replaced.
    """
    path, carried, ours = brick.path, found.volume_id, volume.volume_id
    if found.damaged:
        return f"{path}: {found.damaged}"
    if carried and carried != ours:
        return f"{path} belongs to volume {carried}, not to {ours} ({volume.name})"
    if found.identity:
        problem = _foreign_identity(path, found.identity, volume, brick, cluster)
        if problem:
            return problem
    if not known:
        return ""
    if found.missing:
        return f"{path} does not exist, although brick {brick.uuid} was there"
    absent = [
        *(() if carried else (f"no volume id (expected {ours})",)),
        *(() if found.identity else (f"no identity file (expected brick {brick.uuid})",)),
    ]
    return f"{path} carries {' and '.join(absent)}: it is not the disk that was there" if absent else ""


def _foreign_identity(
    path: str, identity: BrickIdentity, volume: VolumeRecord, brick: BrickRecord, cluster: ClusterId
) -> str:
    if identity.cluster != cluster:
        return f"{path} belongs to cluster {identity.cluster}, not to {cluster}"
    if identity.volume != volume.volume_id:
        return f"{path} carries the identity of a brick of volume {identity.volume}, not {volume.volume_id}"
    if identity.brick != brick.uuid:
        return f"{path} is brick {identity.brick} of its volume, not {brick.uuid}: two bricks are swapped"
    return ""


def strange_entries(found: Found) -> tuple[str, ...]:
    """Return the names that a directory about to become a brick must not have."""
    stamped = bool(found.volume_id or found.identity)
    leftover = found.hidden_used and not stamped
    return (*((_HIDDEN,) if leftover else ()), *found.entries)


def unusable(brick: BrickRecord, found: Found, parent_brick: str) -> str:
    """Return why a place that is nobody's cannot become a brick, or an empty string."""
    path, point = brick.path, found.mount.point
    if parent_brick:
        return f"{path} is inside {parent_brick}, which is a brick itself"
    if found.volume_id and found.identity:
        return ""
    strange = strange_entries(found)
    listed = ", ".join(strange[:5]) + (", ..." if len(strange) > 5 else "")
    problems = (
        (path == point, f"{path} is a mount point: it would exist without its disk; use a directory below"),
        (strange, f"{path} is not empty ({listed})"),
        (found.owner != 0, f"{path} belongs to user {found.owner}, not to root"),
        (found.read_only, f"{path}: the filesystem at {point} is read-only"),
        (found.full, f"{path}: the filesystem at {point} is full"),
    )
    return next((text for wrong, text in problems if wrong), "")
