"""The real actions in schedules: whoever is killed, wherever an action is cut, it is all or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from reconciler.txn.record import HeadState
from tests.sim.action_mutants import ACTION_MUTANTS
from tests.sim.cases import drawn, play
from tests.sim.faults import Point
from tests.sim.mutants import Mutant
from tests.sim.runs import AGENTS, check, prepared
from tests.sim.scenarios import scenario
from tests.sim.shrinking import TELLS
from tests.sim.world import Trouble

PLANS = ("option", "delete", "one")
MOST = 400  #: schedules that a broken action may live through


def _last_on_a_node(name: str) -> int:
    return max(s.step_id for s in scenario(name).plan.steps if s.node is not None)


@pytest.mark.parametrize("name", [*PLANS, "several"])
def test_a_plan_is_carried_out_and_rolled_back(name: str) -> None:
    assert check(prepared(name, on_hosts=True)) is HeadState.COMMITTED
    trouble = {_last_on_a_node(name): Trouble("half")}
    # Several volumes are several parts: the other ones commit.
    end = HeadState.PARTLY if name == "several" else HeadState.ROLLED_BACK
    assert check(prepared(name, trouble=trouble, on_hosts=True)) is end


def _kills(name: str, trouble: dict[int, Trouble]) -> Iterator[Point]:
    undisturbed = prepared(name, trouble=trouble, on_hosts=True)
    check(undisturbed)
    for who in AGENTS:
        for number in range(1, undisturbed.sim.calls[who] + 1):
            for what in ("before", "after"):
                yield Point(who, number, what)


@pytest.mark.parametrize("rolls_back", [False, True])
@pytest.mark.parametrize("name", PLANS)
def test_an_agent_may_be_killed_at_each_of_its_calls(name: str, rolls_back: bool) -> None:
    end = HeadState.ROLLED_BACK if rolls_back else HeadState.COMMITTED
    trouble = {_last_on_a_node(name): "half"} if rolls_back else {}
    for point in _kills(name, {step: Trouble(what) for step, what in trouble.items()}):
        struck = {step: Trouble(what) for step, what in trouble.items()}
        assert check(prepared(name, point, trouble=struck, on_hosts=True)) is end, point


def test_the_same_seed_gives_the_same_run_on_hosts() -> None:
    for seed in range(4):
        case = replace(drawn(seed), on_hosts=True)
        assert play(case) == play(case)


@pytest.mark.parametrize("mutant", ACTION_MUTANTS, ids=str)
def test_a_broken_action_dies_in_random_schedules(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant.apply(monkeypatch)
    for seed in range(MOST):
        try:
            play(replace(drawn(seed), on_hosts=True))
        except TELLS as exc:
            print(f"{mutant.title}: {seed + 1} schedules, {str(exc)[:200]}")
            return
    pytest.fail(f"{MOST} schedules pass although {mutant.title}")
