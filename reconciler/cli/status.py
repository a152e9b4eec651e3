"""``gluster-state status``: the cluster in a screenful."""

from __future__ import annotations

import contextlib
from typing import Any

import click

from reconciler.cli.app import current_app
from reconciler.cli.flags import connection, connection_of, examples, output
from reconciler.cli.render_status import render
from reconciler.errors import NotObserved
from reconciler.model.codec import to_json


@click.command(
    epilog=examples(
        "gluster-state status --cluster prod",
        "gluster-state status -o json | jq '.volumes[].heal_pending'",
    )
)
@connection
@output("text", "json")
def status(form: str, **link: Any) -> int:
    """Show nodes, volumes, bricks, heals, the open transaction and the lock.

    Exits 0, or 10 if a configured peer could not be seen.
    """
    app = current_app()
    with contextlib.closing(app.connect(connection_of(link))) as session:
        found = session.status()
    if form == "json":
        plain = to_json(found)
        assert isinstance(plain, dict)
        app.answer({"kind": "ClusterStatus", **plain})
    else:
        app.say(render(found, app.out))
    return NotObserved.exit_code if found.unobserved else 0
