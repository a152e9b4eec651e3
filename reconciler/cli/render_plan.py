"""A plan for people: what changes, in which order, how it is undone, what is refused and why. Pure.

Every line carries its symbol and its word, so that colour never carries meaning alone. The summary is one
line, always the last before hints.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reconciler.cli.render_diagnostics import render as render_diagnostics
from reconciler.cli.render_drift import items as drift_items
from reconciler.cli.style import Style, paint, table
from reconciler.model.cluster import OnCrash, Rollback
from reconciler.model.codec import Json
from reconciler.model.ids import Address
from reconciler.plan import document
from reconciler.plan.step import Action, Attribution, Plan, PlannedChange, Step, StepClass
from reconciler.txn.state import parts_of

_LOOKS = {
    Action.ADD: ("+", "add", "green"),
    Action.CHANGE: ("~", "change", "yellow"),
    Action.REMOVE: ("-", "remove", "red"),
    Action.ADOPT: ("=", "adopt", "cyan"),
    Action.FORGET: ("x", "forget", "red"),
}


def render(plan: Plan, style: Style) -> list[str]:
    """Return the whole plan as lines."""
    if plan.empty and not plan.drift and not plan.changes:
        return [*_diagnostics(plan, style), *_unmanaged(plan), _nothing(plan)]
    sections = (
        _changes(plan.changes),
        drift_items(plan.drift, plan.observed_at, style),
        _blocked(plan, style),
        _unmanaged(plan),
        _order(plan),
        _safety(plan, style),
        _diagnostics(plan, style),
    )
    lines = [header(plan), ""]
    for section in sections:
        if section:
            lines += [*section, ""]
    return [*lines, *_needs(plan), summary_line(plan)]


def header(plan: Plan) -> str:
    """Return the first line: which cluster, which declaration, what was seen."""
    parts = [
        f"cluster {plan.cluster_name}",
        f"desired {_short(plan.desired_digest)}",
        f"etcd rev {plan.revision}",
    ]
    if plan.checked:
        parts.append(f"observed {plan.checked}")
    if plan.unobserved:
        parts.append(paint(f"NOT observed: {', '.join(plan.unobserved)}", "yellow"))
    return "   ".join(parts)


def summary_line(plan: Plan) -> str:
    """Return the one line that tools may grep: ``Plan: A to add, C to change …``."""
    counts = document.summary(plan)
    parts = [f"{counts['add']} to add", f"{counts['change']} to change", f"{counts['remove']} to remove"]
    parts += [f"{counts[key]} to {key}" for key in ("adopt", "forget") if counts[key]]
    if counts["blocked"]:
        parts.append(f"{counts['blocked']} blocked")
    back = document.rollback(plan)
    until = f"until step {back['step']}" if back["kind"] == "until" else "full"
    if plan.rollback is not Rollback.ALL and len(parts_of(plan.steps)) > 1:
        until = "each volume by itself" if plan.rollback is Rollback.CHANGE else "none"
    return f"Plan: {', '.join(parts)} · move 0 B · rollback: {until}"


def saved_lines(plan: Plan, path: str, style: Style) -> list[str]:
    """Return what is said of a plan that was written to a file."""
    lines = [
        f"Saved {path}   id {plan.plan_id}   {document.digest(plan)}   "
        f"expires {document.instant(plan.expires)} or when the cluster changes"
    ]
    if style.hints and plan.steps and not plan.blockers:
        lines.append(f"Apply it with:  gluster-state apply {path}")
    return lines


def as_lines_of_json(plan: Plan) -> Iterator[dict[str, Json]]:
    """Yield the plan document as one object per change, step, finding …, and the rest as ``summary``."""
    body = document.document(plan)
    names = {
        "changes": "change",
        "steps": "step",
        "drift": "drift",
        "blocked": "blocked",
        "diagnostics": "diagnostic",
    }
    for name, word in names.items():
        items = body.pop(name)
        assert isinstance(items, list)
        for item in items:
            yield {"type": word, "value": item}
    yield {"type": "summary", "value": body}


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12]


def _nothing(plan: Plan) -> str:
    seen = f" (checked {plan.checked})" if plan.checked else ""
    if plan.unobserved:
        return paint(
            f"Unknown: {', '.join(plan.unobserved)} could not be observed{seen}. "
            f"What was seen of cluster {plan.cluster_name} matches; the rest is not known.",
            "yellow",
        )
    return f"No changes. Cluster {plan.cluster_name} matches {_short(plan.desired_digest)}{seen}."


def _changes(changes: Sequence[PlannedChange]) -> list[str]:
    """Return the changes as an indented tree: children under the object they belong to."""
    present = {change.address for change in changes}
    children: dict[Address | None, list[PlannedChange]] = {}
    for change in changes:
        children.setdefault(change.parent if change.parent in present else None, []).append(change)
    rows: list[list[str]] = []

    def walk(parent: Address | None, depth: int) -> None:
        for change in children.get(parent, ()):
            rows.append(_row(change, depth))
            walk(change.address, depth + 1)

    walk(None, 0)
    return table(rows)


def _row(change: PlannedChange, depth: int) -> list[str]:
    symbol, word, colour = _LOOKS[change.action]
    notes = []
    if change.attribution is Attribution.DRIFT:
        notes.append("drift")
    if change.origin:
        notes.append(change.origin)
    if change.span:
        notes.append(f"{change.span.file.rpartition('/')[2]}:{change.span.line}")
    notes += [f"! {code}" for code in change.codes]
    return [
        "    " * depth + paint(f"{symbol} {change.address}", colour),
        paint(word, colour),
        change.detail,
        paint("   ".join(notes), "dim") if notes else "",
    ]


def _blocked(plan: Plan, style: Style) -> list[str]:
    lines: list[str] = []
    for blocker in plan.blockers:
        lines.append("  " + paint(f"! {blocker.address}   BLOCKED {blocker.code}: {blocker.summary}", "red"))
        for text in (blocker.detail, blocker.hint):
            if text:
                lines += style.wrap(text, " " * 6)
        if blocker.code and style.hints:
            lines.append(paint(f"      help: gluster-state explain {blocker.code}", "dim"))
    return lines


def _unmanaged(plan: Plan) -> list[str]:
    return [
        "  " + paint(f"? {address}   unmanaged", "cyan") + ": not in YAML, exists in the cluster. Left alone."
        for address in plan.unmanaged
    ]


def _order(plan: Plan) -> list[str]:
    """Return the steps in order, with the point of no return drawn where it is."""
    if not plan.steps:
        return []
    parts = parts_of(plan.steps)
    rows = [["step", "what", "on", "after", "undo"], *(_step_row(s) for p in parts for s in p.steps)]
    drawn = iter(table([[paint(cell, "bold") for cell in rows[0]], *rows[1:]]))
    lines = [next(drawn)]
    for part in parts:
        if len(parts) > 1:
            lines.append("  " + paint(f"── {part.address} ──", "bold"))
        pivot = next((s for s in part.steps if s.irrevocable), None)
        for step in part.steps:
            if step is pivot:
                of = f" of {part.address}" if len(parts) > 1 else ""
                lines.append("  " + paint(f"──── point of no return{of} ────", "red"))
            lines.append(next(drawn))
    return lines


def _step_row(step: Step) -> list[str]:
    needs = _ranges([int(need) for need in step.needs])
    undo = step.undo or ("forward only" if step.step_class is not StepClass.COMPENSATABLE else "none needed")
    title = f"{step.address}  {step.title}" if step.title else step.address
    return [f"{step.step_id:>3}", f"{step.kind}  {title}", step.peer or "store", needs or "-", undo]


def _ranges(numbers: Sequence[int]) -> str:
    """Return numbers in short, as ``1-3,5``."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in runs)


_FAILS = {
    Rollback.CHANGE: "if a volume's part fails it is rolled back; the other volumes are applied all the same",
    Rollback.ALL: "if a step fails everything is rolled back, up to the point of no return",
    Rollback.NONE: "if a volume's part fails it stays as it is then, and waits for a decision",
}
_CRASHES = {
    OnCrash.CONTINUE: "if the applying process dies a steward continues",
    OnCrash.ROLLBACK: "if the applying process dies a steward rolls back what has not been committed",
}


def _safety(plan: Plan, style: Style) -> list[str]:
    said = list(plan.safety)
    if plan.steps:
        said += [f"failure   {_FAILS[plan.rollback]}", f"crash     {_CRASHES[plan.on_crash]}"]
    if not said:
        return []
    lines = [paint("Safety", "bold")]
    for text in said:
        lines += style.wrap(text, "  ")
    return lines


def _diagnostics(plan: Plan, style: Style) -> list[str]:
    return render_diagnostics(plan.diagnostics, {}, style)


def _needs(plan: Plan) -> list[str]:
    if not plan.required_allow:
        return []
    return [f"This plan needs:  {'  '.join('--allow ' + wish for wish in plan.required_allow)}"]
