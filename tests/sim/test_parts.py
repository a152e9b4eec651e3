"""Plans of several volumes: what fails goes back alone, as a whole, or not at all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from reconciler.plan.step import Step
from reconciler.txn.record import HeadState, Mark
from reconciler.txn.state import Part, parts_of
from tests.sim.engines import Job
from tests.sim.faults import Point
from tests.sim.runs import Run, check, judge, prepared
from tests.sim.scenarios import scenario
from tests.sim.world import Trouble


def on_nodes(name: str, *addresses: str) -> Iterator[Step]:
    """Yield the steps of some parts that nodes do."""
    for part in parts_of(scenario(name).plan.steps):
        if part.address in addresses:
            yield from (s for s in part.steps if s.node is not None)


def part(name: str, address: str) -> Part:
    """Return a part of a scenario's plan."""
    return next(p for p in parts_of(scenario(name).plan.steps) if p.address == address)


def marks(run: Run, of: Part) -> set[Mark | None]:
    """Return the marks of a part's steps."""
    records = (run.sim.world.record(s) for s in of.steps)
    return {r.mark if r else None for r in records}


@pytest.mark.parametrize("what", ["refuse", "do", "half"])
def test_each_step_that_fails_takes_its_own_volume_back_and_no_other(what: str) -> None:
    for step in on_nodes("parts", "volume/home", "volume/one"):
        run = prepared("parts", trouble={step.step_id: Trouble(what)})
        assert check(run) is HeadState.PARTLY, step.step_id
        head = run.sim.world.head()
        assert head is not None
        failed = next(p for p in parts_of(run.sim.scenario.plan.steps) if p.number == step.part)
        assert head.reason.startswith(f"{failed.address}: step {step.step_id} "), head.reason


def test_a_volume_that_fails_goes_back_alone() -> None:
    first, *_, last = on_nodes("parts", "volume/one")
    for step, ends in ((first, {Mark.REFUSED, None}), (last, {Mark.UNDONE, Mark.DONE, Mark.REFUSED, None})):
        run = prepared("parts", trouble={step.step_id: Trouble("refuse")})
        assert check(run) is HeadState.PARTLY
        assert marks(run, part("parts", "volume/home")) == {Mark.DONE}
        assert marks(run, part("parts", "volume/one")) == ends


@pytest.mark.parametrize("address", ["volume/home", "volume/tmp", "volume/vault"])
def test_of_three_volumes_two_are_made(address: str) -> None:
    *_, last = on_nodes("several", address)
    assert check(prepared("several", trouble={last.step_id: Trouble("do")})) is HeadState.PARTLY


def test_peers_and_settings_stay_under_what_has_committed() -> None:
    *_, last = on_nodes("several", "volume/tmp")
    run = prepared("several", trouble={last.step_id: Trouble("do")})
    assert check(run) is HeadState.PARTLY
    assert marks(run, part("several", "cluster")) == {Mark.DONE}


def test_nothing_stays_of_peers_and_settings_if_no_volume_commits() -> None:
    firsts = {next(on_nodes("several", f"volume/{n}")).step_id for n in ("home", "tmp", "vault")}
    run = prepared("several", trouble={step: Trouble("refuse") for step in firsts})
    assert check(run) is HeadState.ROLLED_BACK
    assert marks(run, part("several", "cluster")) == {Mark.UNDONE}


def test_a_plan_that_is_one_part_goes_back_as_a_whole() -> None:
    assert {s.part for s in scenario("parts-all").plan.steps} == {0}
    for step in scenario("parts-all").plan.steps:
        if step.node is not None:
            run = prepared("parts-all", trouble={step.step_id: Trouble("do")})
            assert check(run) is HeadState.ROLLED_BACK, step.step_id


def test_without_rollback_it_waits_for_a_human() -> None:
    for step in on_nodes("parts-none", "volume/home", "volume/one"):
        for way, end in ((Job.RESUME, HeadState.COMMITTED), (Job.ROLLBACK, HeadState.PARTLY)):
            run = prepared("parts-none", trouble={step.step_id: Trouble("half")})
            assert check(run, stuck=True) is HeadState.STUCK, step.step_id
            assert not any(what == "undo" for _, what in run.sim.world.log)
            run.sim.world.trouble.clear()
            assert run.settle(way).state is end, step.step_id
            judge(run, end)


# ---------------------------------------------------------------- dead nodes


def test_a_node_that_is_gone_is_passed_over_where_it_only_serves() -> None:
    run = prepared("parts", Point("agent1", 1, "before"))
    run.agents[0].stays_dead = True
    assert check(run) is HeadState.PARTLY
    one = part("parts", "volume/one")
    gone = [s for s in one.steps if s.peer == "gs1"]
    assert gone
    for step in gone:
        record = run.sim.world.record(step)
        assert record is not None
        assert record.mark is Mark.PASSED, step
    head = run.sim.world.head()
    assert head is not None
    assert head.reason.startswith("volume/home: the agent on gs1 is gone")
    assert "volume/one" not in head.reason


def test_whenever_a_node_dies_for_good_it_holds_up_no_volume_without_a_brick_there() -> None:
    undisturbed = prepared("parts")
    check(undisturbed)
    for call in range(1, undisturbed.sim.calls["agent1"] + 1):
        for what in ("before", "after"):
            run = prepared("parts", Point("agent1", call, what))
            run.agents[0].stays_dead = True
            head = run.go()
            assert head is not None
            if head.state is HeadState.STUCK:  # something of it is in doubt, or cannot be undone there
                assert "the agent on gs1 is gone" in head.reason, (call, what)
                run.agents[0].revive()
                head = run.settle(Job.ROLLBACK)
            judge(run, head.state)
            record = run.sim.world.record(part("parts", "volume/one").steps[-1])
            in_doubt = any("one" in step.address for step in in_doubt_at(run))
            assert in_doubt or (record is not None and record.mark is Mark.DONE), (call, what)


def in_doubt_at(run: Run) -> list[Step]:
    """Return the steps of the first node that were claimed and are not done: undone, once it was back."""
    mine = [s for s in run.sim.scenario.plan.steps if s.peer == "gs1"]
    return [s for s in mine if (r := run.sim.world.record(s)) is not None and r.mark is Mark.UNDONE]


# ---------------------------------------------------------------- orphans


def test_an_apply_that_dies_is_rolled_back_where_the_plan_says_so() -> None:
    undisturbed = prepared("parts-crash")
    check(undisturbed)
    ends = set()
    for call in range(4, undisturbed.sim.calls["applier"]):
        run = prepared("parts-crash", Point("applier", call, "after"))
        run.sim.run(lambda run=run: not run.applier.alive)
        ends_then = [p for p in parts_of(run.sim.scenario.plan.steps) if Mark.DONE in marks(run, _pivot(p))]
        end = check(run)
        ends.add(end)
        stays = [p for p in parts_of(run.sim.scenario.plan.steps) if Mark.DONE in marks(run, _pivot(p))]
        assert stays == ends_then, call
    assert ends == {HeadState.ROLLED_BACK, HeadState.PARTLY, HeadState.COMMITTED}


def _pivot(of: Part) -> Part:
    return Part(of.number, tuple(s for s in of.steps if s.irrevocable))


# ---------------------------------------------------------------- how much at once


def test_few_commands_wait_for_a_node_at_once() -> None:
    run = prepared("many")
    assert check(run) is HeadState.COMMITTED


def test_commands_that_are_ready_together_are_written_together() -> None:
    run = prepared("many")
    check(run)
    commands = len([s for s in run.sim.scenario.plan.steps if s.node is not None])
    batches = [b for b in run.sim._log.values() if any("/cmd/" in c.key for c in b.changes)]
    assert sum(len([c for c in b.changes if "/cmd/" in c.key]) for b in batches) == commands
    assert len(batches) < commands * 3 / 4
