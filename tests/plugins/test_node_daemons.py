"""Graphs of daemons that serve all volumes of a node: several volumes, stopped ones, bricks elsewhere.

The recorded graphs (tests/golden/volgen/test_services.py) are of one volume; what holds for several follows
glusterfs 10.3 xlators/mgmt/glusterd/src/glusterd-volgen.c: build_quotad_graph, build_bitd_graph,
build_scrub_graph, volgen_graph_merge_sub.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from reconciler.errors import VolfileError
from reconciler.model.configured import Secret, VolumeRecord
from reconciler.model.volume import VolumeState
from reconciler.plugins.bitrot.graphs import bitd_graph, scrub_graph
from reconciler.plugins.quota.graphs import quotad_graph
from reconciler.volgen.graph import Graph
from tests.volume_samples import NODES, SECRET, volume

HOST = "10.0.0.11"  # of every third brick, from the first on
OTHER = Secret(username="user-of-arch", password="another")


def quota(name: str, **options: str) -> VolumeRecord:
    return a_volume(name, features__quota="on", **options)


def bitrot(name: str, **options: str) -> VolumeRecord:
    return a_volume(name, features__bitrot="on", **options)


def a_volume(name: str, **options: str) -> VolumeRecord:
    pairs = tuple(sorted((k.replace("__", ".").replace("_", "-"), v) for k, v in options.items()))
    return replace(volume(name), options=pairs)


def options(graph: Graph, name: str) -> Mapping[str, str]:
    xlator = graph.find(name)
    assert xlator is not None, name
    return xlator.options


def names(graph: Graph) -> list[str]:
    return [xlator.name for xlator in graph]


# ---------------------------------------------------------------- quotad


def test_the_quota_daemon_has_volumes_by_name_the_last_one_first_in_the_file() -> None:
    graph = quotad_graph([(quota("home"), SECRET), (quota("arch"), OTHER)])
    assert graph.top.name == "quotad"
    assert graph.top.subvolumes == ("arch", "home")
    assert dict(graph.top.options) == {"arch.volume-id": "arch", "home.volume-id": "home"}
    assert names(graph)[:3] == ["home-client-0", "home-client-1", "home-client-2"]
    assert names(graph)[5:] == [
        "arch-client-0", "arch-client-1", "arch-client-2", "arch-replicate-0", "arch", "quotad",
    ]  # fmt: skip


def test_options_and_credentials_of_one_volume_stay_with_it() -> None:
    home = quota("home", network__ping_timeout="7", client__ssl="on", ssl__own_cert="/c.pem")
    graph = quotad_graph([(home, SECRET), (quota("arch"), OTHER)])
    mine, other = options(graph, "home-client-0"), options(graph, "arch-client-0")
    assert (mine["ping-timeout"], other["ping-timeout"]) == ("7", "42")
    assert (mine["transport.socket.ssl-enabled"], other["transport.socket.ssl-enabled"]) == ("on", "off")
    assert mine["transport.socket.ssl-own-cert"] == "/c.pem"
    assert "transport.socket.ssl-own-cert" not in other
    assert (mine["username"], other["username"]) == (SECRET.username, OTHER.username)


def test_volumes_without_quota_and_stopped_ones_are_not_in_it() -> None:
    stopped = replace(quota("stop"), state=VolumeState.STOPPED)
    graph = quotad_graph([(stopped, SECRET), (a_volume("none"), SECRET), (quota("home"), SECRET)])
    assert graph.top.subvolumes == ("home",)
    with pytest.raises(VolfileError, match="no quota daemon"):
        quotad_graph([(stopped, SECRET), (a_volume("none"), SECRET)])


def test_the_quota_daemon_reads_directories_in_parallel_where_mounts_do() -> None:
    graph = quotad_graph([(quota("home", performance__parallel_readdir="on"), SECRET)])
    assert graph.find("home-readdir-ahead-0") is not None
    assert (graph.find("home") or graph.top).subvolumes == ("home-readdir-ahead-0",)


# ---------------------------------------------------------------- bitd, scrub


@pytest.mark.parametrize(("build", "top"), [(bitd_graph, "bitd"), (scrub_graph, "scrub")])
def test_the_daemons_have_the_bricks_of_their_own_node_only(build: Callable[..., Graph], top: str) -> None:
    six = replace(volume("home", bricks=6), options=(("features.bitrot", "on"),))
    for host, bricks in ((HOST, [0, 3]), ("10.0.0.12", [1, 4]), (NODES[2], [2, 5])):
        graph = build([(six, SECRET)], host=host)
        expected = [f"home-client-{number}" for number in bricks]
        assert names(graph) == [*expected, "home-bit-rot-0", top]
        assert graph.xlators[-2].subvolumes == tuple(expected)
        assert options(graph, expected[0])["password"] == SECRET.password


def test_the_signer_counts_the_bricks_of_all_volumes() -> None:
    six = replace(volume("home", bricks=6), options=(("features.bitrot", "on"),))
    quick = bitrot("arch", features__expiry_time="5", features__signer_threads="2")
    graph = bitd_graph([(six, SECRET), (quick, OTHER)], host=HOST)
    assert graph.top.subvolumes == ("arch-bit-rot-0", "home-bit-rot-0")
    assert dict(options(graph, "home-bit-rot-0")) == {
        "brick-count": "3", "expiry-time": "120", "signer-threads": "4",
    }  # fmt: skip
    assert dict(options(graph, "arch-bit-rot-0")) == {
        "brick-count": "3", "expiry-time": "5", "signer-threads": "2",
    }  # fmt: skip


def test_the_scrubber_is_told_how_often_how_fast_and_whether_to_pause() -> None:
    def scrubber(**more: str) -> dict[str, str]:
        return dict(options(scrub_graph([(bitrot("home", **more), SECRET)], host=HOST), "home-bit-rot-0"))

    plain = {"scrubber": "true", "scrub-freq": "biweekly", "scrub-throttle": "lazy"}
    assert scrubber() == plain
    assert scrubber(features__scrub="pause") == {**plain, "scrub-state": "pause"}
    assert scrubber(features__scrub="resume") == plain
    changed = scrubber(features__scrub_freq="daily", features__scrub_throttle="aggressive")
    assert changed == {**plain, "scrub-freq": "daily", "scrub-throttle": "aggressive"}


def test_their_clients_have_no_option_of_the_volume_but_tls_and_the_address_family() -> None:
    tls = {"client__ssl": "on", "ssl__own_cert": "/c.pem", "transport__address_family": "inet6"}
    home = bitrot("home", network__ping_timeout="7", **tls)
    graph = bitd_graph([(home, SECRET), (bitrot("arch"), OTHER)], host=HOST)
    mine = dict(options(graph, "home-client-0"))
    assert mine.pop("remote-host") == HOST
    assert mine == {
        "ping-timeout": "42",
        "remote-subvolume": "/bricks/home/b0",
        "transport-type": "tcp",
        "transport.address-family": "inet6",
        "transport.socket.ssl-enabled": "true",
        "transport.socket.ssl-own-cert": "/c.pem",
        "username": SECRET.username,
        "password": SECRET.password,
    }
    assert "transport.socket.ssl-enabled" not in options(graph, "arch-client-0")


def test_the_last_volume_that_says_something_about_logging_wins() -> None:
    log = "diagnostics__client_log_level"
    arch = bitrot("arch", **{log: "DEBUG", "diagnostics__client_log_format": "no-msg-id"})
    graph = bitd_graph([(arch, SECRET), (bitrot("home"), SECRET)], host=HOST)
    assert graph.top.options["log-level"] == "INFO"  # the default of home, too
    assert graph.top.options["log-format"] == "no-msg-id"  # home has nothing to say
    home = bitrot("home", **{log: "ERROR"})
    assert bitd_graph([(arch, SECRET), (home, SECRET)], host=HOST).top.options["log-level"] == "ERROR"


def test_volumes_that_need_no_watching_here_are_not_in_it() -> None:
    stopped = replace(bitrot("stop"), state=VolumeState.STOPPED)
    elsewhere = replace(bitrot("away"), bricks=bitrot("away").bricks[1:])
    idle = [(stopped, SECRET), (elsewhere, SECRET), (a_volume("none"), SECRET)]
    graph = bitd_graph([*idle, (bitrot("home"), SECRET)], host=HOST)
    assert graph.top.subvolumes == ("home-bit-rot-0",)
    assert options(graph, "home-bit-rot-0")["brick-count"] == "1"
    for build in (bitd_graph, scrub_graph):
        with pytest.raises(VolfileError, match=f"has a brick on {HOST}"):
            build(idle, host=HOST)


def test_options_that_only_xlators_have_names_for_reach_these_graphs_too() -> None:
    home = a_volume("home", features__bitrot="on", features__quota="on", **{"client.manage-me": "1"})
    assert options(bitd_graph([(home, SECRET)], host=HOST), "home-client-0")["manage-me"] == "1"
    assert options(quotad_graph([(home, SECRET)]), "home-client-0")["manage-me"] == "1"
