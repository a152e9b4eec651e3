"""The transaction as a pure machine: records in, ready moves out.

Rule 1: everything that decides what happens next lives in this file (where things stand: `txn/state.py`).
Rule 2: no I/O, no clock, no randomness: a crashed transaction is resumed by reading its records and
asking `next_moves` again. Resume is run.

The protocol and the invariants it keeps: docs/ARCHITECTURE.md, "A transaction, step by step".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from reconciler.errors import JournalError
from reconciler.model.cluster import Rollback
from reconciler.model.ids import NodeId, StepId
from reconciler.plan.step import Step
from reconciler.txn.record import Direction, HeadState, Mark, Phase
from reconciler.txn.state import PER_NODE, Part, TxnState, parts_of

MAX_ATTEMPTS = 3  #: tries of one step whose failure says that trying again may help
SAID = 8  #: parts of which a reason speaks; a record does not grow with the cluster
ORPHANED = "the process that applied the plan has gone, and the plan says to roll back then"
RESTING = "it rests on the cluster's own steps"

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
class PassOver:
    """Note for good that a dispensable step will not be done: its node is gone, and it was never claimed."""

    step: Step


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


Move = AskBarrier | Dispatch | PassOver | Perform | Turn | Finish


def next_moves(state: TxnState) -> tuple[Move, ...]:
    """Return every move that is ready now, in step order. An empty tuple means: wait for a node."""
    if not state.head.state.active:
        return ()
    return _undo_moves(state) if state.head.phase.undoing else _do_moves(state)


def waiting_for(state: TxnState) -> tuple[Step, ...]:
    """Return the steps that a node has been told about and has not answered."""
    told = state.dispatched
    return tuple(s for s in state.steps if s.step_id in told and _outstanding(state, s))


def parked(state: TxnState) -> dict[int, str]:
    """Return, by part, why nothing new of it is begun in this direction, though it is not at its end."""
    if state.head.phase.undoing:
        return {p.number: text for p in parts_of(state.steps) if (text := _lost_undo(state, p))}
    return _parked_forward(state, _open_parts(state))


def _open_parts(state: TxnState) -> list[Part]:
    """Return the parts of which something is left to do."""
    return [p for p in parts_of(state.steps) if not state.complete(p)]


def _parked_forward(state: TxnState, open_parts: list[Part]) -> dict[int, str]:
    found = {p.number: text for p in open_parts if (text := _hindrance(state, p))}
    if 0 in found:
        below = {s.step_id for s in state.steps if not s.part}
        for part in open_parts:
            if any(not below.isdisjoint(s.needs) for s in part.steps):
                found.setdefault(part.number, RESTING)
    return found


def _hindrance(state: TxnState, part: Part) -> str:
    """Return why a part cannot go forward, or an empty text."""
    for step in part.steps:
        if state.mark(step) in (Mark.FAILED, Mark.REFUSED) and not _may_retry(state, step):
            return _failure(state, step)
    if state.past_pivot(part):
        return ""
    if state.orphaned:
        return ORPHANED
    for step in part.steps:
        if step.node in state.dead and not state.settled(step) and not _passable(state, step):
            # Nothing of it can begin any more once the phase has moved on; what had begun stays in doubt.
            return f"the agent on {step.peer} is gone: {step.title}"
    return ""


def _lost_undo(state: TxnState, part: Part) -> str:
    """Return why a part cannot go back, or an empty text: an undo that failed. Undo is total or stops."""
    for step in part.steps:
        if state.mark(step) is Mark.UNDO_FAILED and not _may_retry(state, step):
            return _failure(state, step)
    return ""


def _passable(state: TxnState, step: Step) -> bool:
    """Return true if the plan goes on without a step: dispensable, never claimed, and its node is gone.

    One that was claimed is in doubt: its effect may be going on, and an end must not come before that. A node
    that is back does not do what rests on a step that was passed over there.
    """
    if not (step.dispensable and state.mark(step) is None):
        return False
    below = (state.steps[need - 1] for need in step.needs)
    return step.node in state.dead or any(s.node == step.node and state.mark(s) is Mark.PASSED for s in below)


def _do_moves(state: TxnState) -> tuple[Move, ...]:
    open_parts = _open_parts(state)
    if not open_parts:
        return (Finish(HeadState.COMMITTED),)
    stopped = _parked_forward(state, open_parts)
    going = [p for p in open_parts if p.number not in stopped]
    if not going:
        return _no_way_forward(state, open_parts, stopped)
    if state.stopping:
        return () if _in_flight(state) else (Finish(HeadState.PAUSED, "stopped by the user"),)
    done = {s.step_id for s in state.steps if state.settled(s)}
    left = [s for p in going for s in p.steps if s.step_id not in done]
    passed = {s.step_id: PassOver(s) for s in left if _passable(state, s)}
    ready = [s for s in left if done.issuperset(s.needs) and s.step_id not in passed]
    return (*passed.values(), *_moves_for(state, ready))


def _no_way_forward(state: TxnState, open_parts: list[Part], stopped: dict[int, str]) -> tuple[Move, ...]:
    """Every part is at its end or parked: turn, unless one can only go forward or a human is to decide."""
    reason = _said(state, stopped)
    waits = state.rollback is Rollback.NONE and not state.orphaned
    if not waits and not any(state.past_pivot(p) for p in open_parts):
        return (Turn(reason),)
    if _in_flight(state):
        return ()
    return (Finish(HeadState.STUCK, reason),)


def _undo_moves(state: TxnState) -> tuple[Move, ...]:
    kept = state.kept()
    open_steps = [s for s in state.steps if s.part not in kept and not state.settled_backward(s)]
    if not open_steps:
        return (Finish(HeadState.PARTLY if kept else HeadState.ROLLED_BACK, state.head.reason),)
    stopped = parked(state)
    blocked = _needed_by(state, open_steps)
    ready = [s for s in open_steps if s.step_id not in blocked and s.part not in stopped]
    alive = [s for s in ready if s.node not in state.dead]
    if not alive:
        for lost in ready:
            stopped.setdefault(lost.part, f'the agent on {lost.peer} is gone: cannot undo "{lost.title}"')
        return () if _in_flight(state) else (Finish(HeadState.STUCK, _said(state, stopped)),)
    if state.stopping:
        return () if _in_flight(state) else (Finish(HeadState.PAUSED, "stopped by the user"),)
    return _moves_for(state, alive)


def _said(state: TxnState, stopped: Mapping[int, str]) -> str:
    """Return in words what holds parts up: each with its first error, if there are several parts."""
    own = {number: text for number, text in stopped.items() if text not in (ORPHANED, RESTING)}
    if not own:
        return ORPHANED
    parts = parts_of(state.steps)
    if len(parts) == 1:
        return next(iter(own.values()))
    texts = [f"{p.address}: {own[p.number]}" for p in parts if p.number in own]
    more = f"; and {len(texts) - SAID} more" if len(texts) > SAID else ""
    return "; ".join(texts[:SAID]) + more


def said_of(part: Part, reason: str) -> str:
    """Return what a head's reason says of one part; all of it if it does not name the part."""
    name = f"{part.address}: "
    return next((text.removeprefix(name) for text in reason.split("; ") if text.startswith(name)), reason)


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
    """Return the moves for steps that are ready, as far as the bounds on commands under way allow."""
    moves: list[Move] = []
    held_back: dict[NodeId, bool] = {}  # by node, looked at once each
    of_node: dict[NodeId | None, list[Step]] = {}
    for step in state.steps:
        of_node.setdefault(step.node, []).append(step)
    busy = Counter(s.node for s in waiting_for(state))
    room = state.parallel - sum(number for node, number in busy.items() if node not in state.dead)
    for step in ready:
        if step.node is None:
            moves.append(Perform(step))
            continue
        if step.node not in held_back:
            held_back[step.node] = _needs_barrier(state, step.node, of_node[step.node])
            if held_back[step.node]:
                moves.append(AskBarrier(step.node))
        if held_back[step.node] or _outstanding(state, step):
            continue
        if room > 0 and busy[step.node] < PER_NODE:
            moves.append(Dispatch(step, _next_attempt(state, step)))
            busy[step.node] += 1
            room -= 1
    return tuple(moves)


def _needs_barrier(state: TxnState, node: NodeId, mine: list[Step]) -> bool:
    """Return whether something of an older phase may still be going on on a node, whose steps `mine` are."""
    if state.barriers.get(node, Phase(0, 0)) >= state.head.phase:
        return False
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
    if record is None:
        return True
    settled = record.mark is Mark.UNDONE if phase.undoing else record.mark in (Mark.DONE, Mark.PASSED)
    if settled:
        return False
    return record.mark.in_flight or (record.phase, record.attempt) != (phase, attempt)


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


def _failure(state: TxnState, step: Step) -> str:
    record = state.records[step.step_id]
    where = f" on {step.peer}" if step.peer else ""
    verb = "undo of step" if record.mark is Mark.UNDO_FAILED else "step"
    return f'{verb} {step.step_id} "{step.title}" failed{where}: {record.error}'


def direction_of(phase: Phase) -> Direction:
    """Return the direction of a phase."""
    return Direction(phase.direction)
