"""The nodes as machines on which the product's real actions run, in the place of cells that change by half.

`HostWorld` keeps the protocol's checks of `World` and has every effect made by the real action of its step,
on the real supervisors, volume table and node memory. The first half of an effect is an action that is
stopped before one of its changes, and the agent's memory goes: what follows begins from what is on the disk.
Its second half is the same action again, from its beginning to its end.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from reconciler.actions.registry import node_actions
from reconciler.adapters.mounts import Mount
from reconciler.agent.daemons import DaemonSupervisor
from reconciler.agent.memory import NodeMemory
from reconciler.agent.paths import NodePaths
from reconciler.agent.portmap import Portmap
from reconciler.agent.programs import Programs, Site
from reconciler.agent.run_marks import RunMarks
from reconciler.agent.serving import RenderSite
from reconciler.agent.supervisor import BrickShell, BrickSupervisor
from reconciler.agent.volumes import VolumeTable
from reconciler.errors import ReconcilerError, StepError
from reconciler.model import keys
from reconciler.model.configured import Secret, VolumeRecord
from reconciler.model.ids import NodeId, PeerName
from reconciler.plan.step import Args, Step
from reconciler.ports.node import Action, Call, Checked
from reconciler.ports.staging import Serving
from reconciler.ports.volfiles import SpecRequest
from tests.sim.invariants import must
from tests.sim.machine import (
    Cut,
    Directory,
    Machine,
    ModelBrickFiles,
    ModelPorts,
    ModelProcesses,
    signed_in_as,
)
from tests.sim.world import RUNS, STAMPED, Cells, World, decoded
from tests.volume_samples import SLOTS

PATHS = NodePaths(state=Path("/s"), run=Path("/r"), log=Path("/l"))
BYSTANDER = Directory(hidden=True, entries=("somebody's data",))


class _Clock:
    """Time stands still during an effect."""

    def now(self) -> int:
        return 1

    def monotonic(self) -> float:
        return 1.0


@dataclass(slots=True)
class Host:
    """One node: its machine, and the parts of the agent that runs on it now."""

    world: HostWorld
    node: NodeId
    peer: PeerName
    machine: Machine
    table: VolumeTable = field(init=False)
    bricks: BrickSupervisor = field(init=False)
    actions: Mapping[str, Action] = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Make the agent's parts anew from what is on the machine's disk."""
        machine = self.machine
        files = ModelBrickFiles(machine, self.world.cluster, self.node, self.peer)
        programs = Programs(ModelProcesses(machine), _Clock())
        site = Site(node=self.node, paths=PATHS)
        memory = NodeMemory(machine.files)
        portmap = Portmap(lambda _: 0)
        self.table = VolumeTable(
            self.world.cluster, RenderSite(self.node, SLOTS), memory, portmap, changed=lambda: None
        )
        self.table.load(memory.recall())
        self.table.set_connected(True)
        shell = BrickShell(
            files=files,
            programs=programs,
            ports=ModelPorts(machine),
            marks=RunMarks(machine.files, "boot-1"),
            signed_in_as=lambda path: signed_in_as(machine, path),
            terminate=self._terminate,
        )
        self.bricks = BrickSupervisor(site, shell)
        daemons = DaemonSupervisor(site, programs)
        self.actions = node_actions(files, self.bricks, daemons, self.table)

    def _terminate(self, socket: str, path: str) -> None:
        for pid in self.machine.with_words(("--brick-name", path)):
            self.machine.change(lambda pid=pid: self.machine.running.pop(pid))  # type: ignore[misc]  # bound now

    def serves(self, volume: VolumeRecord) -> str:
        """Return the volfile that a client would be given now."""
        return self.table.getspec(SpecRequest(connection=1, key=volume.name, trusted=False)).text


@dataclass(slots=True)
class HostWorld(World):
    """A World whose effects are those of the real actions."""

    hosts: dict[NodeId, Host] = field(default_factory=dict)

    def settle_in(self) -> None:
        """Make the machines, and bring about what the scenario's cells say is there before."""
        plan = self.plan
        wanted = dict(self.cells)
        records = [*plan.previous.values(), *plan.volumes.values()]
        peers = {b.node_id: b for record in records for b in record.bricks}
        for node, brick in sorted(peers.items()):
            mount = Mount(
                mount_id=1,
                device="8:1",
                point=brick.mount or "/b",
                fs_type="xfs",
                source="/dev/sdb1",
                read_only=False,
            )
            machine = Machine(mount, brick.fs_uuid, tree={f"{mount.point}/bystander": BYSTANDER})
            self.hosts[node] = Host(self, node, brick.peer, machine)
        for record in plan.previous.values():
            for node, host in self.hosts.items():
                self._put_before(record, node, host)
        self.look()
        assert self.cells == wanted, f"began with {self.cells}, not {wanted}"

    def _put_before(self, record: VolumeRecord, node: NodeId, host: Host) -> None:
        host.table.commit(record, self._secret(record))
        kinds = ["brick.prepare", "brick.start"]
        for brick in record.on_node(node):
            for kind in kinds:
                step = _step_like(self.plan.steps[0], kind, {"brick": brick.uuid})
                call = Call(step=step, txn="before", volume=record)
                host.actions[kind].do(call, host.actions[kind].check(call).before)
        if f"shd/{node}/{record.volume_id}" in self.cells:
            call = Call(step=_step_like(self.plan.steps[0], "shd.start", {}), txn="before", volume=record)
            host.actions["shd.start"].do(call, {})

    # ------------------------------------------------------------ effects

    def check(self, step: Step) -> Checked:
        """Have the real action look."""
        trouble = self.trouble.get(step.step_id)
        if trouble and trouble.strikes("refuse"):
            raise StepError("refused", retryable=trouble.retryable)
        try:
            return self._action(step).check(self._call(step))
        except StepError as exc:
            self._for_no_reason(step, exc)

    def _first_half(self, step: Step, before: Args, *, undo: bool) -> None:
        assert step.node is not None
        host = self.hosts[step.node]
        changes = random.Random(f"{step.step_id} {undo} {len(self.log)}").choice((0, 1, 2, 3, 4, 5, 6, None))
        try:
            with host.machine.cut_after(changes):
                self._act(step, before, undo=undo)
        except Cut:
            host.restart()
        self.look()

    def _second_half(self, step: Step, before: Args, *, undo: bool) -> None:
        self._act(step, before, undo=undo)
        self.look()

    def _act(self, step: Step, before: Args, *, undo: bool) -> None:
        action, call = self._action(step), self._call(step)
        try:
            if undo:
                action.undo(call, before)
            else:
                action.do(call, before)
        except ReconcilerError as exc:
            self._for_no_reason(step, exc)

    def _for_no_reason(self, step: Step, exc: ReconcilerError) -> NoReturn:
        """Nothing is wrong with the machines: an action that fails has not got over a crash."""
        must(18, False, "step", step.step_id, step.kind, "fails after", self.log, "with", exc.message)
        raise AssertionError from exc

    def died(self, node: NodeId) -> None:
        """The agent's memory is gone; the machine is not."""
        World.died(self, node)
        if (host := self.hosts.get(node)) is not None:
            host.restart()

    def _action(self, step: Step) -> Action:
        assert step.node is not None
        return self.hosts[step.node].actions[step.kind]

    def _call(self, step: Step) -> Call:
        volume = self.plan.volumes.get(step.volume) if step.volume else None
        previous = self.plan.previous.get(step.volume) if step.volume else None
        record = volume or previous
        secret = self._secret(record) if record else None
        return Call(step=step, txn=self.txn, volume=volume, previous=previous, secret=secret)

    def _secret(self, record: VolumeRecord) -> Secret | None:
        entry = self.entries().get(keys.secret(self.cluster, record.volume_id))
        return decoded(Secret, entry.value) if entry else None

    # ------------------------------------------------------------ what the machines look like

    def look(self) -> None:
        """Write down in cells what the machines are like, and check what must hold of them at any time."""
        cells: Cells = {}
        for node, host in self.hosts.items():
            self._look_at(node, host, cells)
            mount = host.machine.mount.point
            strangers = host.machine.tree.get(f"{mount}/bystander")
            must(26, strangers == Directory(hidden=True, entries=("somebody's data",)), strangers)
        self.cells = cells
        for record in self.plan.volumes.values():
            self._served_with_bricks(record)

    def _look_at(self, node: NodeId, host: Host, cells: Cells) -> None:
        machine = host.machine
        for record in {
            r.volume_id: r for r in (*self.plan.previous.values(), *self.plan.volumes.values())
        }.values():
            for brick in record.on_node(node):
                place = machine.tree.get(brick.path)
                if place is not None:
                    whole = place.identity is not None and place.volume_id == record.volume_id
                    cells[f"dir/{brick.uuid}"] = STAMPED if whole else "half"
                pids = machine.with_words(("--brick-name", brick.path))
                must(37, len(pids) <= 1, brick.path, "has", pids)
                if pids:
                    cells[f"brick/{brick.uuid}"] = RUNS
            if machine.with_words(("-p", str(PATHS.daemon_pidfile("shd", record.volume_id)))):
                cells[f"shd/{node}/{record.volume_id}"] = RUNS
            if (staged := host.table.staged(record.volume_id)) is not None:
                how = [staged.record.generation, staged.serving.value]
                cells[f"serve/{node}/{record.volume_id}"] = (
                    "nothing" if staged.serving is Serving.NOTHING else how
                )

    def _served_with_bricks(self, record: VolumeRecord) -> None:
        """Clients that are given a volume find all of its bricks running, also on the way back."""
        serving = [n for n, host in self.hosts.items() if host.serves(record)]
        if serving:
            down = [b.path for b in record.bricks if f"brick/{b.uuid}" not in self.cells]
            must(34, not down, serving, "give out", record.name, "with bricks down:", down)


def _step_like(step: Step, kind: str, args: Args) -> Step:
    return Step(step_id=step.step_id, kind=kind, address=step.address, title="", args=args)
