"""``gluster-state options list`` and ``explain``; ``dump`` on a folder of compiled libraries."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from reconciler.catalogue.document import read_catalogue
from reconciler.cli.root import run
from reconciler.volgen.option_table import names
from tests.xlator_sources import NEW_OPTIONS, build, source


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert run(["options", *words, "-o", "json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_explain_tells_all_that_is_known_of_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, "explain", "performance.io-thread-count")
    assert found.pop("description").startswith("Number of threads in IO threads translator")
    assert found == {
        "name": "performance.io-thread-count",
        "aliases": ["io-threads.thread-count"],
        "type": "int",
        "low": 1,
        "high": 64,
        "values": [],
        "default": "16",
        "xlators": ["performance/io-threads"],
        "op_versions": [1],
        "deprecated": [],
        "level": "advanced",
        "volumes": "",
        "needs": "",
        "settable": True,
        "source": "GlusterFS 10.3: xlator/performance/io-threads",
        "effects": ["live on clients", "live on bricks"],
        "where": [
            {"side": "brick", "xlator": "performance/io-threads", "key": "thread-count"},
            {"side": "client", "xlator": "performance/io-threads", "key": "thread-count"},
        ],
    }


def test_explain_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["options", "explain", "cluster.data-self-heal-algorithm", "--width", "100"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("cluster.data-self-heal-algorithm   (text)\n  Select between ")
    for line in (
        "  values        diff, full",
        "  op-version    1",
        "  known from    GlusterFS 10.3: xlator/cluster/afr",
        "  a change      live on clients; live in the self-heal daemon",
        "  client             cluster/replicate   data-self-heal-algorithm",
    ):
        assert line in out.splitlines()


@pytest.mark.parametrize(
    ("name", "effects"),
    [
        ("performance.io-cache", ["clients switch to a new graph"]),
        ("features.acl", ["bricks restart"]),
        ("ssl.own-cert", ["clients remount", "bricks restart", "the self-heal daemon restarts"]),
        ("features.shard-lru-limit", ["clients remount"]),
        ("cluster.self-heal-daemon", ["live in the self-heal daemon"]),
        ("diagnostics.brick-log-level", ["live on bricks"]),
        ("debug.trace", ["clients switch to a new graph", "bricks restart"]),
        ("nfs.disable", ["no effect here"]),
    ],
)
def test_what_a_change_takes(capsys: pytest.CaptureFixture[str], name: str, effects: list[str]) -> None:
    assert answer(capsys, "explain", name)["effects"] == effects


@pytest.mark.parametrize(
    ("name", "effects"),
    [
        ("network.ping-timeout", ["live on clients", "live in the self-heal daemon"]),
        ("network.tcp-window-size", ["clients remount", "bricks restart", "the self-heal daemon restarts"]),
        ("cluster.quorum-type", ["live on clients", "live in the self-heal daemon"]),
        ("cluster.quorum-reads", ["no effect here"]),
        ("cluster.strict-readdir", ["no effect here"]),
        ("cluster.local-volume-name", ["clients remount"]),
        ("cluster.lookup-optimize", ["live on clients"]),
        ("delay-gen.enable", ["clients remount", "bricks restart"]),
        ("features.read-only", ["live on bricks"]),
        ("features.worm-files-deletable", ["live on bricks"]),
        ("features.cloudsync-storetype", ["clients remount"]),
        ("features.cloudsync-remote-read", ["live on clients"]),
        ("config.global-threading", ["no effect here"]),
        ("server.root-squash", ["live on clients", "live on bricks"]),
        ("server.anonuid", ["live on bricks"]),
        ("auth.allow", ["live on bricks"]),
        ("storage.reserve", ["live on bricks"]),
        ("performance.aggregate-size", ["clients remount"]),
        ("performance.write-behind-window-size", ["live on clients"]),
        ("performance.nl-cache-timeout", ["live on clients"]),
        ("performance.parallel-readdir", ["clients switch to a new graph"]),
        ("cluster.switch-pattern", ["clients remount"]),
        ("client.bind-insecure", ["clients remount", "the self-heal daemon restarts"]),
        ("server.ssl", ["bricks restart"]),
        ("diagnostics.latency-measurement", ["live on clients", "live on bricks"]),
    ],
)
def test_what_a_change_takes_is_what_the_xlators_do(
    capsys: pytest.CaptureFixture[str], name: str, effects: list[str]
) -> None:
    """Each was looked up in the reconfigure function of glusterfs 10.3's xlator."""
    assert answer(capsys, "explain", name)["effects"] == effects


def test_every_option_of_the_table_is_described(capsys: pytest.CaptureFixture[str]) -> None:
    ours = {name: facts for name, facts in names().items() if facts.about}
    assert len(ours) >= 134
    assert [name for name, facts in ours.items() if not re.fullmatch(r"[A-Z].{20,119}\.", facts.about)] == []
    listed = {one["name"]: one for one in answer(capsys, "list")}
    assert listed.keys() >= names().keys()
    assert [name for name in names() if len(listed[name]["description"]) < 20] == []
    assert {n: listed[n]["op_versions"] for n in names()} == {n: [f.op_version] for n, f in names().items()}


def test_explain_says_for_which_volumes_and_by_whom(capsys: pytest.CaptureFixture[str]) -> None:
    for name, line in (
        ("disperse.quorum-count", "for disperse volumes"),
        ("features.trash-dir", "needs features.trash on"),
        ("cluster.brick-multiplex", "set by glusterd, for its whole pool"),
        ("posix.directory", "set by the graph, not by administrators"),
        ("rebalance.ensure-durability", "op-version 100000"),
    ):
        assert run(["options", "explain", name]) == 0
        assert line in [" ".join(shown.split()) for shown in capsys.readouterr().out.splitlines()]


def test_one_name_may_land_on_several_xlators(capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, "explain", "server.root-squash")
    places = [(place["side"], place["xlator"], place["key"]) for place in found["where"]]
    assert places == [
        ("brick", "protocol/server", "root-squash"),
        ("client", "performance/open-behind", "read-after-open"),
    ]
    found = answer(capsys, "explain", "auth.allow")
    assert found["where"][0]["key"] == "auth.addr.BRICK.allow"


def test_an_option_may_be_asked_for_by_the_name_its_xlator_has(capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, "explain", "afr.eager-lock")
    assert (found["name"], found["aliases"]) == ("cluster.eager-lock", ["replicate.eager-lock"])
    found = answer(capsys, "explain", "md-cache.cache-selinux")
    assert (found["name"], found["type"], found["settable"]) == ("md-cache.cache-selinux", "bool", True)
    assert found["where"] == [{"side": "client", "xlator": "performance/md-cache", "key": "cache-selinux"}]
    found = answer(capsys, "explain", "posix.directory")
    assert (found["settable"], found["where"], found["effects"]) == (False, [], [])


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("performance.io-cach", "did you mean performance.io-cache"),
        ("io-cache", "did you mean performance.io-cache"),
        ("replicate.eager-lokc", "replicate.eager-lock"),
        ("q" * 40, "all options: gluster-state options list"),
        ("frob.mode", "an xlator of this machine is known with --catalogue installed"),
    ],
)
def test_an_unknown_name_is_a_usage_error_with_a_suggestion(
    capsys: pytest.CaptureFixture[str], name: str, hint: str
) -> None:
    assert run(["options", "explain", name]) == 64
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"there is no option {name!r}" in captured.err
    assert hint in captured.err


def test_list_takes_a_part_of_a_name_or_a_pattern(capsys: pytest.CaptureFixture[str]) -> None:
    def names(*words: str) -> list[str]:
        return [one["name"] for one in answer(capsys, "list", *words)]

    everything = names()
    assert len(everything) > 380
    assert everything == sorted(everything)
    assert names("heal-timeout") == [
        "cluster.heal-timeout",
        "disperse.heal-timeout",
        "replicate.heal-timeout",
    ]
    assert names("performance.io-c*") == [n for n in everything if n.startswith("performance.io-c")]
    assert names("o-c*") == []
    assert "posix.directory" not in everything  # the graph sets it
    assert "io-cache.cache-size" not in everything  # it is performance.io-cache-size


def test_list_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["options", "list", "io-cache-size"]) == 0
    captured = capsys.readouterr()
    assert [line.split() for line in captured.out.splitlines()] == [
        ["name", "type", "default", "xlators"],
        ["performance.io-cache-size", "size", "32MB", "performance/io-cache"],
    ]
    assert captured.err == "1 option\n"
    assert run(["options", "list", "nothing-like-it"]) == 0
    assert capsys.readouterr().out == ""


def test_another_version_or_a_file_may_say_what_the_libraries_know(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    found = answer(capsys, "explain", "performance.io-thread-count", "--catalogue", "11.1")
    assert found["source"] == "GlusterFS 11.1: xlator/performance/io-threads"
    home = tmp_path / "lib" / "glusterfs" / "10.9"
    build(home / "xlator" / "performance" / "io-threads.so", source("5").replace('"speed"', '"thread-count"'))
    assert run(["options", "dump", "--xlator-dir", str(home / "xlator")]) == 0
    text = capsys.readouterr().out
    assert read_catalogue(text, "x").version == "10.9"
    (tmp_path / "own.json").write_text(text)
    found = answer(
        capsys, "explain", "performance.io-thread-count", "--catalogue", str(tmp_path / "own.json")
    )
    assert (found["description"], found["op_versions"]) == ("How fast.", [1])
    assert found["source"] == "GlusterFS 10.9: xlator/performance/io-threads"


def test_an_option_of_an_own_xlator_lands_on_bricks_that_are_given_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    xlators = tmp_path / "lib" / "glusterfs" / "10.3" / "xlator"
    text = source("5", table=NEW_OPTIONS)
    build(xlators / "user" / "frob.so", text)
    build(xlators / "features" / "nowhere.so", text.replace('"frob"', '"nowhere"'))
    found = answer(capsys, "explain", "frob.speed", "--catalogue", str(xlators))
    assert found["where"] == [{"side": "brick", "xlator": "user/frob", "key": "speed"}]
    assert (found["effects"], found["needs"]) == (["live on bricks"], "user.xlator.frob")
    assert run(["options", "explain", "frob.speed", "--catalogue", str(xlators)]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "needs user.xlator.frob: PLACE, which puts the xlator into bricks" in lines
    assert lines[-2:] == ["Lands on", "brick user/frob speed"]
    # Bricks load what users bring from the folder `user` only.
    found = answer(capsys, "explain", "nowhere.speed", "--catalogue", str(xlators))
    assert (found["where"], found["effects"], found["needs"]) == ([], ["no effect here"], "")


def test_a_catalogue_that_is_none_is_an_error(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["options", "list", "--catalogue", "9.9"]) == 64
    assert "there is no catalogue '9.9'" in capsys.readouterr().err
    (tmp_path / "x").write_bytes(b"\xff\x00")
    assert run(["options", "list", "--catalogue", str(tmp_path / "x")]) == 1
    assert "is no catalogue" in capsys.readouterr().err


def test_dump_names_what_it_could_not_read_and_writes_the_rest(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    home = tmp_path / "lib" / "glusterfs" / "10.3"
    build(home / "xlator" / "features" / "frob.so", source("5"))
    (home / "xlator" / "features" / "bad.so").write_bytes(b"\x7fELF")
    assert run(["options", "dump", "--xlator-dir", str(home / "xlator")]) == 1
    captured = capsys.readouterr()
    assert [library.path for library in read_catalogue(captured.out, "x").libraries] == [
        "xlator/features/frob"
    ]
    assert captured.err.startswith("Error: xlator/features/bad: ")
    assert run(["options", "dump", "--xlator-dir", str(tmp_path)]) == 1
    assert "are not known" in capsys.readouterr().err
    assert run(["options", "dump", "--xlator-dir", str(tmp_path / "10.3")]) == 1
    assert "there is no such folder" in capsys.readouterr().err
