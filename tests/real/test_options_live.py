"""Options from the declaration into running bricks and clients, as these say themselves; and back again."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from reconciler.adapters.xlator_directory import installed_directory
from tests.labs import Lab, cluster, eventually
from tests.xlator_sources import build, loadable

pytestmark = pytest.mark.real

XLATORS = {
    "io-threads.thread-count": "24",
    "replicate.background-self-heal-count": "9",
    "read-ahead.page-size": "65536",
    "write-behind.window-size": "2MB",
}
ON = {"performance.read-ahead": "on"}


@pytest.fixture(scope="module")
def it() -> Iterator[Lab]:
    with cluster() as made:
        yield made


def section(folder: Path, pid: int, name: str) -> Mapping[str, str]:
    """Return what a process tells of one xlator in a new statedump; empty until it is all there.

    Source: glusterfs 10.3 libglusterfs/src/statedump.c: gf_proc_dump_info (file name, ``DUMP-END-TIME``).
    """
    for old in folder.glob(f"*.{pid}.dump.*"):
        old.unlink()
    os.kill(pid, signal.SIGUSR1)
    said = ""

    def complete() -> bool:
        nonlocal said
        said = "".join(file.read_text(errors="replace") for file in folder.glob(f"*.{pid}.dump.*"))
        return "DUMP-END-TIME" in said

    eventually(complete, f"a statedump of {pid}")
    lines = said.partition(f"\n[{name}]\n")[2].partition("\n[")[0].splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def all_bricks(it: Lab, folder: Path, name: str, key: str) -> set[str]:
    """Return the values that the bricks' processes have for a key of a section."""
    return {section(folder, process.pid, name).get(key, "") for process in it.bricks().values()}


def client(it: Lab, point: Path, xlator: str) -> Mapping[str, str]:
    """Return what a mounted client tells of an xlator of its active graph (xlators/meta)."""
    said = it.run("cat", str(point / ".meta/graphs/active" / xlator / "private")).stdout
    return dict(line.split(" = ", 1) for line in said.splitlines() if " = " in line)


def shows(it: Lab, point: Path, wanted: Mapping[tuple[str, str], str]) -> Callable[[], bool]:
    """Return a check: whether a client has these values, by xlator and key."""
    return lambda: all(client(it, point, one).get(key) == value for (one, key), value in wanted.items())


def test_options_of_xlators_a_shipped_profile_and_their_reset_change_running_processes(
    it: Lab, tmp_path: Path
) -> None:
    base = {**ON, "server.statedump-path": str(tmp_path)}

    def declare(options: Mapping[str, str], *profiles: str) -> None:
        more = {"profiles": list(profiles)} if profiles else {}
        it.declare(it.volume("live", "replica 3", options={**base, **options}, **more))
        it.apply()
        it.assert_nothing_to_do()

    declare({})
    bricks = it.bricks()
    threads = ("performance/io-threads.live-io-threads", "maximum_threads_count")
    low = ("performance/io-threads.live-io-threads", "max_low_priority_threads")
    with it.mounted("live") as point:
        before = {
            ("live-replicate-0", "background-self-heal-count"): "8",
            ("live-read-ahead", "page_size"): "131072",
            ("live-write-behind", "window_size"): "1048576",
            ("live-client-0", "ping_timeout"): "42",
        }
        set_now = {
            ("live-replicate-0", "background-self-heal-count"): "9",
            ("live-read-ahead", "page_size"): "65536",
            ("live-write-behind", "window_size"): "2097152",
        }
        eventually(shows(it, point, before), "the defaults of a client")
        assert all_bricks(it, tmp_path, *threads) == {"16"}

        graphs = it.tour.must("ls", str(point / ".meta/graphs"))
        declare(XLATORS)
        eventually(shows(it, point, set_now), "the xlators' options in the client")
        eventually(lambda: all_bricks(it, tmp_path, *threads) == {"24"}, "the xlators' options in bricks")

        declare({})
        eventually(shows(it, point, before), "the defaults again, in the client")
        eventually(lambda: all_bricks(it, tmp_path, *threads) == {"16"}, "the defaults again, in bricks")
        assert it.tour.must("ls", str(point / ".meta/graphs")) == graphs

        declare({"performance.read-ahead": "off"}, "builtin/virt")
        eventually(shows(it, point, {("live-client-0", "ping_timeout"): "20"}), "the profile in the client")
        assert "live-shard" in it.tour.must("ls", str(point / ".meta/graphs/active"))
        eventually(lambda: all_bricks(it, tmp_path, *low) == {"32"}, "the profile in bricks")

        declare({})
        eventually(shows(it, point, before), "the client without the profile")
        assert "live-shard" not in it.tour.must("ls", str(point / ".meta/graphs/active"))
        eventually(lambda: all_bricks(it, tmp_path, *low) == {"16"}, "bricks without the profile")
    assert it.bricks() == bricks


def test_an_xlator_compiled_today_runs_in_bricks_with_its_option(it: Lab, tmp_path: Path) -> None:
    """Nothing of ours knows `frob`: its file is put among the xlators of the lab's own mount namespace."""
    home = installed_directory().parent
    own, dumps = tmp_path / "glusterfs" / home.name, tmp_path / "dumps"
    dumps.mkdir()
    shutil.copytree(home, own, symlinks=True)
    build(own / "xlator" / "user" / "frob.so", loadable("frob"))
    listed = it.cli("options", "list", "frob", "--catalogue", str(own / "xlator")).stdout
    assert listed.splitlines()[1].split() == ["frob.mode", "text", "slow", "user/frob"]
    assert "How it goes." in it.cli("options", "explain", "frob.mode", "--catalogue", str(own)).stdout

    def declare(**options: str) -> None:
        given = {"user.xlator.frob": "posix", "server.statedump-path": str(dumps), **options}
        kept = [it.volume("live", "replica 3")] if it.declaration.exists() else []
        it.declare(*kept, it.volume("fresh", "distribute", 2, options=given))

    def fresh() -> dict[str, int]:
        return {path: brick.pid for path, brick in it.bricks().items() if "/fresh/" in path}

    def modes() -> set[str]:
        return {section(dumps, pid, "frob.private").get("frob.mode", "") for pid in fresh().values()}

    declare(**{"frob.mode": "sideways"})
    where = next(
        f"{it.declaration}:{number}:{line.index(': ') + 3}"
        for number, line in enumerate(it.declaration.read_text().splitlines(), 1)
        if "sideways" in line
    )
    refused = it.cli("validate", str(it.declaration), "--catalogue", str(own))
    assert refused.returncode == 65
    assert f"{where}: error: option frob.mode: 'sideways' is not one of fast, slow" in refused.stdout

    declare(**{"frob.mode": "fast"})
    assert "there is no option frob.mode" in it.plan("--catalogue", "10.3").stderr
    apply = ("apply", "-f", str(it.declaration), "--yes", "--catalogue")
    failed = it.cli(*apply, str(own), "--rollback=all")  # the nodes' own libraries do not have it yet
    assert failed.returncode == 5
    assert "rolled back completely" in failed.stdout
    assert "type 'user/frob' is not valid or not found on this machine" in " ".join(failed.stdout.split())
    assert not fresh()

    assert it.run("mount", "--bind", str(own), str(home)).returncode == 0
    try:
        it.apply("--catalogue", "installed")
        started = fresh()
        assert len(started) == 2
        assert modes() == {"fast"}
        with it.mounted("fresh") as point:
            it.tour.write(point / "through-frob")
            declare(**{"frob.mode": "slow"})
            it.apply("--catalogue", "installed")
            eventually(lambda: modes() == {"slow"}, "the new value in the running bricks")
            it.tour.write(point / "still-through-frob")
        assert fresh() == started
    finally:
        it.run("umount", str(home))
