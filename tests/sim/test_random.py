"""Random schedules with faults of every kind, from a seed; a failure is minimised and printed as a test.

GLUSTER_STATE_SIM_SEEDS=N plays N schedules (`make sim`, `make sim-nightly`), from GLUSTER_STATE_SIM_FROM on.
"""

from __future__ import annotations

import os

import pytest

from tests.sim.cases import drawn, play
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


def test_a_seed_gives_the_same_run_again() -> None:
    assert [play(drawn(seed)) for seed in range(8)] == [play(drawn(seed)) for seed in range(8)]
