"""Changes while programs write: options that reach clients and bricks, volumes stopped and started."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.lab import faults
from reconciler.lab.layout import LabLayout
from tests.labs import Lab, cluster, eventually

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def it() -> Iterator[Lab]:
    with cluster() as made:
        declare(made)
        made.apply()
        yield made


def declare(it: Lab, state: str = "started", **options: str) -> None:
    """Declare two volumes: one with options, the other in a state."""
    it.declare(
        it.volume("live", "replica 3", 2, options=options),
        it.volume("rest", "disperse", state=state),
    )


def graphs(it: Lab, point: Path) -> set[str]:
    """Return the names of the graphs that a client has had (xlators/meta, graphs-dir.c)."""
    return set(it.tour.must("ls", str(point / ".meta/graphs")).split())


def active(it: Lab, point: Path, tail: str) -> str:
    """Return what a client says of its active graph; empty if it has no such thing."""
    return it.run("cat", str(point / ".meta/graphs/active" / tail)).stdout


def test_a_client_takes_a_new_value_without_a_new_graph(it: Lab) -> None:
    with it.mounted("live") as point:
        before = graphs(it, point)
        assert "ping_timeout = 42" in active(it, point, "live-client-4/private")
        with it.writing(point):
            declare(it, **{"network.ping-timeout": "33"})
            it.apply()
            for brick in range(6):
                eventually(
                    lambda b=brick: "ping_timeout = 33" in active(it, point, f"live-client-{b}/private"),
                    f"the new value at brick {brick}",
                )
        assert graphs(it, point) == before
    it.assert_nothing_to_do()


def test_a_client_switches_graphs_under_io_without_an_error(it: Lab) -> None:
    with it.mounted("live") as point:
        before = graphs(it, point)
        assert "write-behind" in active(it, point, "live-write-behind/type")
        for value in ("off", "on"):
            with it.writing(point):
                declare(it, **{"performance.write-behind": value})
                it.apply()
                eventually(
                    lambda v=value: bool(active(it, point, "live-write-behind/type")) is (v == "on"),
                    f"a graph with write-behind {value}",
                )
            it.assert_nothing_to_do()
        assert len(graphs(it, point)) > len(before)


def test_an_option_reaches_the_running_bricks(it: Lab) -> None:
    bricks = it.bricks()
    logs = [LabLayout(it.root).node(number).folders["log"] for number in (1, 2, 3)]
    found = [sorted(log.rglob("*live*")) for log in logs]
    assert all(found)

    def debug_lines() -> list[int]:
        files = [f for some in found for f in some if "shd" not in str(f)]
        return [f.read_text(errors="replace").count("] D [") for f in files]

    assert sum(debug_lines()) == 0
    declare(it, **{"diagnostics.brick-log-level": "DEBUG"})
    it.apply()
    with it.mounted("live") as point:
        it.tour.write(point / "debugged")
        eventually(lambda: all(debug_lines()), "debug lines of every brick")
    declare(it)
    it.apply()
    assert it.bricks() == bricks
    it.assert_nothing_to_do()


def test_a_stopped_volume_is_gone_for_mounts_and_its_data_is_back_when_it_starts(it: Lab) -> None:
    others = {path: process for path, process in it.bricks().items() if "/live/" in path}
    daemons = it.daemons()
    with it.mounted("rest") as point, it.mounted("live") as busy:
        sums = {point / f"file-{n}": it.tour.write(point / f"file-{n}", 100_000) for n in range(3)}
        with it.writing(busy):
            declare(it, state="stopped")
            it.apply()
        assert it.bricks() == others
        assert len(it.daemons()) == len(daemons) - 3
        it.assert_nothing_to_do()
        assert it.cli("drift").returncode == 0
        assert it.run("timeout", "20", "cat", str(point / "file-0")).returncode == 1
        assert it.refuses_mount("rest", node=2)
        assert it.tour.volume("rest")["state"] == "stopped"

        faults.reboot(it.root, [2])  # what is stopped stays stopped, through a boot, too
        eventually(it.converged, "a cluster as declared", 60)
        assert not [path for path in it.bricks() if "/rest/" in path]

        declare(it)
        it.apply()
        it.assert_nothing_to_do()
        assert len(it.bricks()) == 9
        assert len(it.daemons()) == len(daemons)
        for path, expected in sums.items():
            eventually(lambda p=path, e=expected: it.readable(p, e), "data through the old mount", 60)
        with it.mounted("rest", node=3, name="new") as new:
            assert {point / p.name: it.tour.checksum(new / p.name) for p in sums} == sums
