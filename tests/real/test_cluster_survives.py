"""Data survives the loss of any one brick, and everything goes on without agents and without etcd."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.lab import processes
from reconciler.lab.layout import LabLayout
from reconciler.lab.record import children
from reconciler.lab.tour import UntrueClaim
from tests.labs import SHAPES, Lab, cluster, eventually

pytestmark = pytest.mark.real

#: name: shape, subvolumes
REDUNDANT = {
    "rep2": ("replica 2", 1),
    "rep3": ("replica 3", 1),
    "arb": ("arbiter", 1),
    "ec": ("disperse", 1),
    "arbx2": ("arbiter", 2),
    "ecx2": ("disperse", 2),
}
AGENTS = ("agent:1", "agent:2", "agent:3")
OUTAGE_S = float(os.environ.get("GLUSTER_STATE_SOAK_SECONDS", "90"))


@pytest.fixture(scope="module")
def it() -> Iterator[Lab]:
    with cluster() as made:
        declare(made)
        made.apply()
        yield made


def declare(it: Lab, ping_timeout_s: int = 42) -> None:
    """Declare the redundant volumes, one whose bricks nobody starts again, and a distribute volume."""
    it.declare(
        *(it.volume(n, s, c, options=heal_soon(s)) for n, (s, c) in REDUNDANT.items()),
        it.volume("frail", "replica 3", options=heal_soon(""), restart={"policy": "never"}),
        it.volume("dist", "distribute", 3, options={"network.ping-timeout": str(ping_timeout_s)}),
    )


def heal_soon(shape: str) -> dict[str, str]:
    """Return options that crawl for heals as often as GlusterFS allows; every ten minutes is the default.

    A heal that met a writer's lock is tried again at the next crawl only.
    """
    return {"cluster.heal-timeout": "60" if shape == "disperse" else "5"}


@pytest.fixture(scope="module")
def points(it: Lab) -> Iterator[dict[str, Path]]:
    """Mount every volume; the client is never restarted while the tests run."""
    points = {}
    for name in (*REDUNDANT, "frail", "dist"):
        points[name] = it.tour.mount(name)
    yield points
    for point in points.values():
        it.run("umount", str(point))


@pytest.mark.timeout(400)
def test_any_one_brick_may_be_killed_while_programs_write(it: Lab, points: dict[str, Path]) -> None:
    """In each round one brick of every subvolume dies; every brick has its turn."""
    bricks = {name: it.brick_paths(name) for name in REDUNDANT}
    sums = {point / "before": it.tour.write(point / "before", 300_000) for point in points.values()}
    for turn in range(3):
        victims = {n: paths[turn :: width(n)] for n, paths in bricks.items() if turn < width(n)}
        killed = [path for paths in victims.values() for path in paths]
        before = it.bricks()
        with it.writing(*(points[name] for name in victims)):
            for path in killed:
                it.kill_brick(path)
            for name in victims:
                file = points[name] / f"while-{turn}-is-down"
                sums[file] = it.tour.write(file, 100_000)
            assert read(it, *sums) == sums
            eventually(lambda b=before, k=killed: it.replaced(b, k), f"a restart of {killed}")
        eventually(lambda v=victims: it.settled(*v), f"a complete heal after round {turn}", 90)
        for name in victims:
            assert_copies_are_equal(it, name, bricks[name])
        untouched = {path: process for path, process in before.items() if path not in killed}
        assert {path: process for path, process in it.bricks().items() if path in untouched} == untouched
    assert read(it, *sums) == sums


def width(name: str) -> int:
    """Return how many bricks a subvolume has."""
    return SHAPES[REDUNDANT[name][0]][0]


def read(it: Lab, *paths: Path) -> dict[Path, str]:
    """Return the sha256 of files."""
    lines = it.tour.must("sha256sum", *map(str, paths)).splitlines()
    return {Path(line.split(maxsplit=1)[1]): line.split()[0] for line in lines}


def assert_copies_are_equal(it: Lab, name: str, bricks: list[str]) -> None:
    """Fail unless the bricks of each subvolume hold the same files, with the same content on data bricks."""
    shape = REDUNDANT[name][0]
    for at in range(0, len(bricks), width(name)):
        group = bricks[at : at + width(name)]
        listing = "cd {} && find . -path ./.glusterfs -prune -o -type f -printf '%p %s\\n' | sort"
        content = "cd {} && find . -path ./.glusterfs -prune -o -type f -exec sha256sum {{}} + | sort"
        whole = group[:-1] if shape == "arbiter" else group
        seen = {path: it.tour.must("sh", "-c", listing.format(path)) for path in whole}
        assert len(set(seen.values())) == 1, f"{name}: {seen}"
        assert seen[group[0]].strip(), f"{name}: nothing is on {group[0]}"
        if shape != "disperse":  # every fragment is another one; reading with other bricks down proves them
            found = {path: it.tour.must("sh", "-c", content.format(path)) for path in whole}
            assert len(set(found.values())) == 1, f"{name}: {found}"


def test_heals_are_counted_while_a_brick_is_down_and_done_when_it_is_back(
    it: Lab, points: dict[str, Path]
) -> None:
    path = it.brick_paths("frail")[1]
    it.kill_brick(path)
    sums = {n: it.tour.write(points["frail"] / n, 50_000) for n in ("one", "two", "three")}
    eventually(lambda: it.tour.volume("frail")["heal_pending"] >= len(sums), "heal_pending")
    eventually(lambda: it.tour.volume("frail")["bricks"][1]["state"] == "crashed", "the state crashed")
    time.sleep(5)  # longer than the pause of onCrash: policy never must not start it
    assert path not in it.bricks()
    assert it.cli("drift").returncode == 2
    it.apply()
    assert path in it.bricks()
    eventually(lambda: it.settled("frail"), "a complete heal", 60)
    assert {n: it.tour.checksum(Path(path) / n) for n in sums} == sums
    it.assert_nothing_to_do()


def test_a_killed_self_heal_daemon_comes_back_once(it: Lab) -> None:
    before = it.daemons()
    assert len(before) == 3 * (len(REDUNDANT) + 1) - 1  # the third node has no brick of rep2
    ids = [it.tour.volume(name)["volume_id"] for name in ("rep3", "ec")]
    victims = {pidfile: p for pidfile, p in before.items() if any(volume in pidfile for volume in ids)}
    assert len(victims) == 6
    for daemon in victims.values():
        processes.kill(daemon)
    eventually(
        lambda: all(it.daemons().get(pidfile, p) != p for pidfile, p in victims.items()),
        "a restart of the self-heal daemons",
    )
    eventually(it.converged, "a cluster as declared")
    after = it.daemons()
    assert after.keys() == before.keys()
    assert {f: p for f, p in after.items() if f not in victims} == {
        f: p for f, p in before.items() if f not in victims
    }


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_restarted_agents_restart_nothing(it: Lab, points: dict[str, Path], how: signal.Signals) -> None:
    bricks, daemons = it.bricks(), it.daemons()
    with it.writing(*points.values()):
        first = agents(it)
        for agent in first.values():
            processes.send(agent, how)
        eventually(lambda: all(agents(it).get(n, a) != a for n, a in first.items()), "new agents")
        eventually(lambda: mounts(it, "rep3"), "a new mount by the rebuilt port map", 20)
        eventually(it.converged, "a cluster as declared")
        declare(it, ping_timeout_s=30 + how)
        it.apply()
        seen = f"{points['dist']}/.meta/graphs/active/dist-client-0/private"
        wanted = f"ping_timeout = {30 + how}"
        eventually(lambda: wanted in it.run("cat", seen).stdout, "a change told to a mount from before")
    assert it.bricks() == bricks
    assert it.daemons() == daemons


def agents(it: Lab) -> dict[str, processes.RunningProcess]:
    """Return the agents that run."""
    running = children(LabLayout(it.root))
    return {name: running[name] for name in running if name.startswith("agent-")}


def mounts(it: Lab, volume: str) -> bool:
    """Return true if a new mount from every node works, read and write."""
    for node in (1, 2, 3):
        try:
            with it.mounted(volume, node=node, name=f"new-{node}") as point:
                done = it.run("sh", "-c", f"echo new > {point}/new-{node} && cat {point}/new-{node}")
        except UntrueClaim:
            return False
        if done.stdout != "new\n":
            return False
    return True


def test_killing_every_agent_and_etcd_in_turn_harms_no_data(it: Lab, points: dict[str, Path]) -> None:
    bricks, daemons = it.bricks(), it.daemons()
    with it.writing(*points.values()):
        for part in ("etcd", *AGENTS):
            first = children(LabLayout(it.root))[part.replace(":", "-")]
            it.kill(part)
            eventually(
                lambda p=part, f=first: children(LabLayout(it.root)).get(p.replace(":", "-"), f) != f,
                f"another {part}",
            )
        eventually(it.converged, "a cluster as declared")
    assert it.bricks() == bricks
    assert it.daemons() == daemons


@pytest.mark.timeout(OUTAGE_S + 300)
def test_soak_without_any_agent_or_etcd(it: Lab, points: dict[str, Path]) -> None:
    """Ninety seconds in continuous integration, ten minutes in ``make soak``."""
    bricks, daemons = it.bricks(), it.daemons()
    with it.writing(*points.values()):
        it.stop(*AGENTS, "etcd")
        assert agents(it) == {}
        time.sleep(OUTAGE_S)  # the passage of time is the point
        assert agents(it) == {}
        assert it.bricks() == bricks
        assert it.daemons() == daemons
        it.start("etcd", *AGENTS)
        eventually(it.converged, "a cluster as declared", 60)
    assert it.bricks() == bricks
    assert it.daemons() == daemons
    eventually(lambda: it.settled(*points), "nothing to heal")
    it.assert_nothing_to_do()
    assert mounts(it, "ec")
