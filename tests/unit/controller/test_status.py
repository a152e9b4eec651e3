"""Status from the reports in the store: what is not known is said to be not known."""

from __future__ import annotations

import pytest

from reconciler.controller.status import cluster_status
from reconciler.model.ids import PeerName, VolumeName
from reconciler.model.observed import BrickState
from reconciler.model.report import ClusterStatus
from tests.plan_world import World, simulate
from tests.unit.desired.declarations import REP3, cluster, desired

GS1, GS2, GS3 = (PeerName(f"gs{i}") for i in (1, 2, 3))


def world(more: str = "", volume: str = REP3) -> World:
    before = World((GS1, GS2, GS3))
    return simulate(before.plan(desired(cluster(volume + more))), before)


def status(at: World) -> ClusterStatus:
    seen = at.given(desired(cluster())).observed
    return cluster_status(at.configured, seen, open_txn=None, lock_holder="")


def test_a_healthy_cluster() -> None:
    found = status(world())
    assert (found.unobserved, [n.live for n in found.nodes]) == ((), [True] * 3)
    assert [(n.peer, n.address, n.zone) for n in found.nodes] == [
        ("gs1", "10.0.0.1", "a"),
        ("gs2", "10.0.0.2", "b"),
        ("gs3", "10.0.0.3", "c"),
    ]
    (home,) = found.volumes
    assert (home.name, home.shape, home.generation, home.bricks_up) == ("home", "replicate 3", 1, 3)
    assert [(d.peer, d.expected, d.pid) for d in home.daemons] == [
        (p, True, 4712) for p in ("gs1", "gs2", "gs3")
    ]


def test_a_silent_node_is_unknown_and_not_down() -> None:
    at = world()
    at.nodes[GS2].live = False
    found = status(at)
    assert found.unobserved == ("gs2",)
    (home,) = found.volumes
    assert [b.state for b in home.bricks] == [BrickState.RUNNING, None, BrickState.RUNNING]
    assert [d.pid for d in home.daemons] == [4712, None, 4712]
    assert home.heal_pending is None
    del at.nodes[GS2]
    assert status(at).unobserved == ("gs2",)


@pytest.mark.parametrize(("state", "expected"), [("started", True), ("stopped", False)])
def test_a_daemon_on_a_silent_node_is_expected_if_its_volume_is_started(state: str, expected: bool) -> None:
    at = world(f"state: {state}\n")
    at.nodes[GS2].live = False
    (home,) = status(at).volumes
    assert [d.expected for d in home.daemons] == [expected] * 3


def test_a_crashed_brick_and_a_refused_one_say_why() -> None:
    at = world()
    first, second, _ = at.configured.volumes[VolumeName("home")].bricks
    at.nodes[GS1].running.clear()
    at.nodes[GS2].running.clear()
    at.nodes[GS2].refused.add(second.uuid)
    (home,) = status(at).volumes
    assert [(b.state, b.problem) for b in home.bricks[:2]] == [
        (BrickState.CRASHED, ""),
        (BrickState.REFUSED, "another disk"),
    ]
    assert home.bricks_up == 1
    assert first.peer == GS1


def test_a_volume_without_redundancy_has_no_daemons_and_nothing_to_heal() -> None:
    single = "{name: v, type: distribute, bricks: [gs1:/b/v], acknowledge: [{code: GS204, reason: r}]}"
    (v,) = status(world(volume=single)).volumes
    assert (v.daemons, v.heal_pending) == ((), 0)


def test_agents_that_have_joined_are_shown_before_anything_is_configured() -> None:
    found = status(World((GS1,)))
    assert [(n.peer, n.live, n.configured) for n in found.nodes] == [(GS1, True, False)]
    assert found.unobserved == ()
    assert all(n.configured for n in status(world()).nodes)
