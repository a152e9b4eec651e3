"""What is live and not as agreed; and what is not seen is no drift."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model.configured import ConfiguredCluster, VolumeRecord
from reconciler.model.ids import PeerName, VolumeName
from reconciler.model.observed import BrickFact, BrickState, ObservedCluster, ObservedNode, VolumeFact
from reconciler.model.volume import Restart, RestartPolicy, VolumeState
from reconciler.plan.basis import checked
from reconciler.plan.drift import find_drift
from reconciler.plan.step import DriftItem, DriftKind
from tests.plan_world import CLUSTER, World, simulate
from tests.unit.desired.declarations import REP3, cluster, desired

HOME = VolumeName("home")
GS1, GS2 = PeerName("gs1"), PeerName("gs2")


def world(more: str = "") -> World:
    before = World()
    return simulate(before.plan(desired(cluster(REP3 + more))), before)


def seen(at: World) -> ObservedCluster:
    return at.given(desired(cluster())).observed


def drift(at: World, *ignore: str) -> tuple[DriftItem, ...]:
    return find_drift(at.configured, seen(at), {HOME: ignore})


def with_node(observed: ObservedCluster, peer: PeerName, **values: object) -> ObservedCluster:
    node = replace(observed.nodes[peer], **values)  # type: ignore[arg-type]
    return replace(observed, nodes={**observed.nodes, peer: node})


def with_brick(observed: ObservedCluster, volume: VolumeRecord, **values: object) -> ObservedCluster:
    """Return the observation with the fact of the first brick changed."""
    brick = volume.bricks[0]
    facts = dict(observed.nodes[brick.peer].bricks)
    facts[brick.uuid] = replace(facts[brick.uuid], **values)  # type: ignore[arg-type]
    return with_node(observed, brick.peer, bricks=facts)


def only(configured: ConfiguredCluster, observed: ObservedCluster) -> DriftItem:
    (item,) = find_drift(configured, observed, {})
    return item


def test_what_runs_as_configured_is_no_drift() -> None:
    assert drift(world()) == ()
    assert drift(world("state: stopped\n")) == ()


@pytest.mark.parametrize("state", [BrickState.CRASHED, BrickState.STOPPED, BrickState.STARTING])
def test_a_brick_that_should_run_and_does_not_is_a_fault_that_an_apply_repairs(state: BrickState) -> None:
    at = world()
    live = at.configured.volumes[HOME]
    item = only(at.configured, with_brick(seen(at), live, state=state, problem="signal 9", since=5))
    assert (item.address, item.kind, item.repair) == ("brick/home/0.0", DriftKind.FAULT, True)
    assert (item.expected, item.seen, item.since) == ("up", "signal 9", 5)
    assert "by itself" in item.hint
    item = only(at.configured, with_brick(seen(at), live, state=state, problem=""))
    assert item.seen == state.value


def test_the_agent_restarts_nothing_under_the_policy_never() -> None:
    at = world("restart: {policy: never}\n")
    live = at.configured.volumes[HOME]
    assert live.restart == Restart(policy=RestartPolicy.NEVER, delay_s=3.0)
    hurt = with_brick(seen(at), live, state=BrickState.CRASHED)
    assert only(at.configured, hurt).hint == "gluster-state apply starts it"


def test_a_brick_that_runs_although_its_volume_is_stopped_is_a_fault() -> None:
    at = world("state: stopped\n")
    live = at.configured.volumes[HOME]
    item = only(at.configured, with_brick(seen(at), live, state=BrickState.RUNNING, pid=7))
    assert (item.repair, item.seen, item.expected) == (True, "pid 7", "stopped")


@pytest.mark.parametrize("state", ["started", "stopped"])
def test_a_brick_that_must_not_be_started_is_never_repaired_by_an_apply(state: str) -> None:
    at = world(f"state: {state}\n")
    live = at.configured.volumes[HOME]
    item = only(at.configured, with_brick(seen(at), live, state=BrickState.REFUSED, problem="another disk"))
    assert (item.repair, item.seen) == (False, "another disk")


def test_a_node_that_does_not_know_its_brick_is_a_fault_nobody_acts_on() -> None:
    at = world()
    item = only(at.configured, with_node(seen(at), GS1, bricks={}))
    assert (item.address, item.seen, item.repair) == ("brick/home/0.0", "nothing", False)


def test_a_node_that_is_not_live_or_never_joined_shows_no_drift() -> None:
    at = world()
    down = with_node(seen(at), GS1, live=False, bricks={}, volumes={})
    assert find_drift(at.configured, down, {}) == ()
    nodes = {peer: node for peer, node in down.nodes.items() if peer != GS1}
    assert find_drift(at.configured, replace(down, nodes=nodes), {}) == ()


def served(at: World, peer: PeerName, **values: object) -> ObservedCluster:
    """Return the observation with what one node serves of the volume changed."""
    observed = seen(at)
    facts = dict(observed.nodes[peer].volumes)
    volume_id = at.configured.volumes[HOME].volume_id
    facts[volume_id] = replace(facts[volume_id], **values)  # type: ignore[arg-type]
    return with_node(observed, peer, volumes=facts)


@pytest.mark.parametrize("values", [{"generation": 0}, {"served": False}])
def test_a_node_that_serves_something_else_is_a_matter_of_topology(values: dict[str, object]) -> None:
    at = world()
    item = only(at.configured, served(at, GS2, **values))
    assert (item.address, item.kind, item.repair) == ("volfile/home/gs2", DriftKind.TOPOLOGY, False)
    item = only(at.configured, with_node(seen(at), GS2, volumes={}))
    assert item.seen == "nothing"
    assert item.expected == "generation 1, served: True"


def test_a_node_that_serves_a_stopped_volume_is_drift() -> None:
    at = world("state: stopped\n")
    assert only(at.configured, served(at, GS2, served=True)).address == "volfile/home/gs2"


def test_a_newer_generation_on_a_node_is_drift_too_as_after_etcd_was_restored() -> None:
    at = world()
    item = only(at.configured, served(at, GS2, generation=2))
    assert item.address == "volfile/home/gs2"
    assert "newer configuration" in item.summary


def test_a_missing_self_heal_daemon_is_a_fault_where_one_is_expected() -> None:
    at = world()
    item = only(at.configured, served(at, GS2, shd_pid=0))
    assert (item.address, item.kind, item.repair) == ("daemon/home/gs2", DriftKind.FAULT, True)
    assert find_drift(at.configured, served(at, GS2, shd_pid=0, shd_expected=False), {}) == ()


def test_volfiles_that_differ_within_one_generation_are_drift() -> None:
    at = world()
    item = only(at.configured, served(at, GS2, client_digest="other"))
    assert (item.address, item.kind) == ("volfile/home", DriftKind.TOPOLOGY)
    assert "gs1, gs3 / gs2" in item.summary
    assert find_drift(at.configured, served(at, GS2, client_digest=""), {}) == ()
    older = find_drift(at.configured, served(at, GS2, client_digest="other", generation=0), {})
    assert [i.address for i in older] == ["volfile/home/gs2"]


@pytest.mark.parametrize(
    ("pattern", "left"),
    [
        ("bricks/*", ["daemon/home/gs1"]),
        ("bricks/0.0", ["daemon/home/gs1"]),
        ("bricks/0.1", ["brick/home/0.0", "daemon/home/gs1"]),
        ("daemons/gs1", ["brick/home/0.0"]),
        ("daemons/gs2", ["brick/home/0.0", "daemon/home/gs1"]),
        ("*", []),
    ],
)
def test_ignored_drift_is_named_by_what_comes_after_the_volume(pattern: str, left: list[str]) -> None:
    at = world()
    node, live = at.nodes[GS1], at.configured.volumes[HOME]
    node.running.clear()
    node.daemons.clear()
    assert [i.address for i in drift(at, pattern)] == left
    everything = find_drift(at.configured, seen(at), {VolumeName("other"): (pattern,)})
    assert [i.address for i in everything] == ["brick/home/0.0", "daemon/home/gs1"]
    assert live.state is VolumeState.STARTED


def test_what_was_checked_counts_fresh_facts_of_the_peers_that_matter() -> None:
    at = world()
    peers = at.configured.peers.keys()
    assert checked(peers, at.configured, seen(at)) == "3/3 peers, 3/3 bricks"
    assert checked(peers, at.configured, with_node(seen(at), GS1, live=False)) == "2/3 peers, 2/3 bricks"
    assert checked(peers, at.configured, with_node(seen(at), GS1, answered=False)) == "2/3 peers, 2/3 bricks"
    assert checked(peers, at.configured, with_node(seen(at), GS1, bricks={})) == "3/3 peers, 2/3 bricks"


def test_facts_have_no_drift_of_their_own() -> None:
    empty = ConfiguredCluster(cluster_id=CLUSTER, name="prod", revision=1)
    stray = ObservedNode(
        node_id="n",  # type: ignore[arg-type]
        peer=GS1,
        live=True,
        bricks={"b": BrickFact(uuid="b", volume_id_configured="v", state=BrickState.CRASHED)},  # type: ignore[dict-item,arg-type]
        volumes={"v": VolumeFact(volume_id="v", generation=1, served=True)},  # type: ignore[dict-item,arg-type]
    )
    assert find_drift(empty, ObservedCluster(revision=1, observed_at=1, nodes={GS1: stray}), {}) == ()
