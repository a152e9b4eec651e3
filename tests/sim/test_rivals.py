"""Several processes apply different plans that were made from the same base: one is carried out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.engine.journal import txn_of
from reconciler.model import keys
from reconciler.txn.record import HeadState
from tests.sim.engines import Engine, Job
from tests.sim.mutants import MUTANTS
from tests.sim.runs import Run, check, prepared
from tests.sim.scenarios import CLUSTER, scenario

OTHER = replace(scenario("delete").plan, plan_id="p-2-9876543210")  #: from the same base, at the same second


def _raced(at: int, rivals: int, *, on_hosts: bool) -> tuple[Run, list[Engine]]:
    """Return a run that was joined, after its first steps, by rivals which would delete its volume."""
    run = prepared("option", on_hosts=on_hosts)
    sim = run.sim
    sim.run(lambda: sim.steps >= at and sim.world.head() is not None)
    joined = [Engine(sim, f"rival{n}", Job.APPLY, plan=OTHER) for n in range(rivals)]
    sim.processes += joined
    return run, joined


@pytest.mark.parametrize("on_hosts", [False, True])
@pytest.mark.parametrize("rivals", [1, 3, 7])
def test_another_plan_from_the_same_base_is_refused_once_one_was_carried_out(
    rivals: int, on_hosts: bool
) -> None:
    other = keys.head(CLUSTER, txn_of(OTHER))
    for at in range(5, 140, 15):
        run, joined = _raced(at, rivals, on_hosts=on_hosts)
        assert check(run) is HeadState.COMMITTED, at
        run.sim.run(lambda joined=joined: all(one.over for one in joined), seconds=120.0)
        assert all(one.over and one.result is None for one in joined), at
        assert other not in run.sim.entries(), at


def test_a_plan_that_is_begun_although_it_is_stale_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    next(m for m in MUTANTS if m.title == "a stale plan begins").apply(monkeypatch)
    run, _ = _raced(20, 3, on_hosts=False)
    with pytest.raises(AssertionError, match="invariant 38"):
        check(run)
