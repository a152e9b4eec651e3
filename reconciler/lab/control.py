"""Bring a lab up, look at it, take it down. Plain functions; the commands are in `cli/lab.py`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from reconciler.errors import EnvironmentProblem, UsageError
from reconciler.lab import disks, etcd_binary, etcd_members, namespace, preflight, processes
from reconciler.lab.layout import LabLayout, NodeLayout
from reconciler.lab.record import LabRecord, children, load
from reconciler.lab.removal import remove_files
from reconciler.ports.brick import RunningProcess

CLUSTER = "quickstart"
DEFAULT_AGENT = (sys.executable, "-m", "reconciler", "agent")
_ETCD_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """How a lab is to be. `agent` are the words that start an agent; `members` is of etcd."""

    netns: bool
    etcd: Path
    members: int
    agent: Sequence[str]


def up(
    root: Path,
    *,
    nodes: int = 3,
    netns: bool = False,
    etcd_members: int = 1,
    agent: Sequence[str] = DEFAULT_AGENT,
) -> LabRecord:
    """Start a lab at `root`; an interruption or error takes down what was started.

    Args:
        root: the lab's directory, made if missing; it must be empty.
        nodes: how many nodes, 1 to 20.
        netns: give the lab a network and mount namespace of its own.
        etcd_members: how many members its etcd has, 1 to 7.
        agent: the words that start an agent; ``--config FILE --bind ADDRESS --boot-id ID`` is added.

    Raises:
        UsageError: `nodes`, `etcd_members` or `root` is out of bounds.
        EnvironmentProblem: not root, a lab is there already, a port is taken, or a program is missing.
    """
    preflight.check_request(root, nodes, etcd_members)
    preflight.check_machine()
    if not netns:
        preflight.check_ports(root, nodes)
    binary = etcd_binary.find()
    if binary.warning:
        sys.stderr.write(f"warning: {binary.warning}\n")
    layout = LabLayout(root)
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    record = LabRecord(nodes=nodes)
    try:
        record.save(layout)
        wish = _Wish(netns=netns, etcd=binary.path, members=etcd_members, agent=agent)
        return _start(layout, record, wish)
    except BaseException:
        if layout.record.exists():
            down(root)
        raise


def _start(layout: LabLayout, record: LabRecord, wish: _Wish) -> LabRecord:
    for folder in (*layout.trees, layout.mounts):
        folder.mkdir(exist_ok=True, mode=0o700)
    if wish.netns:
        with processes.uninterrupted():
            record = replace(record, keeper=namespace.create(layout.logs / "namespace.log"))
            record.save(layout)
    members = etcd_members.laid_out(layout.etcd_data, wish.members)
    record = replace(record, endpoint=etcd_members.endpoints(members))
    for member in members:
        record = record.saying(member.part, etcd_members.command(wish.etcd, member, members))
    for node in record.members(layout):
        record = record.saying(part_of(node), _agent_command(node, wish.agent))
    record.save(layout)
    for node in record.members(layout):
        disks.create(node, record.inside)
        _configure(node, record.endpoints)
    words = [*record.inside.prefix, sys.executable, "-m", "reconciler.lab.supervisor", str(layout.root)]
    with processes.uninterrupted():
        record = replace(record, supervisor=processes.spawn(words, layout.logs / "supervisor.log"))
        record.save(layout)
    _wait_for_etcd(record)
    return record


def down(root: Path) -> None:
    """End the lab at `root` and remove what it made; works on a half-started, crashed or rebooted lab too.

    Order: supervisor (with agents and etcd), stray children and stewards, client mounts, bricks and daemons,
    disks, the namespace, files.

    Raises:
        EnvironmentProblem: no lab there, a mount is busy, a process does not end, or files are not the lab's.
            Run it again afterwards.
    """
    layout, record = LabLayout(root), load(root)
    if record.supervisor is not None:
        processes.end(record.supervisor, 30.0)
    for child in children(layout).values():
        processes.end(child, 5.0)
    for node in record.members(layout):
        for stray in processes.agents_with(node.config):  # a steward whose agent was killed just now
            processes.end(stray, 5.0)
    keeper = record.inside.keeper
    disks.unmount_below(layout.mounts, record.inside)
    with processes.holding_namespace_of(keeper) as space:
        _end_all([*processes.gluster_below(root), *(processes.gluster_in(space) if space else ())])
        for node in record.members(layout):
            disks.unmount_below(node.bricks, record.inside)
        if keeper is not None:
            processes.end(keeper, 1.0)
        remove_files(layout, record.members(layout))
        _name_visitors(space)


def _end_all(running: list[RunningProcess]) -> None:
    for process in running:
        processes.send(process, signal.SIGTERM)
    for process in running:
        processes.end(process, 5.0)


def _name_visitors(space: str) -> None:
    """Say so if somebody's shell still keeps the namespaces of the ended lab open."""
    visitors = [
        f"  process {process.pid} ({' '.join(words)})"
        for process, words in processes.every()
        if space and processes.namespace_of(process.pid) == space
    ]
    if visitors:
        raise EnvironmentProblem(
            "\n".join(["the lab is gone; its namespaces go when these have left them:", *visitors])
        )


def status(root: Path) -> dict[str, str]:
    """Return the state of each part: ``running``, ``stopped`` (on request) or ``down``."""
    layout, record = LabLayout(root), load(root)
    running = children(layout)
    states = {"supervisor": "running" if processes.alive(record.supervisor) else "down"}
    for name in record.commands:
        wanted = "stopped" if (layout.stopped / name).exists() else "down"
        states[name] = "running" if name in running else wanted
    return states


def environment(root: Path) -> dict[str, str]:
    """Return the variables that point the commands at this lab."""
    urls = ",".join(f"http://{endpoint}" for endpoint in load(root).endpoints)
    return {"GLUSTER_STATE_ETCD": urls, "GLUSTER_STATE_CLUSTER": CLUSTER}


def wait_for_agents(root: Path, seconds: float = 30.0) -> None:
    """Wait until every agent has joined and reports.

    Raises:
        EnvironmentProblem: they have not in that time; the message holds the end of their logs.
    """
    record = load(root)
    ask = [*record.inside.prefix, sys.executable, "-m", "reconciler", "status", "-o", "json"]
    variables = {**os.environ, **environment(root)}
    deadline = time.monotonic() + seconds
    while True:
        done = subprocess.run(ask, env=variables, capture_output=True, text=True, check=False)  # noqa: S603 - ourselves
        nodes = json.loads(done.stdout)["nodes"] if done.returncode == 0 else []
        if sum(node["live"] for node in nodes) >= record.nodes:
            return
        if time.monotonic() > deadline:
            raise EnvironmentProblem(
                f"the agents have not joined in {seconds:.0f} s\n{log_ends(root)}".strip()
            )
        time.sleep(0.1)


def log_ends(root: Path, lines: int = 5) -> str:
    """Return the last lines that each part of the lab has written."""
    ends = []
    for log in sorted(LabLayout(root).logs.glob("*.log")):
        text = log.read_text(encoding="utf-8", errors="replace").splitlines()
        ends += [f"{log.name}: {line}" for line in text[-lines:]]
    return "\n".join(ends)


def inside(root: Path) -> list[str]:
    """Return the words to put before a command so that it runs in the lab's namespaces."""
    return load(root).inside.prefix


def holding_namespace(root: Path) -> AbstractContextManager[str]:
    """Give the lab's mount namespace; see `processes.holding_namespace_of`."""
    return processes.holding_namespace_of(load(root).inside.keeper)


def stop(root: Path, target: str) -> None:
    """End an etcd or agent and keep it down until `start`; a brick is ended once (its policy decides)."""
    if not target.startswith("brick:"):
        (LabLayout(root).stopped / _child_name(root, target)).touch()
    for process in targets(root, target):
        processes.end(process, 10.0)


def start(root: Path, target: str) -> None:
    """Let the supervisor run an etcd or agent again."""
    (LabLayout(root).stopped / _child_name(root, target)).unlink(missing_ok=True)


def kill(root: Path, target: str) -> None:
    """Send SIGKILL to a part.

    That is ``etcd`` (``etcd:N`` of several members), ``agent:N``, or ``brick:VOL:N`` for VOL's on node N.

    Raises:
        UsageError: no such target runs.
    """
    found = targets(root, target)
    if not found:
        raise UsageError(f"{target} does not run in the lab at {root}")
    for process in found:
        processes.send(process, signal.SIGKILL)


def targets(root: Path, target: str) -> list[RunningProcess]:
    """Return the running processes that a target names; raises UsageError if it can name none."""
    match target.split(":"):
        case ["brick", volume, number]:
            node = load(root).member(LabLayout(root), node_number(number))
            return [process for process, _ in processes.bricks_of(volume, node.home)]
        case _:
            process = children(LabLayout(root)).get(_child_name(root, target))
            return [] if process is None else [process]


def part_of(node: NodeLayout) -> str:
    """Return the name of a node's agent among the lab's parts."""
    return f"agent-{node.number}"


def node_number(text: str) -> int:
    """Read a node's number; raises UsageError if it is none."""
    if not (text.isascii() and text.isdecimal()):
        raise UsageError(f"not a node number: {text!r}")
    return int(text)


def _child_name(root: Path, target: str) -> str:
    name = target.replace(":", "-")
    if name not in load(root).commands:
        raise UsageError(f"unknown target {target!r}", hint="etcd, etcd:N, agent:N or brick:VOL:N")
    return name


def new_boot(command: Sequence[str]) -> list[str]:
    """Return an agent's command line for a machine that has just booted.

    A lab's nodes share one kernel and so one boot id, which an agent would otherwise go by.
    """
    words = list(command)
    if "--boot-id" in words:
        at = words.index("--boot-id")
        del words[at : at + 2]
    return [*words, "--boot-id", str(uuid.uuid4())]


def _agent_command(node: NodeLayout, agent: Sequence[str]) -> list[str]:
    return new_boot([*agent, "--config", str(node.config), "--bind", node.address])


def _configure(node: NodeLayout, endpoints: Sequence[str]) -> None:
    for folder in node.folders.values():
        folder.mkdir(exist_ok=True, mode=0o700)
    lines = [
        f'cluster = "{CLUSTER}"', f'peer = "{node.peer}"', f'address = "{node.address}"',
        f"etcd = {json.dumps(endpoints)}",
        *(f'{kind} = "{path}"' for kind, path in node.folders.items()),
        f"steward = {'true' if node.number <= 2 else 'false'}",
    ]  # fmt: skip
    node.config.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _wait_for_etcd(record: LabRecord) -> None:
    url = f"http://{record.endpoints[0]}/health"  # healthy: its cluster has a leader
    probe = (
        "import sys, urllib.request as r; sys.exit(b'true' not in r.urlopen(sys.argv[1], timeout=2).read())"
    )
    deadline = time.monotonic() + _ETCD_S
    command = [*record.inside.prefix, sys.executable, "-c", probe, url]
    while subprocess.run(command, capture_output=True, check=False).returncode != 0:  # noqa: S603 - our own interpreter
        if time.monotonic() > deadline:
            raise EnvironmentProblem(f"etcd does not answer on {record.endpoint} (see DIR/log/etcd.log)")
        time.sleep(0.2)
