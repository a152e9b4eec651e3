"""What agents report: facts, with the time they were taken. Unknown is not the same as absent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from reconciler.model.ids import BrickUuid, NodeId, PeerName, VolumeId

#: Filesystems of local disks: the ones that may hold bricks without further words.
DISK_TYPES = frozenset(
    ["xfs", "ext2", "ext3", "ext4", "btrfs", "zfs", "f2fs", "jfs", "reiserfs", "bcachefs", "nilfs2"]
)


class BrickState(Enum):
    """What an agent sees of a configured brick."""

    RUNNING = "running"  #: process alive, signed in and listening
    STARTING = "starting"
    STOPPED = "stopped"  #: not running and not meant to
    CRASHED = "crashed"  #: ended by itself; see `problem`
    REFUSED = "refused"  #: must not be started: identity or filesystem is wrong; see `problem`


@dataclass(frozen=True, slots=True, kw_only=True)
class MountFact:
    """One mounted filesystem of a node (from /proc/self/mountinfo and statvfs)."""

    mount: str
    fs_type: str
    device: str
    fs_uuid: str
    size_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFact:
    """A node about itself. `mounts` are those that could hold bricks (no pseudo filesystems)."""

    node_id: NodeId
    peer: PeerName
    address: str
    boot_id: str
    agent_version: str
    gluster_version: str
    started_at: int
    mounts: tuple[MountFact, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BrickFact:
    """A configured brick as its node sees it.

    Attributes:
        pid, start_time: of the glusterfsd process (0 if none); start time in clock ticks since boot.
        port: the port it signed in with; 0 if none.
        volume_id: what `trusted.glusterfs.volume-id` says; empty if absent.
        identity: brick uuid in the identity file; empty if absent.
        mount, fs_uuid: the filesystem that holds the path now.
        heal_pending: entries in the xattrop index (files that need heal); None if it cannot be read.
        volfile_digest: sha256 of the brick volfile served to the process.
    """

    uuid: BrickUuid
    volume_id_configured: VolumeId
    state: BrickState
    problem: str = ""
    pid: int = 0
    start_time: int = 0
    port: int = 0
    volume_id: str = ""
    identity: str = ""
    mount: str = ""
    fs_uuid: str = ""
    size_bytes: int = 0
    free_bytes: int = 0
    heal_pending: int | None = None
    volfile_digest: str = ""
    restarts: int = 0
    since: int = 0  #: wall-clock second of the last change of `state`


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeFact:
    """What one node serves of a volume: generation and digest of the client volfile, and its daemon."""

    volume_id: VolumeId
    generation: int
    served: bool
    client_digest: str = ""
    shd_pid: int = 0  #: self-heal daemon on this node; 0 if none runs
    shd_expected: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """A node's word that the store is another, or has an older history, than the one it knows."""

    peer: PeerName
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PathProbe:
    """What stands at a path that a plan wants to use as a brick. Taken on request, reads only.

    Attributes:
        kind: ``absent``, ``directory``, ``file``, ``symlink`` or ``other``.
        entries: names in the directory except the brick's own, at most 5, for the message.
        volume_id: `trusted.glusterfs.volume-id` there; empty if none.
        identity: brick uuid of an identity file there; empty if none.
        parent_volume: path of a parent directory that is itself a brick; empty if none.
        mount, fs_uuid, fs_type: the filesystem the path is (or would be) on.
        problem: why the path cannot be judged (permission, I/O error); empty if it can.
    """

    peer: PeerName
    path: str
    kind: str = "absent"
    entries: tuple[str, ...] = ()
    volume_id: str = ""
    identity: str = ""
    parent_volume: str = ""
    mount: str = ""
    fs_uuid: str = ""
    fs_type: str = ""
    free_bytes: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedNode:
    """Everything one node reported. `live` is true while its agent's lease is."""

    node_id: NodeId
    peer: PeerName
    live: bool
    fact: NodeFact | None = None
    answered: bool = False  #: it answered the request of this observation (facts are fresh)
    bricks: Mapping[BrickUuid, BrickFact] = field(default_factory=dict)
    volumes: Mapping[VolumeId, VolumeFact] = field(default_factory=dict)
    probes: Mapping[str, PathProbe] = field(default_factory=dict)
    ports_in_use: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedCluster:
    """All reports at one store revision. `nodes` holds joined nodes only, by peer name."""

    revision: int
    observed_at: int
    nodes: Mapping[PeerName, ObservedNode] = field(default_factory=dict)

    @property
    def answering(self) -> frozenset[PeerName]:
        """Return the peers whose facts are fresh: their agents live and answered this observation."""
        return frozenset(peer for peer, node in self.nodes.items() if node.live and node.answered)
