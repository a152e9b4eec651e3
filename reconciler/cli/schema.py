"""``gluster-state schema``: the published JSON Schema, for editors and CI."""

from __future__ import annotations

from importlib.resources import files

import click

from reconciler.cli.flags import examples


@click.command(
    epilog=examples(
        "gluster-state schema > .gluster-state/cluster.v1.schema.json",
        "Then, as the first line of a YAML file:",
        "# yaml-language-server: $schema=.gluster-state/cluster.v1.schema.json",
    )
)
def schema() -> int:
    """Print the JSON Schema of declarations."""
    click.echo(files("reconciler.desired").joinpath("cluster.v1.schema.json").read_bytes(), nl=False)
    return 0
