"""The configuration: what etcd holds as agreed, one record per object.

Written only by a committed transaction. An agent keeps the last committed set on its own disk and runs
from that when etcd is gone (design 3.3). Stored forms: docs/stored-forms.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.model.cluster import IsolatedStart
from reconciler.model.ids import (
    Address,
    BrickId,
    BrickUuid,
    ClusterId,
    NodeId,
    PeerName,
    VolumeId,
    VolumeName,
)
from reconciler.model.volume import DeletionPolicy, Restart, Shape, VolumeState


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerRecord:
    """A configured peer: the declared name bound to the node that joined under it."""

    name: PeerName
    address: str
    zone: str
    node_id: NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class BrickRecord:
    """A configured brick. Ids and port are stored, never derived from position, never reused.

    Attributes:
        slot: ``SUBVOLUME.POSITION``, both from 0; with the volume it makes the address ``brick/VOL/SLOT``.
        brick_id: AFR's name for it (``home-client-2``): that of its client xlator, and of the pending xattrs
            about it. A brick that replaces another takes it over (diff/lineage.py).
        uuid: one for each directory that ever was a brick, in its identity file.
        host: what clients connect to (the peer's address).
        mount: mount point of the filesystem that must hold `path`; empty if the root filesystem was accepted.
        fs_uuid: UUID of that filesystem as observed at plan time; empty if it has none.
        decommissioned: it is about to leave: distribution puts no new file on its subvolume.
    """

    slot: str
    brick_id: BrickId
    uuid: BrickUuid
    peer: PeerName
    node_id: NodeId
    host: str
    path: str
    port: int
    mount: str = ""
    fs_uuid: str = ""
    decommissioned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeRecord:
    """A configured volume.

    Attributes:
        incarnation: how many volumes of this name there have been, this one included.
        generation: counts the committed changes of this volume; agents never go back to a lower one.
        next_client: number of the next brick id to hand out; it never falls, whichever bricks leave.
        bricks: in subvolume order.
        options: name and value as declared, sorted by name.
        feature_options: which of `options` a feature's key set: option and feature, sorted by option. They
            stay when the key is no longer declared (a feature is switched off, never forgotten), and a node
            without the feature renders nothing of the volume.
        pinned: defaults fixed when the volume was created, so that a newer tool with other defaults
            changes nothing; `options` win over them.
        thin_arbiter: ``HOST:/PATH`` of the process outside the cluster that decides between two copies; empty
            without one.
        volgen: version of the graph rules the volume is rendered with; changes only by a plan.
        policy_since: wall-clock second since which `deletion_policy` has been live, noted by the commit that
            changes it; 0 in a plan.
    """

    name: VolumeName
    volume_id: VolumeId
    incarnation: int
    generation: int
    shape: Shape
    state: VolumeState
    bricks: tuple[BrickRecord, ...]
    options: tuple[tuple[str, str], ...] = ()
    feature_options: tuple[tuple[str, str], ...] = ()
    pinned: tuple[tuple[str, str], ...] = ()
    deletion_policy: DeletionPolicy = DeletionPolicy.PROTECT
    policy_since: int = 0
    restart: Restart = field(default_factory=Restart)
    next_client: int = 0
    thin_arbiter: str = ""
    volgen: int = 1

    @property
    def address(self) -> Address:
        """Return the volume's address, ``volume/NAME``."""
        return Address(f"volume/{self.name}")

    def effective_options(self) -> dict[str, str]:
        """Return what graphs are rendered from: pinned defaults, overridden by declared options."""
        return {**dict(self.pinned), **dict(self.options)}

    def brick_address(self, brick: BrickRecord) -> Address:
        """Return the address of one of its bricks, ``brick/NAME/SLOT``."""
        return Address(f"brick/{self.name}/{brick.slot}")

    def subvolumes(self) -> tuple[tuple[BrickRecord, ...], ...]:
        """Return the bricks grouped by subvolume."""
        size = self.shape.bricks_per_subvolume
        return tuple(self.bricks[i : i + size] for i in range(0, len(self.bricks), size))

    def on_node(self, node: NodeId) -> tuple[BrickRecord, ...]:
        """Return the bricks on one node."""
        return tuple(b for b in self.bricks if b.node_id == node)


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """A volume's brick credentials. In etcd under a key of its own; never in a plan, log or argument."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Cluster-wide settings that agents need, and what was last applied."""

    generation: int = 0
    brick_ports: tuple[int, int] = (61000, 65535)
    isolated_start: IsolatedStart = IsolatedStart.WAIT
    unprotect_delay_s: float = 600.0
    failure_domain: str = "host"
    desired_digest: str = ""
    applied_at: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Retained:
    """A deleted volume whose data stays on its bricks."""

    volume: VolumeRecord
    deleted_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredCluster:
    """All of the configuration at one store revision.

    `incarnations` counts volumes ever created by name; `mod_revisions` tells, per address
    (``peer/…``, ``volume/…``, ``settings``), the store revision at which the object last changed.
    """

    cluster_id: ClusterId
    name: str
    revision: int
    settings: Settings = field(default_factory=Settings)
    peers: Mapping[PeerName, PeerRecord] = field(default_factory=dict)
    volumes: Mapping[VolumeName, VolumeRecord] = field(default_factory=dict)
    incarnations: Mapping[VolumeName, int] = field(default_factory=dict)
    retained: tuple[Retained, ...] = ()
    mod_revisions: Mapping[Address, int] = field(default_factory=dict)

    @property
    def last_change(self) -> int:
        """Return the store revision of the newest object; unlike `revision` it moves with changes only."""
        return max(self.mod_revisions.values(), default=0)
