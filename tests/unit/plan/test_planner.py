"""What a plan says and does for given values: changes, refusals, what it rests on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model.ids import Address, PeerName, VolumeName
from reconciler.model.volume import VolumeState
from reconciler.plan import document
from reconciler.plan.planner import EXPIRES_AFTER_S
from reconciler.plan.step import Action, Attribution, Plan
from tests.plan_world import BEGIN, World, node_id, simulate
from tests.unit.desired.declarations import REP3, cluster, desired

HOME = VolumeName("home")
GS1, GS3 = PeerName("gs1"), PeerName("gs3")
DELETE = REP3 + "deletionPolicy: Delete\n"


def world(*volumes: str) -> World:
    before = World()
    plan = before.plan(desired(cluster(*volumes)))
    assert plan.steps, plan.blockers
    return simulate(plan, before)


def plan(at: World, *volumes: str, allow: tuple[str, ...] = (), spec: str = "") -> Plan:
    return at.plan(desired(cluster(*volumes, spec=spec)), allow=allow)


def changes(of: Plan) -> dict[str, tuple[Action, str]]:
    return {c.address: (c.action, c.detail) for c in of.changes}


def blocked(of: Plan) -> list[tuple[str, str]]:
    assert of.steps == ()
    assert document.exit_code(of) == 3
    return [(b.code, b.address) for b in of.blockers]


# ---------------------------------------------------------------- what is said


def test_a_first_plan_names_peers_settings_volume_bricks_and_options() -> None:
    made = plan(World(), REP3 + "options: {storage.reserve: 3}\n")
    assert changes(made) == {
        "peer/gs1": (Action.ADD, "10.0.0.1 zone a"),
        "peer/gs2": (Action.ADD, "10.0.0.2 zone b"),
        "peer/gs3": (Action.ADD, "10.0.0.3 zone c"),
        "settings": (Action.CHANGE, "first written"),
        "volume/home": (Action.ADD, "replicate 3, 3 bricks"),
        "brick/home/0.0": (Action.ADD, "gs1:/b/home/0  port 61000"),
        "brick/home/0.1": (Action.ADD, "gs2:/b/home/0  port 61000"),
        "brick/home/0.2": (Action.ADD, "gs3:/b/home/0  port 61000"),
        "option/home/storage.reserve": (Action.ADD, "3"),
    }
    assert {c.parent for c in made.changes if c.address.startswith(("brick", "option"))} == {"volume/home"}
    assert made.checked == "3/3 peers, 0/0 bricks"


def test_a_change_is_one_generation_with_each_setting_below_it() -> None:
    at = world(REP3 + "options: {storage.reserve: 3, network.ping-timeout: 9}\n")
    made = plan(at, REP3 + "options: {storage.reserve: 4, user.x: y}\nstate: stopped\n")
    assert changes(made) == {
        "volume/home": (Action.CHANGE, "generation 1 → 2"),
        "option/home/network.ping-timeout": (Action.REMOVE, "9 → (unset)"),
        "option/home/storage.reserve": (Action.CHANGE, "3 → 4"),
        "option/home/user.x": (Action.ADD, "(unset) → y"),
        "setting/home/state": (Action.CHANGE, "started → stopped"),
    }
    (before,), (after,) = made.previous.values(), made.volumes.values()
    assert (before.generation, after.generation, after.state) == (1, 2, VolumeState.STOPPED)


@pytest.mark.parametrize(
    ("first", "second", "kinds"),
    [
        ("started", "stopped", {"volume.unpublish", "shd.stop", "brick.stop", "config.volume"}),
        (
            "stopped",
            "started",
            {"volume.stage", "brick.start", "shd.start", "volume.publish", "config.volume"},
        ),
    ],
)
def test_a_change_of_state_has_its_own_steps(first: str, second: str, kinds: set[str]) -> None:
    made = plan(world(REP3 + f"state: {first}\n"), REP3 + f"state: {second}\n")
    assert {s.kind for s in made.steps} == kinds


def test_a_deletion_says_what_stays_and_which_consent_it_had() -> None:
    at = world(DELETE)
    live = at.configured.volumes[HOME]
    gone = f"{{name: home, state: absent, confirm: {live.volume_id}, data: retain}}"
    assert blocked(plan(at, gone)) == [("GS101", "volume/home")]
    made = plan(at, gone, allow=("GS101=volume/home",))
    assert changes(made) == {"volume/home": (Action.REMOVE, "3 bricks stop; their data stays")}
    assert made.required_allow == ("GS101=volume/home",)
    assert any("their data stays" in line for line in made.safety)
    assert (made.volumes, list(made.previous)) == ({}, [live.volume_id])
    after = simulate(made, at)
    assert [r.volume for r in after.configured.retained] == [live]


def test_a_repair_is_attributed_to_drift() -> None:
    at = world(REP3)
    at.nodes[GS1].running.clear()
    at.nodes[GS3].daemons.clear()
    made = plan(at, REP3)
    assert {(c.address, c.attribution) for c in made.changes} == {
        ("brick/home/0.0", Attribution.DRIFT),
        ("daemon/home/gs3", Attribution.DRIFT),
    }
    assert [s.kind for s in made.steps] == ["brick.start", "shd.start"]
    assert made.volumes == made.previous


def test_ignored_drift_is_neither_listed_nor_repaired() -> None:
    at = world(REP3)
    at.nodes[GS1].running.clear()
    at.nodes[GS3].daemons.clear()
    quiet = REP3 + "ignoreDrift: [bricks/0.0, 'daemons/*']\n"
    made = plan(at, quiet)
    assert (made.drift, made.steps, made.changes) == ((), (), ())


@pytest.mark.parametrize("way", ["stopped", "deleted"])
def test_what_is_about_to_be_stopped_or_deleted_is_not_repaired_first(way: str) -> None:
    at = world(DELETE)
    at.nodes[GS1].running.clear()
    at.nodes[GS3].daemons.clear()
    live = at.configured.volumes[HOME]
    gone = f"{{name: home, state: absent, confirm: {live.volume_id}}}"
    text = gone if way == "deleted" else DELETE + "state: stopped\n"
    made = plan(at, text, allow=("GS101=volume/home",))
    assert made.steps
    assert not {"brick.start", "shd.start"} & {s.kind for s in made.steps}
    assert {c.attribution for c in made.changes} == {Attribution.CONFIG}


def test_volumes_that_are_not_declared_are_not_repaired() -> None:
    at = world(REP3)
    at.nodes[GS1].running.clear()
    made = plan(at)
    assert (made.steps, made.changes) == ((), ())
    assert [d.address for d in made.drift] == ["brick/home/0.0"]
    assert made.unmanaged == ("volume/home",)


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("options: {storage.reserve: many}\n", ("GS401", "volume/home")),
        ("options: {user.xlator.mine: nowhere}\n", ("GS401", "volume/home")),
        ("options: {user.xlator.trace: posix, debug.trace: posix}\n", ("GS405", "volume/home")),
        ("auth: {username: u, password: p}\n", ("GS502", "volume/home")),
    ],
)
def test_new_and_known_volumes_are_refused_for_the_same_reasons(more: str, expected: tuple[str, str]) -> None:
    assert blocked(plan(World(), REP3 + more)) == [expected]
    assert blocked(plan(world(REP3), REP3 + more)) == [expected]


def test_a_volume_with_a_thin_arbiter_is_refused() -> None:
    two = "{name: v, type: replicate, replica: 2, thinArbiter: 'arb:/ta', bricks: ['gs1:/b/v', 'gs2:/b/v']}"
    assert blocked(plan(World(), two)) == [("GS208", "volume/v")]


def test_a_risky_shape_is_refused() -> None:
    assert blocked(plan(World(), "{name: v, type: distribute, bricks: [gs1:/b/v]}")) == [
        ("GS204", "volume/v")
    ]
    shared = REP3.replace("gs2:/b/home/0", "gs1:/b/home/1")
    assert blocked(plan(World(), shared)) == [("GS203", "brick/home/0.1")]


def test_a_brick_without_its_disk_is_refused() -> None:
    at = World()
    given = at.given(desired(cluster(REP3)))
    node = given.observed.nodes[GS1]
    probes = {path: replace(probe, mount="/") for path, probe in node.probes.items()}
    nodes = {**given.observed.nodes, GS1: replace(node, probes=probes)}
    at.given = lambda desired, *, allow=(): replace(  # type: ignore[method-assign]
        given, observed=replace(given.observed, nodes=nodes)
    )
    assert blocked(plan(at, REP3)) == [("GS112", "brick/home/0.0")]


def test_a_running_brick_does_not_change_its_xlators() -> None:
    options = REP3 + "options: {debug.error-gen: posix}\n"
    assert blocked(plan(world(REP3), options)) == [("GS202", "volume/home")]
    stopped = world(REP3 + "state: stopped\n")
    assert plan(stopped, options + "state: stopped\n").steps


def test_a_used_up_range_is_refused_and_a_port_of_others_is_stepped_over() -> None:
    small = "ports: {bricks: 61000-61001}\n"
    at = World()
    at.nodes[GS1].other_ports = {61000}
    made = plan(at, REP3, spec=small)
    (record,) = made.volumes.values()
    assert [b.port for b in record.bricks] == [61001, 61000, 61000]
    at.nodes[GS1].other_ports = {61000, 61001}
    assert blocked(plan(at, REP3, spec=small)) == [("GS313", "brick/home/0.0")]


def test_the_id_of_a_configured_or_deleted_volume_is_not_given_to_another() -> None:
    at = world(DELETE)
    live = at.configured.volumes[HOME]
    other = REP3.replace("home", "other") + f"id: {live.volume_id}\n"
    assert blocked(plan(at, other)) == [("GS504", "volume/other")]
    gone = f"{{name: home, state: absent, confirm: {live.volume_id}}}"
    after = simulate(plan(at, gone, allow=("GS101=volume/home",)), at)
    assert blocked(plan(after, other)) == [("GS504", "volume/other")]


def test_a_volume_made_again_after_its_deletion_is_another_one() -> None:
    at = world(DELETE)
    live = at.configured.volumes[HOME]
    gone = f"{{name: home, state: absent, confirm: {live.volume_id}}}"
    after = simulate(plan(at, gone, allow=("GS101=volume/home",)), at)
    assert [code for code, _ in blocked(plan(after, REP3))] == ["GS111"] * 3
    made = plan(after, REP3.replace("/b/home/0", "/b/home/1"))
    (record,) = made.volumes.values()
    assert (record.incarnation, record.generation) == (2, 1)
    assert record.volume_id != live.volume_id
    assert {b.port for b in record.bricks} == {61001}


def test_a_peer_with_bricks_keeps_its_address_and_one_without_may_change_it() -> None:
    at = world(REP3)
    moved = at.plan(desired(cluster(REP3).replace("10.0.0.1", "10.0.0.9")))
    assert blocked(moved) == [("GS102", "peer/gs1")]
    idle = World()
    idle = simulate(plan(idle), idle)
    made = idle.plan(desired(cluster().replace("10.0.0.1", "10.0.0.9")))
    assert changes(made) == {"peer/gs1": (Action.CHANGE, "10.0.0.9 zone a")}
    assert [s.kind for s in made.steps] == ["config.peer"]


# ---------------------------------------------------------------- who is needed


def test_a_peer_that_has_not_joined_is_unobserved() -> None:
    at = World()
    del at.nodes[GS3]
    made = plan(at, REP3)
    assert (made.unobserved, made.steps, document.exit_code(made)) == (("gs3",), (), 10)
    assert "volume/home" not in changes(made)


def test_a_lost_peer_is_not_waited_for() -> None:
    at = simulate(World().plan(desired(cluster())), World())
    at.nodes[GS3].live = False
    lost = cluster("{name: v, type: distribute, bricks: [gs1:/b/v], acknowledge: [{code: GS204, reason: r}]}")
    lost = lost.replace("zone: c}", "zone: c, state: lost}")
    made = at.plan(desired(lost))
    assert made.unobserved == ()
    assert GS3 not in {s.peer for s in made.steps}
    assert made.steps


@pytest.mark.parametrize("joined", [True, False])
def test_a_new_volume_on_a_lost_peer_is_refused_whether_it_ever_joined_or_not(joined: bool) -> None:
    at = World() if joined else World((GS1, PeerName("gs2")))
    made = at.plan(desired(cluster(REP3).replace("zone: c}", "zone: c, state: lost}")))
    assert blocked(made) == [("GS601", "brick/home/0.2")]


def test_a_peer_that_is_no_longer_declared_is_neither_waited_for_nor_told_anything() -> None:
    at = simulate(World().plan(desired(cluster())), World())
    at.nodes[GS3].live = False
    text = cluster(
        "{name: v, type: replicate, replica: 2, bricks: [gs1:/b/v, gs2:/b/v],"
        " acknowledge: [{code: GS205, reason: r}]}"
    ).replace("    - {name: gs3, address: 10.0.0.3, zone: c}\n", "")
    made = at.plan(desired(text))
    assert (made.unobserved, made.unmanaged) == ((), ("peer/gs3",))
    assert {s.peer for s in made.steps if s.peer} == {"gs1", "gs2"}
    assert made.checked == "2/2 peers, 0/0 bricks"


def test_a_tombstone_needs_every_peer_with_a_brick_declared_or_not() -> None:
    at = world(DELETE)
    live = at.configured.volumes[HOME]
    gone = cluster(f"{{name: home, state: absent, confirm: {live.volume_id}}}").replace(
        "    - {name: gs3, address: 10.0.0.3, zone: c}\n", ""
    )
    made = at.plan(desired(gone), allow=("GS101=volume/home",))
    assert {s.peer for s in made.steps if s.kind == "brick.stop"} == {"gs1", "gs2", "gs3"}
    at.nodes[GS3].answers = False
    silent = at.plan(desired(gone), allow=("GS101=volume/home",))
    assert (silent.unobserved, silent.steps, document.exit_code(silent)) == (("gs3",), (), 10)


# ---------------------------------------------------------------- what it rests on


def test_the_read_set_pins_settings_peers_and_the_volumes_that_are_touched() -> None:
    at = world(REP3, REP3.replace("home", "arch"))
    revisions = {Address("settings"): 4, Address("peer/gs1"): 5, Address("volume/home"): 6}
    at.configured = replace(at.configured, mod_revisions=revisions)
    made = plan(at, REP3 + "options: {storage.reserve: 3}\n", REP3.replace("home", "arch"))
    pinned = {r.address: r.mod_revision for r in made.read_set}
    assert pinned == {"settings": 4, "peer/gs1": 5, "peer/gs2": 0, "peer/gs3": 0, "volume/home": 6}


def test_the_observation_tells_the_states_that_decided_and_nothing_that_always_moves() -> None:
    at = world(REP3)
    first = plan(at, REP3).observation
    at.now += 5
    assert plan(at, REP3).observation == first
    at.nodes[GS1].running.clear()
    assert plan(at, REP3).observation != first


def test_a_plan_names_its_input_and_ends_after_a_day() -> None:
    made = plan(World(), REP3)
    assert (made.created, made.expires) == (BEGIN, BEGIN + EXPIRES_AFTER_S)
    assert made.desired_digest == desired(cluster(REP3)).digest
    assert made.source == {"kind": "files", "files": ["c.yaml"]}
    assert (made.settings.generation, made.settings.desired_digest) == (1, made.desired_digest)
    assert plan(world(REP3), REP3).settings.generation == 1
    assert {s.node for s in made.steps if s.peer == GS1} == {node_id(GS1)}
