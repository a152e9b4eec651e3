"""``gluster-state txn``: what was applied, what is being applied, and where it stands."""

from __future__ import annotations

import contextlib
from typing import Any

import click

from reconciler.cli import render_txn
from reconciler.cli.app import current_app
from reconciler.cli.flags import connection, connection_of, examples, output
from reconciler.model.codec import to_json
from reconciler.model.ids import TxnId


@click.group()
def txn() -> None:
    """Look at transactions."""


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
    with contextlib.closing(app.wiring().connect(connection_of(link))) as session:
        found = session.transactions()
    if form == "json":
        app.answer(to_json(found))
    else:
        app.say(render_txn.listing(found))
    return 0


@txn.command(
    "show",
    epilog=examples(
        "gluster-state txn show t-01J9ZM0Q8K",
    ),
)
@click.argument("txn_id", metavar="ID")
@connection
@output("text", "json")
def show_one(txn_id: str, form: str, **link: Any) -> int:
    """Show one transaction with its steps."""
    app = current_app()
    with contextlib.closing(app.wiring().connect(connection_of(link))) as session:
        found = session.transaction(TxnId(txn_id))
    if form == "json":
        app.answer(to_json(found))
    else:
        app.say(render_txn.details(found, app.out))
    return 0
