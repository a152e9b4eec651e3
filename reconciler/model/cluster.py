"""The desired state: what the declaration says, defaults filled in and profiles resolved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from reconciler.diagnostics import Diagnostic, SourceSpan
from reconciler.model.ids import Address, BrickId, PeerName, VolumeId, VolumeName
from reconciler.model.volume import DeletionPolicy, Restart, Shape, VolumeState


class PeerState(Enum):
    """What the declaration says of a peer."""

    PRESENT = "present"
    LOST = "lost"  #: will not return: steps on it are skipped and listed


class IsolatedStart(Enum):
    """What an agent does after a reboot when neither etcd nor any peer answers."""

    WAIT = "wait"
    START = "start"


class Rollback(Enum):
    """What is undone when a step of an apply fails for good."""

    CHANGE = "change"  #: the failing volume's part; the parts that came to their end stay
    ALL = "all"  #: the whole plan, which is one part then
    NONE = "none"  #: nothing: it waits for a human


class OnCrash(Enum):
    """What a steward does with an apply whose process has gone."""

    CONTINUE = "continue"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerSpec:
    """A declared peer. `address` is what clients and bricks connect to (host name or IP literal)."""

    name: PeerName
    address: str
    zone: str = ""
    state: PeerState = PeerState.PRESENT


@dataclass(frozen=True, slots=True, kw_only=True)
class BrickSpec:
    """A declared brick. Everything but `peer` and `path` is optional (None: decided at plan time)."""

    peer: PeerName
    path: str
    mount: str | None = None
    fs_uuid: str | None = None
    brick_id: BrickId | None = None
    port: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionSetting:
    """One effective option of a volume.

    Attributes:
        origin: ``volume``, ``profile NAME``, ``defaults`` or ``feature NAME``.
        feature: the feature whose key set it, or empty.
    """

    name: str
    value: str
    origin: str
    feature: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """A risk accepted next to the object, e.g. ``GS204``."""

    code: str
    reason: str
    until: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """User name and password in a declaration; for the offline `volfile` command only."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeSpec:
    """A declared volume.

    `bricks` are in subvolume order: the order is data. `shape` is None only for a tombstone
    (``state: absent``) that does not repeat it. `options` are effective and sorted by name.
    """

    name: VolumeName
    state: VolumeState
    shape: Shape | None
    bricks: tuple[BrickSpec, ...]
    options: tuple[OptionSetting, ...] = ()
    volume_id: VolumeId | None = None
    deletion_policy: DeletionPolicy = DeletionPolicy.PROTECT
    thin_arbiter: str = ""  #: ``HOST:/PATH``, or empty
    data: str | None = None  #: tombstone only: ``retain`` or ``wipe``
    confirm: VolumeId | None = None  #: tombstone only
    restart: Restart = field(default_factory=Restart)
    acknowledge: tuple[Acknowledgement, ...] = ()
    ignore_drift: tuple[str, ...] = ()
    auth: Credentials | None = None

    def subvolumes(self) -> tuple[tuple[BrickSpec, ...], ...]:
        """Return the bricks grouped by subvolume."""
        size = self.shape.bricks_per_subvolume if self.shape else 1
        return tuple(self.bricks[i : i + size] for i in range(0, len(self.bricks), size))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSpec:
    """The root of the desired state. `peers` and `volumes` are sorted by name."""

    name: str
    peers: tuple[PeerSpec, ...]
    volumes: tuple[VolumeSpec, ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    failure_domain: str = "host"  #: ``host`` or ``zone``
    brick_ports: tuple[int, int] = (61000, 65535)  #: inclusive
    unprotect_delay_s: float = 600.0
    isolated_start: IsolatedStart = IsolatedStart.WAIT
    rollback: Rollback = Rollback.CHANGE
    on_crash: OnCrash = OnCrash.CONTINUE

    def peer(self, name: PeerName) -> PeerSpec:
        """Return the peer called `name`; the rules guarantee that brick peers exist."""
        return next(p for p in self.peers if p.name == name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """A declaration with the places its objects came from.

    Attributes:
        spec: the values.
        spans: position of each object and setting, by address (``volume/home``, ``peer/gs1``,
            ``brick/home/0.2``, ``option/home/NAME``, ``volume/home/replica`` …).
        digest: sha256 of the canonical form; the same for the same meaning, whatever the order of keys.
        files: the files read, sorted.
        warnings: findings that do not stop the load; those with a risk code block a plan.
        vouched: names of options that whoever read it has found, with their values, in a catalogue of
            GlusterFS's libraries; the planner knows the one that comes with the program only.
    """

    spec: ClusterSpec
    spans: Mapping[Address, SourceSpan]
    digest: str
    files: tuple[str, ...]
    warnings: tuple[Diagnostic, ...] = ()
    vouched: frozenset[str] = frozenset()
