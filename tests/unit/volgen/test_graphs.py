"""Rules that the recorded volumes do not exercise, or not visibly."""

from __future__ import annotations

import dataclasses

import pytest

from reconciler.errors import VolfileError
from reconciler.model.configured import BrickRecord, Secret, VolumeRecord
from reconciler.model.ids import BrickId, BrickUuid, NodeId, PeerName, VolumeId, VolumeName
from reconciler.model.volume import Shape, VolumeState, VolumeType
from reconciler.volgen.brick import brick_graph, needs_brick_restart
from reconciler.volgen.client import client_graph, gfproxyd_graph
from reconciler.volgen.graph import Graph
from reconciler.volgen.option_table import rows
from reconciler.volgen.options import creation_defaults
from reconciler.volgen.registry import shared_brick_count
from reconciler.volgen.render import all_graphs
from reconciler.volgen.services import rebalance_graph, shd_graph, snapd_graph
from tests.volume_samples import SLOTS

SECRET = Secret(username="who", password="what")
REPLICA_3 = Shape(type=VolumeType.REPLICATE, replica=3)
PLAIN = Shape(type=VolumeType.DISTRIBUTE)


def a_brick(number: int, *, host: str = "", mount: str = "", fs_uuid: str = "") -> BrickRecord:
    host = host or f"gs{number % 3 + 1}"
    return BrickRecord(
        slot=f"0.{number}",
        brick_id=BrickId(f"home-client-{number}"),
        uuid=BrickUuid(""),
        peer=PeerName(host),
        node_id=NodeId(f"node-{host}"),
        host=host,
        path=f"/bricks/b{number}",
        port=61000 + number,
        mount=mount,
        fs_uuid=fs_uuid,
    )


def a_volume(shape: Shape = REPLICA_3, bricks: int = 3, **options: str) -> VolumeRecord:
    return VolumeRecord(
        name=VolumeName("home"),
        volume_id=VolumeId("3db01396-9b63-40c8-95a0-06cc48f93a1c"),
        incarnation=1,
        generation=1,
        shape=shape,
        state=VolumeState.STARTED,
        bricks=tuple(a_brick(n) for n in range(bricks)),
        options=tuple(sorted((k.replace("__", ".").replace("_", "-"), v) for k, v in options.items())),
        pinned=creation_defaults(shape),
    )


def option(graph: Graph, name: str, key: str) -> str | None:
    xlator = graph.find(name)
    assert xlator is not None, name
    return xlator.options.get(key)


def types(graph: Graph) -> list[str]:
    return [x.type for x in graph]


def test_a_single_brick_is_still_below_distribution() -> None:
    graph = client_graph(a_volume(PLAIN, 1), slots=SLOTS)
    assert graph.topology[:2] == (
        ("home-client-0", "protocol/client", ()),
        ("home-dht", "cluster/distribute", ("home-client-0",)),
    )


def test_only_a_trusted_client_carries_credentials() -> None:
    volume = a_volume()
    assert option(client_graph(volume, slots=SLOTS), "home-client-0", "password") is None
    assert option(client_graph(volume, secret=SECRET, slots=SLOTS), "home-client-0", "password") == "what"


def test_pending_changes_are_booked_under_stored_brick_ids_whatever_the_position() -> None:
    volume = a_volume()
    kept = dataclasses.replace(volume, bricks=(a_brick(4), a_brick(1), a_brick(7)))
    graph = client_graph(kept, slots=SLOTS)
    ids = "home-client-4,home-client-1,home-client-7"
    assert option(graph, "home-replicate-0", "afr-pending-xattr") == ids
    assert graph.find("home-client-7") is not None


def test_parallel_readdir_divides_the_cache_between_subvolumes() -> None:
    on = {"performance__parallel_readdir": "on", "performance__readdir_ahead": "on"}
    graph = client_graph(a_volume(PLAIN, 4, **on), slots=SLOTS)
    assert option(graph, "home-readdir-ahead-3", "rda-cache-limit") == "2621440B"
    assert option(graph, "home-readdir-ahead-3", "rda-request-size") == "131072"
    assert "home-readdir-ahead" not in {x.name for x in graph}


@pytest.mark.parametrize(("limit", "share"), [("200KB", "51200B"), ("8KB", "4096B")])
def test_a_small_readdir_cache_shrinks_the_request_but_not_below_a_page(limit: str, share: str) -> None:
    on = {"performance__parallel_readdir": "on", "performance__readdir_ahead": "on"}
    graph = client_graph(a_volume(PLAIN, 4, **on, performance__rda_cache_limit=limit), slots=SLOTS)
    assert option(graph, "home-readdir-ahead-0", "rda-cache-limit") == share
    assert option(graph, "home-readdir-ahead-0", "rda-request-size") == share


def test_the_readdir_cache_of_rebalance_is_not_divided() -> None:
    on = {"performance__parallel_readdir": "on", "performance__readdir_ahead": "on"}
    graph = rebalance_graph(a_volume(PLAIN, 4, **on), secret=SECRET)
    assert option(graph, "home-readdir-ahead-0", "rda-cache-limit") == "10MB"


def test_root_squash_makes_open_behind_really_open() -> None:
    graph = client_graph(a_volume(server__root_squash="on", performance__read_after_open="off"), slots=SLOTS)
    assert option(graph, "home-open-behind", "read-after-open") == "yes"


def test_bricks_that_look_up_groups_get_none_from_clients() -> None:
    assert option(client_graph(a_volume(), slots=SLOTS), "home-client-0", "send-gids") == "true"
    managed = a_volume(server__manage_gids="on", client__send_gids="true")
    assert option(client_graph(managed, slots=SLOTS), "home-client-0", "send-gids") == "false"
    assert option(gfproxyd_graph(managed, secret=SECRET, slots=SLOTS), "home-client-0", "send-gids") == "true"


def test_the_self_heal_daemon_heals_what_mounts_are_told_to_leave() -> None:
    volume = a_volume(cluster__data_self_heal="off", cluster__self_heal_daemon="off")
    graph = shd_graph(volume, secret=SECRET)
    assert option(graph, "home-replicate-0", "data-self-heal") == "on"
    assert option(graph, "home-replicate-0", "self-heal-daemon") == "off"
    assert option(client_graph(volume, slots=SLOTS), "home-replicate-0", "data-self-heal") == "off"


def test_a_distributed_volume_has_no_self_heal_daemon() -> None:
    with pytest.raises(VolfileError, match="no self-heal daemon"):
        shd_graph(a_volume(PLAIN, 2), secret=SECRET)


def test_the_arbiter_sits_on_the_last_brick_of_each_subvolume_only() -> None:
    volume = a_volume(Shape(type=VolumeType.REPLICATE, replica=3, arbiter=1), 6)
    holders = [
        b.brick_id
        for b in volume.bricks
        if "features/arbiter" in types(brick_graph(volume, b, secret=SECRET, slots=SLOTS))
    ]
    assert holders == ["home-client-2", "home-client-5"]


def test_switching_a_feature_needs_no_brick_restart_but_another_stack_does() -> None:
    def brick(**options: str) -> Graph:
        volume = a_volume(**options)
        return brick_graph(volume, volume.bricks[0], secret=SECRET, slots=SLOTS)

    assert not needs_brick_restart(brick(), brick(features__quota="on", features__worm="on"))
    assert needs_brick_restart(brick(), brick(features__sdfs="on"))
    assert needs_brick_restart(brick(), brick(features__acl="off"))


def test_a_bind_address_stands_in_the_graph_only_when_given() -> None:
    volume = a_volume()
    key = "transport.socket.bind-address"
    assert (
        option(brick_graph(volume, volume.bricks[0], secret=SECRET, slots=SLOTS), "home-server", key) is None
    )
    bound = brick_graph(volume, volume.bricks[0], secret=SECRET, bind_address="127.0.1.1", slots=SLOTS)
    assert option(bound, "home-server", key) == "127.0.1.1"


def test_bricks_count_as_sharing_when_they_are_on_one_filesystem_of_one_node() -> None:
    bricks = (
        a_brick(0, host="gs1", mount="/a", fs_uuid="u1"),
        a_brick(1, host="gs1", mount="/b", fs_uuid="u1"),
        a_brick(2, host="gs1", mount="/c", fs_uuid="u2"),
        a_brick(3, host="gs2", mount="/a", fs_uuid="u1"),
    )
    volume = dataclasses.replace(a_volume(PLAIN, 4), bricks=bricks)
    assert [shared_brick_count(volume, b, host="gs1") for b in bricks] == [2, 2, 1, 0]
    assert [shared_brick_count(volume, b, host="node-gs2") for b in bricks] == [0, 0, 0, 1]


def test_a_debugging_xlator_goes_above_the_one_its_option_names() -> None:
    volume = a_volume(debug__trace="io-threads")
    stack = types(brick_graph(volume, volume.bricks[0], secret=SECRET, slots=SLOTS))
    assert stack[stack.index("performance/io-threads") + 1] == "debug/trace"
    assert "debug/trace" not in types(client_graph(volume, slots=SLOTS))


def test_a_user_xlator_goes_where_its_option_says_with_its_own_options() -> None:
    volume = a_volume(user__xlator__audit="posix", user__xlator__audit__level="3")
    graph = brick_graph(volume, volume.bricks[0], secret=SECRET, slots=SLOTS)
    assert types(graph)[:2] == ["storage/posix", "user/audit"]
    assert option(graph, "home-audit", "level") == "3"


@pytest.mark.parametrize(
    "options",
    [
        {"features__read_only": "on", "features__worm": "on"},
        {"cluster__nufa": "on", "cluster__switch": "on"},
        {"features__shard": "perhaps"},
        {"user__xlator__audit": "nowhere"},
    ],
)
def test_options_that_make_no_graph_are_refused(options: dict[str, str]) -> None:
    volume = a_volume(**options)
    with pytest.raises(VolfileError):
        all_graphs(volume, secret=SECRET, host="gs1", slots=SLOTS)


def test_bricks_that_do_not_fill_a_subvolume_are_refused() -> None:
    with pytest.raises(VolfileError, match="do not fill"):
        client_graph(a_volume(REPLICA_3, 4), slots=SLOTS)


def test_the_shared_storage_volume_has_no_volfile_for_strangers() -> None:
    volume = dataclasses.replace(a_volume(), name=VolumeName("gluster_shared_storage"))
    names = all_graphs(volume, secret=SECRET, host="gs1", slots=SLOTS)
    assert "gluster_shared_storage.tcp-fuse.vol" not in names
    assert "trusted-gluster_shared_storage.tcp-fuse.vol" in names


def test_the_snapshot_daemon_logs_like_a_brick_and_lets_in_whom_a_brick_lets_in() -> None:
    logs = {"diagnostics__brick_log_level": "DEBUG", "diagnostics__client_log_level": "ERROR"}
    tls = {"server__ssl": "on", "ssl__ca_list": "/ca.pem", "auth__reject": "10.0.0.9"}
    graph = snapd_graph(a_volume(**logs, **tls), secret=SECRET)
    assert option(graph, "snapd-home", "log-level") == "DEBUG"
    server = dict(graph.top.options)
    assert server["transport.socket.ssl-enabled"] == "true"
    assert server["transport.socket.ssl-ca-list"] == "/ca.pem"
    assert server["auth.addr.snapd-home.reject"] == "10.0.0.9"
    assert server["auth.login.snapd-home.allow"] == SECRET.username


def test_pinned_defaults_give_way_to_declared_options() -> None:
    assert "performance/io-threads" not in types(client_graph(a_volume(), slots=SLOTS))
    assert "performance/io-threads" in types(
        client_graph(a_volume(performance__client_io_threads="on"), slots=SLOTS)
    )


def test_the_table_has_a_key_wherever_it_sets_one() -> None:
    assert [r.name for r in rows() if r.rule.value not in {"perf", "debug", "toggle"} and not r.key] == []
