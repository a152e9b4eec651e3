"""Ids, ports and filesystems that a plan decides: reproducible, sticky, never given twice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model.cluster import VolumeSpec
from reconciler.model.configured import ConfiguredCluster, Retained, VolumeRecord
from reconciler.model.ids import PeerName, VolumeName, derive_brick_uuid, derive_volume_id
from reconciler.model.observed import ObservedCluster, ObservedNode, PathProbe
from reconciler.model.volume import DeletionPolicy
from reconciler.plan.records import Ports, new_volume, peer_records, ports_of, with_settings
from tests.plan_world import CLUSTER, node_id
from tests.unit.desired.declarations import REP3, cluster, desired
from tests.volume_samples import volume

GS1, GS2, GS3 = (PeerName(f"gs{i}") for i in (1, 2, 3))
HOME = VolumeName("home")
EMPTY = ConfiguredCluster(cluster_id=CLUSTER, name="prod", revision=1)
JOINED = {peer: node_id(peer) for peer in (GS1, GS2, GS3)}


def seen(*, in_use: tuple[int, ...] = (), probe: PathProbe | None = None) -> ObservedCluster:
    node = ObservedNode(
        node_id=node_id(GS1),
        peer=GS1,
        live=True,
        answered=True,
        ports_in_use=in_use,
        probes={probe.path: probe} if probe else {},
    )
    return ObservedCluster(revision=1, observed_at=1, nodes={GS1: node})


def made(
    text: str, configured: ConfiguredCluster = EMPTY, observed: ObservedCluster | None = None
) -> VolumeRecord:
    """Return the record of the only volume that a declaration makes."""
    spec = desired(text).spec
    observed = observed or seen()
    ports = ports_of(spec, configured, observed)
    return new_volume(spec.volumes[0], configured, peer_records(spec, JOINED), observed, ports)


def ports(record: VolumeRecord) -> list[int]:
    return [b.port for b in record.bricks]


# ---------------------------------------------------------------- ports


def test_a_brick_gets_the_lowest_port_that_is_free_on_its_peer() -> None:
    assert ports(made(cluster(REP3))) == [61000, 61000, 61000]
    assert ports(made(cluster(REP3), observed=seen(in_use=(61000, 61002)))) == [61001, 61000, 61000]


def test_ports_of_configured_and_of_retained_volumes_are_not_given_again() -> None:
    configured = replace(EMPTY, volumes={HOME: volume()})
    other = REP3.replace("home", "other")
    assert ports(made(cluster(other), configured)) == [
        61001,
        61000,
        61000,
    ]  # the samples' ports are 61000 + i
    retained = replace(EMPTY, retained=(Retained(volume=volume(), deleted_at=1),))
    assert ports(made(cluster(other), retained)) == [61001, 61000, 61000]


def test_bricks_of_one_plan_do_not_share_a_port() -> None:
    given = Ports(61000, 61002)
    assert [given.give(GS1, None) for _ in range(4)] == [61000, 61001, 61002, 0]
    assert given.give(GS2, None) == 61000


def test_a_used_up_range_gives_nothing_and_stays_used_up() -> None:
    given = Ports(61000, 61000)
    assert [given.give(GS1, None), given.give(GS1, None), given.give(GS1, 61000)] == [61000, 0, 0]


def test_a_declared_port_is_given_if_it_is_free_wherever_it_lies() -> None:
    text = cluster(REP3.replace('"gs1:/b/home/0"', "{peer: gs1, path: /b/home/0, port: 49152}"))
    assert ports(made(text)) == [49152, 61000, 61000]
    assert ports(made(text, observed=seen(in_use=(49152,)))) == [0, 61000, 61000]


def test_a_port_declared_for_a_later_brick_is_kept_for_it() -> None:
    early = REP3.replace("home", "early")
    late = REP3.replace('"gs1:/b/home/0"', "{peer: gs1, path: /b/home/0, port: 61000}")
    spec = desired(cluster(early, late)).spec
    given = ports_of(spec, EMPTY, seen())
    records = [new_volume(v, EMPTY, peer_records(spec, JOINED), seen(), given) for v in spec.volumes]
    assert [ports(r) for r in records] == [[61001, 61000, 61000], [61000, 61001, 61001]]


def test_a_port_that_a_configured_brick_has_is_not_reserved_by_repeating_it() -> None:
    repeated = REP3.replace('"gs1:/b/home/0"', "{peer: gs1, path: /b/home/0, port: 61009}")
    configured = replace(EMPTY, volumes={HOME: volume()})
    given = ports_of(desired(cluster(repeated)).spec, configured, seen())
    assert given.reserved == {}


# ---------------------------------------------------------------- ids


def test_ids_follow_from_cluster_name_and_counter() -> None:
    record = made(cluster(REP3))
    assert record == made(cluster(REP3))
    assert record.volume_id == derive_volume_id(CLUSTER, HOME, 1)
    assert record.incarnation == 1
    assert [b.brick_id for b in record.bricks] == [f"home-client-{i}" for i in range(3)]
    assert [b.uuid for b in record.bricks] == [
        derive_brick_uuid(record.volume_id, b.brick_id) for b in record.bricks
    ]
    assert record.next_client == 3
    elsewhere = replace(EMPTY, cluster_id="22222222-2222-4333-8444-555555555555")
    assert made(cluster(REP3), elsewhere).volume_id != record.volume_id


def test_a_volume_made_anew_shares_no_id_with_its_predecessor() -> None:
    first, second = made(cluster(REP3)), made(cluster(REP3), replace(EMPTY, incarnations={HOME: 1}))
    assert second.incarnation == 2
    assert second.volume_id != first.volume_id
    assert {b.uuid for b in first.bricks}.isdisjoint(b.uuid for b in second.bricks)


def test_a_declared_volume_id_is_taken_and_counted_all_the_same() -> None:
    text = cluster(REP3 + "id: 7d4f5a52-6d1b-4a0e-9d5f-0a6e5c1b2f10\n")
    record = made(text, replace(EMPTY, incarnations={HOME: 4}))
    assert (record.volume_id, record.incarnation) == ("7d4f5a52-6d1b-4a0e-9d5f-0a6e5c1b2f10", 5)


@pytest.mark.parametrize(
    ("declared", "ids", "following"),
    [
        ((None, "home-client-0", None), ["home-client-3", "home-client-0", "home-client-2"], 4),
        ((None, None, "home-client-0"), ["home-client-3", "home-client-1", "home-client-0"], 4),
        (("home-client-7", None, None), ["home-client-7", "home-client-1", "home-client-2"], 8),
        (
            ("home-client-2", "home-client-1", "home-client-0"),
            ["home-client-2", "home-client-1", "home-client-0"],
            3,
        ),
    ],
)
def test_no_two_bricks_share_an_id_and_none_is_handed_out_again(
    declared: tuple[str | None, ...], ids: list[str], following: int
) -> None:
    bricks = [
        f"{{peer: gs{i}, path: /b/home/0{f', id: {name}' if name else ''}}}"
        for i, name in enumerate(declared, start=1)
    ]
    old = '["gs1:/b/home/0", "gs2:/b/home/0", "gs3:/b/home/0"]'
    record = made(cluster(REP3.replace(old, f"[{', '.join(bricks)}]")))
    assert [b.brick_id for b in record.bricks] == ids
    assert len({b.uuid for b in record.bricks}) == 3
    assert record.next_client == following


def test_slots_count_subvolumes_and_places() -> None:
    bricks = ", ".join(f'"gs{i % 3 + 1}:/b/home/{i}"' for i in range(6))
    old = '["gs1:/b/home/0", "gs2:/b/home/0", "gs3:/b/home/0"]'
    record = made(cluster(REP3.replace(old, f"[{bricks}]")))
    assert [b.slot for b in record.bricks] == ["0.0", "0.1", "0.2", "1.0", "1.1", "1.2"]


# ---------------------------------------------------------------- filesystems, settings, peers


def test_the_filesystem_is_what_is_declared_or_else_what_was_seen() -> None:
    probe = PathProbe(peer=GS1, path="/b/home/0", mount="/seen", fs_uuid="seen")
    first = made(cluster(REP3), observed=seen(probe=probe)).bricks[0]
    assert (first.mount, first.fs_uuid) == ("/seen", "seen")
    said = "{peer: gs1, path: /b/home/0, mount: /b, fsUUID: 7d4f5a52-6d1b-4a0e-9d5f-0a6e5c1b2f10}"
    declared = made(cluster(REP3.replace('"gs1:/b/home/0"', said)), observed=seen(probe=probe)).bricks[0]
    assert (declared.mount, declared.fs_uuid) == ("/b", "7d4f5a52-6d1b-4a0e-9d5f-0a6e5c1b2f10")


def test_a_new_record_holds_what_is_declared_with_its_creation_defaults() -> None:
    record = made(cluster(REP3 + "options: {storage.reserve: 3}\nstate: stopped\n"))
    assert (record.generation, record.policy_since) == (1, 0)
    assert record.options == (("storage.reserve", "3"),)
    assert dict(record.pinned)["transport.address-family"] == "inet"
    assert record.state.value == "stopped"


def _spec(more: str = "") -> VolumeSpec:
    return desired(cluster(REP3 + more)).spec.volumes[0]


def test_settings_are_one_generation_on_and_keep_what_a_brick_is() -> None:
    before = made(cluster(REP3))
    after = with_settings(before, _spec("options: {storage.reserve: 3}\n"))
    assert after.generation == before.generation + 1
    assert (after.bricks, after.pinned, after.volume_id) == (before.bricks, before.pinned, before.volume_id)


def test_a_policy_is_as_old_as_its_last_change() -> None:
    before = replace(made(cluster(REP3)), policy_since=7)
    assert with_settings(before, _spec()).policy_since == 7
    after = with_settings(before, _spec("deletionPolicy: Delete\n"))
    assert (after.deletion_policy, after.policy_since) == (DeletionPolicy.DELETE, 0), "the commit notes it"


def test_only_peers_that_joined_have_a_record() -> None:
    records = peer_records(desired(cluster()).spec, {GS2: node_id(GS2)})
    assert list(records) == [GS2]
    assert (records[GS2].address, records[GS2].zone, records[GS2].node_id) == (
        "10.0.0.2",
        "b",
        node_id(GS2),
    )
