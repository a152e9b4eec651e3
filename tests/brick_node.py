"""One node as an agent would wire it: real disks, processes, volfile server; etcd left out."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from reconciler.actions.registry import node_actions
from reconciler.adapters import gluster_rpc
from reconciler.adapters.brick_files import DiskBrickFiles
from reconciler.adapters.clock import SystemClock
from reconciler.adapters.local_files import DiskFiles
from reconciler.adapters.mounts import Mounts
from reconciler.adapters.processes import LinuxProcesses
from reconciler.adapters.tcp_ports import TcpPorts
from reconciler.agent.daemons import DaemonSupervisor
from reconciler.agent.memory import NodeMemory
from reconciler.agent.paths import NodePaths
from reconciler.agent.portmap import Portmap
from reconciler.agent.programs import Programs, Site
from reconciler.agent.run_marks import RunMarks
from reconciler.agent.serving import DesiredBrick, RenderSite
from reconciler.agent.supervisor import BrickShell, BrickSupervisor
from reconciler.agent.volumes import VolumeTable
from reconciler.model.configured import BrickRecord, VolumeRecord
from reconciler.model.ids import Address, PeerName, StepId
from reconciler.model.observed import BrickFact, BrickState
from reconciler.plan.step import Step
from reconciler.ports.brick import RunningProcess
from reconciler.ports.node import Action, Call, Checked, Clock
from reconciler.volserver.server import VolfileServer
from tests.disks import disks
from tests.servers import free_port
from tests.volume_samples import CLUSTER, NODE, SECRET, SLOTS, volume

HOST = "127.0.0.1"


def local_volume(
    mount: Path, *, count: int = 1, replica: int = 1, name: str = "home", **changes: object
) -> VolumeRecord:
    """Return a volume whose bricks are all on this node, on free ports, below `mount`."""
    record = volume(name, bricks=count, replica=replica)
    bricks = tuple(
        replace(
            brick,
            node_id=NODE,
            peer=PeerName("gs1"),
            host=HOST,
            path=f"{mount}/{name}/b{i}",
            port=free_port(),
            mount=str(mount),
            fs_uuid="",
        )
        for i, brick in enumerate(record.bricks)
    )
    return replace(record, bricks=bricks, **changes)  # type: ignore[arg-type]


def call(kind: str, record: VolumeRecord, brick: BrickRecord | None = None, **args: bool) -> Call:
    """Return the call of a step about a brick (or, without one, about the volume)."""
    given = {**({"brick": brick.uuid} if brick else {}), **args}
    step = Step(
        step_id=StepId(1),
        kind=kind,
        address=Address("brick/x/0.0"),
        title="",
        args=given,
        volume=record.volume_id,
    )
    return Call(step=step, txn="t1", volume=record)


@dataclass
class Node:
    """A node whose agent can be restarted without its bricks noticing (`restart_agent`)."""

    root: Path
    boot_id: str = "boot-1"
    ready_s: float = 15.0
    stop_s: float = 4.0
    glusterfsd: str = "/usr/sbin/glusterfsd"
    port: int = 0
    clock: Clock = field(default_factory=SystemClock)
    processes: LinuxProcesses = field(default_factory=LinuxProcesses)

    def __post_init__(self) -> None:
        self.paths = NodePaths(state=self.root / "s", run=self.root / "r", log=self.root / "l")
        for path in (self.paths.run, self.paths.log):
            path.mkdir(exist_ok=True)
        self.files = DiskBrickFiles(CLUSTER, NODE, PeerName("gs1"), Mounts())
        self._wire()

    def _wire(self) -> None:
        local = DiskFiles(self.paths.state)
        site = Site(
            node=NODE,
            paths=self.paths,
            bind=True,
            ready_s=self.ready_s,
            stop_s=self.stop_s,
            glusterfsd=self.glusterfsd,
        )
        self.portmap = Portmap(lambda path: self.bricks.port_of(path))  # noqa: PLW0108 - not there yet
        memory = NodeMemory(local)
        self.table = VolumeTable(CLUSTER, RenderSite(NODE, SLOTS), memory, self.portmap, changed=lambda: None)
        self.table.load(memory.recall())
        self.table.set_connected(True)
        programs = Programs(self.processes, self.clock)
        shell = BrickShell(
            files=self.files,
            programs=programs,
            ports=TcpPorts(),
            marks=RunMarks(local, self.boot_id),
            signed_in_as=self.portmap.signed_in_as,
            terminate=lambda s, b: gluster_rpc.brick_terminate(Path(s), b, timeout_s=2.0),
        )
        self.bricks = BrickSupervisor(site, shell)
        self.daemons = DaemonSupervisor(site, programs)
        self.server = VolfileServer(
            self.table, address=HOST, port=self.port, unix_socket=self.paths.agent_socket
        )
        self.server.start()

    @property
    def actions(self) -> Mapping[str, Action]:
        return node_actions(self.files, self.bricks, self.daemons, self.table)

    def restart_agent(self, boot_id: str = "") -> None:
        """Forget everything that is not on the disk, as a killed agent would."""
        self.server.stop()
        self.boot_id = boot_id or self.boot_id
        self._wire()

    def commit(self, *records: VolumeRecord) -> None:
        for record in records:
            self.table.commit(record, SECRET)

    def desire(self, *records: VolumeRecord) -> None:
        self.bricks.desire([DesiredBrick(volume=r, brick=b) for r in records for b in r.bricks])

    def check(self, step: Call) -> Checked:
        return self.actions[step.step.kind].check(step)

    def do(self, step: Call) -> Checked:
        checked = self.check(step)
        self.actions[step.step.kind].do(step, checked.before)
        return checked

    def undo(self, step: Call, checked: Checked) -> None:
        self.actions[step.step.kind].undo(step, checked.before)

    def prepared(self, record: VolumeRecord) -> VolumeRecord:
        """Prepare all bricks of a volume and take it into the configuration."""
        for brick in record.bricks:
            self.do(call("brick.prepare", record, brick))
        self.commit(record)
        return record

    def fact(self, brick: BrickRecord) -> BrickFact:
        return next(fact for fact in self.bricks.facts() if fact.uuid == brick.uuid)

    def ticks_until(self, condition: Callable[[], bool], what: str, timeout_s: float = 10) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f"{what}: {self.bricks.facts()} {self.daemons.problems()}"
            self.bricks.tick()
            self.daemons.tick()
            time.sleep(0.03)

    def is_up(self, brick: BrickRecord) -> bool:
        return self.fact(brick).state is BrickState.RUNNING

    def gluster_processes(self) -> dict[RunningProcess, tuple[str, ...]]:
        """Return this node's GlusterFS processes with their arguments, those that only start included."""
        found = {}
        for process in self.processes.find(()):
            with contextlib.suppress(OSError):  # it has just ended
                raw = Path(f"/proc/{process.pid}/cmdline").read_bytes()
                words = tuple(raw.decode().rstrip("\0").split("\0"))
                if any(word.startswith(f"{self.root}/") for word in words):
                    found[process] = words
        return found

    def end(self) -> None:
        """End the agent and every GlusterFS process of this node."""
        self.server.stop()
        for process, words in self.gluster_processes().items():
            self.processes.send(process, signal.SIGKILL, words)
            self.processes.wait_end(process, 10)


@contextlib.contextmanager
def node(*, disk_count: int = 1, **changes: object) -> Iterator[tuple[Node, list[Path]]]:
    """Yield a node and the mount points of its disks; everything is gone afterwards."""
    root = Path(tempfile.mkdtemp(prefix="gsn-"))
    try:
        with disks(root, disk_count) as made:
            points = [root / f"d{i}" for i in range(disk_count)]
            for disk, point in zip(made, points, strict=True):
                disk.mount(point)
            it = Node(root, **changes)  # type: ignore[arg-type]
            try:
                yield it, points
            finally:
                it.end()
    finally:
        shutil.rmtree(root)


def kill(pid: int) -> None:
    """SIGKILL a process that the caller knows to be its own."""
    os.kill(pid, signal.SIGKILL)
