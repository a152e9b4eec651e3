"""Bring a lab up, look at it, break it, take it down. Plain functions; the commands are in `cli/lab.py`."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler.errors import EnvironmentProblem, UsageError
from reconciler.lab import disks, etcd_binary, namespace
from reconciler.lab.identity import ProcessIdentity, running_below, spawn
from reconciler.lab.layout import MAX_DIR_LENGTH, MAX_NODES, LabLayout, NodeLayout

CLUSTER = "quickstart"
GLUSTER = ("glusterfsd", "glusterfs")
DEFAULT_AGENT = (sys.executable, "-m", "reconciler", "agent")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabRecord:
    """What `lab.json` says: enough to enter the lab and to end it, also after a crash or a reboot."""

    nodes: int
    endpoint: str
    commands: dict[str, list[str]]
    keeper: ProcessIdentity | None = None
    supervisor: ProcessIdentity | None = None

    def save(self, layout: LabLayout) -> None:
        """Write the record in one rename."""
        value = {
            "version": 1,
            "nodes": self.nodes,
            "endpoint": self.endpoint,
            "commands": self.commands,
            "keeper": _stored(self.keeper),
            "supervisor": _stored(self.supervisor),
        }
        fresh = layout.record.with_suffix(".new")
        fresh.write_text(json.dumps(value, indent=1), encoding="utf-8")
        fresh.replace(layout.record)


def load(root: Path) -> LabRecord:
    """Return the record of the lab at `root`.

    Raises:
        EnvironmentProblem: there is no lab.
    """
    try:
        value = json.loads(LabLayout(root).record.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EnvironmentProblem(f"no lab at {root}", hint="gluster-state lab up") from None
    return LabRecord(
        nodes=value["nodes"],
        endpoint=value["endpoint"],
        commands=value["commands"],
        keeper=_loaded(value["keeper"]),
        supervisor=_loaded(value["supervisor"]),
    )


def up(root: Path, *, nodes: int = 3, netns: bool = False, agent: Sequence[str] = DEFAULT_AGENT) -> LabRecord:
    """Start a lab at `root`; an interruption or error takes down what was started.

    Args:
        root: the lab's directory, made if missing; it must be empty.
        nodes: how many nodes, 1 to 20.
        netns: give the lab a network and mount namespace of its own.
        agent: the words that start an agent; ``--config FILE --bind ADDRESS`` is added.

    Raises:
        UsageError: `nodes` or `root` is out of bounds.
        EnvironmentProblem: not root, a lab is there already, a port is taken, or a program is missing.
    """
    _check_request(root, nodes)
    layout = LabLayout(root)
    if not netns:
        _check_ports(layout, nodes)
    binary = etcd_binary.find()
    if binary.warning:
        sys.stderr.write(f"warning: {binary.warning}\n")
    for folder in (layout.processes, layout.stopped, layout.logs, layout.mounts, layout.etcd_data):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    record = LabRecord(nodes=nodes, endpoint="", commands={})
    record.save(layout)
    try:
        return _start(layout, record, (netns, binary.path, agent))
    except BaseException:
        down(root)
        raise


def _start(layout: LabLayout, record: LabRecord, wish: tuple[bool, Path, Sequence[str]]) -> LabRecord:
    netns, binary, agent = wish
    keeper = namespace.create(layout.logs / "namespace.log") if netns else None
    client, peer = _free_ports()
    endpoint = f"127.0.0.1:{client}"
    members = [layout.node(number) for number in range(1, record.nodes + 1)]
    commands = {"etcd": _etcd_command(layout, binary, (client, peer))}
    for node in members:
        commands[f"agent-{node.number}"] = [*agent, "--config", str(node.config), "--bind", node.address]
    record = LabRecord(nodes=record.nodes, endpoint=endpoint, commands=commands, keeper=keeper)
    record.save(layout)
    inside = namespace.prefix(keeper)
    for node in members:
        disks.create(node, inside)
        _configure(node, endpoint)
    words = [*inside, sys.executable, "-m", "reconciler.lab.supervisor", str(layout.root)]
    supervisor = ProcessIdentity.of(spawn(words, layout.logs / "supervisor.log"))
    record = LabRecord(
        nodes=record.nodes, endpoint=endpoint, commands=commands, keeper=keeper, supervisor=supervisor
    )
    record.save(layout)
    _wait_for_etcd(record)
    return record


def down(root: Path) -> None:
    """End the lab at `root` and remove what it made; works on a half-started, crashed or rebooted lab too.

    Order: supervisor (with agents and etcd), stray children, client mounts, bricks and daemons, disks, files.

    Raises:
        EnvironmentProblem: no lab there, a mount is busy, or a process does not end. Run it again afterwards.
    """
    layout, record = LabLayout(root), load(root)
    keeper = record.keeper if record.keeper is not None and record.keeper.alive() else None
    inside = namespace.prefix(keeper)
    if record.supervisor is not None:
        record.supervisor.end(30.0)
    for identity in children(layout).values():
        identity.end(5.0)
    disks.unmount_below(layout.mounts, inside)
    for identity in running_below(root, GLUSTER):
        identity.end(5.0)
    disks.unmount_below(root, inside)
    if keeper is not None:
        keeper.end(1.0)
    _remove_own_files(layout, record.nodes)


def _remove_own_files(layout: LabLayout, nodes: int) -> None:
    """Remove the files that the lab and its agents made, refusing to cross into a mounted filesystem."""
    for number in range(1, nodes + 1):
        layout.node(number).image.unlink(missing_ok=True)
    device = layout.root.stat().st_dev
    layout.record.unlink()
    for folder, _, files in os.walk(layout.root, topdown=False):
        here = Path(folder)
        if here.stat().st_dev != device:
            raise EnvironmentProblem(f"{here} is still a mounted filesystem: nothing in it was removed")
        for name in files:
            (here / name).unlink()
        for entry in list(here.iterdir()):
            if entry.is_symlink() or not entry.is_dir():
                entry.unlink()
        here.rmdir()


def children(layout: LabLayout) -> dict[str, ProcessIdentity]:
    """Return the supervised processes that run now, by name."""
    found = {}
    for file in sorted(layout.processes.glob("*.json")):
        identity = _loaded(json.loads(file.read_text(encoding="utf-8")))
        if identity is not None and identity.alive():
            found[file.stem] = identity
    return found


def status(root: Path) -> dict[str, str]:
    """Return the state of each part: ``running``, ``stopped`` (on request) or ``down``."""
    layout, record = LabLayout(root), load(root)
    running = children(layout)
    states = {"supervisor": "running" if record.supervisor and record.supervisor.alive() else "down"}
    for name in record.commands:
        wanted = "stopped" if (layout.stopped / name).exists() else "down"
        states[name] = "running" if name in running else wanted
    return states


def environment(root: Path) -> dict[str, str]:
    """Return the variables that point the commands at this lab."""
    return {"GLUSTER_STATE_ETCD": f"http://{load(root).endpoint}", "GLUSTER_STATE_CLUSTER": CLUSTER}


def inside(root: Path) -> list[str]:
    """Return the words to put before a command so that it runs in the lab's namespaces."""
    return namespace.prefix(load(root).keeper)


def stop(root: Path, target: str) -> None:
    """End an etcd or agent and keep it down until `start`; a brick is ended once (its policy decides)."""
    if not target.startswith("brick:"):
        (LabLayout(root).stopped / _child_name(root, target)).touch()
    for identity in _targets(root, target):
        identity.end(10.0)


def start(root: Path, target: str) -> None:
    """Let the supervisor run an etcd or agent again."""
    (LabLayout(root).stopped / _child_name(root, target)).unlink(missing_ok=True)


def kill(root: Path, target: str) -> None:
    """Send SIGKILL to ``etcd``, ``agent:N`` or ``brick:VOL:N`` (the brick of VOL on node N).

    Raises:
        UsageError: no such target runs.
    """
    found = _targets(root, target)
    if not found:
        raise UsageError(f"{target} does not run in the lab at {root}")
    for identity in found:
        identity.send(signal.SIGKILL)


def _targets(root: Path, target: str) -> list[ProcessIdentity]:
    match target.split(":"):
        case ["brick", volume, number]:
            home = LabLayout(root).node(_number(number)).bricks / volume
            return running_below(home, ("glusterfsd",))
        case _:
            identity = children(LabLayout(root)).get(_child_name(root, target))
            return [] if identity is None else [identity]


def _child_name(root: Path, target: str) -> str:
    name = target.replace(":", "-")
    if name not in load(root).commands:
        raise UsageError(f"unknown target {target!r}", hint="etcd, agent:N or brick:VOL:N")
    return name


def _number(text: str) -> int:
    if not text.isdecimal():
        raise UsageError(f"not a node number: {text!r}")
    return int(text)


def _check_request(root: Path, nodes: int) -> None:
    if not 1 <= nodes <= MAX_NODES:
        raise UsageError(f"--nodes must be 1 to {MAX_NODES}")
    if not root.is_absolute() or len(os.fsencode(root)) > MAX_DIR_LENGTH:
        raise UsageError(f"--dir must be an absolute path of at most {MAX_DIR_LENGTH} bytes (unix sockets)")
    if os.geteuid() != 0:
        raise EnvironmentProblem("a lab mounts filesystems: root is needed", hint="run the command as root")
    if LabLayout(root).record.exists():
        record = load(root)
        alive = record.supervisor is not None and record.supervisor.alive()
        what = "a lab runs there already" if alive else "the remains of a lab are there"
        raise EnvironmentProblem(f"{root}: {what}", hint=f"gluster-state lab down --dir {root}")
    if root.exists() and any(root.iterdir()):
        raise EnvironmentProblem(f"{root} is not empty and not a lab's: nothing was touched")


def _check_ports(layout: LabLayout, nodes: int) -> None:
    for number in range(1, nodes + 1):
        address = layout.node(number).address
        with contextlib.closing(socket.socket()) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, 24007))
            except OSError:
                holder = namespace.run(["ss", "-Hltnp", "sport = :24007"]).strip() or "unknown process"
                raise EnvironmentProblem(
                    f"{address}:24007 is taken: {holder}", hint="gluster-state lab up --netns"
                ) from None


def _free_ports() -> tuple[int, int]:
    with contextlib.closing(socket.socket()) as one, contextlib.closing(socket.socket()) as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]


def _etcd_command(layout: LabLayout, binary: Path, ports: tuple[int, int]) -> list[str]:
    client, peer = (f"http://127.0.0.1:{port}" for port in ports)
    return [
        str(binary), "--name", "lab", "--data-dir", str(layout.etcd_data),
        "--listen-client-urls", client, "--advertise-client-urls", client,
        "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"lab={peer}",
    ]  # fmt: skip


def _configure(node: NodeLayout, endpoint: str) -> None:
    folders = {kind: node.home / kind for kind in ("state", "run", "log")}
    for folder in folders.values():
        folder.mkdir(exist_ok=True, mode=0o700)
    lines = [
        f'cluster = "{CLUSTER}"', f'peer = "{node.peer}"', f'address = "{node.address}"',
        f'etcd = ["{endpoint}"]', *(f'{kind} = "{path}"' for kind, path in folders.items()),
        f"steward = {'true' if node.number <= 2 else 'false'}",
    ]  # fmt: skip
    node.config.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _wait_for_etcd(record: LabRecord) -> None:
    url = f"http://{record.endpoint}/health"
    probe = (
        "import sys, urllib.request as r; sys.exit(b'true' not in r.urlopen(sys.argv[1], timeout=2).read())"
    )
    deadline = time.monotonic() + 20
    command = [*namespace.prefix(record.keeper), sys.executable, "-c", probe, url]
    while subprocess.run(command, capture_output=True, check=False).returncode != 0:  # noqa: S603 - our own interpreter
        if time.monotonic() > deadline:
            raise EnvironmentProblem(f"etcd does not answer on {record.endpoint} (see DIR/log/etcd.log)")
        time.sleep(0.2)


def _stored(identity: ProcessIdentity | None) -> dict[str, int] | None:
    return None if identity is None else {"pid": identity.pid, "started": identity.started}


def _loaded(value: dict[str, int] | None) -> ProcessIdentity | None:
    return None if value is None else ProcessIdentity(value["pid"], value["started"])
