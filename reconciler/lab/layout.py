"""Where a lab keeps what: every path below its directory, and the addresses of its nodes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DEFAULT_DIR = Path("/run/gluster-state-lab")
MAX_NODES = 20
MAX_MEMBERS = 7  #: of its etcd
MAX_DIR_LENGTH = 40
"""Longest DIR in bytes: a unix socket path ends at 107 (linux unix(7), sun_path) and RUN adds up to 60."""


@dataclass(frozen=True, slots=True)
class NodeLayout:
    """The directories and the address of node `number` (from 1)."""

    root: Path
    number: int

    @property
    def peer(self) -> str:
        """Return the peer name that the node joins under."""
        return f"gs{self.number}"

    @property
    def address(self) -> str:
        """Return the node's own loopback address; its volfile server listens there on 24007."""
        return f"127.0.1.{self.number}"

    @property
    def home(self) -> Path:
        """Return the directory that holds everything of this node except its disk image."""
        return self.root / self.peer

    @property
    def bricks(self) -> Path:
        """Return the mount point of the node's XFS image."""
        return self.home / "bricks"

    @property
    def config(self) -> Path:
        """Return the agent's configuration file."""
        return self.home / "agent.toml"

    @property
    def image(self) -> Path:
        """Return the sparse file behind `bricks`."""
        return LabLayout(self.root).disks / f"{self.peer}.img"

    @property
    def fresh_image(self) -> Path:
        """Return the name that `image` has until its filesystem is made."""
        return self.image.with_suffix(".new")

    @property
    def folders(self) -> dict[str, Path]:
        """Return the agent's directories, named as in its configuration file."""
        return {kind: self.home / kind for kind in ("state", "run", "log")}


@dataclass(frozen=True, slots=True)
class LabLayout:
    """The lab below `root`."""

    root: Path

    @property
    def record(self) -> Path:
        """Return the lab's own record: what was started, with start times. Its presence makes DIR a lab."""
        return self.root / "lab.json"

    @property
    def fresh_record(self) -> Path:
        """Return the name under which the record is written before it replaces the old one."""
        return self.root / "lab.new"

    @property
    def disks(self) -> Path:
        """Return the directory of the nodes' disk images."""
        return self.root / "disks"

    @property
    def declaration(self) -> Path:
        """Return the declaration that demo and play apply, for the user to change."""
        return self.root / "cluster.yaml"

    @property
    def etcd_data(self) -> Path:
        """Return etcd's data directory."""
        return self.root / "etcd"

    @property
    def processes(self) -> Path:
        """Return the directory in which the supervisor records each child's identity."""
        return self.root / "processes"

    @property
    def stopped(self) -> Path:
        """Return the directory of markers: a child named there is not restarted."""
        return self.root / "stopped"

    @property
    def logs(self) -> Path:
        """Return the directory of the supervisor's and its children's output."""
        return self.root / "log"

    @property
    def mounts(self) -> Path:
        """Return the directory below which clients mount volumes."""
        return self.root / "mnt"

    @property
    def work(self) -> Path:
        """Return a directory for declarations and plans to play with; it goes when the lab goes."""
        return self.root / "work"

    @property
    def trees(self) -> tuple[Path, ...]:
        """Return the directories that are the lab's with all they hold, apart from the nodes' own."""
        return (self.etcd_data, self.processes, self.stopped, self.logs, self.work)

    def node(self, number: int) -> NodeLayout:
        """Return node `number`."""
        return NodeLayout(self.root, number)
