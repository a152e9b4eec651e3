"""A plan as the JSON document that is saved, shown, reviewed and journalled (format version 1.1).

The document has two halves in one object: what people and pipelines read (`changes`, `safety`, `summary`,
`exit_code` …, partly computed here), and what an apply executes (`steps`, `records`, `previous`,
`settings`). `digest` is the sha256 of the canonical text without `digest` itself.

Invariant: a document is accepted only if it is, value for value, what this module would write for the plan
it describes. So no summary can say one thing and the steps do another.

Two documents made from the same input differ at most in `plan_id`, `created`, `expires`,
`base.observed_at`, and therefore in `digest`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import cast

from reconciler.diagnostics import Diagnostic, SourceSpan
from reconciler.errors import JournalError, PlanError, StalePlan
from reconciler.model import codec
from reconciler.model.codec import Json
from reconciler.plan.codes import risk_class
from reconciler.plan.reading import read_plan
from reconciler.plan.step import (
    Action,
    Attribution,
    DriftItem,
    DriftKind,
    Plan,
    PlannedChange,
    Step,
    StepClass,
)

FORMAT_VERSION = "1.1"
MAX_DOCUMENT_BYTES = 64 * 1024 * 1024  #: a plan of 100,000 steps is about half of this


# ---------------------------------------------------------------- writing


def document(plan: Plan) -> dict[str, Json]:
    """Return the plan as a JSON object, `digest` included."""
    body = _body(plan)
    body["digest"] = _digest(body)
    return body


def digest(plan: Plan) -> str:
    """Return ``sha256:HEX``, the name of this plan in journals and reviews."""
    return _digest(_body(plan))


def canonical_text(plan: Plan) -> str:
    """Return the canonical text of the document: one line, ended by a newline. Its bytes are UTF-8."""
    return codec.canonical(document(plan)) + "\n"


def _digest(body: Mapping[str, Json]) -> str:
    return "sha256:" + hashlib.sha256(codec.canonical(body).encode()).hexdigest()


def _body(plan: Plan) -> dict[str, Json]:
    ids = {f"volume/{r.name}": r.volume_id for r in (*plan.previous.values(), *plan.volumes.values())}
    return {
        "format_version": FORMAT_VERSION,
        "kind": "Plan",
        "plan_id": plan.plan_id,
        "tool_version": plan.tool_version,
        "created": instant(plan.created),
        "expires": instant(plan.expires),
        "cluster": {"name": plan.cluster_name, "id": plan.cluster_id},
        "source": codec.to_json(plan.source),
        "desired_digest": plan.desired_digest,
        "base": {
            "etcd_revision": plan.revision,
            "live_sha256": plan.observation,
            "observed_at": instant(plan.observed_at),
            "unobserved": list(plan.unobserved),
            "checked": plan.checked,
            "read_set": [{"key": key.address, "mod_revision": key.mod_revision} for key in plan.read_set],
        },
        "changes": [_change(change, ids.get(change.address)) for change in plan.changes],
        "steps": [_step(step) for step in plan.steps],
        "records": {key: codec.to_json(record) for key, record in plan.volumes.items()},
        "previous": {key: codec.to_json(record) for key, record in plan.previous.items()},
        "settings": codec.to_json(plan.settings),
        "safety": {
            "rollback": rollback(plan),
            "on_crash": plan.on_crash.value,
            "required_allow": list(plan.required_allow),
            "notes": list(plan.safety),
        },
        "drift": codec.to_json(plan.drift),
        "blocked": codec.to_json(plan.blockers),
        "unmanaged": list(plan.unmanaged),
        "diagnostics": [diagnostic_json(d) for d in plan.diagnostics],
        **_verdict(plan),
    }


def _verdict(plan: Plan) -> dict[str, Json]:
    return {
        "summary": cast("Json", summary(plan)),
        "applyable": bool(plan.steps) and not plan.blockers,
        "complete": not plan.unobserved,
        "errored": False,
        "exit_code": exit_code(plan),
    }


def instant(second: int) -> str:
    """Return a wall-clock second as RFC 3339 text in UTC."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def summary(plan: Plan) -> dict[str, int]:
    """Return how many objects are added, changed, removed and so on.

    What is added or removed together with its parent (a new volume's bricks) counts once, as the parent.
    """
    by_address = {change.address: change.action for change in plan.changes}
    counts = dict.fromkeys(Action, 0)
    for change in plan.changes:
        if change.parent is None or by_address.get(change.parent) is not change.action:
            counts[change.action] += 1
    return {
        "add": counts[Action.ADD],
        "change": counts[Action.CHANGE],
        "remove": counts[Action.REMOVE],
        "replace": 0,
        "adopt": counts[Action.ADOPT],
        "forget": counts[Action.FORGET],
        "move_bytes": 0,
        "blocked": len(plan.blockers),
    }


def exit_code(plan: Plan) -> int:
    """Return the exit code of `plan --detailed-exitcode`: 3 blocked, 10 not observed, 2 differences, 0."""
    if plan.blockers:
        return 3
    if plan.unobserved:
        return 10
    return 2 if plan.steps or unrepaired(plan) else 0


def unrepaired(plan: Plan) -> tuple[DriftItem, ...]:
    """Return the faults that were found and that no step of any plan repairs: a person has to."""
    return tuple(d for d in plan.drift if d.kind is DriftKind.FAULT and not d.repair)


def rollback(plan: Plan) -> dict[str, Json]:
    """Return what a failed apply undoes, and how far: ``full``, or ``until`` the first point of no return."""
    mode = plan.rollback.value
    for step in plan.steps:
        if step.irrevocable:
            return {"mode": mode, "kind": "until", "step": step.step_id}
    return {"mode": mode, "kind": "full"}


def _change(change: PlannedChange, object_id: str | None) -> Json:
    both = (change.before, change.after)
    keys = [set(side) for side in both if isinstance(side, dict)]
    old, new = (side if isinstance(side, dict) else {} for side in both)
    paths = sorted(key for key in set().union(*keys) if old.get(key) != new.get(key))
    plain: dict[str, Json] = {
        "address": change.address,
        "actions": [change.action.value],
        "action_reason": "live_changed" if change.attribution is Attribution.DRIFT else "desired_changed",
        "attribution": change.attribution.value,
        "before": codec.to_json(change.before),
        "after": codec.to_json(change.after),
        "before_sensitive": {},  # credentials never enter a plan: nothing here is ever masked
        "after_sensitive": {},
        "paths": [[path] for path in paths],
        "risk": {"class": risk_class(change.codes), "codes": list(change.codes)},
        "detail": change.detail,
        "origin": change.origin,
        "parent": change.parent,
    }
    if object_id is not None:
        plain["id"] = object_id
    if change.span is not None:
        plain["range"] = _range(change.span)
    return plain


def _step(step: Step) -> Json:
    return {
        "id": step.step_id,
        "op": step.kind,
        "kind": step.kind,
        "version": step.version,
        "address": step.address,
        "title": step.title,
        "node": step.node,
        "on": [] if step.peer is None else [step.peer],
        "args": codec.to_json(step.args),
        "volume": step.volume,
        "depends_on": list(step.needs),
        "class": step.step_class.value,
        "idempotent": True,  # every action's law, see ports/node.py
        "undo": {"kind": "compensate" if step.undo else "none", "what": step.undo},
        "point_of_no_return": step.step_class is StepClass.PIVOT,
        "timeout_s": step.timeout_s,
        "part": step.part,
        "dispensable": step.dispensable,
    }


def diagnostic_json(found: Diagnostic) -> Json:
    """Return a finding in the shape of ``terraform validate -json``, with our `code` and `path`."""
    plain: dict[str, Json] = {
        "severity": found.severity.value,
        "summary": found.summary,
        "detail": found.hint,
        "code": found.code,
        "path": found.path,
    }
    if found.span is not None:
        plain["range"] = _range(found.span)
    return plain


def _range(span: SourceSpan) -> Json:
    return {
        "filename": span.file,
        "start": {"line": span.line, "column": span.column},
        "end": {"line": span.end_line, "column": span.end_column},
    }


# ---------------------------------------------------------------- reading


def parse_document(text: str) -> Plan:
    """Return the plan that a document describes.

    Raises:
        StalePlan: the document was altered after it was made (its digest does not match).
        PlanError: it is no plan, of a format this program does not know, or at odds with itself.
    """
    if len(text) > MAX_DOCUMENT_BYTES:
        raise PlanError(f"this is no plan: {len(text)} characters, at most {MAX_DOCUMENT_BYTES} are possible")
    try:
        body = codec.parse(text)
    except JournalError as exc:
        raise PlanError(f"this is no plan: {exc.message}") from exc
    if not isinstance(body, dict) or body.get("kind") != "Plan":
        raise PlanError(
            'this is no plan: it has no "kind": "Plan"', hint="make one with: gluster-state plan --out FILE"
        )
    if body.get("format_version") != FORMAT_VERSION:
        raise PlanError(
            f"the plan's format is {body.get('format_version')!r}; this program knows {FORMAT_VERSION}",
            hint="plan again with this version of gluster-state",
        )
    stated = body.pop("digest", None)
    if stated != _digest(body):
        raise StalePlan(
            "the plan was altered after it was made: its digest does not match",
            hint="plan again, and review the new plan",
        )
    plan = read_plan(body)
    astray = _astray(plan.steps)
    if astray is not None:
        raise PlanError(
            f"the plan contradicts itself: step {astray.step_id} rests on what is no part of its own",
            hint="plan again with this program",
        )
    different = _difference(_body(plan), body, "plan")
    if different:
        raise PlanError(f"the plan contradicts itself at {different}", hint="plan again with this program")
    return plan


def _astray(steps: tuple[Step, ...]) -> Step | None:
    """Return a step that rests on a later one, or on another part than its own and the cluster's."""
    part_of = {step.step_id: step.part for step in steps}
    for step in steps:
        own = (0, step.part)
        if any(need >= step.step_id or part_of.get(need) not in own for need in step.needs):
            return step
    return None


def _difference(ours: Json, theirs: Json, path: str) -> str:
    """Return where two JSON values first differ, or an empty text."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys()):
            if key not in ours or key not in theirs:
                return f"{path}.{key}"
            found = _difference(ours[key], theirs[key], f"{path}.{key}")
            if found:
                return found
        return ""
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, (left, right) in enumerate(zip(ours, theirs, strict=True)):
            found = _difference(left, right, f"{path}[{index}]")
            if found:
                return found
        return ""
    return "" if ours == theirs and type(ours) is type(theirs) else path
