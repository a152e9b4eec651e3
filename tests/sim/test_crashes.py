"""Every crash point, one at a time: the process of one side is killed before or after its n-th call.

Which n are tried: all of them for small plans; of larger ones every few, unless GLUSTER_STATE_CRASH=all.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from reconciler.controller import steward
from reconciler.controller.settling import take_up
from reconciler.engine.lock import acquire
from reconciler.errors import Blocked
from reconciler.model.ids import ClusterId
from reconciler.plan.step import Plan
from reconciler.ports.store import Store
from reconciler.txn.machine import MAX_ATTEMPTS
from reconciler.txn.record import Head, HeadState, LockRecord, Mark, StepRecord
from tests.sim.engines import Job
from tests.sim.faults import Point
from tests.sim.runs import AGENTS, Run, check, judge, prepared
from tests.sim.scenarios import CLUSTER, scenario
from tests.sim.simulation import SimulatedCrash
from tests.sim.world import Trouble

ALL = os.environ.get("GLUSTER_STATE_CRASH") == "all"
KILLS = ("before", "after")
SILENCES = ("unsent", "unheard", "late")
STRIDES = {"one": 4, "several": 29, "parts": 3, "parts-all": 7}


def points(
    name: str, whats: tuple[str, ...], *, trouble: dict[int, Trouble] | None = None
) -> Iterator[Point]:
    """Yield the crash points of a run that nothing disturbs, or only a failing step."""
    undisturbed = prepared(name, trouble=_fresh(trouble))
    check(undisturbed)
    stride = 1 if ALL else STRIDES.get(name, 1)
    tried = 0
    for who in ("applier", *AGENTS):
        for number in range(1, undisturbed.sim.calls[who] + 1):
            for what in whats:
                tried += 1
                if tried % stride == 0:
                    yield Point(who, number, what)


def _fresh(trouble: dict[int, Trouble] | None) -> dict[int, Trouble]:
    return {step: one.fresh() for step, one in (trouble or {}).items()}


def last_step(name: str, *, on_a_node: bool = True) -> int:
    """Return the number of the last step of a plan that a node does (or the engine)."""
    steps = scenario(name).plan.steps
    return max(s.step_id for s in steps if (s.node is not None) is on_a_node)


# ---------------------------------------------------------------- forward


@pytest.mark.parametrize("what", KILLS)
@pytest.mark.parametrize(
    "name", ["option", "delete", "one", "several", "parts", "parts-all", "wide", "wide-delete"]
)
def test_a_plan_is_carried_out_whoever_is_killed(name: str, what: str) -> None:
    for point in points(name, (what,)):
        assert check(prepared(name, point)) is HeadState.COMMITTED, point


@pytest.mark.parametrize("what", SILENCES)
@pytest.mark.parametrize("name", ["option", "delete", "wide", "wide-delete"])
def test_a_plan_is_carried_out_whichever_answer_is_lost(name: str, what: str) -> None:
    for point in points(name, (what,)):
        for seconds in (0.0, 0.7, 14.0) if what == "late" and (ALL or name == "option") else (0.7,):
            later = replace(point, seconds=seconds)
            assert check(prepared(name, later)) is HeadState.COMMITTED, later


def test_engine_and_agent_are_killed_in_one_run() -> None:
    base = prepared("option")
    check(base)
    for engine in range(1, base.sim.calls["applier"] + 1):
        for agent in range(1, base.sim.calls["agent1"] + 1, 1 if ALL else 3):
            run = prepared("option", Point("applier", engine, "after"), Point("agent1", agent, "before"))
            assert check(run) is HeadState.COMMITTED, (engine, agent)


def test_the_first_steward_is_killed_too() -> None:
    for first in range(2, 12):
        for second in range(1, 6):
            run = prepared("option", Point("applier", first, "before"), Point("steward", second, "after"))
            assert check(run) is HeadState.COMMITTED, (first, second)


def test_a_transaction_that_kills_its_stewards_is_paused_for_a_human() -> None:
    # The applier dies at its sixth write, and each steward at the takeover's next two.
    run = prepared("option", Point("applier", 6, "before"), *(Point("steward", n, "before") for n in (3, 6)))
    head = run.go()
    assert head is not None
    assert head.state is HeadState.PAUSED
    assert "taken up" in head.reason
    assert run.settle(Job.RESUME).state is HeadState.COMMITTED
    judge(run, HeadState.COMMITTED)


def test_a_transaction_whose_plan_kills_its_stewards_is_paused_for_a_human() -> None:
    deaths: list[str] = []

    def kills(store: Store, cluster: ClusterId, head: Head) -> Plan:
        deaths.append(head.txn)
        raise SimulatedCrash

    run = prepared("option", Point("applier", 6, "before"))
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(steward, "frozen_plan", kills)
        head = run.go()
    assert head is not None
    assert head.state is HeadState.PAUSED
    assert len(deaths) == 2
    assert run.settle(Job.RESUME).state is HeadState.COMMITTED
    judge(run, HeadState.COMMITTED)


# ---------------------------------------------------------------- the old engine wakes


@pytest.mark.parametrize("name", ["option", "delete"])
def test_an_engine_that_stood_still_does_nothing_when_it_wakes_after_the_end(name: str) -> None:
    for point in points(name, ("stop",)):
        if point.who == "applier":
            run = prepared(name, point)
            assert check(run) is HeadState.COMMITTED, point
            assert run.applier.over, point


@pytest.mark.parametrize("name", ["option", "delete"])
def test_an_engine_that_stood_still_does_nothing_when_it_wakes_beside_its_successor(name: str) -> None:
    for point in points(name, ("stop",)):
        if point.who == "applier" and point.number > 2:
            run = prepared(name, point)
            run.sim.run(lambda run=run: _taken_over(run))
            run.applier.stopped = False
            assert check(run) is HeadState.COMMITTED, point
            assert run.applier.over, point


def _taken_over(run: Run) -> bool:
    head = run.sim.world.head()
    return run.applier.stopped and head is not None and head.attempts == 2


@pytest.mark.parametrize("what", ["stop"])
def test_an_agent_that_stood_still_is_waited_for_or_given_up(what: str) -> None:
    # Its node is given up after 45 seconds: what it had begun is in doubt, so the end is STUCK, not a lie.
    for point in points("option", (what,)):
        if point.who == "applier":
            continue
        run = prepared("option", point)
        head = run.go()
        assert head is not None
        assert head.state in (HeadState.ROLLED_BACK, HeadState.STUCK, HeadState.COMMITTED), point
        for agent in run.agents:
            agent.stopped = False
        if head.state is HeadState.STUCK:
            head = run.settle(Job.ROLLBACK)
            assert head.state is HeadState.ROLLED_BACK, point
        judge(run, head.state)


# ---------------------------------------------------------------- steps that fail


@pytest.mark.parametrize("what", ["refuse", "do", "half"])
@pytest.mark.parametrize("name", ["option", "delete", "one"])
def test_a_step_that_fails_has_everything_undone(name: str, what: str) -> None:
    for step in scenario(name).plan.steps:
        if step.node is not None:
            run = prepared(name, trouble={step.step_id: Trouble(what)})
            assert check(run) is HeadState.ROLLED_BACK, step.step_id
            assert _tries(run, step.step_id) <= 1


@pytest.mark.parametrize("what", ["refuse", "do", "half"])
def test_a_step_that_may_be_tried_again_is_and_not_for_ever(what: str) -> None:
    for step in scenario("option").plan.steps:
        if step.node is not None:
            once = prepared("option", trouble={step.step_id: Trouble(what, 1, retryable=True)})
            assert check(once) is HeadState.COMMITTED, step.step_id
            always = prepared("option", trouble={step.step_id: Trouble(what, retryable=True)})
            assert check(always) is HeadState.ROLLED_BACK, step.step_id
            tries = 1_000_000 - always.sim.world.trouble[step.step_id].times
            assert tries == MAX_ATTEMPTS, step.step_id


def _tries(run: Run, step: int) -> int:
    return sum(entry == (step, "do") for entry in run.sim.world.log)


@pytest.mark.parametrize("name", ["option", "delete", "one"])
def test_a_rollback_is_carried_out_whoever_is_killed_or_not_heard(name: str) -> None:
    trouble = {last_step(name): Trouble("half")}
    stride = 1 if ALL else {"one": 6, "delete": 6, "option": 3}[name]
    for number, point in enumerate(points(name, (*KILLS, *SILENCES), trouble=trouble)):
        if number % stride == 0:
            assert check(prepared(name, point, trouble=_fresh(trouble))) is HeadState.ROLLED_BACK, point


def test_an_undo_that_fails_once_is_tried_again() -> None:
    for step in range(1, last_step("option")):
        trouble = {step: Trouble("undo", 1, retryable=True), last_step("option"): Trouble("do")}
        assert check(prepared("option", trouble=trouble)) is HeadState.ROLLED_BACK, step


def test_an_undo_that_fails_for_ever_is_stuck_until_it_is_repaired() -> None:
    for retryable in (False, True):
        for step in range(1, last_step("option")):
            trouble = {step: Trouble("undo", retryable=retryable), last_step("option"): Trouble("do")}
            run = prepared("option", trouble=trouble)
            assert check(run, stuck=True) is HeadState.STUCK, step
            head = run.sim.world.head()
            assert head is not None
            assert f"undo of step {step} " in head.reason
            run.sim.world.trouble.clear()
            assert run.settle(Job.ROLLBACK).state is HeadState.ROLLED_BACK
            judge(run, HeadState.ROLLED_BACK)


# ---------------------------------------------------------------- humans


def test_a_stop_at_any_time_is_paused_and_can_go_either_way() -> None:
    for way, end in ((Job.RESUME, HeadState.COMMITTED), (Job.ROLLBACK, HeadState.ROLLED_BACK)):
        for at in range(5, 120, 1 if ALL else 6):
            run = prepared("option")
            run.sim.run(lambda run=run, at=at: run.sim.steps >= at)
            run.applier.ask_to_stop()
            head = run.go()
            assert head is not None
            if head.state is HeadState.PAUSED:
                records = [run.sim.world.record(s) for s in run.sim.scenario.plan.steps]
                assert not any(r and r.mark.in_flight for r in records), "paused with a step under way"
                head = run.settle(way)
                assert head.state is end, at
            judge(run, head.state)


def test_a_stop_while_an_answer_is_missing_waits_for_it() -> None:
    # What it has written without an answer is claimed before it has heard of it.
    run = prepared("option", Point("applier", 4, "unheard"))
    run.sim.run(lambda: bool(run.applier._unanswered))
    run.applier.stopped = True
    run.sim.run(lambda: any(record.mark.in_flight for record in records_of(run)))
    run.applier.stopped = False
    run.applier.ask_to_stop()
    head = run.go()
    assert head is not None
    assert head.state is HeadState.PAUSED
    assert not any(record.mark.in_flight for record in records_of(run)), "paused with a step under way"
    assert run.settle(Job.RESUME).state is HeadState.COMMITTED
    judge(run, HeadState.COMMITTED)


def records_of(run: Run) -> list[StepRecord]:
    """Return the records of all steps that were touched."""
    found = (run.sim.world.record(step) for step in run.sim.scenario.plan.steps)
    return [record for record in found if record is not None]


def test_a_lost_lease_at_any_time_hands_over() -> None:
    for at in range(5, 120, 1 if ALL else 5):
        run = prepared("option")
        run.sim.run(lambda run=run, at=at: run.sim.steps >= at)
        run.applier.lose_lease()
        assert check(run) is HeadState.COMMITTED, at


def test_what_takes_several_commits_cannot_be_rolled_back_once_the_first_was_made() -> None:
    # wide-delete takes the volume's record away with the first of its commits.
    for name, first in (("wide", 6), ("wide-delete", 5)):
        run = prepared(name, Point("applier", first, "after"))
        run.sim.processes.remove(run.steward)
        run.sim.run(lambda run=run: not run.applier.alive)
        step = scenario(name).plan.steps[-1]
        record = run.sim.world.record(step)
        assert record is not None
        assert record.mark is Mark.CLAIMED
        run.sim.now += 20.0
        client = run.sim.client("operator")
        with acquire(
            client, CLUSTER, LockRecord(holder="o", op_id="o", since=0), timeout_s=0, on_lost=lambda: None
        ) as lock:
            with pytest.raises(Blocked):
                take_up(client, CLUSTER, run.sim.world.txn, lock.epoch, rollback=True)
        assert run.settle(Job.RESUME).state is HeadState.COMMITTED
        judge(run, HeadState.COMMITTED)


# ---------------------------------------------------------------- dead nodes


def test_a_node_that_dies_before_its_claim_does_not_hold_up_the_rollback() -> None:
    run = prepared("option", Point("agent2", 1, "before"))
    run.agents[1].stays_dead = True
    assert check(run) is HeadState.ROLLED_BACK


def test_a_node_that_dies_in_a_step_leaves_it_in_doubt() -> None:
    for call in (2, 3):  # after the claim: before the effect, and half-way through it
        run = prepared("option", Point("agent2", call, "before"))
        run.agents[1].stays_dead = True
        head = run.go()
        assert head is not None
        assert head.state is HeadState.STUCK
        assert "the agent on gs2 is gone" in head.reason
        others = [run.sim.world.record(s) for s in run.sim.scenario.plan.steps[:3:2]]
        assert all(r and r.mark is Mark.UNDONE for r in others), "the rest is rolled back"
        run.agents[1].revive()
        assert run.settle(Job.ROLLBACK).state is HeadState.ROLLED_BACK
        judge(run, HeadState.ROLLED_BACK)


def test_an_agent_that_works_on_without_its_lease_is_not_taken_for_finished() -> None:
    # It is cut off from the store in the middle of an effect, for longer than it is waited for.
    run = prepared("option", Point("agent2", 3, "stop"))
    head = run.go()
    assert head is not None
    assert head.state is HeadState.STUCK
    assert run.sim.world.at_work, "its effect is still going on"
    run.agents[1].stopped = False
    run.sim.run(seconds=30.0)
    assert not run.sim.world.at_work
    assert run.settle(Job.ROLLBACK).state is HeadState.ROLLED_BACK
    judge(run, HeadState.ROLLED_BACK)


# ---------------------------------------------------------------- writes that come too late


def test_a_claim_from_before_the_turn_comes_to_nothing() -> None:
    # The agent stands still with its claim in hand while another node's refusal turns the transaction.
    run = prepared("option", Point("agent1", 1, "stop"), trouble={2: Trouble("refuse")})
    run.sim.run(lambda: run.sim.world.head() is not None and run.sim.world.head().phase.undoing)
    run.agents[0].stopped = False
    assert check(run) is HeadState.ROLLED_BACK
    assert (1, "do") not in run.sim.world.log


def test_a_command_from_before_the_turn_is_never_given() -> None:
    # A second try gets no answer, and arrives when a refusal elsewhere has turned the transaction.
    for number in (5, 6):
        for later in (2, 4, 8, 16, 32):
            run = prepared(
                "option",
                Point("applier", number, "late", later),
                trouble={1: Trouble("refuse", 1, retryable=True), 3: Trouble("refuse")},
            )
            assert check(run) is HeadState.ROLLED_BACK, (number, later)


# ---------------------------------------------------------------- others


def test_a_plan_whose_cluster_has_moved_on_does_not_begin() -> None:
    run = prepared("option")
    read = run.sim.scenario.plan.read_set
    key = next(key for key in run.sim.entries() if key.endswith("/config/settings"))
    assert read
    run.overwrite(key, run.sim.entries()[key].value)
    assert run.go() is None
    assert run.applier.over
    assert run.sim.world.log == []


def test_of_several_who_apply_one_plan_one_does() -> None:
    for rivals in (1, 3, 7):
        run = prepared("option")
        others = [run.engine(Job.APPLY) for _ in range(rivals)]
        assert check(run) is HeadState.COMMITTED
        winners = [e for e in (run.applier, *others) if e.result is not None]
        assert len(winners) == 1
        assert all(e.over for e in (run.applier, *others))
