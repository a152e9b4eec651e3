"""What is decided about a plan of several parts: which goes on, which goes back, which waits."""

from __future__ import annotations

from dataclasses import replace

from reconciler.model.cluster import Rollback
from reconciler.model.ids import Address, NodeId, StepId
from reconciler.plan.step import Step, StepClass
from reconciler.txn.machine import Dispatch, Finish, Move, PassOver, Perform, Turn, next_moves, parked
from reconciler.txn.record import HeadState, Mark, Phase
from reconciler.txn.state import PER_NODE, TxnState, parts_of
from tests.txn_samples import A, B, head, record, step

DO, UNDO = Phase(5, 0), Phase(5, 1)
M = Mark


def _end(number: int, part: int, *needs: int) -> Step:
    name = Address(f"volume/p{part}")
    return step(number, None, *needs, undo="", step_class=StepClass.RETRIABLE, part=part, address=name)


#: The cluster's own step, then two volumes: two steps on two nodes each, and a commit.
STEPS = (
    step(1, None, address=Address("settings")),
    step(2, A, 1, part=1),
    step(3, B, 2, part=1),
    _end(4, 1, 2, 3),
    step(5, A, 1, part=2),
    step(6, B, 5, part=2),
    _end(7, 2, 5, 6),
)


def state(phase: Phase, *marks: Mark | None, steps: tuple[Step, ...] = STEPS, **more: object) -> TxnState:
    """Return a state in which step n has the n-th mark."""
    records = {StepId(n): record(n, m, phase, error=f"e{n}") for n, m in enumerate(marks, 1) if m is not None}
    of = head(phase, HeadState.ROLLING_BACK if phase.undoing else HeadState.RUNNING, reason="why")
    made = TxnState(steps=steps, head=of, records=records, barriers={A: phase, B: phase})
    return replace(made, **more)  # type: ignore[arg-type]


def numbers(moves: tuple[Move, ...]) -> list[int]:
    """Return the steps that are commanded, performed or passed over."""
    assert all(isinstance(m, Dispatch | Perform | PassOver) for m in moves), moves
    return [m.step.step_id for m in moves if isinstance(m, Dispatch | Perform | PassOver)]


def test_parts_are_told_by_number_and_named_by_their_volume() -> None:
    assert [(p.number, p.address) for p in parts_of(STEPS)] == [
        (0, "cluster"), (1, "volume/p1"), (2, "volume/p2"),
    ]  # fmt: skip


def test_parts_go_on_side_by_side_once_the_clusters_own_is_done() -> None:
    assert numbers(next_moves(state(DO))) == [1]
    assert numbers(next_moves(state(DO, M.DONE))) == [2, 5]
    assert numbers(next_moves(state(DO, M.DONE, M.DONE, M.DONE, None, M.DONE))) == [4, 6]
    assert next_moves(state(DO, *[M.DONE] * 7)) == (Finish(HeadState.COMMITTED),)


def test_nothing_new_of_a_parked_part_is_begun_and_the_others_go_on() -> None:
    side_by_side = (*STEPS[:5], replace(STEPS[5], needs=(StepId(1),)), STEPS[6])
    failed = state(DO, M.DONE, M.DONE, M.DONE, None, M.FAILED, steps=side_by_side)
    assert parked(failed) == {2: 'step 5 "do 5" failed on gs1: e5'}
    assert numbers(next_moves(failed)) == [4], "its own sixth step is ready, and does not begin"


def test_it_turns_when_nothing_goes_forward_any_more_and_names_each_failed_part() -> None:
    (turn,) = next_moves(state(DO, M.DONE, M.DONE, M.DONE, M.DONE, M.FAILED))
    assert turn == Turn('volume/p2: step 5 "do 5" failed on gs1: e5')
    (turn,) = next_moves(state(DO, M.DONE, M.FAILED, None, None, M.REFUSED))
    assert isinstance(turn, Turn)
    assert turn.reason.split("; ") == [
        'volume/p1: step 2 "do 2" failed on gs1: e2', 'volume/p2: step 5 "do 5" failed on gs1: e5',
    ]  # fmt: skip


def test_a_reason_does_not_grow_with_the_plan() -> None:
    steps = tuple(step(n, A, part=n, address=Address(f"volume/v{n}")) for n in range(1, 200))
    (turn,) = next_moves(state(DO, *[M.FAILED] * 199, steps=steps))
    assert isinstance(turn, Turn)
    assert turn.reason.endswith("and 191 more")
    assert len(turn.reason) < 600


def test_only_what_belongs_to_no_committed_part_is_undone() -> None:
    marks = [M.DONE, M.DONE, M.DONE, M.DONE, M.DONE, M.FAILED]
    turned = state(UNDO, *marks)
    assert turned.kept() == {0, 1}
    assert numbers(next_moves(turned)) == [6]
    assert next_moves(state(UNDO, *marks[:4], M.UNDONE, M.UNDONE)) == (Finish(HeadState.PARTLY, "why"),)
    nothing_committed = state(UNDO, M.DONE, M.UNDONE, M.REFUSED, None, M.UNDONE, M.UNDONE)
    assert nothing_committed.kept() == set()
    assert numbers(next_moves(nothing_committed)) == [1]
    assert next_moves(state(UNDO, M.UNDONE, M.UNDONE)) == (Finish(HeadState.ROLLED_BACK, "why"),)


def test_the_clusters_own_part_stays_only_complete() -> None:
    steps = (STEPS[0], step(2, None), *STEPS[2:])
    assert state(UNDO, M.DONE, M.REFUSED, M.DONE, M.DONE, steps=steps).kept() == {1}


def test_what_rests_on_the_clusters_own_part_is_parked_with_it() -> None:
    free = _end(8, 3)
    failed = state(DO, M.FAILED, steps=(*STEPS, free))
    assert set(parked(failed)) == {0, 1, 2}
    assert numbers(next_moves(failed)) == [8], "the part that rests on nothing goes on"
    (turn,) = next_moves(state(DO, M.FAILED, *[None] * 6, M.DONE, steps=(*STEPS, free)))
    assert turn == Turn('cluster: step 1 "do 1" failed: e1'), "what only rests on it is no reason"


def test_a_part_past_its_point_of_no_return_that_fails_is_stuck_after_the_others() -> None:
    hopeless = (M.DONE, M.DONE, M.DONE, M.FAILED)
    assert numbers(next_moves(state(DO, *hopeless))) == [5]
    (end,) = next_moves(state(DO, *hopeless, M.DONE, M.DONE, M.DONE))
    assert isinstance(end, Finish)
    assert end.state is HeadState.STUCK
    assert end.reason.startswith("volume/p1: ")
    (end,) = next_moves(state(DO, *hopeless, M.FAILED))
    assert isinstance(end, Finish)
    assert end.state is HeadState.STUCK, "no turn while one can only go forward"


def test_without_rollback_it_is_stuck_once_nothing_is_under_way() -> None:
    marks = (M.DONE, M.DONE, M.DONE, M.DONE, M.FAILED)
    (end,) = next_moves(state(DO, *marks, rollback=Rollback.NONE))
    assert end == Finish(HeadState.STUCK, 'volume/p2: step 5 "do 5" failed on gs1: e5')
    side_by_side = (*STEPS[:5], replace(STEPS[5], needs=(StepId(1),)), STEPS[6])
    busy = state(DO, *marks, M.CLAIMED, steps=side_by_side, rollback=Rollback.NONE)
    assert next_moves(replace(busy, dispatched={StepId(6): (DO, 1)})) == ()


# ---------------------------------------------------------------- dead nodes


def served(number: int, on: NodeId, part: int, *needs: int) -> Step:
    """Return a step that the plan can do without."""
    return step(number, on, *needs, part=part, dispensable=True)


SERVED = (step(1, A, part=1), served(2, B, 1, 1), _end(3, 1, 1, 2), step(4, B, part=2), _end(5, 2, 4))


def test_a_dead_node_parks_its_own_parts_only_and_is_named() -> None:
    dead = state(DO, steps=SERVED, dead=frozenset({B}))
    assert parked(dead) == {2: "the agent on gs2 is gone: do 4"}
    assert numbers(next_moves(dead)) == [2, 1]
    assert PassOver(SERVED[1]) in next_moves(dead)
    (turn,) = next_moves(state(DO, M.DONE, M.PASSED, M.DONE, steps=SERVED, dead=frozenset({B})))
    assert turn == Turn("volume/p2: the agent on gs2 is gone: do 4")


def test_what_was_passed_over_counts_as_done_for_what_needs_it_and_for_the_end() -> None:
    assert numbers(next_moves(state(DO, M.DONE, M.PASSED, None, M.DONE, M.DONE, steps=SERVED))) == [3]
    assert next_moves(state(DO, M.DONE, M.PASSED, *[M.DONE] * 3, steps=SERVED)) == (
        Finish(HeadState.COMMITTED),
    )
    back = state(UNDO, M.DONE, M.PASSED, None, M.UNDONE, steps=SERVED)
    assert numbers(next_moves(back)) == [1], "and for the way back: nothing of it is left to undo"


def test_a_node_that_is_back_does_nothing_that_rests_on_what_was_passed_over_there() -> None:
    steps = (served(1, A, 1), served(2, B, 1), served(3, A, 1, 1, 2), served(4, B, 1, 1, 2), _end(5, 1, 3, 4))
    seen = state(DO, M.DONE, M.PASSED, steps=steps)
    assert next_moves(seen) == (PassOver(steps[3]), Dispatch(steps[2], 1))


def test_a_dispensable_step_in_doubt_is_not_passed_over() -> None:
    for mark in (M.CLAIMED, M.FAILED, M.REFUSED):
        seen = state(DO, M.DONE, mark, None, M.DONE, M.DONE, steps=SERVED, dead=frozenset({B}))
        assert set(parked(seen)) == {1}, mark
        assert isinstance(next_moves(seen)[0], Turn), mark


def test_an_undo_on_a_dead_node_or_one_that_fails_holds_up_its_own_part_only() -> None:
    steps = (step(1, A, part=1), _end(2, 1, 1), step(3, B, part=2), _end(4, 2, 3))
    gone = state(UNDO, M.FAILED, None, M.DONE, steps=steps, dead=frozenset({B}))
    assert numbers(next_moves(gone)) == [1]
    (end,) = next_moves(state(UNDO, M.UNDONE, None, M.DONE, steps=steps, dead=frozenset({B})))
    assert end == Finish(HeadState.STUCK, 'volume/p2: the agent on gs2 is gone: cannot undo "do 3"')
    failed = state(UNDO, M.FAILED, None, M.UNDO_FAILED, steps=steps)
    assert numbers(next_moves(failed)) == [1]
    (end,) = next_moves(state(UNDO, M.UNDONE, None, M.UNDO_FAILED, steps=steps))
    assert end == Finish(HeadState.STUCK, 'volume/p2: undo of step 3 "do 3" failed on gs2: e3')


# ---------------------------------------------------------------- orphans


def test_an_orphan_goes_back_but_for_what_can_only_go_forward() -> None:
    (turn,) = next_moves(state(DO, M.DONE, M.DONE, orphaned=True))
    assert isinstance(turn, Turn)
    assert "has gone" in turn.reason
    half = state(DO, M.DONE, M.DONE, M.DONE, M.CLAIMED, M.DONE, orphaned=True)
    assert numbers(next_moves(half)) == [4], "its commit takes several writes: forward only"
    (turn,) = next_moves(state(DO, *[M.DONE] * 5, orphaned=True, rollback=Rollback.NONE))
    assert isinstance(turn, Turn), "whatever a failure would do"
    assert next_moves(state(DO, *[M.DONE] * 7, orphaned=True)) == (Finish(HeadState.COMMITTED),)


# ---------------------------------------------------------------- how much at once


def test_few_commands_are_under_way_at_once_in_all_and_on_each_node() -> None:
    steps = tuple(step(n, A if n <= 10 else B) for n in range(1, 21))
    assert numbers(next_moves(state(DO, steps=steps))) == [1, 2, 3, 4, 11, 12, 13, 14]
    assert numbers(next_moves(state(DO, steps=steps, parallel=6))) == [1, 2, 3, 4, 11, 12]
    told = {StepId(n): (DO, 1) for n in (1, 2, 3, 4)}
    busy = state(DO, M.DONE, steps=steps, dispatched=told, parallel=5)
    assert numbers(next_moves(busy)) == [5, 11], "one has ended: one more there, and one elsewhere"
    assert PER_NODE == 4


def test_commands_on_a_dead_node_take_no_room_from_others() -> None:
    steps = (*(step(n, B, part=1) for n in (1, 2, 3, 4)), *(step(n, A, part=2) for n in (5, 6, 7)))
    told = {StepId(n): (DO, 1) for n in (1, 2, 3, 4)}
    assert numbers(next_moves(state(DO, steps=steps, dispatched=told, parallel=4))) == []
    gone = state(DO, steps=steps, dispatched=told, parallel=4, dead=frozenset({B}))
    assert numbers(next_moves(gone)) == [5, 6, 7]
