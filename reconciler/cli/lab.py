"""``gluster-state lab``: a real cluster on one machine, for learning and for tests."""

from __future__ import annotations

import os
from pathlib import Path

import click

from reconciler.lab import control
from reconciler.lab.layout import DEFAULT_DIR

_dir = click.option("--dir", "root", type=click.Path(path_type=Path), default=DEFAULT_DIR, show_default=True)


@click.group()
def lab() -> None:
    """Run a real cluster on this one machine."""


@lab.command()
@click.option("--nodes", default=3, show_default=True, help="how many nodes")
@click.option("--netns", is_flag=True, help="use a network and mount namespace of its own")
@_dir
def up(root: Path, nodes: int, netns: bool) -> None:
    """Start etcd, N agents and their disks."""
    record = control.up(root, nodes=nodes, netns=netns)
    click.echo(f"lab of {record.nodes} nodes at {root}, etcd {record.endpoint}")
    click.echo(f'next: eval "$(gluster-state lab env --dir {root})"')


@lab.command()
@_dir
def down(root: Path) -> None:
    """End the lab and remove what it made."""
    control.down(root)


@lab.command()
@_dir
def status(root: Path) -> None:
    """Show which parts run."""
    for name, state in control.status(root).items():
        click.echo(f"{name:<12} {state}")


@lab.command()
@_dir
def env(root: Path) -> None:
    """Print shell exports that point the commands at the lab."""
    for name, value in control.environment(root).items():
        click.echo(f"export {name}={value}")


@lab.command("exec", context_settings={"ignore_unknown_options": True})
@_dir
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def execute(root: Path, command: tuple[str, ...]) -> None:
    """Run a command inside the lab."""
    words = [*control.inside(root), *command]
    os.execvpe(words[0], words, {**os.environ, **control.environment(root)})  # noqa: S606 - running it is the purpose


def _on_target(name: str, text: str) -> None:
    """Add the command `name`, which acts on one TARGET."""

    @lab.command(name, help=f"{text}: etcd, agent:N or brick:VOL:N.")
    @_dir
    @click.argument("target")
    def act(root: Path, target: str) -> None:
        {"stop": control.stop, "start": control.start, "kill": control.kill}[name](root, target)


_on_target("stop", "End a part and keep it down")
_on_target("start", "Let a stopped part run again")
_on_target("kill", "Send SIGKILL to a part")
