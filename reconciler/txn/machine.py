"""The transaction as a pure machine: records in, ready moves out.

Rule 1: everything that decides what happens next lives in this file.
Rule 2: no I/O, no clock, no randomness: a crashed transaction is resumed by reading its records and
asking `next_moves` again. Resume is run.

The protocol and the invariants it keeps: docs/ARCHITECTURE.md, "A transaction, step by step".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from reconciler.errors import JournalError
from reconciler.model.ids import NodeId, StepId
from reconciler.plan.step import Step
from reconciler.txn.record import Direction, Head, HeadState, Mark, Phase, StepRecord

MAX_ATTEMPTS = 3  #: tries of one step whose failure says that trying again may help

#: Every legal change of a step's mark; None is "no record yet".
ALLOWED: Mapping[Mark | None, frozenset[Mark]] = MappingProxyType(
    {
        None: frozenset(
            {
                Mark.CLAIMED,
                Mark.REFUSED,
                Mark.DONE,  # at once: a store step is atomic
                Mark.PASSED,
            }
        ),
        Mark.CLAIMED: frozenset(
            {
                Mark.CLAIMED,  # claimed again in a newer phase, or again by a restarted agent
                Mark.DONE,
                Mark.FAILED,
                Mark.UNDO_CLAIMED,  # the turn came while it was in doubt; the barrier settled it
            }
        ),
        Mark.DONE: frozenset({Mark.UNDO_CLAIMED, Mark.UNDONE}),  # UNDONE at once: a store step
        Mark.REFUSED: frozenset({Mark.CLAIMED, Mark.REFUSED}),  # tried again: the obstacle may be gone
        Mark.FAILED: frozenset({Mark.CLAIMED, Mark.UNDO_CLAIMED}),
        Mark.UNDO_CLAIMED: frozenset({Mark.UNDO_CLAIMED, Mark.UNDONE, Mark.UNDO_FAILED}),
        Mark.UNDO_FAILED: frozenset({Mark.UNDO_CLAIMED}),
        Mark.UNDONE: frozenset(),
        Mark.PASSED: frozenset(),
    }
)


def check_transition(step: StepId, before: Mark | None, after: Mark) -> None:
    """Raise JournalError unless a step's record may go from `before` to `after`."""
    if after not in ALLOWED[before]:
        was = before.value if before else "no record"
        raise JournalError(f"step {step}: a record cannot go from {was} to {after.value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TxnState:
    """What is known of a transaction.

    Attributes:
        records: by step; a step without a record was never claimed.
        dispatched: phase and attempt of the newest command given for a step.
        barriers: highest phase each node has acknowledged.
        dead: nodes whose agent has been gone for so long that waiting for it makes no sense.
        stopping: the user asked to stop; nothing new begins.
    """

    steps: tuple[Step, ...]
    head: Head
    records: Mapping[StepId, StepRecord] = field(default_factory=dict)
    dispatched: Mapping[StepId, tuple[Phase, int]] = field(default_factory=dict)
    barriers: Mapping[NodeId, Phase] = field(default_factory=dict)
    dead: frozenset[NodeId] = frozenset()
    stopping: bool = False

    def mark(self, step: Step) -> Mark | None:
        """Return where a step stands."""
        record = self.records.get(step.step_id)
        return record.mark if record else None

    @property
    def past_pivot(self) -> bool:
        """Return true once a step that cannot be undone has been claimed: there is only forward."""
        return any(s.irrevocable and self.mark(s) not in (None, Mark.REFUSED) for s in self.steps)


@dataclass(frozen=True, slots=True)
class AskBarrier:
    """Have `node` confirm that nothing older than the head's phase is going on there."""

    node: NodeId


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Command the step's node to do it, or to undo it when the head's phase says so."""

    step: Step
    attempt: int


@dataclass(frozen=True, slots=True)
class Perform:
    """Do (or undo) a store step, atomically with its record."""

    step: Step


@dataclass(frozen=True, slots=True)
class Turn:
    """Go over to rollback."""

    reason: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The transaction ends in `state`."""

    state: HeadState
    reason: str = ""


Move = AskBarrier | Dispatch | Perform | Turn | Finish


def next_moves(state: TxnState) -> tuple[Move, ...]:
    """Return every move that is ready now, in step order. An empty tuple means: wait for a node."""
    if not state.head.state.active:
        return ()
    return _undo_moves(state) if state.head.phase.undoing else _do_moves(state)


def waiting_for(state: TxnState) -> tuple[Step, ...]:
    """Return the steps that a node has been told about and has not answered."""
    return tuple(s for s in state.steps if _outstanding(state, s))


def _do_moves(state: TxnState) -> tuple[Move, ...]:
    failed = [
        s for s in state.steps if state.mark(s) in (Mark.FAILED, Mark.REFUSED) and not _may_retry(state, s)
    ]
    if failed:
        reason = _failure(state, failed[0])
        if state.past_pivot:
            return () if _in_flight(state) else (Finish(HeadState.STUCK, reason),)
        return (Turn(reason),)
    if all(state.mark(s) is Mark.DONE for s in state.steps):
        return (Finish(HeadState.COMMITTED),)
    if state.stopping:
        return () if _in_flight(state) else (Finish(HeadState.PAUSED, "stopped by the user"),)
    done = {s.step_id for s in state.steps if state.mark(s) is Mark.DONE}
    gone = [s for s in state.steps if s.node in state.dead and s.step_id not in done]
    if gone and not state.past_pivot:
        # Nothing of theirs can begin any more once the phase has moved on; what had begun stays in doubt.
        return (Turn(f"the agent on {gone[0].peer} is gone: {gone[0].title}"),)
    ready = [s for s in state.steps if s.step_id not in done and done.issuperset(s.needs)]
    return _moves_for(state, ready)


def _undo_moves(state: TxnState) -> tuple[Move, ...]:
    open_steps = [s for s in state.steps if not settled_backward(state, s)]
    stuck = [s for s in open_steps if state.mark(s) is Mark.UNDO_FAILED and not _may_retry(state, s)]
    if stuck:  # undo is total or stops
        return () if _in_flight(state) else (Finish(HeadState.STUCK, _failure(state, stuck[0])),)
    if not open_steps:
        return (Finish(HeadState.ROLLED_BACK, state.head.reason),)
    if state.stopping:
        return () if _in_flight(state) else (Finish(HeadState.PAUSED, "stopped by the user"),)
    blocked = _needed_by(state, open_steps)
    ready = [s for s in open_steps if s.step_id not in blocked]
    alive = [s for s in ready if s.node not in state.dead]
    if not alive and ready and not _in_flight(state):
        lost = ready[0]
        return (Finish(HeadState.STUCK, f'the agent on {lost.peer} is gone: cannot undo "{lost.title}"'),)
    return _moves_for(state, alive)


def _needed_by(state: TxnState, open_steps: list[Step]) -> set[StepId]:
    """Return what `open_steps` rest on, also through steps that are settled themselves.

    A step needs only lower ones, so one pass from the last to the first finds all.
    """
    resting = {s.step_id for s in open_steps}
    needed: set[StepId] = set()
    for step in sorted(state.steps, key=lambda s: s.step_id, reverse=True):
        if step.step_id in resting or step.step_id in needed:
            needed.update(step.needs)
    return needed


def _moves_for(state: TxnState, ready: list[Step]) -> tuple[Move, ...]:
    moves: list[Move] = []
    held_back: dict[NodeId, bool] = {}  # by node, looked at once each
    for step in ready:
        if step.node is None:
            moves.append(Perform(step))
            continue
        if step.node not in held_back:
            held_back[step.node] = _needs_barrier(state, step.node)
            if held_back[step.node]:
                moves.append(AskBarrier(step.node))
        if not held_back[step.node] and not _outstanding(state, step):
            moves.append(Dispatch(step, _next_attempt(state, step)))
    return tuple(moves)


def _needs_barrier(state: TxnState, node: NodeId) -> bool:
    """Return whether something of an older phase may still be going on on a node."""
    if state.barriers.get(node, Phase(0, 0)) >= state.head.phase:
        return False
    mine = [s for s in state.steps if s.node == node]
    records = (state.records.get(s.step_id) for s in mine)
    if any(r and r.mark.in_flight and r.phase < state.head.phase for r in records):
        return True
    # A command of an older phase that was not claimed in time can never be claimed again: the claim
    # compares the head. Only a node that turned (do, then undo) must confirm before the first undo.
    return state.head.phase.undoing and any(s.step_id in state.dispatched for s in mine)


def _outstanding(state: TxnState, step: Step) -> bool:
    """Return true if the step's newest command is of this phase and not answered yet.

    A report of an older phase that arrives late answers it, too, if it leaves the node nothing to do.
    """
    if step.node is None or step.step_id not in state.dispatched:
        return False
    phase, attempt = state.dispatched[step.step_id]
    if phase != state.head.phase:
        return False
    record = state.records.get(step.step_id)
    if record is None or record.mark.in_flight:
        return True
    settled = Mark.UNDONE if phase.undoing else Mark.DONE
    return record.mark is not settled and (record.phase, record.attempt) != (phase, attempt)


def _in_flight(state: TxnState) -> bool:
    return any(_outstanding(state, s) and s.node not in state.dead for s in state.steps)


def _next_attempt(state: TxnState, step: Step) -> int:
    record = state.records.get(step.step_id)
    return record.attempt + 1 if record and record.phase == state.head.phase else 1


def _may_retry(state: TxnState, step: Step) -> bool:
    record = state.records[step.step_id]
    if record.phase < state.head.phase:
        return True  # another engine, or the other direction: one fresh try
    return record.retryable and record.attempt < MAX_ATTEMPTS


def settled_backward(state: TxnState, step: Step) -> bool:
    """Return true if nothing of the step is left to undo."""
    mark = state.mark(step)
    if mark in (None, Mark.REFUSED, Mark.UNDONE):
        return True
    return mark is Mark.DONE and not step.undo


def _failure(state: TxnState, step: Step) -> str:
    record = state.records[step.step_id]
    where = f" on {step.peer}" if step.peer else ""
    verb = "undo of step" if record.mark is Mark.UNDO_FAILED else "step"
    return f'{verb} {step.step_id} "{step.title}" failed{where}: {record.error}'


def direction_of(phase: Phase) -> Direction:
    """Return the direction of a phase."""
    return Direction(phase.direction)
