"""Which options the planner refuses, whoever has read the declaration."""

from __future__ import annotations

import pytest

from reconciler.model.cluster import OptionSetting, VolumeSpec
from reconciler.model.ids import VolumeName
from reconciler.model.volume import Shape, VolumeState, VolumeType
from reconciler.plan.refusals import option_blockers
from tests.volume_samples import SLOTS, volume


def blocked(name: str, value: str, *vouched: str) -> list[str]:
    spec = VolumeSpec(
        name=VolumeName("home"),
        state=VolumeState.STARTED,
        shape=Shape(type=VolumeType.DISTRIBUTE),
        bricks=(),
        options=(OptionSetting(name=name, value=value, origin="volume"),),
    )
    record = volume(options=((name, value),))
    return [blocker.code for blocker in option_blockers(spec, record, SLOTS, frozenset(vouched))]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("performance.io-cach", "on"),
        ("performance.io-cache", "perhaps"),
        ("io-cache.io-cache", "perhaps"),
        ("md-cache.cache-selinux", "perhaps"),
        ("frob.speed", "5"),
    ],
)
def test_what_neither_the_table_nor_our_catalogue_takes_is_blocked(name: str, value: str) -> None:
    assert blocked(name, value) == ["GS401"]


@pytest.mark.parametrize(
    ("name", "value"), [("network.tcp-window-size", "64KB"), ("performance.aggregate-size", "2MB")]
)
def test_what_no_process_starts_with_is_blocked(name: str, value: str) -> None:
    assert blocked(name, value) == ["GS405"]
    assert blocked(name, "65536") == []


def test_an_option_of_a_catalogue_that_the_planner_has_not_is_planned_if_it_is_vouched_for() -> None:
    assert blocked("frob.speed", "5", "frob.speed") == []
    assert blocked("md-cache.cache-selinux", "on") == []
    assert blocked("performance.io-cach", "on", "performance.io-cach") == ["GS401"]
