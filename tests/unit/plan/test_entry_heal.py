"""Granular entry heal is switched on only where no older record of a pending entry is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model.configured import VolumeRecord
from reconciler.model.ids import PeerName
from reconciler.model.observed import BrickFact, BrickState, ObservedCluster, ObservedNode
from reconciler.model.volume import Shape, VolumeState, VolumeType
from reconciler.plan.entry_heal import entry_heal_blockers
from tests.unit.desired.declarations import REP3
from tests.unit.plan.test_planner import blocked, plan, world
from tests.volume_samples import volume

NAME = "cluster.granular-entry-heal"
OFF, ON = volume(options=((NAME, "off"),)), volume(options=((NAME, "on"),))
ALLOW = frozenset({"GS405=volume/home"})


def seen(
    record: VolumeRecord, *pending: int | None, state: BrickState = BrickState.RUNNING
) -> ObservedCluster:
    """Return a cluster of three live nodes with a brick each."""
    nodes = {
        brick.peer: ObservedNode(
            node_id=brick.node_id,
            peer=brick.peer,
            live=True,
            answered=True,
            bricks={
                brick.uuid: BrickFact(
                    uuid=brick.uuid, volume_id_configured=record.volume_id, state=state, heal_pending=count
                )
            },
        )
        for brick, count in zip(record.bricks, pending, strict=True)
    }
    return ObservedCluster(revision=1, observed_at=0, nodes=nodes)


def summaries(
    observed: ObservedCluster,
    before: VolumeRecord = OFF,
    after: VolumeRecord = ON,
    allowed: frozenset[str] = frozenset(),
) -> list[str]:
    found = list(entry_heal_blockers(before, after, observed, allowed))
    assert {(one.code, one.address) for one in found} <= {("GS405", "volume/home")}
    return [one.summary for one in found]


def test_with_nothing_to_heal_it_needs_consent_and_no_more() -> None:
    (summary,) = summaries(seen(OFF, 0, 0, 0))
    assert "whether operations were interrupted is not known" in summary
    assert summaries(seen(OFF, 0, 0, 0), allowed=ALLOW) == []
    assert summaries(seen(OFF, 0, 0, 0), before=volume(), allowed=ALLOW) == []  # off unless somebody says so


@pytest.mark.parametrize("count", [1, None])
def test_consent_does_not_lift_what_waits_or_is_not_known(count: int | None) -> None:
    assert summaries(seen(OFF, 0, count, 0), allowed=ALLOW) == [
        f"{NAME} cannot be switched on: gs2:/bricks/home/b1 may have entries to heal"
    ]
    assert len(summaries(seen(OFF, 0, count, 0), before=volume())) == 1


def test_a_brick_that_is_down_or_unseen_may_have_entries_to_heal() -> None:
    assert len(summaries(seen(OFF, 0, 0, 0, state=BrickState.CRASHED), allowed=ALLOW)) == 1
    all_seen = seen(OFF, 0, 0, 0)
    gone = {name: node for name, node in all_seen.nodes.items() if name != "gs3"}
    silent = {**all_seen.nodes, PeerName("gs3"): replace(all_seen.nodes[PeerName("gs3")], live=False)}
    for nodes in (gone, silent):
        (summary,) = summaries(replace(all_seen, nodes=nodes), allowed=ALLOW)
        assert "gs3:/bricks/home/b2" in summary


def test_of_a_stopped_volume_the_bricks_are_stopped() -> None:
    before = replace(OFF, state=VolumeState.STOPPED)
    assert summaries(seen(OFF, 0, 0, 0, state=BrickState.STOPPED), before=before, allowed=ALLOW) == []
    assert len(summaries(seen(OFF, 0, 0, 0), before=before, allowed=ALLOW)) == 1


def test_nothing_else_is_held_up() -> None:
    unknown = ObservedCluster(revision=1, observed_at=0, nodes={})
    assert summaries(unknown, before=ON, after=OFF) == []
    assert summaries(unknown, before=ON, after=ON) == []
    assert summaries(unknown, before=OFF, after=volume()) == []
    disperse = replace(OFF, shape=Shape(type=VolumeType.DISPERSE, data=2, redundancy=1))
    assert summaries(unknown, before=disperse) == []


def test_a_plan_switches_it_off_but_not_on_again() -> None:
    off = REP3 + f"options: {{{NAME}: off}}\n"
    at = world(off)
    for again in (REP3, REP3 + f"options: {{{NAME}: on}}\n"):
        assert blocked(plan(at, again)) == [("GS405", "volume/home")]
        assert blocked(plan(at, again, allow=("GS405=volume/home",))) == [("GS405", "volume/home")]
    assert plan(world(REP3), off).steps
