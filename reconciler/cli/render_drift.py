"""Drift for people: faults, settings and topology told apart, each with what was expected and seen. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.cli.style import Style, counted, paint, seconds
from reconciler.model.codec import Json, to_json
from reconciler.plan.document import FORMAT_VERSION, instant
from reconciler.plan.step import DriftItem, DriftKind, Plan

_LOOKS = {
    DriftKind.FAULT: ("!", "red"),
    DriftKind.SETTING: ("~", "yellow"),
    DriftKind.TOPOLOGY: ("~", "yellow"),
}
_COUNTED = {
    DriftKind.FAULT: ("runtime fault", ""),
    DriftKind.SETTING: ("setting", " changed"),
    DriftKind.TOPOLOGY: ("topology change", ""),
}


def exit_code(plan: Plan) -> int:
    """Return 10 if something was not seen, 2 if there is drift, else 0. What is known is reported anyway."""
    if plan.unobserved:
        return 10
    return 2 if plan.drift else 0


def render(plan: Plan, style: Style) -> list[str]:
    """Return what `drift` prints."""
    applied = (
        f"last applied {instant(plan.settings.applied_at)}" if plan.settings.applied_at else "never applied"
    )
    lines = [f"cluster {plan.cluster_name}   {applied}   checked {plan.checked or 'nothing'}   read-only", ""]
    found = items(plan.drift, plan.observed_at, style)
    if found:
        lines += [*found, ""]
    lines += [
        f"  {paint(f'? peer/{peer}', 'yellow')}   not observed: nothing is known of it"
        for peer in plan.unobserved
    ]
    lines += [
        f"  {paint(f'? {address}', 'cyan')}   unmanaged: not in YAML, left alone"
        for address in plan.unmanaged
    ]
    return [*lines, _last(plan)]


def items(drift: Sequence[DriftItem], now: int, style: Style) -> list[str]:
    """Return each item with its facts; `now` is the second of the observation."""
    lines: list[str] = []
    for item in drift:
        symbol, colour = _LOOKS[item.kind]
        age = f" since {instant(item.since)} ({seconds(now - item.since)})" if 0 < item.since <= now else ""
        lines.append(
            f"  {paint(f'{symbol} {item.address}', colour)}   {item.kind.value}: {item.summary}{age}"
        )
        if item.expected or item.seen:
            lines += style.wrap(f"expected: {item.expected or '-'}   seen: {item.seen or '-'}", " " * 8)
        if item.repair:
            lines += style.wrap("an apply repairs it", " " * 8)
        if item.hint and style.hints:
            lines += style.wrap(f"next: {item.hint}", " " * 8)
    return lines


def _last(plan: Plan) -> str:
    if not plan.drift:
        if plan.unobserved:
            return f"Unknown: no drift in what was seen, but not observed: {', '.join(plan.unobserved)}"
        return f"No drift. Cluster {plan.cluster_name} is as configured (checked {plan.checked})."
    parts = []
    for kind, (word, end) in _COUNTED.items():
        number = sum(item.kind is kind for item in plan.drift)
        parts.append(counted(number, word) + end)
    parts.append(f"{len(plan.unmanaged)} unmanaged")
    return "Drift: " + ", ".join(parts)


def as_json(plan: Plan) -> dict[str, Json]:
    """Return the findings for programs."""
    return {
        "format_version": FORMAT_VERSION,
        "kind": "Drift",
        "cluster": {"name": plan.cluster_name, "id": plan.cluster_id},
        "observed_at": instant(plan.observed_at),
        "checked": plan.checked,
        "unobserved": list(plan.unobserved),
        "unmanaged": list(plan.unmanaged),
        "drift": to_json(plan.drift),
        "exit_code": exit_code(plan),
    }
