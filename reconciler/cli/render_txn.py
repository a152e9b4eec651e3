"""Transactions for people: the list, and one with its steps. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.cli.render_apply import parts
from reconciler.cli.style import Style, paint, table
from reconciler.model.report import TxnStep, TxnSummary
from reconciler.plan.document import instant

_STATE_COLOURS = {
    "running": "cyan",
    "rolling-back": "yellow",
    "paused": "yellow",
    "committed": "green",
    "rolled-back": "yellow",
    "partly-committed": "yellow",
    "stuck": "red",
}
_OPEN = ("paused", "stuck")  #: nothing happens until a person decides
_BAD_MARKS = ("refused", "failed", "undo-failed")


def listing(transactions: Sequence[TxnSummary]) -> list[str]:
    """Return one line per transaction, in the order given. Their steps are not read for a list."""
    if not transactions:
        return ["No transactions."]
    head = [paint(word, "bold") for word in ("transaction", "state", "started", "by", "what")]
    rows = [[txn.txn, _state(txn), instant(txn.started_at), txn.holder, txn.summary] for txn in transactions]
    return table([head, *rows], indent="")


def details(txn: TxnSummary, style: Style) -> list[str]:
    """Return one transaction with its steps."""
    lines = [
        f"transaction {txn.txn}   {_state(txn)}   {txn.done}/{txn.total} steps",
        f"  plan      {txn.plan_id}   {txn.plan_digest}",
        f"  by        {txn.holder}   taken up {txn.attempts} x",
        f"  started   {instant(txn.started_at)}   last record {instant(txn.updated_at)}",
    ]
    if txn.summary:
        lines += style.wrap(f"what      {txn.summary}", "  ")
    if txn.reason:
        lines += style.wrap(f"reason    {txn.reason}", "  ")
    if len(txn.parts) > 1:
        lines += ["", *parts(txn.parts, style)]
    if txn.steps:
        lines += ["", *table(_steps(txn))]
    for step in txn.steps:
        for text in (step.error, step.hint):
            if text:
                lines += style.wrap(f"step {step.step}: {text}", "    ")
    if txn.state in _OPEN:
        ways = (f"gluster-state txn resume {txn.txn}", f"gluster-state txn rollback {txn.txn}")
        lines += ["", f"  next: {ways[0]}     go on in the direction it had", f"        {ways[1]}   undo it"]
    return lines


def _steps(txn: TxnSummary) -> list[list[str]]:
    """Return the rows of the steps, under the names of their parts if there are several."""
    if len(txn.parts) < 2:
        return [_step(step) for step in txn.steps]
    rows: list[list[str]] = []
    for part in txn.parts:
        rows.append(["", paint(part.address, "bold"), "", "", ""])
        rows += [_step(step) for step in txn.steps if step.part == part.part]
    return rows


def _state(txn: TxnSummary) -> str:
    return paint(txn.state, _STATE_COLOURS.get(txn.state, "bold"))


def _step(step: TxnStep) -> list[str]:
    mark = step.mark or "untouched"
    colour = "red" if step.mark in _BAD_MARKS else "dim" if not step.mark else "green"
    again = f"attempt {step.attempt}" if step.attempt > 1 else ""
    return [f"{step.step:>3}", f"{step.op}  {step.address}", step.peer or "store", paint(mark, colour), again]
