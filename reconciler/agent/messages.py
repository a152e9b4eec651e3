"""What goes into the agent's executor and what comes out: events and effects. Values only."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.ids import TxnId
from reconciler.plan.step import Args, Plan, Step
from reconciler.ports.node import Checked
from reconciler.ports.store import Change, Commit, Committed, Snapshot
from reconciler.txn.record import Barrier, Command, Head

# ---------------------------------------------------------------- events


@dataclass(frozen=True, slots=True)
class Listed:
    """All of this node's commands, records and barrier keys."""

    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class Heard:
    """Some of them changed."""

    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Context:
    """What a command refers to, freshly read: the head with its revision, the lock's epoch, the plan.

    `plan` is None when it cannot be read or does not match the digest, for good; `problem` says why. With a
    plan, `problem` says what has to come first.
    """

    head: Head | None
    head_revision: int
    epoch: int
    plan: Plan | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """A StepError, as a value."""

    error: str
    hint: str
    retryable: bool


@dataclass(frozen=True, slots=True)
class Looked:
    """The check's answer."""

    answer: Checked | Failure


@dataclass(frozen=True, slots=True)
class Ran:
    """The end of an effect: what `do` returned, or why it failed."""

    answer: Args | Failure


@dataclass(frozen=True, slots=True)
class Stored:
    """The answer to Store; None if no answer came."""

    committed: Committed | None


@dataclass(frozen=True, slots=True)
class PhaseKept:
    """The phase is on the disk."""

    barrier: Barrier


@dataclass(frozen=True, slots=True)
class Again:
    """Time to try again."""


Event = Listed | Heard | Context | Looked | Ran | Stored | PhaseKept | Again


# ---------------------------------------------------------------- effects


@dataclass(frozen=True, slots=True)
class ReadContext:
    """Read what a command refers to and hand back a Context."""

    command: Command


@dataclass(frozen=True, slots=True)
class Check:
    """Run the step's check and hand back Looked."""

    step: Step
    plan: Plan
    txn: TxnId


@dataclass(frozen=True, slots=True)
class Run:
    """Run the step's do or undo and hand back Ran."""

    step: Step
    plan: Plan
    txn: TxnId
    before: Args
    undo: bool


@dataclass(frozen=True, slots=True)
class StoreIt:
    """Run a guarded commit and hand back Stored."""

    commit: Commit


@dataclass(frozen=True, slots=True)
class Relist:
    """List this node's keys again and hand back Listed."""


@dataclass(frozen=True, slots=True)
class KeepPhase:
    """Put the phase on the disk and hand back PhaseKept."""

    barrier: Barrier


@dataclass(frozen=True, slots=True)
class Wait:
    """Hand back Again after some seconds."""

    seconds: float


Effect = ReadContext | Check | Run | StoreIt | Relist | KeepPhase | Wait
