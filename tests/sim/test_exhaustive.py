"""A small cluster explored completely, and mutants of the product that die in it.

GLUSTER_STATE_SIM_MODELS names the models of `exhaustive.MODELS` to explore, or ``all``.
"""

from __future__ import annotations

import os

import pytest

from tests.sim.exhaustive import MODELS, Unsound, explore, small_plan
from tests.sim.mutants import MUTANTS
from tests.sim.small_model import Budget, tiny_plan

_ASKED = os.environ.get("GLUSTER_STATE_SIM_MODELS", "undisturbed")
ASKED = list(MODELS) if _ASKED == "all" else _ASKED.split(",")
#: What each of these models must have come to.
BOTH = {"committed", "rolled-back"}
ENDS = {
    "undisturbed": {"committed"},
    "takeover": {"committed"},
    "rollback": BOTH,
    "takeover and rollback": BOTH,
}


@pytest.mark.parametrize("name", ASKED)
def test_every_state_keeps_the_invariants_and_reaches_an_end(name: str) -> None:
    last, budget = MODELS[name]
    found = explore(small_plan(last), budget)
    print(f"{name}: {found.states} states, {found.moves} moves, at rest: {dict(found.ends)}")
    assert found.states > 1000
    assert set(found.ends) == ENDS.get(name, set(found.ends))


@pytest.mark.parametrize(
    "title",
    [
        "the claim is not written",
        "the before-image is not kept",
        "a claim does not compare the head",
        "no barrier at the turn",
        "needs are not waited for",
        "a failed step is not undone",
    ],
)
def test_mutant_dies_in_the_small_cluster(title: str, monkeypatch: pytest.MonkeyPatch) -> None:
    next(mutant for mutant in MUTANTS if mutant.title == title).apply(monkeypatch)
    last, budget = MODELS["rollback"]
    with pytest.raises(Unsound):
        explore(small_plan(last), budget)


@pytest.mark.parametrize(
    "title",
    [
        "the before-image is taken again on resume",
        "a claim does not compare the lock",
        "a claim compares neither lock nor head",
        "no barrier at all",
        "no barrier for what is in doubt",
        "a takeover keeps the phase's epoch",
        "a takeover goes forward again",
        "a phase is acknowledged with a step under way",
        "undone in forward order",
        "undone in any order",
    ],
)
def test_mutant_dies_where_a_takeover_meets_a_rollback(title: str, monkeypatch: pytest.MonkeyPatch) -> None:
    next(mutant for mutant in MUTANTS if mutant.title == title).apply(monkeypatch)
    with pytest.raises(Unsound):
        explore(tiny_plan(), Budget(takeovers=1, failures=1))


def test_a_takeover_and_a_rollback_of_two_steps_end_either_way() -> None:
    found = explore(tiny_plan(), Budget(takeovers=1, failures=1))
    assert set(found.ends) == BOTH


TINY = Budget(takeovers=1)


def test_an_engine_without_its_lock_can_be_left_out() -> None:
    # Carried along in every order, it multiplies the states and changes no verdict.
    fenced = explore(tiny_plan(), TINY)
    assert fenced.ends.keys() == {"committed"}
    with pytest.raises(AssertionError, match="more than"):
        explore(tiny_plan(), TINY, most=2 * fenced.states, unfenced=True)


@pytest.mark.parametrize("unfenced", [False, True])
def test_an_engine_that_does_not_compare_the_lock_dies_with_and_without_the_reduction(
    unfenced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    next(m for m in MUTANTS if m.title == "an engine does not compare the lock").apply(monkeypatch)
    with pytest.raises(Unsound):
        explore(tiny_plan(), TINY, unfenced=unfenced)
