"""``gluster-state plan``: observe, compare, and show what an apply would do. Changes nothing."""

from __future__ import annotations

import contextlib
from typing import Any

import click

from reconciler.cli import saved
from reconciler.cli.app import App, current_app
from reconciler.cli.declaration import require
from reconciler.cli.flags import allow, connection, connection_of, examples, files, flag, output
from reconciler.cli.modes import modes, modes_of
from reconciler.cli.render_plan import saved_lines
from reconciler.cli.show import answer
from reconciler.model.cluster import Desired
from reconciler.model.report import Connection
from reconciler.plan.document import exit_code
from reconciler.plan.step import Plan


@click.command(
    epilog=examples(
        "gluster-state plan -f cluster.yaml",
        "gluster-state plan -f clusters/prod --out prod.plan --detailed-exitcode",
    )
)
@files
@allow
@modes
@flag("--out", metavar="FILE", help="Save the plan, to be applied exactly as shown.")
@flag("--detailed-exitcode", is_flag=True, help="Exit 2 if there are changes.")
@connection
@output("text", "json", "ndjson")
def plan(
    paths: tuple[str, ...],
    file: tuple[str, ...],
    allow: tuple[str, ...],
    out: str | None,
    detailed_exitcode: bool,
    form: str,
    **link: Any,
) -> int:
    """Show what an apply would do: changes, order, undo, risks. Changes nothing.

    Exits 0 (also with changes or faults, unless --detailed-exitcode: then 2), 3 if something is blocked,
    10 if too little could be observed.
    """
    app = current_app()
    desired = modes_of(link).over(require((*paths, *file), app, warn=form != "text"))
    made = make(desired, connection_of(link, desired.spec.name), allow, app)
    answer(made, form, app)
    if out:
        saved.save(made, out)
        lines = saved_lines(made, out, app.out)
        app.say(lines) if form == "text" else app.note(lines)
    code = exit_code(made)
    return 0 if code == 2 and not detailed_exitcode else code


def make(desired: Desired, link: Connection, allow: tuple[str, ...], app: App) -> Plan:
    """Observe and plan."""
    app.show_transient("connecting …")
    with contextlib.closing(app.connect(link)) as session:
        app.show_transient("observing …")
        made = session.plan(desired, allow=allow, progress=app.observing)
    app.clear()
    return made
