"""``gluster-state drift``: what is live and not as configured. Changes nothing."""

from __future__ import annotations

import contextlib
from typing import Any

import click

from reconciler.cli import render_drift
from reconciler.cli.app import current_app
from reconciler.cli.declaration import require
from reconciler.cli.flags import connection, connection_of, examples, files, output


@click.command(
    epilog=examples(
        "gluster-state drift --cluster prod",
        "gluster-state drift -f clusters/prod -o json",
    )
)
@files
@connection
@output("text", "json")
def drift(paths: tuple[str, ...], file: tuple[str, ...], form: str, **link: Any) -> int:
    """Find faults, changed settings and changed topology. Changes nothing.

    A declaration is not needed; with one, its ignoreDrift counts and unmanaged objects are listed.
    Exits 0 none, 2 drift, 10 if something could not be observed.
    """
    app = current_app()
    given = (*paths, *file)
    desired = require(given, app) if given else None
    link_to = connection_of(link, desired.spec.name if desired else None)
    with contextlib.closing(app.connect(link_to)) as session:
        app.show_transient("observing …")
        found = session.drift(desired, progress=app.observing)
    if form == "json":
        app.clear()
        app.answer(render_drift.as_json(found))
    else:
        app.say(render_drift.render(found, app.out))
    return render_drift.exit_code(found)
