"""A replica 2 volume whose third vote is a process outside the cluster; and bricks about to leave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from reconciler.errors import VolfileError
from reconciler.model.configured import VolumeRecord
from reconciler.model.volume import Shape, VolumeType
from reconciler.plugins.quota.graphs import quotad_graph
from reconciler.volgen.client import client_graph, gfproxyd_graph
from reconciler.volgen.graph import Graph
from reconciler.volgen.services import rebalance_graph, shd_graph, thin_arbiter_graph
from tests.volume_samples import SECRET, SLOTS, volume

PLACE = "arb.example.net:/bricks/ta"
# Facts of glusterfs 10.3 extras/thin-arbiter/thin-arbiter.vol, top first: name, type, what it is told.
EXPECTED = (
    (
        "ta-server",
        "protocol/server",
        {
            "auth-path": "/bricks/ta",
            "auth.addr./bricks/ta.allow": "*",
            "transport-type": "tcp",
            "transport.address-family": "inet",
            "transport.listen-backlog": "10",
            "transport.socket.keepalive": "1",
            "transport.socket.keepalive-count": "9",
            "transport.socket.keepalive-interval": "2",
            "transport.socket.keepalive-time": "20",
            "transport.tcp-user-timeout": "0",
        },
    ),
    (
        "/bricks/ta",
        "debug/io-stats",
        {"count-fop-hits": "off", "latency-measurement": "off", "unique-id": "/bricks/ta"},
    ),
    (
        "ta-index",
        "features/index",
        {
            "index-base": "/bricks/ta/.glusterfs/indices",
            "xattrop-dirty-watchlist": "trusted.afr.dirty",
            "xattrop-pending-watchlist": "trusted.afr.ta-",
        },
    ),
    ("ta-io-threads", "performance/io-threads", {}),
    ("ta-upcall", "features/upcall", {"cache-invalidation": "off"}),
    ("ta-locks", "features/locks", {"notify-contention": "yes"}),
    ("ta-thin-arbiter", "features/thin-arbiter", {}),
    ("ta-posix", "storage/posix", {"directory": "/bricks/ta"}),
)


def a_volume(bricks: int) -> VolumeRecord:
    return replace(volume(bricks=bricks, replica=2), thin_arbiter=PLACE)


def children(graph: Graph, name: str) -> tuple[str, ...]:
    xlator = graph.find(name)
    assert xlator is not None, name
    return xlator.subvolumes


@pytest.mark.parametrize(
    "graph",
    [
        lambda v: client_graph(v, slots=SLOTS),
        lambda v: gfproxyd_graph(v, slots=SLOTS, secret=SECRET),
        lambda v: rebalance_graph(v, secret=SECRET),
        lambda v: shd_graph(v, secret=SECRET),
    ],
)
def test_each_subvolume_has_the_arbiter_as_its_third_child(graph: Callable[[VolumeRecord], Graph]) -> None:
    found = graph(a_volume(6))
    assert [x.name for x in found.of_type("protocol/client")] == [
        "home-client-0", "home-client-1", "home-ta-2",
        "home-client-2", "home-client-3", "home-ta-5",
        "home-client-4", "home-client-5", "home-ta-8",
    ]  # fmt: skip
    assert children(found, "home-replicate-1") == ("home-client-2", "home-client-3", "home-ta-5")
    replicate = found.find("home-replicate-2")
    assert replicate is not None
    assert replicate.options["thin-arbiter"] == PLACE
    accounts = f"home-client-4,home-client-5,home-ta-8.{a_volume(6).volume_id}"
    assert replicate.options["afr-pending-xattr"] == accounts
    arbiter = found.find("home-ta-5")
    assert arbiter is not None
    assert (arbiter.options["remote-host"], arbiter.options["remote-subvolume"]) == tuple(PLACE.split(":"))
    assert "remote-port" not in arbiter.options


def test_a_port_of_the_arbiter_reaches_its_clients_alone() -> None:
    other = replace(a_volume(2), options=(("client.ta-brick-port", "24008"),))
    graph = client_graph(other, slots=SLOTS)
    ports = {x.name: x.options.get("remote-port") for x in graph.of_type("protocol/client")}
    assert ports == {"home-client-0": None, "home-client-1": None, "home-ta-2": "24008"}


def test_the_arbiters_own_graph_is_the_one_of_glusterfs() -> None:
    graph = thin_arbiter_graph(a_volume(2))
    assert tuple((x.name, x.type, dict(x.options)) for x in reversed(graph.xlators)) == EXPECTED
    assert [x.subvolumes for x in graph.xlators[1:]] == [(x.name,) for x in graph.xlators[:-1]]
    with pytest.raises(VolfileError, match="has no thin arbiter"):
        thin_arbiter_graph(volume())


# ---------------------------------------------------------------- bricks about to leave


def leaving(record: VolumeRecord, *numbers: int) -> VolumeRecord:
    bricks = (replace(b, decommissioned=n in numbers) for n, b in enumerate(record.bricks))
    return replace(record, bricks=tuple(bricks))


def decommissioned(graph: Graph) -> str | None:
    (found,) = graph.of_type("cluster/distribute")
    return found.options.get("decommissioned-bricks")


def test_distribution_is_told_which_subvolumes_lose_a_brick() -> None:
    record = volume(bricks=9)
    assert decommissioned(client_graph(record, slots=SLOTS)) is None
    record = leaving(record, 1, 6, 7, 8)
    expected = "home-replicate-0,home-replicate-2"
    quota = replace(record, options=(("features.quota", "on"),))
    for graph in (
        client_graph(record, slots=SLOTS),
        rebalance_graph(record, secret=SECRET),
        gfproxyd_graph(record, slots=SLOTS, secret=SECRET),
        quotad_graph([(quota, SECRET)]),
    ):
        assert decommissioned(graph) == expected


def test_it_is_told_the_names_of_its_own_children() -> None:
    plain = replace(volume(bricks=3), shape=Shape(type=VolumeType.DISTRIBUTE))
    assert decommissioned(client_graph(leaving(plain, 2), slots=SLOTS)) == "home-client-2"
    parallel = replace(volume(bricks=6), options=(("performance.parallel-readdir", "on"),))
    graph = client_graph(leaving(parallel, 4), slots=SLOTS)
    assert decommissioned(graph) == "home-readdir-ahead-1"
