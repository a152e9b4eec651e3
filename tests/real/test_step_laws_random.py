"""The laws of every kind of step on a node, in random worlds on real disks with real processes."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.brick_node import node
from tests.laws.clocks import READY_S, HurriedClock
from tests.laws.laws import hold
from tests.laws.worlds import WORLDS, Ground

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]

WITH_PROCESSES = ("brick.start", "brick.stop", "shd.start", "shd.stop")


@pytest.mark.parametrize("kind", sorted(WORLDS))
def test_the_laws_hold(kind: str) -> None:
    held = 0
    with node(disk_count=2, clock=HurriedClock(), ready_s=READY_S) as (it, mounts):
        ground = Ground(it, mounts, random.Random())

        @settings(
            max_examples=5 if kind in WITH_PROCESSES else 40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(seed=st.integers(0, 2**32))
        def try_one(seed: int) -> None:
            nonlocal held
            ground.draw = random.Random(seed)
            held += hold(ground, WORLDS[kind](ground))

        try_one()
    assert held >= 3, "refused nearly everywhere: the worlds do not fit the step"
