"""``gluster-state txn``: what was applied, what is being applied, and where it stands."""

from __future__ import annotations

import contextlib
from typing import Any

import click

from reconciler.cli import render_txn
from reconciler.cli.app import current_app
from reconciler.cli.apply import drive
from reconciler.cli.flags import connection, connection_of, examples, output
from reconciler.model.codec import to_json
from reconciler.model.ids import TxnId
from reconciler.model.report import Connection


@click.group(
    epilog=examples(
        "gluster-state txn list --cluster prod",
        "gluster-state txn rollback t-6b0618ff-19fde1e6d6 --cluster prod",
    )
)
def txn() -> None:
    """Look at transactions, and bring an open one to its end."""


@txn.command(
    "list",
    epilog=examples(
        "gluster-state txn list --cluster prod",
    ),
)
@connection
@output("text", "json")
def list_all(form: str, **link: Any) -> int:
    """List transactions, newest first."""
    app = current_app()
    with contextlib.closing(app.connect(connection_of(link))) as session:
        found = session.transactions()
    if form == "json":
        app.answer(to_json(found))
    else:
        app.say(render_txn.listing(found))
    return 0


@txn.command(
    "show",
    short_help="Show one transaction with its steps.",
    epilog=examples(
        "gluster-state txn show t-6b0618ff-19fde1e6d6",
    ),
)
@click.argument("txn_id", metavar="ID")
@connection
@output("text", "json")
def show_one(txn_id: str, form: str, **link: Any) -> int:
    """Show one transaction: its state, its reason, and every step with its node, mark and error."""
    app = current_app()
    with contextlib.closing(app.connect(connection_of(link))) as session:
        found = session.transaction(TxnId(txn_id))
    if form == "json":
        app.answer(to_json(found))
    else:
        app.say(render_txn.details(found, app.out))
    return 0


@txn.command(
    "resume",
    short_help="Go on with a paused or stuck transaction.",
    epilog=examples(
        "gluster-state txn resume t-6b0618ff-19fde1e6d6",
    ),
)
@click.argument("txn_id", metavar="ID")
@connection
@output("text", "json", "ndjson")
def resume(txn_id: str, form: str, **link: Any) -> int:
    """Go on with a paused or stuck transaction, in the direction it had.

    A stuck one goes on once what its reason names has been put right. Exits as apply does.
    """
    return _settle(txn_id, form, connection_of(link), rollback=False)


@txn.command(
    "rollback",
    short_help="Undo an open transaction.",
    epilog=examples(
        "gluster-state txn rollback t-6b0618ff-19fde1e6d6",
    ),
)
@click.argument("txn_id", metavar="ID")
@connection
@output("text", "json", "ndjson")
def roll_back(txn_id: str, form: str, **link: Any) -> int:
    """Undo an open transaction. Refused past its point of no return (exit 3).

    Exits 0 when the cluster is as it was before, 6 if an undo failed and a human must decide.
    """
    return _settle(txn_id, form, connection_of(link), rollback=True)


def _settle(txn_id: str, form: str, link: Connection, *, rollback: bool) -> int:
    app = current_app()
    with contextlib.closing(app.connect(link)) as session:
        return drive(
            lambda progress, stop: session.settle(
                TxnId(txn_id), rollback=rollback, progress=progress, stop=stop
            ),
            form,
            app,
        )
