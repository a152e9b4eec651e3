"""Plan, step, gate: what will be done, in which order, and how it is undone. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from reconciler.diagnostics import Diagnostic, SourceSpan
from reconciler.model.cluster import OnCrash, Rollback
from reconciler.model.configured import Settings, VolumeRecord
from reconciler.model.fields import Json
from reconciler.model.ids import Address, NodeId, PeerName, StepId, VolumeId

Args = Mapping[str, Json]


class StepClass(Enum):
    """Saga words: compensatable steps, then at most one pivot, then retriable ones (reliability 1.1)."""

    COMPENSATABLE = "compensatable"  #: can be undone exactly
    PIVOT = "pivot"  #: the point of no return
    RETRIABLE = "retriable"  #: after the pivot: forward only, until it works


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step on one node, or in the store (`node` None: the engine does it, atomically with its record).

    Attributes:
        step_id: 1-based position; a step needs only lower ones.
        kind: such as ``brick.start``. Permanent: journals refer to it. `version` counts its meaning.
        address: the object it is about.
        args: everything `do` needs besides the volume record; plain JSON, no secret.
        volume: whose record (`Plan.volumes`) the step works with, or None.
        undo: in words, what undoing does; empty for a step that changes nothing or is not undone.
        title: in words, what it does.
        timeout_s: after this the step is in doubt, never failed, until its node says so.
        part: which part of the plan it belongs to. 0: the cluster itself, on which other parts rest (or the
            whole plan, if that is rolled back as a whole); from 1 on: one part per volume, by name.
        dispensable: true if the plan comes to its end without it when its node is gone before it was
            claimed: the node takes what the step would have brought from the configuration when it is back.
    """

    step_id: StepId
    kind: str
    address: Address
    title: str
    node: NodeId | None = None
    peer: PeerName | None = None
    args: Args = field(default_factory=dict)
    volume: VolumeId | None = None
    needs: tuple[StepId, ...] = ()
    step_class: StepClass = StepClass.COMPENSATABLE
    undo: str = ""
    version: int = 1
    timeout_s: int = 60
    part: int = 0
    dispensable: bool = False

    @property
    def irrevocable(self) -> bool:
        """Return true for the pivot and everything behind it."""
        return self.step_class is not StepClass.COMPENSATABLE


class Action(Enum):
    """What happens to an object, as in the plan document (gitops 3.9)."""

    ADD = "create"
    CHANGE = "update"
    REMOVE = "delete"
    ADOPT = "adopt"
    FORGET = "forget"


class Attribution(Enum):
    """Why: the declaration changed, or the cluster did."""

    CONFIG = "config"
    DRIFT = "drift"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedChange:
    """One object's change, for people and for the plan document.

    `before` and `after` hold plain JSON of what changes (None for an object that is not there);
    `detail` is the one-line text next to the address; `origin` tells where the value came from
    (``volume``, ``profile base``), `codes` which risks it carries.
    """

    address: Address
    action: Action
    attribution: Attribution = Attribution.CONFIG
    before: Json = None
    after: Json = None
    detail: str = ""
    origin: str = ""
    codes: tuple[str, ...] = ()
    parent: Address | None = None
    span: SourceSpan | None = None  #: where it is declared, if it is


class DriftKind(Enum):
    """A fault is broken hardware or a dead process; a setting or the topology was changed by somebody."""

    FAULT = "fault"
    SETTING = "setting"
    TOPOLOGY = "topology"


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftItem:
    """Something live that is not as configured."""

    address: Address
    kind: DriftKind
    summary: str
    expected: str = ""
    seen: str = ""
    hint: str = ""
    since: int = 0
    repair: bool = False  #: true if an apply repairs it


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocker:
    """A change that is refused, with its risk code and the way to have it."""

    address: Address
    code: str
    summary: str
    hint: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadKey:
    """Part of the read set: an object and the store revision it was read at (0: it did not exist)."""

    address: Address
    mod_revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything an apply will do, and what it was decided from.

    The engine executes `steps` with `volumes` and nothing else; the rest is for people and for the
    staleness check. `digest` of the canonical document (plan/document.py) names the plan in the journal.

    Attributes:
        volumes: the record of every volume a step works with, as it will be after the plan.
        previous: the records of those volumes that exist before it; undo goes back to these.
        settings: cluster settings after the plan.
        revision: store revision of the newest object of the configuration it was made from.
        read_set: what must still be at these revisions when the plan is applied.
        observation: digest of the observed facts the plan relied on.
        rollback: what is undone when a step fails for good.
        on_crash: what a steward does when the process that applies the plan has gone.
    """

    plan_id: str
    cluster_id: str
    cluster_name: str
    created: int
    expires: int
    tool_version: str
    desired_digest: str
    source: Mapping[str, Json]
    revision: int
    observed_at: int
    observation: str
    unobserved: tuple[PeerName, ...]
    read_set: tuple[ReadKey, ...]
    changes: tuple[PlannedChange, ...]
    steps: tuple[Step, ...]
    volumes: Mapping[VolumeId, VolumeRecord]
    previous: Mapping[VolumeId, VolumeRecord]
    settings: Settings
    drift: tuple[DriftItem, ...] = ()
    blockers: tuple[Blocker, ...] = ()
    unmanaged: tuple[Address, ...] = ()
    required_allow: tuple[str, ...] = ()
    safety: tuple[str, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    rollback: Rollback = Rollback.CHANGE
    on_crash: OnCrash = OnCrash.CONTINUE
    checked: str = ""  #: in words, what was observed, as ``3/3 peers, 9/9 bricks``

    @property
    def empty(self) -> bool:
        """Return true if there is nothing to do and nothing is blocked."""
        return not self.steps and not self.blockers
