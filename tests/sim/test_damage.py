"""A journal that somebody has damaged or changed: it is refused or stuck, and nothing happens by it."""

from __future__ import annotations

from reconciler.engine.frozen import packed, unpacked
from reconciler.model import keys
from reconciler.plan.document import canonical_text
from reconciler.txn.record import HeadState, Mark
from tests.sim.engines import Job
from tests.sim.faults import Point
from tests.sim.runs import check, judge, prepared
from tests.sim.scenarios import CLUSTER, scenario


def test_a_plan_with_one_other_byte_is_refused_by_everybody() -> None:
    # Killed before the first command, so that nobody has the plan in memory.
    for number in range(3, 6):
        run = prepared("option", Point("applier", number, "after"))
        run.sim.run(lambda run=run: not run.applier.alive)
        entry = run.sim.data.read(keys.plan_chunk(CLUSTER, run.sim.world.txn, 0))
        assert entry is not None
        (flipped,) = packed(unpacked([entry.value]).replace("keep generation 2", "keep generation 3", 1))
        run.overwrite(entry.key, flipped)
        head = run.go()
        assert head is not None
        assert head.state is HeadState.STUCK, number
        done = [run.sim.world.record(s) for s in run.sim.scenario.plan.steps]
        assert not any(r and r.mark is Mark.DONE for r in done) or number > 3
        run.overwrite(entry.key, entry.value)
        assert run.settle(Job.ROLLBACK).state is HeadState.ROLLED_BACK
        judge(run, HeadState.ROLLED_BACK)


def test_agents_refuse_an_altered_plan_that_the_engine_has_in_memory() -> None:
    run = prepared("option")
    run.sim.run(lambda: run.sim.world.head() is not None)
    entry = run.sim.data.read(keys.plan_chunk(CLUSTER, run.sim.world.txn, 0))
    assert entry is not None
    (altered,) = packed(unpacked([entry.value])[:-2] + " }")
    run.overwrite(entry.key, altered)
    assert check(run) is HeadState.ROLLED_BACK
    assert run.sim.world.log == []


def test_another_plan_in_its_place_is_refused() -> None:
    # A whole plan in the place of the frozen one: only the head's digest tells them apart.
    run = prepared("option", Point("applier", 3, "after"))
    run.sim.run(lambda: not run.applier.alive)
    (other,) = packed(canonical_text(scenario("delete").plan))
    run.overwrite(keys.plan_chunk(CLUSTER, run.sim.world.txn, 0), other)
    head = run.go()
    assert head is not None
    assert head.state is HeadState.STUCK
    assert run.sim.world.log == []


def test_a_record_that_cannot_be_read_is_stuck() -> None:
    run = prepared("option")
    run.sim.run(lambda: run.sim.steps > 60)
    step = run.sim.scenario.plan.steps[0]
    assert step.node is not None
    key = keys.node_step(CLUSTER, step.node, run.sim.world.txn, step.step_id)
    entry = run.sim.data.read(key)
    assert entry is not None
    run.overwrite(key, entry.value.replace("StepRecord", "Steprecord"))
    head = run.go()
    assert head is not None
    assert head.state is HeadState.STUCK
    assert "Steprecord" in head.reason
