"""The crash tests find what they are for: with any safeguard taken away, one of a few runs fails."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from reconciler.errors import ReconcilerError
from reconciler.model import keys
from reconciler.plan.document import canonical_text
from reconciler.txn.record import HeadState
from tests.sim import test_crashes as crashes
from tests.sim.cases import drawn, play
from tests.sim.faults import Point
from tests.sim.mutants import MUTANTS, Mutant
from tests.sim.runs import AGENTS, check, prepared
from tests.sim.scenarios import CLUSTER, scenario
from tests.sim.world import Trouble

Probe = Callable[[], object]
#: How a run tells that something is wrong. A mutation that does not even run is no kill.
TELLS = (AssertionError, ReconcilerError)


def probes() -> Iterator[Probe]:
    """Yield runs that the whole product passes: directed ones first, then crash points, then random ones."""
    yield lambda: check(prepared("option"))
    yield crashes.test_an_undo_that_fails_for_ever_is_stuck_until_it_is_repaired
    yield crashes.test_a_node_that_dies_in_a_step_leaves_it_in_doubt
    yield crashes.test_a_transaction_that_kills_its_stewards_is_paused_for_a_human
    yield lambda: crashes.test_a_step_that_may_be_tried_again_is_and_not_for_ever("half")
    yield crashes.test_what_takes_several_commits_cannot_be_rolled_back_once_the_first_was_made
    yield crashes.test_a_claim_from_before_the_turn_comes_to_nothing
    yield crashes.test_a_command_from_before_the_turn_is_never_given
    yield another_plan_in_its_place
    yield crashes.test_a_plan_whose_cluster_has_moved_on_does_not_begin
    yield crashes.test_of_several_who_apply_one_plan_one_does
    for number in (10, 12, 14):  # in the rollback
        yield partial(_point, ("option", Point("applier", number, "before")))
    yield crashes.test_a_lost_lease_at_any_time_hands_over
    yield crashes.test_a_stop_at_any_time_is_paused_and_can_go_either_way
    for point in _points():
        yield partial(_point, point)
    for seed in range(40):
        yield partial(play, drawn(seed, "option"))


def _points() -> list[tuple[str, Point]]:
    """Return the beginning's lost answers, a store step's, and some of everything."""
    first = [("option", Point("applier", n, what)) for n in range(1, 5) for what in crashes.SILENCES]
    store = [("one", Point("applier", n, "late", 8)) for n in range(4, 10)]
    found = [
        ("option", Point(who, number, what, seconds=seconds))
        for who in ("applier", *AGENTS)
        for number in range(1, 12)
        for what, seconds in (("before", 0), ("after", 0), ("late", 0.7), ("late", 14.0))
    ]
    return [*first, *store, *random.Random(1).sample(found, 30)]


def _point(case: tuple[str, Point]) -> None:
    """Have one point strike a run that succeeds, and one whose last step fails."""
    name, point = case
    check(prepared(name, point))
    if name == "option":
        check(prepared(name, point, trouble={crashes.last_step(name): Trouble("half")}))


def another_plan_in_its_place() -> None:
    """A whole plan in the place of the frozen one: only the head's digest tells them apart."""
    run = prepared("option", Point("applier", 3, "after"))
    run.sim.run(lambda: not run.applier.alive)
    key = keys.plan_chunk(CLUSTER, run.sim.world.txn, 0)
    crashes.overwrite(run, key, canonical_text(scenario("delete").plan))
    head = run.go()
    assert head is not None
    assert head.state is HeadState.STUCK
    assert run.sim.world.log == []


def test_the_probes_pass_on_the_real_product() -> None:
    for probe in probes():
        probe()


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_mutant_is_killed(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant.apply(monkeypatch)
    for probe in probes():
        try:
            probe()
        except TELLS:
            return
    pytest.fail(f"survived: {mutant.title}")
