"""Volume records straight from the declaration."""

from __future__ import annotations

from reconciler.desired.offline import offline_node_id, offline_records
from reconciler.model.ids import PeerName, derive_brick_uuid, is_uuid
from tests.unit.desired.declarations import REP3, cluster, desired

UUID = "5b0f2c1e-8a54-4f0e-9a3c-1d5f0a6e7c11"


def test_what_the_declaration_gives_is_used() -> None:
    bricks = (
        "bricks: [{peer: gs1, path: /b/0, id: home-client-7, port: 49152, mount: /b, fsUUID: f-1}, "
        '"gs2:/b/0", {peer: gs3, path: /b/0, port: 61000}]\n'
    )
    text = cluster(
        f"name: home\nid: {UUID}\ntype: replicate\nreplica: 3\n{bricks}options: {{b.b: on, a.a: 5}}\n"
    )
    (record,) = offline_records(desired(text))
    assert record.volume_id == UUID
    assert record.options == (("a.a", "5"), ("b.b", "on"))
    first, second, third = record.bricks
    assert (first.brick_id, first.port, first.mount, first.fs_uuid) == ("home-client-7", 49152, "/b", "f-1")
    assert (second.brick_id, second.port) == ("home-client-1", 61000)
    assert (third.brick_id, third.port) == ("home-client-2", 61000)
    assert [brick.slot for brick in record.bricks] == ["0.0", "0.1", "0.2"]
    assert (first.host, first.peer, first.path) == ("10.0.0.1", "gs1", "/b/0")
    assert record.next_client == 8


def test_ports_on_one_peer_are_different_and_leave_declared_ones_alone() -> None:
    text = cluster(
        "name: a\ntype: distribute\nbricks: ['gs1:/b/0', 'gs1:/b/1', {peer: gs1, path: /b/2, port: 61000}]\n",
        "name: b\ntype: distribute\nbricks: ['gs1:/b/3']\n",
    )
    a, b = offline_records(desired(text))
    assert [brick.port for brick in (*a.bricks, *b.bricks)] == [61001, 61002, 61000, 61003]


def test_default_brick_ids_never_meet_declared_ones() -> None:
    text = cluster(
        "name: a\ntype: distribute\n"
        "bricks: ['gs1:/b/0', {peer: gs2, path: /b/1, id: a-client-0}, 'gs3:/b/2']\n"
    )
    (record,) = offline_records(desired(text))
    assert [brick.brick_id for brick in record.bricks] == ["a-client-3", "a-client-0", "a-client-2"]
    assert record.next_client == 4


def test_a_thin_arbiter_counts_as_the_last_brick_of_each_subvolume() -> None:
    text = cluster(
        "name: a\ntype: replicate\nreplica: 2\nthinArbiter: arb:/ta\n"
        "bricks: ['gs1:/b/0', 'gs2:/b/0', 'gs3:/b/0', {peer: gs1, path: /b/1, id: a-client-0}]\n"
    )
    (record,) = offline_records(desired(text))
    assert record.thin_arbiter == "arb:/ta"
    # 0 is declared for another brick; 2 and 5 are the arbiter's; 6 is the first that no position has.
    assert [b.brick_id for b in record.bricks] == ["a-client-6", "a-client-1", "a-client-3", "a-client-0"]


def test_records_are_the_same_every_time_and_derived_ids_are_uuids() -> None:
    first, second = (offline_records(desired(cluster(REP3))) for _ in range(2))
    assert first == second
    (record,) = first
    assert is_uuid(record.volume_id)
    assert record.bricks[0].uuid == derive_brick_uuid(record.volume_id, record.bricks[0].brick_id)
    assert record.bricks[0].node_id == offline_node_id("prod", PeerName("gs1"))
    assert len({brick.node_id for brick in record.bricks}) == 3


def test_a_bare_tombstone_has_no_record() -> None:
    text = cluster(f"name: gone\nstate: absent\nconfirm: {UUID}\n", REP3)
    assert [record.name for record in offline_records(desired(text))] == ["home"]
