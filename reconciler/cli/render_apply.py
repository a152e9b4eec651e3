"""An apply for people: one line per step as it ends, the turn, the rollback, the outcome. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.cli.style import Style, paint, seconds
from reconciler.model.report import (
    ApplyResult,
    Outcome,
    PartReport,
    PartState,
    ProgressEvent,
    ProgressKind,
)

_UNDO = (ProgressKind.UNDO_STARTED, ProgressKind.UNDONE, ProgressKind.UNDO_FAILED)


def progress(event: ProgressEvent, style: Style) -> list[str]:
    """Return the lines for one event; none for a mere start (see `transient`)."""
    match event.kind:
        case ProgressKind.STARTED | ProgressKind.UNDO_STARTED:
            return []
        case ProgressKind.NOTE | ProgressKind.ROLLING_BACK:
            return _sentence(event)
        case ProgressKind.WAITING:
            return _waiting(event, style)
        case ProgressKind.DONE | ProgressKind.UNDONE:
            facts = f"{event.text} " if event.text else ""
            return [f"{_step(event)} … {facts}{paint('done', 'green')} {seconds(event.seconds)}"]
        case ProgressKind.PASSED:
            return [f"{_step(event)} … {paint('passed over', 'yellow')}: {event.text}"]
        case ProgressKind.FAILED | ProgressKind.UNDO_FAILED:
            return _failure(event, style)


def _sentence(event: ProgressEvent) -> list[str]:
    if event.kind is ProgressKind.NOTE:
        return [event.text]
    return ["", paint("Rolling back", "yellow") + (f": {event.text}" if event.text else "")]


def _waiting(event: ProgressEvent, style: Style) -> list[str]:
    if event.step is None:
        return style.wrap(f"waiting: {event.text}")
    line = f"{_step(event)} … {seconds(event.seconds)}"
    return [line, *style.wrap(f"waiting: {event.text}", " " * 8)]


def transient(event: ProgressEvent) -> str:
    """Return the line that a terminal shows until the step ends; empty if there is none."""
    if event.kind in (ProgressKind.STARTED, ProgressKind.UNDO_STARTED):
        return f"{_step(event)} …"
    return ""


def _step(event: ProgressEvent) -> str:
    word = "undo " if event.kind in _UNDO else ""
    where = f" on {event.peer}" if event.peer else ""
    what = " ".join(part for part in (event.op, event.address or "") if part)
    number = f"[{event.step}/{event.total}] " if event.step is not None else ""
    return f"{number}{word}{what}{where}"


def _failure(event: ProgressEvent, style: Style) -> list[str]:
    if event.kind is ProgressKind.UNDO_FAILED:
        return [f"{_step(event)} … {paint('FAILED', 'red')}: {event.text}"]
    where = f" on {event.peer}" if event.peer else ""
    title = f' "{event.title}"' if event.title else ""
    return [
        f"{_step(event)} … {paint('FAILED', 'red')} after {seconds(event.seconds)}",
        "",
        paint("Error", "red") + f": step {event.step}{title} failed{where}:",
        *style.wrap(event.text or "no reason was given", "  "),
    ]


_PARTS = {
    PartState.COMMITTED: ("applied", "green"),
    PartState.ROLLED_BACK: ("rolled back", "yellow"),
    PartState.STUCK: ("stuck", "red"),
    PartState.OPEN: ("open", "cyan"),
}


def parts(reports: Sequence[PartReport], style: Style) -> list[str]:
    """Return where the parts of a plan stand: by state, with the reason of each that is not applied."""
    lines: list[str] = []
    for state, (word, colour) in _PARTS.items():
        found = [report for report in reports if report.state is state]
        if found and state is PartState.COMMITTED:
            lines += style.wrap(f"{paint(word, colour)}: {', '.join(r.address for r in found)}", "  ")
            continue
        for report in found:
            why = f": {report.reason}" if report.reason else ""
            lines += style.wrap(f"{paint(word, colour)}: {report.address}{why}", "  ")
    return lines


_ENDS = {
    Outcome.NOTHING: ("Nothing to do", "green"),
    Outcome.COMMITTED: ("Applied", "green"),
    Outcome.ROLLED_BACK: ("Apply FAILED, rolled back completely", "yellow"),
    Outcome.PARTLY: ("Apply FAILED in part: what failed was rolled back, the rest is applied", "yellow"),
    Outcome.STUCK: ("Apply FAILED, not fully rolled back", "red"),
    Outcome.STOPPED: ("Stopped at a safe point", "yellow"),
    Outcome.PAUSED: ("Paused", "yellow"),
    Outcome.HANDED_OVER: ("Handed over: another process continues", "yellow"),
}


def result(end: ApplyResult, style: Style) -> list[str]:
    """Return the closing lines: outcome, what is true now, what is left to decide."""
    word, colour = _ENDS[end.outcome]
    if end.outcome is Outcome.COMMITTED and end.exit_code:
        word, colour = f"Applied, but not {'seen' if end.converged is None else 'converged'}", "yellow"
    if end.outcome is Outcome.ROLLED_BACK and end.exit_code == 0:
        word, colour = "Rolled back", "green"
    took = f" in {seconds(end.seconds)}" if end.seconds else ""
    lines = ["", paint(word, colour) + took + ". " + end.message]
    lines += [f"  still different: {text}" for text in end.remaining]
    if len(end.parts) > 1 and end.outcome is not Outcome.COMMITTED:
        lines += parts(end.parts, style)
    if end.decisions:
        name = f"Transaction {end.txn}" if end.txn else "The transaction"
        lines.append(f"{name} is open:")
        width = max(len(words) for words, _ in end.decisions)
        lines += [f"  {words:<{width}}   {command}" for words, command in end.decisions]
    elif end.txn and style.hints and end.outcome is not Outcome.COMMITTED:
        lines.append(f"Journal: gluster-state txn show {end.txn}")
    return lines
