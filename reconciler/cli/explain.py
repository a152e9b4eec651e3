"""``gluster-state explain``: what a risk code means, and what a field of the declaration is for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import click

from reconciler.cli.app import current_app
from reconciler.cli.flags import examples, output
from reconciler.cli.style import Style, paint, table
from reconciler.errors import UsageError
from reconciler.plan.codes import CODES, RiskCode

_CODE = re.compile(r"GS[0-9]{3}", re.IGNORECASE)
_DEPTH = 16  #: most names in a path


@click.command(
    epilog=examples(
        "gluster-state explain",
        "gluster-state explain GS205",
        "gluster-state explain volume.bricks",
    )
)
@click.argument("subject", required=False)
@output("text", "json")
def explain(subject: str | None, form: str) -> int:
    """Explain a risk code (GS101) or a field of the declaration (volume.deletionPolicy).

    Without SUBJECT all codes are listed.
    """
    app = current_app()
    if subject is None or _CODE.fullmatch(subject):
        codes = tuple(CODES.values()) if subject is None else (_code(subject.upper()),)
        if form == "json":
            app.answer([_json(code) for code in codes])
        elif subject is None:
            app.say(table([[code.code, code.risk, code.title] for code in codes], indent=""))
        else:
            app.say(_code_lines(codes[0], app.out))
        return 0
    from reconciler.desired.published import schema  # noqa: PLC0415 - codes do not need it

    whole = schema(app.features())
    field = _field(subject, whole)
    if form == "json":
        app.answer(field)
    else:
        app.say(_field_lines(subject, field, whole, app.out))
    return 0


def _code(name: str) -> RiskCode:
    if name not in CODES:
        raise UsageError(f"there is no code {name}", hint="all codes: gluster-state explain")
    return CODES[name]


def _json(code: RiskCode) -> dict[str, str]:
    return {
        "code": code.code, "class": code.risk, "title": code.title, "text": code.text, "remedy": code.remedy,
    }  # fmt: skip


def _code_lines(code: RiskCode, style: Style) -> list[str]:
    return [
        paint(f"{code.code}: {code.title}", "bold") + f"   ({code.risk})",
        "",
        *style.wrap(code.text, "  "),
        "",
        *style.wrap(f"What to do: {code.remedy}", "  "),
    ]


# ---------------------------------------------------------------- fields


def _field(subject: str, whole: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of a field named by a path such as ``volume.restart`` or ``cluster.spec.peers``."""
    names = subject.split(".")
    roots = {name.removesuffix("Document"): name for name in whole["$defs"] if name.endswith("Document")}
    start = whole["$defs"].get(names[0]) or whole["$defs"].get(roots.get(names[0], ""))
    if start is None or len(names) > _DEPTH:
        owners = sorted(root for root in roots if names[0] in _children(whole["$defs"].get(root, {}), whole))
        close = [f"{owner}.{subject}" for owner in owners]
        hint = (
            f"did you mean {' or '.join(close)}?"
            if close
            else f"begin with one of: {', '.join(sorted(roots))}"
        )
        raise UsageError(f"nothing is known of {subject!r}", hint=hint)
    found: Mapping[str, Any] = start
    for index, name in enumerate(names[1:], start=1):
        children = _children(found, whole)
        if name not in children:
            known = ", ".join(sorted(children)) or "none"
            raise UsageError(f"{'.'.join(names[:index])} has no field {name!r}", hint=f"its fields: {known}")
        found = children[name]
    return found


def _resolved(node: Mapping[str, Any], whole: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow references inside the schema; what stands next to one wins."""
    for _ in range(_DEPTH):
        if "$ref" not in node:
            break
        target = whole["$defs"][node["$ref"].rsplit("/", 1)[-1]]
        node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
    return node


def _children(node: Mapping[str, Any], whole: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the fields of an object, or of the objects in a list."""
    found: dict[str, Mapping[str, Any]] = {}
    todo = [node]
    while todo and len(found) < 1000:
        this = _resolved(todo.pop(), whole)
        for name, child in this.get("properties", {}).items():
            if isinstance(child, Mapping):
                found[name] = _resolved(child, whole)
        if isinstance(this.get("items"), Mapping):
            todo.append(this["items"])
        todo += [part for key in ("oneOf", "anyOf", "allOf") for part in this.get(key, ())]
    return found


def _field_lines(subject: str, node: Mapping[str, Any], whole: Mapping[str, Any], style: Style) -> list[str]:
    this = _resolved(node, whole)
    kind = this.get("type", "")
    lines = [paint(subject, "bold") + (f"   ({kind})" if isinstance(kind, str) and kind else "")]
    lines += style.wrap(str(this.get("description", "No description.")), "  ")
    if "enum" in this:
        lines.append(f"  one of: {', '.join(str(value) for value in this['enum'])}")
    if "default" in this:
        lines.append(f"  default: {this['default']}")
    children = _children(this, whole)
    if children:
        rows = [
            [name, str(_resolved(child, whole).get("description", ""))]
            for name, child in sorted(children.items())
        ]
        lines += ["", paint("Fields", "bold"), *table(rows)]
    return lines
