"""Break a lab on purpose, for real: disks gone or swapped, ports taken, nodes rebooted."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from reconciler.errors import EnvironmentProblem, UsageError
from reconciler.lab import disks, processes, squatter
from reconciler.lab.control import new_boot, part_of
from reconciler.lab.layout import LabLayout, NodeLayout
from reconciler.lab.record import children, load, note_child


def break_disk(root: Path, number: int) -> None:
    """Pull a node's disk: its mount is gone and its bricks are dead. `reboot` puts it back."""
    record = load(root)
    node = record.member(LabLayout(root), number)
    disks.unplug(node.bricks, record.inside)
    _kill_gluster_on(node)


def swap_disks(root: Path, one: int, other: int) -> None:
    """Put two nodes' disks into each other's place; their bricks are dead. `reboot` of both puts them back.

    Raises:
        UsageError: it takes two nodes.
    """
    if one == other:
        raise UsageError("it takes two different nodes to swap their disks")
    layout, record = LabLayout(root), load(root)
    pair = [record.member(layout, one), record.member(layout, other)]
    for node in pair:
        disks.unplug(node.bricks, record.inside)
        _kill_gluster_on(node)
    disks.mount(pair[1].image, pair[0].bricks, record.inside)
    disks.mount(pair[0].image, pair[1].bricks, record.inside)


def take_port(root: Path, volume: str, number: int) -> tuple[str, int]:
    """Kill a brick of `volume` on a node and take its port before it is back.

    Returns the address and the process that has the port now; ending that process frees it.

    Raises:
        UsageError: no such brick runs there.
        EnvironmentProblem: the brick was back first.
    """
    layout, record = LabLayout(root), load(root)
    node = record.member(layout, number)
    running = processes.bricks_of(volume, node.home)
    if not running:
        raise UsageError(f"no brick of volume {volume} runs on node {number}")
    brick, port = running[0]
    name = f"port-{node.number}-{port}"
    log = layout.logs / f"{name}.log"
    log.unlink(missing_ok=True)
    words = [sys.executable, "-m", "reconciler.lab.squatter", node.address, str(port)]
    with processes.uninterrupted():
        taker = processes.spawn([*record.inside.prefix, *words], log)
        if taker is not None:
            note_child(layout, name, taker)
    _eventually(lambda: squatter.TRYING in log.read_text(encoding="utf-8"), f"see {log}")
    processes.kill(brick)
    _eventually(lambda: squatter.HOLDING in log.read_text(encoding="utf-8"), "the brick was back first")
    return f"{node.address}:{port}", children(layout)[name].pid


def reboot(root: Path, numbers: Sequence[int] = ()) -> None:
    """Do to nodes what a reboot does: every process is killed, mounts go, disks are mounted, agents start.

    All nodes go down before the first comes up. Each agent sees a new boot id, as after a real boot.

    Args:
        root: the lab's directory.
        numbers: which nodes; all if none is named.
    """
    layout, record = LabLayout(root), load(root)
    nodes = [record.member(layout, number) for number in sorted(set(numbers))] or record.members(layout)
    for node in nodes:
        (layout.stopped / part_of(node)).touch()
        record = record.saying(part_of(node), new_boot(record.commands[part_of(node)]))
    record.save(layout)
    for node in nodes:
        _kill_everything_on(node, layout)
        disks.unplug(node.bricks, record.inside)
    for node in nodes:
        disks.create(node, record.inside)
    for node in nodes:
        (layout.stopped / part_of(node)).unlink()


def _kill_everything_on(node: NodeLayout, layout: LabLayout) -> None:
    """Kill the agent and its steward first, so that nothing brings a brick back."""
    agent = children(layout).get(part_of(node))
    if agent is not None:
        processes.kill(agent)
    for process in processes.agents_with(node.config):
        processes.kill(process)
    _kill_gluster_on(node)


def _kill_gluster_on(node: NodeLayout) -> None:
    found = processes.gluster_below(node.home)
    for process in found:
        processes.send(process, signal.SIGKILL)
    for process in found:
        processes.kill(process)


def _eventually(happened: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + 10
    while not happened():
        if time.monotonic() > deadline:
            raise EnvironmentProblem(f"the port could not be taken: {otherwise}")
        time.sleep(0.01)
