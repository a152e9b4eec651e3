"""The plan document's fields, read back one by one with the path of whatever does not fit.

`reconciler.plan.document` writes them, verifies the digest, and checks that nothing else was said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from reconciler.diagnostics import Diagnostic, Severity, SourceSpan
from reconciler.errors import JournalError, PlanError
from reconciler.model import codec
from reconciler.model.cluster import OnCrash, Rollback
from reconciler.model.codec import Json
from reconciler.model.configured import Settings, VolumeRecord
from reconciler.model.ids import Address, NodeId, PeerName, StepId, VolumeId
from reconciler.plan.step import (
    Action,
    Attribution,
    Blocker,
    DriftItem,
    Plan,
    PlannedChange,
    ReadKey,
    Step,
    StepClass,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Part:
    """An object of the document with the path to it, read field by field."""

    plain: Mapping[str, Json]
    path: str

    def get(self, hint: type[T], name: str) -> T:
        """Return one field as a value of type `hint`."""
        if name not in self.plain:
            raise PlanError(f"the plan has no {self.path}.{name}")
        try:
            return codec.from_json(hint, self.plain[name])
        except JournalError as exc:
            raise PlanError(f"the plan is damaged at {self.path}.{name}: {exc.message}") from exc

    def part(self, name: str) -> _Part:
        """Return an object inside this one."""
        inner = self.plain.get(name)
        if not isinstance(inner, dict):
            raise PlanError(f"the plan is damaged at {self.path}.{name}: expected an object")
        return _Part(inner, f"{self.path}.{name}")

    def parts(self, name: str) -> tuple[_Part, ...]:
        """Return the objects of a list inside this one."""
        inner = self.plain.get(name)
        if not isinstance(inner, list) or not all(isinstance(item, dict) for item in inner):
            raise PlanError(f"the plan is damaged at {self.path}.{name}: expected a list of objects")
        return tuple(
            _Part(cast("dict[str, Json]", item), f"{self.path}.{name}[{index}]")
            for index, item in enumerate(inner)
        )

    def instant(self, name: str) -> int:
        """Return a point in time as a wall-clock second."""
        text = self.get(str, name)
        try:
            return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())
        except ValueError as exc:
            raise PlanError(f"the plan is damaged at {self.path}.{name}: {text!r} is no time") from exc


def _hint(alias: Any) -> type[Any]:
    """Let a generic alias pass where a class is asked for; the codec takes both."""
    return cast("type[Any]", alias)


_TEXTS = _hint(tuple[str, ...])
_RECORDS = _hint(dict[VolumeId, VolumeRecord])
_JSON = _hint(Json)


def read_plan(body: Mapping[str, Json]) -> Plan:
    """Return the plan in the fields of a document that an apply or a reader needs; the rest is not looked at.

    Raises PlanError naming the first field that is missing or of another type.
    """
    top = _Part(body, "plan")
    cluster, base, safety = top.part("cluster"), top.part("base"), top.part("safety")
    return Plan(
        plan_id=top.get(str, "plan_id"),
        cluster_id=cluster.get(str, "id"),
        cluster_name=cluster.get(str, "name"),
        created=top.instant("created"),
        expires=top.instant("expires"),
        tool_version=top.get(str, "tool_version"),
        desired_digest=top.get(str, "desired_digest"),
        source=top.get(_hint(dict[str, Json]), "source"),
        revision=base.get(int, "etcd_revision"),
        observed_at=base.instant("observed_at"),
        observation=base.get(str, "live_sha256"),
        unobserved=base.get(_TEXTS, "unobserved"),
        read_set=tuple(_read_key(part) for part in base.parts("read_set")),
        changes=tuple(_read_change(part) for part in top.parts("changes")),
        steps=tuple(_read_step(part) for part in top.parts("steps")),
        volumes=top.get(_RECORDS, "records"),
        previous=top.get(_RECORDS, "previous"),
        settings=top.get(Settings, "settings"),
        drift=top.get(_hint(tuple[DriftItem, ...]), "drift"),
        blockers=top.get(_hint(tuple[Blocker, ...]), "blocked"),
        unmanaged=top.get(_TEXTS, "unmanaged"),
        required_allow=safety.get(_TEXTS, "required_allow"),
        safety=safety.get(_TEXTS, "notes"),
        rollback=safety.part("rollback").get(Rollback, "mode"),
        on_crash=safety.get(OnCrash, "on_crash"),
        diagnostics=tuple(_read_diagnostic(part) for part in top.parts("diagnostics")),
        checked=base.get(str, "checked"),
    )


def _read_key(part: _Part) -> ReadKey:
    return ReadKey(address=Address(part.get(str, "key")), mod_revision=part.get(int, "mod_revision"))


def _read_change(part: _Part) -> PlannedChange:
    actions = part.get(_hint(tuple[Action]), "actions")
    return PlannedChange(
        address=Address(part.get(str, "address")),
        action=actions[0],
        attribution=part.get(Attribution, "attribution"),
        before=part.get(_JSON, "before"),
        after=part.get(_JSON, "after"),
        detail=part.get(str, "detail"),
        origin=part.get(str, "origin"),
        codes=part.part("risk").get(_TEXTS, "codes"),
        parent=part.get(_hint(Address | None), "parent"),
        span=_read_range(part),
    )


def _read_step(part: _Part) -> Step:
    on: tuple[PeerName, ...] = part.get(_TEXTS, "on")
    return Step(
        step_id=StepId(part.get(int, "id")),
        kind=part.get(str, "kind"),
        address=Address(part.get(str, "address")),
        title=part.get(str, "title"),
        node=part.get(_hint(NodeId | None), "node"),
        peer=on[0] if on else None,
        args=part.get(_hint(dict[str, Json]), "args"),
        volume=part.get(_hint(VolumeId | None), "volume"),
        needs=part.get(_hint(tuple[StepId, ...]), "depends_on"),
        step_class=part.get(StepClass, "class"),
        undo=part.part("undo").get(str, "what"),
        version=part.get(int, "version"),
        timeout_s=part.get(int, "timeout_s"),
        part=part.get(int, "part"),
        dispensable=part.get(bool, "dispensable"),
    )


def _read_diagnostic(part: _Part) -> Diagnostic:
    return Diagnostic(
        severity=part.get(Severity, "severity"),
        summary=part.get(str, "summary"),
        span=_read_range(part),
        hint=part.get(str, "detail"),
        code=part.get(str, "code"),
        path=part.get(str, "path"),
    )


def _read_range(part: _Part) -> SourceSpan | None:
    if "range" not in part.plain:
        return None
    place = part.part("range")
    start, end = place.part("start"), place.part("end")
    return SourceSpan(
        file=place.get(str, "filename"),
        line=start.get(int, "line"),
        column=start.get(int, "column"),
        end_line=end.get(int, "line"),
        end_column=end.get(int, "column"),
    )
