"""Every graph of a daemon is loaded by a real GlusterFS process, and reaches the real bricks it is about."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.model.configured import VolumeRecord
from reconciler.volgen.graph import Graph
from reconciler.volgen.registry import View, entries
from reconciler.volgen.text import write
from tests.brick_node import HOST, local_volume, node
from tests.disks import unmount
from tests.loading import Until, loaded, log_of_loading
from tests.servers import free_port
from tests.volume_samples import SECRET, SLOTS

pytestmark = pytest.mark.real

FEATURES = (("features.bitrot", "on"), ("features.quota", "on"), ("features.uss", "on"))
ENTRIES = {entry.name: entry for entry in entries(SLOTS)}


@pytest.fixture(scope="module")
def bricks() -> Iterator[VolumeRecord]:
    """Yield a volume of two running bricks of one node."""
    with node() as (it, (mount,)):
        record = it.prepared(local_volume(mount, count=2, replica=2, options=FEATURES))
        it.desire(record)
        for brick in record.bricks:
            it.bricks.start(record, brick)
        yield record


def graph(name: str, record: VolumeRecord) -> Graph:
    """Return a graph whose clients know the ports of the bricks, for nobody here can be asked for them."""
    ports = {brick.brick_id: str(brick.port) for brick in record.bricks}
    view = View(volume=record, secret=SECRET, slots=SLOTS, host=HOST, brick=record.bricks[0])
    found = ENTRIES[name].build(view)
    return Graph(
        tuple(
            replace(x, options={**x.options, "remote-port": ports[x.name]}) if x.name in ports else x
            for x in found
        )
    )


def problems(log: str) -> list[str]:
    """Return the lines that say that something of the graph could not be used.

    The client of the snapshot daemon has no address: it is the volfile server's, and here is none.
    """
    lines = [line for line in log.splitlines() if re.search(r"\] [EC] \[", line)]
    return [line for line in lines if "home-snapd-client: No remote host" not in line]


def all_connected(*clients: str) -> Callable[[str], bool]:
    return lambda log: all(f"{client}: Connected" in log for client in clients)


WORDS = {
    "bitd": ("--process-name", "bitd", "--global-timer-wheel"),
    "scrub": ("--process-name", "scrub", "--global-timer-wheel"),
    "quotad": ("--process-name", "quotad"),
    "gfproxyd": ("--xlator-option", f"home-server.transport.socket.listen-port={free_port()}"),
}


@pytest.mark.parametrize(
    "name", ["shd", "rebalance", "quotad", "bitd", "scrub", "gfproxyd", "trusted-client", "quota-crawler"]
)
def test_a_daemon_reaches_the_bricks_through_its_graph(
    name: str, bricks: VolumeRecord, tmp_path: Path
) -> None:
    found = graph(name, bricks)
    clients = [x.name for x in found.of_type("protocol/client") if "remote-port" in x.options]
    assert len(clients) == (1 if name == "quota-crawler" else 2)
    done = all_connected(*clients)
    log = log_of_loading(write(found), tmp_path, *WORDS.get(name, ()), until=done)
    assert done(log), log
    assert problems(log) == []


def test_a_mount_and_the_healer_share_the_thin_arbiter(bricks: VolumeRecord, tmp_path: Path) -> None:
    arbiter, mount, healer = (tmp_path / name for name in ("ta", "mount", "healer"))
    for folder in (arbiter / ".glusterfs" / "indices", mount / "on", healer):
        folder.mkdir(parents=True)
    port = free_port()
    port_option = ("client.ta-brick-port", str(port))
    record = replace(bricks, thin_arbiter=f"{HOST}:{arbiter}", options=(*bricks.options, port_option))
    listen = ("--brick-port", str(port), "--xlator-option", f"ta-server.transport.socket.listen-port={port}")
    done = all_connected("home-client-0", "home-client-1", "home-ta-2")
    with loaded(write(graph("thin-arbiter", record)), tmp_path, *listen, until="Started thread") as said:
        assert "Final graph" in said
        assert problems(said) == []
        with mounted(record, mount, until=done) as (log, point):
            assert done(log), log
            (point / "file").write_text("x")
            assert problems(log) == []
        # Replication made its mark there, under the name that our graph has for the arbiter.
        assert (arbiter / f"trusted.afr.home-ta-2.{record.volume_id}").exists()
        healing = log_of_loading(write(graph("shd", record)), healer, until=done)
        assert done(healing), healing
        assert problems(healing) == []


@contextlib.contextmanager
def mounted(record: VolumeRecord, folder: Path, until: Until) -> Iterator[tuple[str, Path]]:
    """Mount a volume by the graph of a trusted client; yield the log and the mount point."""
    point = folder / "on"
    try:
        with loaded(write(graph("trusted-client", record)), folder, str(point), until=until) as said:
            yield said, point
    finally:
        unmount(point)


def test_the_snapshot_daemon_has_everything_but_somebody_who_lists_snapshots(
    bricks: VolumeRecord, tmp_path: Path
) -> None:
    """It asks the volfile server for them before it listens; ours answers that with a later version."""
    words = ("--xlator-option", f"home-server.transport.socket.listen-port={free_port()}")
    log = log_of_loading(write(graph("snapd", bricks)), tmp_path, *words, until="shutting down")
    (first, *_) = (line for line in problems(log) if "MSGID" in line)
    assert "0-home-snapview-server: Error sending snapshot names RPC request" in first
