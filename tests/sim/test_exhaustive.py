"""A small cluster explored completely, and mutants of the product that die in it.

GLUSTER_STATE_SIM_MODELS names the models of `exhaustive.MODELS` to explore, or ``all``.
"""

from __future__ import annotations

import os

import pytest

from tests.sim.exhaustive import MODELS, Unsound, explore, small_plan
from tests.sim.mutants import MUTANTS

_ASKED = os.environ.get("GLUSTER_STATE_SIM_MODELS", "undisturbed")
ASKED = list(MODELS) if _ASKED == "all" else _ASKED.split(",")
#: What each of these models must have come to.
ENDS = {"undisturbed": {"committed"}, "takeover": {"committed"}, "rollback": {"committed", "rolled-back"}}


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
