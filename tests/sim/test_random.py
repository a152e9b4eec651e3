"""Random interleavings with several faults each, from a seed; a failure names the run to repeat.

GLUSTER_STATE_CRASH_SEEDS=N runs N seeds per plan (`make soak-crash`), from GLUSTER_STATE_CRASH_FROM on.
"""

from __future__ import annotations

import os

import pytest

from tests.sim.runs import random_run

SEEDS = int(os.environ.get("GLUSTER_STATE_CRASH_SEEDS", "0"))
FIRST = int(os.environ.get("GLUSTER_STATE_CRASH_FROM", "0"))


@pytest.mark.parametrize(("name", "seeds"), [("option", 80), ("delete", 50), ("one", 30), ("several", 8)])
def test_any_order_and_any_faults_end_as_all_or_nothing(name: str, seeds: int) -> None:
    for seed in range(FIRST, FIRST + (SEEDS or seeds)):
        try:
            random_run(name, seed)
        except Exception as exc:
            raise AssertionError(f"seed {seed} of plan {name!r}: {exc}") from exc


def test_a_seed_gives_the_same_run_again() -> None:
    assert [random_run("option", seed) for seed in range(5)] == [random_run("option", s) for s in range(5)]
