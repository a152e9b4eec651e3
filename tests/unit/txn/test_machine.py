"""The table walked edge by edge, and what is decided, by cases."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.errors import JournalError
from reconciler.model.ids import NodeId, StepId
from reconciler.plan.step import Step, StepClass
from reconciler.txn.machine import (
    MAX_ATTEMPTS,
    AskBarrier,
    Dispatch,
    Finish,
    Move,
    Perform,
    Turn,
    check_transition,
    direction_of,
    next_moves,
    waiting_for,
)
from reconciler.txn.record import Direction, HeadState, Mark, Phase, StepRecord
from reconciler.txn.state import TxnState, parts_of
from tests.txn_samples import STEPS, A, B, head, record, step

DO, UNDO, OLD = Phase(5, 0), Phase(5, 1), Phase(3, 0)
M = Mark
EDGES = {
    (None, M.CLAIMED),
    (None, M.REFUSED),
    (None, M.DONE),
    (None, M.PASSED),
    (M.CLAIMED, M.CLAIMED),
    (M.CLAIMED, M.DONE),
    (M.CLAIMED, M.FAILED),
    (M.CLAIMED, M.UNDO_CLAIMED),
    (M.DONE, M.UNDO_CLAIMED),
    (M.DONE, M.UNDONE),
    (M.REFUSED, M.CLAIMED),
    (M.REFUSED, M.REFUSED),
    (M.FAILED, M.CLAIMED),
    (M.FAILED, M.UNDO_CLAIMED),
    (M.UNDO_CLAIMED, M.UNDO_CLAIMED),
    (M.UNDO_CLAIMED, M.UNDONE),
    (M.UNDO_CLAIMED, M.UNDO_FAILED),
    (M.UNDO_FAILED, M.UNDO_CLAIMED),
}


@pytest.mark.parametrize("after", list(Mark))
@pytest.mark.parametrize("before", [None, *Mark])
def test_every_pair_of_marks_is_an_edge_or_an_error(before: Mark | None, after: Mark) -> None:
    if (before, after) in EDGES:
        check_transition(StepId(1), before, after)
    else:
        with pytest.raises(JournalError, match="step 1: a record cannot go from"):
            check_transition(StepId(1), before, after)


def state(
    phase: Phase,
    *marks: Mark | StepRecord | None,
    steps: tuple[Step, ...] = STEPS,
    told: dict[int, tuple[Phase, int]] | None = None,
    barriers: dict[NodeId, Phase] | None = None,
    dead: tuple[NodeId, ...] = (),
    stopping: bool = False,
) -> TxnState:
    """Return a state in which step n has the n-th mark (of this phase), or record."""
    records = {
        StepId(n): m if isinstance(m, StepRecord) else record(n, m, phase)
        for n, m in enumerate(marks, 1)
        if m is not None
    }
    ways = HeadState.ROLLING_BACK if phase.undoing else HeadState.RUNNING
    return TxnState(
        steps=steps,
        head=head(phase, ways),
        records=records,
        dispatched={StepId(n): told_of for n, told_of in (told or {}).items()},
        barriers=barriers or {},
        dead=frozenset(dead),
        stopping=stopping,
    )


def told(phase: Phase, *numbers: int) -> dict[int, tuple[Phase, int]]:
    """Return first commands of one phase."""
    return dict.fromkeys(numbers, (phase, 1))


def steps_of(moves: tuple[Move, ...]) -> list[int]:
    """Return the numbers of the steps that are commanded or performed."""
    return [m.step.step_id for m in moves if isinstance(m, Dispatch | Perform)]


# ---------------------------------------------------------------- forward


def test_independent_steps_begin_together_and_others_wait_for_what_they_need() -> None:
    assert next_moves(state(DO)) == (Dispatch(STEPS[0], 1), Dispatch(STEPS[1], 1))
    assert next_moves(state(DO, M.DONE, M.CLAIMED, told=told(DO, 1, 2))) == ()
    assert next_moves(state(DO, M.DONE, M.DONE, told=told(DO, 1, 2))) == (Dispatch(STEPS[2], 1),)
    assert next_moves(state(DO, M.DONE, M.DONE, M.DONE)) == (Perform(STEPS[3]),)
    assert next_moves(state(DO, M.DONE, M.DONE, M.DONE, M.DONE)) == (Finish(HeadState.COMMITTED),)


def test_what_was_commanded_is_waited_for() -> None:
    commanded = state(DO, told=told(DO, 1, 2))
    assert next_moves(commanded) == ()
    assert waiting_for(commanded) == STEPS[:2]
    assert waiting_for(state(DO, M.DONE, M.CLAIMED, told=told(DO, 1, 2))) == (STEPS[1],)


@pytest.mark.parametrize("mark", [M.FAILED, M.REFUSED])
def test_a_step_is_tried_again_only_where_that_may_help_and_not_for_ever(mark: Mark) -> None:
    for attempt in range(1, MAX_ATTEMPTS):
        again = record(1, mark, DO, retryable=True, attempt=attempt)
        moves = next_moves(state(DO, again, M.DONE, told={1: (DO, attempt)}))
        assert moves == (Dispatch(STEPS[0], attempt + 1),)
    for last in (record(1, mark, DO, retryable=True, attempt=MAX_ATTEMPTS), record(1, mark, DO)):
        (turn,) = next_moves(state(DO, replace(last, error="no"), M.DONE))
        assert turn == Turn('step 1 "do 1" failed on gs1: no')


@pytest.mark.parametrize("mark", [M.FAILED, M.REFUSED])
def test_another_engine_tries_once_more(mark: Mark) -> None:
    assert Dispatch(STEPS[0], 1) in next_moves(state(DO, record(1, mark, OLD, attempt=3), M.DONE))


def test_a_failure_turns_at_once_whatever_else_is_under_way() -> None:
    (turn,) = next_moves(state(DO, M.FAILED, M.CLAIMED, told=told(DO, 1, 2)))
    assert isinstance(turn, Turn)


def test_past_the_pivot_a_failure_is_stuck_once_nothing_is_under_way() -> None:
    steps = (
        step(1, A, step_class=StepClass.PIVOT),
        step(2, A, 1, step_class=StepClass.RETRIABLE),
        step(3, B, 1, step_class=StepClass.RETRIABLE),
    )
    busy = state(DO, M.DONE, M.FAILED, M.CLAIMED, steps=steps, told=told(DO, 1, 2, 3))
    assert busy.past_pivot(*parts_of(steps))
    assert next_moves(busy) == ()
    (end,) = next_moves(state(DO, M.DONE, M.FAILED, M.DONE, steps=steps, told=told(DO, 1, 2, 3)))
    assert isinstance(end, Finish)
    assert end.state is HeadState.STUCK


def test_a_pivot_that_was_refused_has_changed_nothing() -> None:
    steps = (step(1, A), step(2, A, 1, step_class=StepClass.PIVOT))
    refused = state(DO, M.DONE, M.REFUSED, steps=steps)
    assert not refused.past_pivot(*parts_of(steps))
    assert isinstance(next_moves(refused)[0], Turn)
    assert state(DO, M.DONE, M.CLAIMED, steps=steps).past_pivot(*parts_of(steps))


def test_a_stop_begins_nothing_and_waits_for_what_is_under_way() -> None:
    assert next_moves(state(DO, M.DONE, M.CLAIMED, told=told(DO, 1, 2), stopping=True)) == ()
    assert next_moves(state(DO, M.DONE, stopping=True)) == (Finish(HeadState.PAUSED, "stopped by the user"),)
    assert next_moves(state(UNDO, M.UNDO_CLAIMED, told=told(UNDO, 1), stopping=True)) == ()
    assert next_moves(state(UNDO, M.DONE, M.UNDONE, stopping=True)) == (
        Finish(HeadState.PAUSED, "stopped by the user"),
    )
    everything = state(DO, M.DONE, M.DONE, M.DONE, M.DONE, stopping=True)
    assert next_moves(everything) == (Finish(HeadState.COMMITTED),)


def test_a_dead_node_with_work_left_turns_the_transaction() -> None:
    (turn,) = next_moves(state(DO, M.DONE, dead=(B,)))
    assert turn == Turn("the agent on gs2 is gone: do 2")
    assert next_moves(state(DO, M.DONE, M.DONE, told=told(DO, 3), dead=(B,))) == ()


def test_past_the_pivot_a_dead_node_is_waited_for() -> None:
    steps = (step(1, A, step_class=StepClass.PIVOT), step(2, B, 1, step_class=StepClass.RETRIABLE))
    assert next_moves(state(DO, M.DONE, steps=steps, dead=(B,))) == (Dispatch(steps[1], 1),)


def test_nothing_is_decided_for_a_transaction_at_rest() -> None:
    for at_rest in (HeadState.PAUSED, HeadState.STUCK, HeadState.COMMITTED, HeadState.ROLLED_BACK):
        assert next_moves(replace(state(DO), head=head(DO, at_rest))) == ()


# ---------------------------------------------------------------- barriers


def test_a_new_phase_asks_a_node_that_has_something_older_in_flight() -> None:
    older = record(1, M.CLAIMED, OLD)
    assert next_moves(state(DO, older, M.DONE)) == (AskBarrier(A),)
    assert next_moves(state(DO, older, M.DONE, barriers={A: OLD})) == (AskBarrier(A),)
    assert next_moves(state(DO, older, M.DONE, barriers={A: DO})) == (Dispatch(STEPS[0], 1),)


def test_a_command_that_was_never_claimed_needs_no_barrier_forward() -> None:
    moves = next_moves(state(DO, told=told(OLD, 1, 2)))
    assert moves == (Dispatch(STEPS[0], 1), Dispatch(STEPS[1], 1))


def test_no_undo_is_commanded_before_its_node_confirmed_the_turn() -> None:
    turned = state(UNDO, record(1, M.DONE, DO), record(2, M.DONE, DO), told=told(DO, 1, 2))
    assert next_moves(turned) == (AskBarrier(A), AskBarrier(B))
    assert next_moves(replace(turned, barriers={A: UNDO})) == (Dispatch(STEPS[0], 1), AskBarrier(B))


def test_a_node_is_asked_once() -> None:
    steps = (step(1, A), step(2, A))
    both = state(UNDO, record(1, M.CLAIMED, DO), record(2, M.CLAIMED, DO), steps=steps, told=told(DO, 1, 2))
    assert next_moves(both) == (AskBarrier(A),)


# ---------------------------------------------------------------- late reports


def test_a_report_of_an_older_phase_answers_a_command_if_nothing_is_left_to_do() -> None:
    done_after_all = state(DO, record(1, M.DONE, OLD), M.DONE, told=told(DO, 1))
    assert waiting_for(done_after_all) == ()
    assert waiting_for(state(DO, record(1, M.FAILED, OLD), M.DONE, told=told(DO, 1))) == (STEPS[0],)
    undone_after_all = state(UNDO, record(1, M.UNDONE, Phase(4, 1)), told=told(UNDO, 1))
    assert waiting_for(undone_after_all) == ()
    assert waiting_for(state(UNDO, record(1, M.DONE, DO), told=told(UNDO, 1))) == (STEPS[0],)


# ---------------------------------------------------------------- backward


def back(*marks: Mark | StepRecord | None, **more: object) -> tuple[Move, ...]:
    """Return the moves of a rollback whose nodes have confirmed it."""
    made = state(UNDO, *marks, barriers={A: UNDO, B: UNDO}, **more)  # type: ignore[arg-type]
    return next_moves(made)


def test_undo_goes_from_the_last_to_the_first() -> None:
    assert steps_of(back(M.DONE, M.DONE, M.DONE)) == [3]
    assert steps_of(back(M.DONE, M.DONE, M.UNDONE)) == [1, 2]
    assert back(M.UNDONE, M.UNDONE, M.UNDONE) == (Finish(HeadState.ROLLED_BACK),)


@pytest.mark.parametrize("mark", [M.CLAIMED, M.FAILED, M.UNDO_CLAIMED])
def test_what_may_have_begun_is_undone(mark: Mark) -> None:
    assert steps_of(back(record(1, mark, DO))) == [1]


@pytest.mark.parametrize("mark", [None, M.REFUSED])
def test_what_never_began_is_not_undone(mark: Mark | None) -> None:
    never = record(1, mark, DO) if mark else None
    assert back(never, never) == (Finish(HeadState.ROLLED_BACK),)


def test_a_done_step_without_undo_is_left_as_it_is() -> None:
    looking = (step(1, A, undo=""),)
    assert back(record(1, M.DONE, DO), steps=looking) == (Finish(HeadState.ROLLED_BACK),)
    assert steps_of(back(record(1, M.CLAIMED, DO), steps=looking)) == [1]  # in doubt: its node must say


def test_undo_waits_for_what_rests_on_it_through_a_step_without_undo() -> None:
    steps = (step(1, A), step(2, A, 1, undo=""), step(3, A, 2))
    assert steps_of(back(M.DONE, M.DONE, M.DONE, steps=steps)) == [3]
    assert steps_of(back(M.DONE, M.DONE, M.UNDONE, steps=steps)) == [1]


def test_store_steps_are_undone_by_the_engine() -> None:
    steps = (step(1, None), step(2, A, 1))
    assert next_moves(state(UNDO, M.DONE, None, steps=steps)) == (Perform(steps[0]),)


def test_a_failed_undo_is_tried_again_with_a_bound_then_stuck() -> None:
    again = record(1, M.UNDO_FAILED, UNDO, retryable=True)
    assert back(again, told=told(UNDO, 1)) == (Dispatch(STEPS[0], 2),)
    for last in (replace(again, attempt=MAX_ATTEMPTS), replace(again, retryable=False)):
        (end,) = back(replace(last, error="no"), told={1: (UNDO, last.attempt)})
        assert end == Finish(HeadState.STUCK, 'undo of step 1 "do 1" failed on gs1: no')


def test_after_an_undo_that_failed_for_good_nothing_more_begins() -> None:
    failed = record(1, M.UNDO_FAILED, UNDO)
    steps = (step(1, A), step(2, B), step(3, B))
    moves = back(failed, M.UNDO_CLAIMED, M.DONE, steps=steps, told=told(UNDO, 1, 2))
    assert moves == ()
    (end,) = back(failed, M.UNDONE, M.DONE, steps=steps, told=told(UNDO, 1, 2))
    assert isinstance(end, Finish)


def test_a_human_who_resumes_a_stuck_rollback_has_the_undo_tried_once_more() -> None:
    before = record(1, M.UNDO_FAILED, Phase(3, 1), attempt=MAX_ATTEMPTS)
    assert back(before) == (Dispatch(STEPS[0], 1),)


def test_a_dead_node_is_stuck_only_after_the_rest_is_undone() -> None:
    assert steps_of(back(M.DONE, M.DONE, dead=(B,))) == [1]
    assert back(M.UNDO_CLAIMED, M.DONE, told=told(UNDO, 1), dead=(B,)) == ()
    (end,) = back(M.UNDONE, M.DONE, dead=(B,))
    assert end == Finish(HeadState.STUCK, 'the agent on gs2 is gone: cannot undo "do 2"')


def test_a_dead_node_that_never_claimed_does_not_hold_up_the_end() -> None:
    assert back(M.UNDONE, None, dead=(B,)) == (Finish(HeadState.ROLLED_BACK),)


def test_the_reason_of_the_turn_is_kept_to_the_end() -> None:
    turned = state(UNDO, M.UNDONE)
    assert next_moves(replace(turned, head=replace(turned.head, reason="why"))) == (
        Finish(HeadState.ROLLED_BACK, "why"),
    )


def test_a_phase_has_a_direction_and_grows_with_takeover_and_turn() -> None:
    assert (direction_of(DO), direction_of(UNDO)) == (Direction.DO, Direction.UNDO)
    assert Phase(5, 0) < Phase(5, 1) < Phase(6, 0)
