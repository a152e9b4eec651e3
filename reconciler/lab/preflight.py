"""What must be true of this machine before a lab comes up: said plainly, before anything is touched."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

from reconciler.adapters.tcp_ports import TcpPorts
from reconciler.errors import EnvironmentProblem, UsageError
from reconciler.lab.layout import MAX_DIR_LENGTH, MAX_MEMBERS, MAX_NODES, LabLayout
from reconciler.lab.processes import alive
from reconciler.lab.record import load
from reconciler.wire.programs import VOLFILE_PORT


def check_request(root: Path, nodes: int, etcd_members: int) -> None:
    """Refuse a lab that cannot be, or whose directory is not free.

    Raises:
        UsageError: `nodes`, `etcd_members` or `root` is out of bounds.
        EnvironmentProblem: not root, or there is something in `root`.
    """
    if not 1 <= nodes <= MAX_NODES:
        raise UsageError(f"--nodes must be 1 to {MAX_NODES}")
    if not 1 <= etcd_members <= MAX_MEMBERS:
        raise UsageError(f"--etcd-members must be 1 to {MAX_MEMBERS}")
    if not root.is_absolute() or len(os.fsencode(root)) > MAX_DIR_LENGTH:
        raise UsageError(f"--dir must be an absolute path of at most {MAX_DIR_LENGTH} bytes (unix sockets)")
    if os.geteuid() != 0:
        raise EnvironmentProblem("a lab mounts filesystems: root is needed", hint="run the command as root")
    if LabLayout(root).record.exists():
        what = (
            "a lab runs there already" if alive(load(root).supervisor) else "the remains of a lab are there"
        )
        raise EnvironmentProblem(f"{root}: {what}", hint=f"gluster-state lab down --dir {root}")
    with contextlib.suppress(FileNotFoundError):
        if any(root.iterdir()):
            raise EnvironmentProblem(f"{root} is not empty and not a lab's: nothing was touched")


def check_machine() -> None:
    """Refuse a machine without what mounting bricks and volumes takes.

    Raises:
        EnvironmentProblem: a device is missing, as in a container that was not given it.
    """
    for device, purpose in (("/dev/loop-control", "mount disk images"), ("/dev/fuse", "mount volumes")):
        if not Path(device).exists():
            raise EnvironmentProblem(
                f"there is no {device} here, which it takes to {purpose}",
                hint="load the kernel module, or give the container that device",
            )


def busy_address(root: Path, nodes: int) -> tuple[str, str] | None:
    """Return the first node address whose volfile port is taken, and by which process; None if none is."""
    ports = TcpPorts()
    for number in range(1, nodes + 1):
        address = LabLayout(root).node(number).address
        holder = ports.port_holder(address, VOLFILE_PORT)
        if holder:
            return f"{address}:{VOLFILE_PORT}", holder
    return None


def check_ports(root: Path, nodes: int) -> None:
    """Refuse if a node's volfile port is taken.

    Raises:
        EnvironmentProblem: with the address and the process.
    """
    busy = busy_address(root, nodes)
    if busy is not None:
        address, holder = busy
        raise EnvironmentProblem(
            f"{address} is taken by {holder}",
            hint="End it, or give the lab a network of its own: gluster-state lab up --netns",
        )


def free_ports(count: int) -> tuple[int, ...]:
    """Return TCP ports of 127.0.0.1 that are free now, no two the same."""
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(contextlib.closing(socket.socket())) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return tuple(probe.getsockname()[1] for probe in probes)
