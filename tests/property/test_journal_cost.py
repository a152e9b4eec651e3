"""What transactions of many shapes write into the journal, whether they are committed or undone."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.adapters.memory_store import MemoryStore
from reconciler.txn.record import HeadState
from tests.fast_nodes import Instant, agents, carry_out, creation
from tests.journal_cost import assert_within_bounds, cost_of, history
from tests.sim.runs import prepared
from tests.sim.scenarios import scenario
from tests.sim.world import Trouble

ENDED = (HeadState.COMMITTED, HeadState.ROLLED_BACK, HeadState.PARTLY)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(volumes=st.integers(1, 6), nodes=st.integers(3, 8), failing=st.none() | st.integers(0, 1000))
def test_creations_of_any_size_cost_what_is_promised(volumes: int, nodes: int, failing: int | None) -> None:
    plan = creation(volumes, nodes)
    on_nodes = [step.step_id for step in plan.steps if step.node is not None]
    action = Instant([] if failing is None else [on_nodes[failing % len(on_nodes)]])
    store = MemoryStore()
    with agents(store.another, plan, action):
        end = carry_out(store.another(), plan)
    assert end.state is HeadState.COMMITTED if failing is None else end.state in ENDED, end.reason
    cost = cost_of(history(store.another()), end.txn)
    assert cost.kinds["step"] >= 2 * len(action.done)
    assert_within_bounds(cost, plan)
    assert cost.dispatches * 2 <= cost.kinds["cmd"], "independent steps are commanded together"


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("name", ["one", "several", "parts", "parts-all", "many", "option", "delete"])
def test_so_do_changes_and_deletions_with_the_real_steps_images(name: str, fails: bool) -> None:
    plan = scenario(name).plan
    last = max(step.step_id for step in plan.steps if step.node is not None)
    run = prepared(name, trouble={last: Trouble("half")} if fails else None, on_hosts=True)
    began = run.sim.data.read_prefix("").revision
    head = run.go()
    assert head is not None
    assert head.state in (ENDED[1:] if fails else ENDED[:1]), head.reason
    written = run.sim.changes_between(began, run.sim.data.read_prefix("").revision, "")
    cost = cost_of(written, head.txn)
    assert cost.kinds["head"] == (3 if fails else 2)
    assert_within_bounds(cost, plan)
