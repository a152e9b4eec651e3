"""``gluster-state schema``: the published JSON Schema, for editors and CI."""

from __future__ import annotations

import click

from reconciler.cli.app import current_app
from reconciler.cli.flags import examples
from reconciler.desired import published


@click.command(
    epilog=examples(
        "gluster-state schema > .gluster-state/cluster.v1.schema.json",
        "Then, as the first line of a YAML file:",
        "# yaml-language-server: $schema=.gluster-state/cluster.v1.schema.json",
    )
)
def schema() -> int:
    """Print the JSON Schema of declarations."""
    click.echo(published.text(current_app().features()), nl=False)
    return 0
