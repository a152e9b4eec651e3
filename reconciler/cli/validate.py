"""``gluster-state validate``: every error of a declaration at once, without a cluster."""

from __future__ import annotations

import time

import click

from reconciler.cli import render_diagnostics
from reconciler.cli.app import current_app
from reconciler.cli.declaration import read
from reconciler.cli.flags import examples, files, output
from reconciler.cli.style import paint
from reconciler.diagnostics import Severity
from reconciler.errors import DesiredStateError


@click.command(
    epilog=examples(
        "gluster-state validate cluster.yaml",
        "gluster-state validate -f clusters/prod -o github",
    )
)
@files
@output("text", "json", "github")
def validate(paths: tuple[str, ...], file: tuple[str, ...], form: str) -> int:
    """Check a declaration: YAML, schema, rules across objects, options. Offline."""
    start = time.perf_counter()
    app = current_app()
    declaration = read((*paths, *file), app)
    found = declaration.findings
    if form == "json":
        app.answer(render_diagnostics.as_json(found, declaration.sources()))
    elif form == "github":
        app.say(render_diagnostics.as_github(found))
    else:
        app.say(render_diagnostics.render(found, declaration.sources(), app.out))
        tally = render_diagnostics.tally(found, len(declaration.files), time.perf_counter() - start)
        valid = not render_diagnostics.count(found, Severity.ERROR)
        app.say([tally if found else paint("Valid", "green") + f": {tally}"] if valid else [tally])
    return 0 if declaration.desired else DesiredStateError.exit_code
