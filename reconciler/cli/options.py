"""``gluster-state options``: what options there are, what they mean, and where that is known from."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler.cli.app import current_app
from reconciler.cli.flags import examples, flag, output

_FOLDER = "GlusterFS's xlator folder, such as /usr/lib/x86_64-linux-gnu/glusterfs/10.3/xlator."


@click.group(
    epilog=examples(
        "gluster-state options dump > 10.3.json",
    )
)
def options() -> None:
    """List and explain volume options; read them out of GlusterFS's libraries."""


@options.command(
    epilog=examples(
        "gluster-state options dump > 10.3.json",
        "gluster-state options dump --xlator-dir /usr/lib/x86_64-linux-gnu/glusterfs/10.3/xlator",
    )
)
@flag("--xlator-dir", "folder", metavar="DIR", help=f"{_FOLDER} Default: that of the installed glusterfs.")
@output("json")
def dump(folder: str | None, form: str) -> int:  # noqa: ARG001 - -o is there for scripts; JSON is the one form
    """Write the catalogue of an installed version: every option of every library.

    Each library is loaded in a process of its own and read from its file as well; both must tell the same.
    One that cannot be read is reported on stderr, the others are written, and the exit code is 1.
    """
    from reconciler.adapters.xlator_directory import (  # noqa: PLC0415 - list and explain need no library
        installed_directory,
        read_directory,
    )
    from reconciler.catalogue.document import write_catalogue  # noqa: PLC0415 - as above

    app = current_app()
    found = read_directory(Path(folder) if folder else installed_directory())
    app.note(f"Note: {path}: {text}" for path, text in sorted(found.notes.items()))
    app.note(f"Error: {path}: {text}" for path, text in sorted(found.errors.items()))
    click.echo(write_catalogue(found.catalogue), nl=False)
    return 1 if found.errors else 0
