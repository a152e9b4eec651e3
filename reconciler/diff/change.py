"""What differs between the declaration and the configuration, object by object. Values only."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.cluster import PeerSpec, VolumeSpec
from reconciler.model.configured import PeerRecord, VolumeRecord
from reconciler.model.fields import Json


@dataclass(frozen=True, slots=True)
class PeerAdded:
    """A declared peer that is not configured yet."""

    spec: PeerSpec


@dataclass(frozen=True, slots=True)
class PeerChanged:
    """A configured peer whose address or zone is declared differently."""

    spec: PeerSpec
    record: PeerRecord


@dataclass(frozen=True, slots=True)
class SettingsChanged:
    """Cluster-wide settings are declared differently; `fields` names them."""

    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VolumeAdded:
    """A declared volume that is not configured."""

    spec: VolumeSpec


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One setting of a volume: `path` is ``options/NAME``, ``state``, ``deletionPolicy`` or ``restart``."""

    path: str
    before: Json
    after: Json
    origin: str = ""


@dataclass(frozen=True, slots=True)
class VolumeChanged:
    """A configured volume whose settings are declared differently."""

    spec: VolumeSpec
    record: VolumeRecord
    fields: tuple[FieldChange, ...]


@dataclass(frozen=True, slots=True)
class LayoutChanged:
    """A configured volume whose type, counts or bricks are declared differently; `what` says how."""

    spec: VolumeSpec
    record: VolumeRecord
    what: str


@dataclass(frozen=True, slots=True)
class VolumeRemoved:
    """A tombstone for a configured volume."""

    spec: VolumeSpec
    record: VolumeRecord


@dataclass(frozen=True, slots=True)
class Unmanaged:
    """Configured, and not in the declaration. Absence never deletes."""

    address: str


Difference = (
    PeerAdded
    | PeerChanged
    | SettingsChanged
    | VolumeAdded
    | VolumeChanged
    | LayoutChanged
    | VolumeRemoved
    | Unmanaged
)
