"""Nodes that boot without etcd start what their peers confirm, and nothing that was removed meanwhile."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.lab import faults
from reconciler.lab.tour import UntrueClaim
from tests.labs import Lab, Value, cluster, eventually

pytestmark = pytest.mark.real
PARTS = ("etcd", "agent:1", "agent:2", "agent:3")


@pytest.fixture(scope="module")
def lab_of_all() -> Iterator[Lab]:
    with cluster() as made:
        made.declare(*volumes(made))
        made.apply()
        yield made


@pytest.fixture
def it(lab_of_all: Lab) -> Iterator[Lab]:
    """Give each test a cluster that is whole."""
    eventually(lab_of_all.converged, "a cluster as declared", 60)
    yield lab_of_all
    lab_of_all.start(*PARTS)


def volumes(it: Lab) -> list[Value]:
    return [
        it.volume("rep3", "replica 3"),
        it.volume("ec", "disperse"),
        it.volume("dist", "distribute", 3),
        it.volume("gone", "replica 3", deletionPolicy="Delete"),
        it.volume("halted", "arbiter"),
    ]


def on_node(it: Lab, number: int) -> set[str]:
    """Return the brick paths of a node on which a process runs."""
    return {path for path in it.bricks() if path.startswith(f"{it.root}/gs{number}/")}


def test_after_a_reboot_of_all_nodes_peers_confirm_each_other(it: Lab) -> None:
    names = ("rep3", "ec", "dist")
    with it.mounted("rep3", name="old") as old:
        sums = {}
        for name in names:
            with it.mounted(name) as point:
                sums[name] = it.tour.write(point / "before")
        before = it.bricks()
        it.stop("etcd")
        faults.reboot(it.root)
        eventually(lambda: it.replaced(before, before), "a start of all bricks")
        said = it.log(1) + it.log(2) + it.log(3)
        assert re.search(r"without etcd: starting volume rep3: [12] peers? answered", said)
        eventually(lambda: it.readable(old / "before", sums["rep3"]), "data through the old mount", 60)
        for name in names:
            eventually(lambda n=name: readable_anew(it, n, sums[n]), f"a new mount of {name}", 60)
        it.tour.write(old / "after")
    started = it.bricks()
    assert len(started) == len(before)
    it.start("etcd")
    eventually(it.converged, "a cluster as declared", 60)
    assert it.bricks() == started
    it.assert_nothing_to_do()


def readable_anew(it: Lab, name: str, expected: str) -> bool:
    """Return true if a new mount from the third node works and shows the file ``before``."""
    try:
        with it.mounted(name, node=3, name="anew") as point:
            return it.readable(point / "before", expected)
    except UntrueClaim:
        return False


def test_one_node_reboots_while_the_others_serve(it: Lab) -> None:
    before = it.bricks()
    mine = on_node(it, 3)
    with it.mounted("rep3") as one, it.mounted("ec") as other:
        with it.writing(one, other):
            it.stop("etcd")
            faults.reboot(it.root, [3])
            eventually(lambda: it.replaced(before, mine), "a start of the node's bricks")
        now = it.bricks()
        assert {p: now[p] for p in before.keys() - mine} == {p: before[p] for p in before.keys() - mine}
        it.start("etcd")
        eventually(lambda: it.settled("rep3", "ec"), "a complete heal", 90)
    assert it.bricks() == now


def test_with_nobody_to_ask_a_node_follows_the_isolated_start_policy(it: Lab) -> None:
    mine = on_node(it, 3)
    said = it.log(3).count("not starting volume rep3: neither etcd nor any peer answers")
    it.stop("agent:1", "agent:2", "etcd")
    faults.reboot(it.root, [3])
    reason = "not starting volume rep3: neither etcd nor any peer answers, and spec.isolatedStart is wait"
    eventually(lambda: it.log(3).count(reason) > said, "the reason in the log")
    time.sleep(7)  # longer than two rounds of asking
    assert on_node(it, 3) == set()
    assert it.refuses_mount("rep3", node=3)
    it.start("agent:1")  # still without etcd: one peer's answer is enough
    eventually(lambda: on_node(it, 3) == mine, "a start of the node's bricks")
    it.start(*PARTS)
    eventually(it.converged, "a cluster as declared", 60)

    it.declare(*volumes(it), isolatedStart="start")
    it.apply()
    it.stop("agent:1", "agent:2", "etcd")
    faults.reboot(it.root, [3])
    eventually(lambda: on_node(it, 3) == mine, "a start of the node's bricks")
    assert "starting volume rep3: neither etcd nor any peer answers, and spec.isolatedStart is start" in (
        it.log(3)
    )
    it.start(*PARTS)
    eventually(it.converged, "a cluster as declared", 60)


def test_a_node_that_slept_through_changes_does_not_serve_what_was(it: Lab) -> None:
    with it.mounted("gone") as point:
        content = it.tour.write(point / "precious")
    volume_id = it.tour.volume("gone")["volume_id"]
    mine = on_node(it, 3)
    bricks = {name: {p for p in mine if f"/{name}/" in p} for name in ("gone", "halted")}
    power_off(it, 3)
    kept = volumes(it)[:3]
    halted = it.volume("halted", "arbiter", state="stopped")
    tombstone = {"name": "gone", "state": "absent", "data": "retain", "confirm": volume_id}
    lost = [{"name": f"gs{n}", "address": f"127.0.1.{n}"} for n in (1, 2)]
    lost.append({"name": "gs3", "address": "127.0.1.3", "state": "lost"})
    it.declare(*kept, halted, {**tombstone, "deletionPolicy": "Delete"}, peers=lost)
    assert "gs3: declared lost, so no step runs there" in it.apply("--allow", "GS101=volume/gone")
    it.assert_nothing_to_do()

    it.stop("etcd")
    faults.reboot(it.root, [3])
    expected = mine - bricks["gone"] - bricks["halted"]
    eventually(lambda: on_node(it, 3) == expected, "a start of the bricks that are still the node's")
    assert "not starting volume gone: 127.0.1." in it.log(3)
    assert "knows that the volume was removed" in it.log(3)
    assert "not starting volume halted: 127.0.1." in it.log(3)
    assert all(it.refuses_mount(name, node=3) for name in bricks)
    it.start("etcd")
    it.declare(*kept, halted)
    eventually(it.converged, "a cluster as declared", 60)
    assert on_node(it, 3) == expected
    for path in bricks["gone"]:
        assert it.tour.checksum(Path(path) / "precious") == content  # nothing that was detached is deleted


def power_off(it: Lab, number: int) -> None:
    """End a node as a power cut does; `faults.reboot` switches it on again."""
    it.stop(f"agent:{number}")
    faults.break_disk(it.root, number)
    eventually(lambda: not live(it)[f"gs{number}"], "the end of the node's lease")


def live(it: Lab) -> dict[str, bool]:
    """Return which nodes report."""
    return {node["peer"]: node["live"] for node in json.loads(it.cli("status", "-o", "json").stdout)["nodes"]}
