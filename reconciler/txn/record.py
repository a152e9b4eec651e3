"""What the journal holds: the head of a transaction, commands to nodes, and one record per step.

The protocol these belong to is `docs/ARCHITECTURE.md` ("A transaction, step by step"); its keys are in
`docs/stored-forms.md`. Everything here is plain values; `reconciler.model.codec` gives the stored form.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from reconciler.model.ids import StepId, TxnId
from reconciler.plan.step import Args


class Direction(Enum):
    """Which way a transaction runs."""

    DO = 0
    UNDO = 1


@dataclass(frozen=True, slots=True, order=True)
class Phase:
    """(epoch, direction): grows with every takeover and with the turn to rollback, and never shrinks.

    `epoch` is the create-revision of the lock key; `direction` is a Direction's value.
    """

    epoch: int
    direction: int

    @property
    def undoing(self) -> bool:
        """Return true in a rollback."""
        return self.direction == Direction.UNDO.value


class HeadState(Enum):
    """Where a transaction stands."""

    RUNNING = "running"
    ROLLING_BACK = "rolling-back"
    PAUSED = "paused"
    COMMITTED = "committed"
    ROLLED_BACK = "rolled-back"
    PARTLY = "partly-committed"  #: every part is either committed or rolled back, and there are both
    STUCK = "stuck"

    @property
    def terminal(self) -> bool:
        """Return true if nothing happens any more without a human."""
        return self in (HeadState.COMMITTED, HeadState.ROLLED_BACK, HeadState.PARTLY)

    @property
    def active(self) -> bool:
        """Return true if a steward has to see to it that the transaction goes on."""
        return self in (HeadState.RUNNING, HeadState.ROLLING_BACK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The head record of a transaction.

    Attributes:
        chunks: how many plan chunks there are; `plan_digest` is over all of them.
        attempts: how often an engine took the transaction up (1 = the applier itself).
        holder: who drives it, for people (user@host pid).
        reason: why it is paused, rolling back or stuck.
    """

    txn: TxnId
    state: HeadState
    phase: Phase
    plan_id: str
    plan_digest: str
    chunks: int
    started_at: int
    holder: str
    attempts: int = 1
    updated_at: int = 0
    reason: str = ""
    summary: str = ""


class Mark(Enum):
    """Where one step stands. No record at all means: nobody has touched it."""

    CLAIMED = "claimed"  #: the effect may have begun
    DONE = "done"
    REFUSED = "refused"  #: its check said no before any effect
    FAILED = "failed"  #: the effect began and did not come about
    UNDO_CLAIMED = "undo-claimed"
    UNDONE = "undone"
    UNDO_FAILED = "undo-failed"
    PASSED = "passed-over"  #: never claimed, never to be: its node is gone, and it is dispensable

    @property
    def in_flight(self) -> bool:
        """Return true while an effect may be going on."""
        return self in (Mark.CLAIMED, Mark.UNDO_CLAIMED)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """One step's record, overwritten in place along the edges of `machine.ALLOWED`.

    `before` is the before-image taken by the check and kept through all later marks; `result` is what
    `do` returned; `instance` names the agent process, so that a restarted agent knows its own claim.
    """

    step: StepId
    mark: Mark
    phase: Phase
    attempt: int = 1
    before: Args = field(default_factory=dict)
    result: Args = field(default_factory=dict)
    error: str = ""
    hint: str = ""
    retryable: bool = False
    instance: str = ""
    at: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What the engine tells a node: do (or undo) this step in this phase."""

    txn: TxnId
    step: StepId
    phase: Phase
    attempt: int
    plan_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Barrier:
    """Asked of a node, and given back by it.

    As an answer it means: this phase is durably recorded here, and nothing older is going on.
    """

    txn: TxnId
    phase: Phase
    instance: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockRecord:
    """Who holds the lock. The key's create-revision is the epoch; `op_id` makes a lost answer findable."""

    holder: str
    op_id: str
    since: int
    purpose: str = ""
