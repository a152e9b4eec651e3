"""What must be refused before anything is done, on a real cluster: nothing changes, and the message says why.

The same cluster serves all tests of a module; each undoes its fault and leaves everything running.
"""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.brick_directory import VOLUME_ID
from reconciler.lab import control, faults
from reconciler.lab.record import load
from tests.lab_faults import (
    all_up,
    answer,
    apply,
    command,
    declare,
    node,
    plan,
    single,
    status_of,
    volume,
    world,
)
from tests.labs import Lab, cluster, eventually

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def it() -> Iterator[Lab]:
    with cluster() as made:
        declare(made, *standing(made))
        code, text = apply(made)
        assert code == 0, text
        with made.mounted("keep") as point:
            made.run("sh", "-c", f"echo precious > {point}/file")
        yield made


@pytest.fixture(autouse=True)
def declared(it: Lab) -> None:
    """Begin with what stands already."""
    declare(it, *standing(it))


def standing(it: Lab) -> list[dict[str, Any]]:
    """Return what is declared at the beginning: a brick that nobody restarts, one that its agent does."""
    return [volume(it, "keep"), volume(it, "still", restart={"policy": "never"})]


def inside(it: Lab, path: str | Path) -> Path:
    """Return where a path of the lab's disks is reached from here."""
    return load(it.root).inside.seen(Path(path))


def assert_refused(it: Lab, *told: str, code: int = 3) -> None:
    """Fail unless apply and plan refuse what is declared, say why, and change nothing at all."""
    before = world(it)
    for act in (plan, apply):
        found, text = act(it)
        assert found == code, text
        for words in told:
            assert words in text, f"{words!r} is not in: {text}"
    assert world(it) == before


def assert_whole(it: Lab) -> None:
    """Fail unless everything comes to run again by itself and the data is intact."""
    declare(it, *standing(it))
    eventually(lambda: all_up(it), "everything runs", 60)
    eventually(lambda: command(it, "drift")[0] == 0, "no drift is left")
    code, text = plan(it, "--detailed-exitcode")
    assert code == 0, text
    with it.mounted("keep") as point:
        assert it.run("cat", f"{point}/file").stdout == "precious\n"


# ---------------------------------------------------------------- new bricks


def test_a_brick_of_another_volume_is_refused(it: Lab) -> None:
    taken = f"{node(it, 1).bricks}/keep/b0"
    fresh = single(it, "fresh", 1) | {"bricks": [f"gs1:{taken}"]}
    declare(it, volume(it, "still", restart={"policy": "never"}), fresh)
    assert_refused(it, taken, status_of(it, "keep")["volume_id"])


def test_a_brick_of_a_foreign_cluster_is_refused(it: Lab) -> None:
    place = inside(it, node(it, 1).bricks) / "foreign"
    place.mkdir()
    foreign = uuid.uuid4()
    subprocess.run(["setfattr", "-n", VOLUME_ID, "-v", f"0x{foreign.hex}", place], check=True)
    fresh = single(it, "fresh", 1) | {"bricks": [f"gs1:{node(it, 1).bricks}/foreign"]}
    declare(it, *standing(it), fresh)
    assert_refused(it, f"{node(it, 1).bricks}/foreign", str(foreign))
    place.rmdir()


@pytest.mark.parametrize("tail", ["keep/b0/inner", "keep"], ids=["below", "above"])
def test_a_brick_below_or_above_another_is_refused(it: Lab, tail: str) -> None:
    path = f"{node(it, 1).bricks}/{tail}"
    declare(it, *standing(it), single(it, "fresh", 1) | {"bricks": [f"gs1:{path}"]})
    before = world(it)
    for act in (plan, apply):
        code, text = act(it)
        assert code in (3, 65), text
        assert path in text
    assert world(it) == before


def test_somebodys_data_is_refused_and_named(it: Lab) -> None:
    place = inside(it, node(it, 1).bricks) / "home" / "b0"
    place.mkdir(parents=True)
    (place / "thesis.tex").write_text("years of work")
    declare(it, *standing(it), single(it, "home", 1))
    assert_refused(it, f"{node(it, 1).bricks}/home/b0", "thesis.tex", "not empty")
    assert (place / "thesis.tex").read_text() == "years of work"
    (place / "thesis.tex").unlink()
    place.rmdir()
    place.parent.rmdir()


def test_a_path_through_a_symbolic_link_is_refused(it: Lab) -> None:
    bricks = inside(it, node(it, 1).bricks)
    (bricks / "elsewhere").mkdir()
    (bricks / "link").symlink_to(bricks / "elsewhere")
    for path in ("link", "link/b0"):
        fresh = single(it, "fresh", 1) | {"bricks": [f"gs1:{node(it, 1).bricks}/{path}"]}
        declare(it, *standing(it), fresh)
        assert_refused(it, f"{node(it, 1).bricks}/link", "link")
    (bricks / "link").unlink()
    (bricks / "elsewhere").rmdir()


def test_a_new_brick_on_another_filesystem_than_declared_is_refused(it: Lab) -> None:
    path, point = f"{node(it, 1).bricks}/fresh/b0", str(node(it, 1).bricks)
    for declared, told in (
        ({"mount": str(node(it, 1).home)}, f"declared is {node(it, 1).home}"),
        ({"fsUUID": "00000000-1111-2222-3333-444444444444"}, "00000000-1111-2222-3333-444444444444"),
    ):
        brick = {"peer": "gs1", "path": path, **declared}
        declare(it, *standing(it), single(it, "fresh", 1) | {"bricks": [brick]})
        assert_refused(it, path, told)
    brick = {"peer": "gs1", "path": path, "mount": point, "fsUUID": answer_uuid(it)}
    declare(it, *standing(it), single(it, "fresh", 1) | {"bricks": [brick]})
    code, text = plan(it, "--detailed-exitcode")
    assert code == 2, text  # the right one is not refused


def answer_uuid(it: Lab) -> str:
    """Return the UUID of the first node's filesystem, by blkid."""
    image = node(it, 1).image
    done = subprocess.run(
        ["blkid", "-p", "-o", "value", "-s", "UUID", image], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_a_peer_that_has_not_joined_is_exit_10(it: Lab) -> None:
    path = declare(it, *standing(it))
    text = path.read_text().replace('"peers": [', '"peers": [{"name": "gs9", "address": "127.0.1.9"},')
    path.write_text(text)
    assert_refused(it, "gs9", code=10)


def test_a_second_node_under_a_peers_name_is_refused(it: Lab) -> None:
    impostor = it.root / "work" / "impostor"
    folders = {kind: impostor / kind for kind in ("state", "run", "log")}
    for folder in folders.values():
        folder.mkdir(parents=True)
    config = node(it, 2).config.read_text()
    for kind, folder in folders.items():
        config = config.replace(str(node(it, 2).folders[kind]), str(folder))
    config = config.replace("127.0.1.2", "127.0.1.12").replace("steward = true", "steward = false")
    (impostor / "agent.toml").write_text(config)
    before, nodes = world(it), answer(it, "status")["nodes"]
    words = ["--config", str(impostor / "agent.toml"), "--bind", "127.0.1.12"]
    done = it.run("timeout", "5", *control.DEFAULT_AGENT, *words)
    assert f"peer gs2 of cluster quickstart is bound to node {nodes[1]['node_id']}" in done.stderr
    assert done.stderr.count("bound to node") == 1, "it says so again and again"
    assert "connected" not in done.stderr
    assert world(it) == before
    assert answer(it, "status")["nodes"] == nodes
    assert_whole(it)


# ---------------------------------------------------------------- known bricks


def kill_bricks(it: Lab, number: int) -> None:
    """Kill the bricks of both volumes on a node."""
    for name in ("keep", "still"):
        it.kill(f"brick:{name}:{number}")


def assert_never_started(it: Lab, numbers: tuple[int, ...], *told: str) -> None:
    """Fail unless bricks of these nodes stay down, and drift, plan and status all say why."""

    def refused() -> bool:
        states = [
            b["state"]
            for name in ("keep", "still")
            for b in status_of(it, name)["bricks"]
            if b["peer"] in {f"gs{n}" for n in numbers}
        ]
        return set(states) == {"refused"}

    eventually(refused, "the bricks are refused")
    before = world(it)
    for words, expected in ((("drift",), 2), (("status",), 0)):
        code, text = command(it, *words)
        assert code == expected, text
        for one in told:
            assert one in text, f"{one!r} is not in {words}: {text}"
    code, text = plan(it, "--detailed-exitcode")
    assert code == 2, text
    code, text = apply(it)  # there is nothing that it may do about it, and it says so
    assert code == 12, text
    assert all(one in text for one in told), text
    assert world(it) == before
    assert refused()


def test_a_pulled_disk_is_not_replaced_by_the_root_filesystem(it: Lab) -> None:
    faults.break_disk(it.root, 1)
    path = f"{node(it, 1).bricks}/keep/b0"
    assert_never_started(it, (1,), path, "filesystem mounted at", "is not mounted")
    declare(it, *standing(it), single(it, "fresh", 1))
    before = world(it)
    code, text = apply(it)
    assert (code, f"{node(it, 1).bricks}/fresh/b0" in text) == (3, True), text
    assert world(it) == before
    assert list(inside(it, node(it, 1).bricks).iterdir()) == []
    faults.reboot(it.root, [1])
    assert_whole(it)


def test_swapped_disks_are_not_started(it: Lab) -> None:
    faults.swap_disks(it.root, 1, 2)
    told = [f"{node(it, n).bricks}/{name}/b0" for n in (1, 2) for name in ("keep", "still")]
    assert_never_started(it, (1, 2), *told, "another disk is mounted here")
    faults.reboot(it.root, [1, 2])
    assert_whole(it)


def test_two_bricks_of_a_volume_swapped_on_one_disk_are_not_started(it: Lab) -> None:
    """The same filesystem, the same volume id: only the identity tells them apart."""
    both = volume(it, "pair", type="distribute", acknowledge=[{"code": "GS204", "reason": "a test"}])
    both["bricks"] = [f"gs1:{node(it, 1).bricks}/pair/b{n}" for n in (0, 1)]
    both["acknowledge"].append({"code": "GS203", "reason": "a test"})
    declare(it, *standing(it), both)
    code, text = apply(it)
    assert code == 0, text
    place = inside(it, node(it, 1).bricks) / "pair"
    both["state"] = "stopped"
    declare(it, *standing(it), both)
    code, text = apply(it)
    assert code == 0, text
    swap(place)
    both["state"] = "started"
    declare(it, *standing(it), both)
    eventually(lambda: command(it, "drift")[0] == 2, "the swap is seen")
    assert_refused(it, f"{node(it, 1).bricks}/pair/b0", "swapped")
    swap(place)
    eventually(lambda: plan(it)[0] == 0, "the swap is undone")
    code, text = apply(it)
    assert code == 0, text
    assert {b["state"] for b in status_of(it, "pair")["bricks"]} == {"running"}


def swap(place: Path) -> None:
    """Give two directories each other's name."""
    for source, target in (("b0", "b2"), ("b1", "b0"), ("b2", "b1")):
        (place / source).rename(place / target)


@pytest.mark.parametrize("stamp", ["volume-id", "identity"])
def test_a_known_brick_without_a_stamp_is_not_started(it: Lab, stamp: str) -> None:
    lost: list[Path | bytes] = []
    for name in ("keep", "still"):
        place = inside(it, node(it, 3).bricks) / name / "b0"
        remove_stamp(place, stamp, lost)
    code, text = command(it, "drift")
    assert code == 2, text  # named while they still run
    assert "would not be started again" in text
    kill_bricks(it, 3)
    word = "no volume id" if stamp == "volume-id" else "no identity file"
    assert_never_started(it, (3,), f"{node(it, 3).bricks}/keep/b0", word)
    for name in ("keep", "still"):
        restore_stamp(inside(it, node(it, 3).bricks) / name / "b0", stamp, lost.pop(0))
    eventually(lambda: status_of(it, "keep")["bricks"][2]["state"] == "running", "the agent starts it")
    code, text = apply(it)  # the other volume says: never by itself
    assert code == 0, text
    assert_whole(it)


def remove_stamp(place: Path, stamp: str, lost: list[Path | bytes]) -> None:
    """Take one stamp off a brick's directory; keep it in `lost`."""
    if stamp == "volume-id":
        lost.append(os.getxattr(place, VOLUME_ID))
        os.removexattr(place, VOLUME_ID)
        return
    file = place / ".glusterfs" / "gluster-state.json"
    lost.append(file.read_bytes())
    file.unlink()


def restore_stamp(place: Path, stamp: str, content: Path | bytes) -> None:
    """Put a stamp back."""
    assert isinstance(content, bytes)
    if stamp == "volume-id":
        os.setxattr(place, VOLUME_ID, content)
    else:
        (place / ".glusterfs" / "gluster-state.json").write_bytes(content)


def test_removing_a_brick_from_the_declaration_alone_is_refused(it: Lab) -> None:
    smaller = volume(it, "keep")
    smaller["bricks"] = [*smaller["bricks"][:2], f"gs3:{node(it, 3).bricks}/keep/b1"]
    declare(it, smaller, standing(it)[1])
    assert_refused(it, "volume/keep", "layout")
    assert answer(it, "status")["name"] == "quickstart"
    assert_whole(it)
