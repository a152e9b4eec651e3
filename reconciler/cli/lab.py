"""``gluster-state lab``: a real cluster on one machine, for learning and for tests."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from reconciler.cli.flags import examples
from reconciler.lab import control, faults
from reconciler.lab.layout import DEFAULT_DIR

_dir = click.option(
    "--dir", "root", type=click.Path(path_type=Path), default=DEFAULT_DIR, show_default=True,
    help="The lab's directory.",
)  # fmt: skip

_TARGETS = ("etcd", "etcd:N", "agent:N", "brick:VOL:N")


@click.group(
    epilog=examples(
        "gluster-state lab up",
        'eval "$(gluster-state lab env)"',
        "gluster-state status",
        "gluster-state lab down",
    )
)
def lab() -> None:
    """Run a real cluster on this one machine: etcd, agents, and a loop-mounted disk for each. Needs root."""


@lab.command(
    epilog=examples(
        "gluster-state lab up",
        "gluster-state lab up --netns --dir /run/mine",
    )
)
@click.option("--nodes", default=3, show_default=True, help="How many nodes, 1 to 20.")
@click.option("--etcd-members", default=1, show_default=True, help="How many members its etcd has, 1 to 7.")
@click.option("--netns", is_flag=True, help="Give it a network and mount namespace of its own.")
@_dir
def up(root: Path, nodes: int, etcd_members: int, netns: bool) -> None:
    """Start etcd, the agents and their disks."""
    record = control.up(root, nodes=nodes, netns=netns, etcd_members=etcd_members)
    try:
        control.wait_for_agents(root)
    except BaseException:  # the message holds what the agents said; half a lab would be in the way
        control.down(root)
        raise
    where = "" if root == DEFAULT_DIR else f" --dir {root}"
    click.echo(f"lab of {record.nodes} nodes at {root}, etcd at {record.endpoint}")
    if netns:
        click.echo(f"next: gluster-state lab exec{where} -- gluster-state status")
    else:
        click.echo(f'next: eval "$(gluster-state lab env{where})"')


@lab.command(
    short_help="End the lab and remove what it made.",
    epilog=examples("gluster-state lab down", "gluster-state lab down --dir /run/mine"),
)
@_dir
def down(root: Path) -> None:
    """End the lab and remove what it made; files of others there are named and kept."""
    control.down(root)


@lab.command(epilog=examples("gluster-state lab status"))
@_dir
def status(root: Path) -> None:
    """Show which parts run."""
    for name, state in control.status(root).items():
        click.echo(f"{name:<12} {state}")


@lab.command(epilog=examples('eval "$(gluster-state lab env)"'))
@_dir
def env(root: Path) -> None:
    """Print shell exports that point the commands at the lab."""
    for name, value in control.environment(root).items():
        click.echo(f"export {name}={value}")


@lab.command(
    "exec",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog=examples("gluster-state lab exec -- gluster-state plan -f cluster.yaml --detailed-exitcode"),
)
@_dir
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def execute(root: Path, command: tuple[str, ...]) -> None:
    """Run a command inside the lab, its words and exit code untouched.

    It finds the gluster-state of this lab on its PATH, after whatever is there already.
    """
    words = [*control.inside(root), *command]
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)])
    variables = {**os.environ, "PATH": path, **control.environment(root)}
    os.execvpe(words[0], words, variables)  # noqa: S606 - running it is the purpose


@lab.command(
    short_help="Do to nodes what a reboot does.",
    epilog=examples("gluster-state lab reboot", "gluster-state lab reboot 1 2"),
)
@click.argument("nodes", nargs=-1, type=int, metavar="[N]...")
@_dir
def reboot(root: Path, nodes: tuple[int, ...]) -> None:
    """Do to nodes (all, if none is named) what a reboot does: kill everything, mount again, start agents."""
    faults.reboot(root, nodes)


@lab.group("break", epilog=examples("gluster-state lab break disk 2", "gluster-state lab break port home:1"))
def broken() -> None:
    """Break something, for real."""


@broken.command("disk", epilog=examples("gluster-state lab break disk 2"))
@click.argument("node", type=int)
@_dir
def disk(root: Path, node: int) -> None:
    """Pull the disk of a node: its mount and its bricks are gone."""
    faults.break_disk(root, node)
    click.echo(f"undo: gluster-state lab reboot {node}")


@broken.command(
    "swap",
    short_help="Put the disks of two nodes into each other's place.",
    epilog=examples("gluster-state lab break swap 1 2"),
)
@click.argument("one", type=int)
@click.argument("other", type=int)
@_dir
def swap(root: Path, one: int, other: int) -> None:
    """Put the disks of two nodes into each other's place; their bricks are gone."""
    faults.swap_disks(root, one, other)
    click.echo(f"undo: gluster-state lab reboot {one} {other}")


@broken.command("port", epilog=examples("gluster-state lab break port home:1"))
@click.argument("brick", metavar="VOL:N")
@_dir
def port(root: Path, brick: str) -> None:
    """Kill the brick of VOL on node N and take its port."""
    volume, _, number = brick.rpartition(":")
    address, pid = faults.take_port(root, volume, control.node_number(number))
    click.echo(f"{address} is taken by process {pid}\nundo: kill {pid}")


def _on_target(name: str, text: str, *targets: str) -> None:
    """Add the command `name`, which acts on one TARGET of those forms."""
    words = f"{', '.join(targets[:-1])} or {targets[-1]}"

    @lab.command(
        name,
        short_help=f"{text}.",
        help=f"{text}: {words} (N: the node's number).",
        epilog=examples(f"gluster-state lab {name} agent:2"),
    )
    @_dir
    @click.argument("target")
    def act(root: Path, target: str) -> None:
        {"stop": control.stop, "start": control.start, "kill": control.kill}[name](root, target)


_on_target("stop", "End a part and keep it down (a brick: as its restart policy says)", *_TARGETS)
_on_target("start", "Let a stopped part run again", *_TARGETS[:3])
_on_target("kill", "Send SIGKILL to a part", *_TARGETS)
