"""The entry point. Imports nothing but the standard library until it knows that it has to.

`--version` is asked by scripts, often and in loops: it is answered before click is imported (deps.md 7).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from reconciler import __version__
from reconciler.cli import streams


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command line and end the process with its exit code (docs/exit-codes.md)."""
    words = list(sys.argv[1:] if argv is None else argv)
    streams.open_closed()
    if words == ["--version"]:
        try:
            sys.stdout.write(f"gluster-state {__version__}\n")
            sys.stdout.flush()
        except OSError as exc:
            sys.exit(streams.unwritten(exc))
        sys.exit(0)
    from reconciler.cli.root import run  # noqa: PLC0415 - the fast path above must not pay for click

    sys.exit(run(words))
