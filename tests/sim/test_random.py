"""Random schedules with faults of every kind, from a seed; a failure is minimised and printed as a test.

GLUSTER_STATE_SIM_SEEDS=N plays N schedules (`make sim`, `make sim-nightly`), from GLUSTER_STATE_SIM_FROM on.
"""

from __future__ import annotations

import importlib
import os
from functools import reduce

import pytest

from tests.sim.cases import drawn, play
from tests.sim.invariants import CHECKED, INVARIANTS, When
from tests.sim.shrinking import TELLS, report

SEEDS = int(os.environ.get("GLUSTER_STATE_SIM_SEEDS", "120"))
FIRST = int(os.environ.get("GLUSTER_STATE_SIM_FROM", "0"))
BATCH = 40  #: schedules in one test: small enough to spread over processors


@pytest.mark.parametrize("first", range(FIRST, FIRST + SEEDS, BATCH))
def test_any_order_and_any_faults_end_as_promised(first: int) -> None:
    for seed in range(first, min(first + BATCH, FIRST + SEEDS)):
        try:
            play(drawn(seed))
        except TELLS as exc:
            pytest.fail(report(seed, exc))


def test_every_invariant_of_the_table_is_looked_at_where_it_says() -> None:
    for invariant in INVARIANTS.values():
        module, *path = invariant.where.split(".")
        reduce(getattr, path, importlib.import_module(f"tests.sim.{module}"))
    wanted = {number for number, invariant in INVARIANTS.items() if invariant.when is not When.FAULT}
    CHECKED.clear()
    for seed in range(300):
        play(drawn(seed))
        if wanted <= CHECKED.keys():
            break
    assert wanted == CHECKED.keys()


def test_a_seed_gives_the_same_run_again() -> None:
    assert [play(drawn(seed)) for seed in range(8)] == [play(drawn(seed)) for seed in range(8)]
