"""``gluster-state version``: this program, and the GlusterFS found on this machine."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys

import click

from reconciler import __version__
from reconciler.cli.app import current_app
from reconciler.cli.flags import examples, output

_VERSION = re.compile(r"^glusterfs (\S+)", re.MULTILINE)


@click.command(
    epilog=examples(
        "gluster-state version",
        "gluster-state --version        (the fast form)",
    )
)
@output("text", "json")
def version(form: str) -> int:
    """Print the versions of gluster-state, Python and GlusterFS."""
    app = current_app()
    found = {
        "gluster-state": __version__,
        "python": platform.python_version(),
        "glusterfs": _glusterfs() or "not found",
    }
    if form == "json":
        app.answer(found)
    else:
        app.say(f"{name:<14} {value}" for name, value in found.items())
    return 0


def _glusterfs() -> str:
    """Return the version of the glusterfsd on PATH, or an empty text."""
    binary = shutil.which("glusterfsd", path=f"{sys.prefix}/sbin:/usr/local/sbin:/usr/sbin:/usr/bin")
    if binary is None:
        return ""
    try:
        done = subprocess.run(  # noqa: S603 - a path of the system, no input
            [binary, "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    match = _VERSION.search(done.stdout)
    return match[1] if match else ""
