"""An option is not switched on while the daemon that it cannot do without does not run."""

from __future__ import annotations

import pytest

from reconciler.desired.load import load
from reconciler.model.cluster import Desired
from reconciler.plan import document
from reconciler.plan.refusals import daemon_blockers
from reconciler.plan.step import Plan
from reconciler.shipped import shipped_features
from tests.plan_world import World, simulate
from tests.unit.desired.declarations import REP3, cluster
from tests.volume_samples import SLOTS, volume

QUOTAD = "option features.quota needs quotad, which this version does not run: "
BITD = "option features.bitrot needs bitd, which this version does not run: "


def _desired(line: str) -> Desired:
    return load([("c.yaml", cluster(REP3 + line).encode())], shipped_features())


def _refused(plan: Plan) -> list[tuple[str, str, str]]:
    return [(b.code, b.address, b.summary) for b in plan.blockers]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("quota: {enabled: true}", QUOTAD + "writes below a directory with a limit would fail"),
        ("bitrot: {enabled: true}", BITD + "no file would be signed and no damage found"),
        ("options: {features.quota: on}", QUOTAD + "writes below a directory with a limit would fail"),
        ("options: {features.quota: enable}", QUOTAD + "writes below a directory with a limit would fail"),
        ("options: {marker.quota: on}", QUOTAD + "writes below a directory with a limit would fail"),
        ("options: {features.bitrot: on}", BITD + "no file would be signed and no damage found"),
    ],
)
def test_a_plan_that_switches_it_on_is_refused_for_new_and_for_known_volumes(line: str, words: str) -> None:
    empty = World()
    known = simulate(empty.plan(_desired("")), World())
    for world in (empty, known):
        plan = world.plan(_desired(line))
        assert _refused(plan) == [("GS407", "volume/home", words)]
        assert plan.steps == ()
        assert document.exit_code(plan) == 3
    assert _refused(empty.plan(_desired(line), allow=("GS407=volume/home",))) != []


@pytest.mark.parametrize(
    "line",
    [
        "quota: {enabled: false}",
        "bitrot: {enabled: false, scrub: {frequency: daily}}",
        "options: {features.quota: off, features.bitrot: disable}",
        "options: {features.inode-quota: on, features.scrub: Active}",
        "options: {features.uss: on, config.gfproxyd: on}",
        "changelog: {enabled: true}",
        "marker: {enabled: true}",
    ],
)
def test_what_breaks_nothing_is_planned(line: str) -> None:
    plan = World().plan(_desired(line))
    assert plan.blockers == ()
    assert plan.steps


def test_what_is_on_already_does_not_stop_other_changes() -> None:
    on = ("features.quota", "on")
    before, more = volume(options=(on,)), volume(options=(on, ("features.read-only", "on")))
    both = volume(options=(("features.bitrot", "on"), on))
    assert list(daemon_blockers(more, SLOTS, before)) == []
    assert [b.summary[:22] for b in daemon_blockers(both, SLOTS, before)] == ["option features.bitrot"]
    assert [b.summary[:21] for b in daemon_blockers(more, SLOTS, None)] == ["option features.quota"]
