"""The brick steps on real filesystems and real glusterfsd: the laws, every interruption, every refusal."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.adapters import brick_directory
from reconciler.adapters.mounts import Mounts
from reconciler.errors import StepError
from reconciler.model.configured import BrickRecord, VolumeRecord
from reconciler.ports.node import Effect
from tests.brick_node import Node, call, local_volume, node
from tests.disks import tree, unmount
from tests.namespaces import in_own_namespaces
from tests.volume_samples import volume_id

pytestmark = pytest.mark.real

FOREIGN = volume_id("another")


@pytest.fixture
def here() -> Iterator[tuple[Node, Path]]:
    with node() as (it, (mount,)):
        yield it, mount


class Interrupted(BaseException):
    """The agent was killed here."""


CHANGING_CALLS = ("mkdir", "rename", "setxattr", "removexattr", "rmdir", "unlink", "write", "fsync")


def interrupted_at(monkeypatch: pytest.MonkeyPatch, number: int, body: Callable[[], None]) -> bool:
    """Run `body` as if the process were killed right before its `number`-th change; true if it was."""
    left = number

    def fused(original: Callable[..., object]) -> Callable[..., object]:
        def call_it(*args: object, **kwargs: object) -> object:
            nonlocal left
            if left == 0:
                raise Interrupted
            left -= 1
            return original(*args, **kwargs)

        return call_it

    with monkeypatch.context() as patch:
        for name in CHANGING_CALLS:
            patch.setattr(os, name, fused(getattr(os, name)))
        try:
            body()
        except Interrupted:
            return True
    return False


def nothing(mount: Path) -> None:
    """No directory at all, not even the parent."""


def empty_directory(mount: Path) -> None:
    (mount / "home/b0").mkdir(parents=True)
    os.setxattr(mount / "home/b0", "trusted.comment", b"of the user")


def stamped_by_an_earlier_attempt(mount: Path) -> None:
    empty_directory(mount)
    os.setxattr(
        mount / "home/b0", brick_directory.VOLUME_ID, bytes.fromhex(volume_id("home").replace("-", ""))
    )


STARTS = pytest.mark.parametrize("arrange", [nothing, empty_directory, stamped_by_an_earlier_attempt])


@STARTS
def test_preparing_obeys_the_four_laws(here: tuple[Node, Path], arrange: Callable[[Path], None]) -> None:
    it, mount = here
    record = local_volume(mount)
    step = call("brick.prepare", record, record.bricks[0])
    arrange(mount)
    before = tree(mount)
    checked = it.check(step)
    assert tree(mount) == before, "check changed something"
    it.undo(step, checked)
    assert tree(mount) == before, "undo of a step that never ran changed something"
    action = it.actions["brick.prepare"]
    action.do(step, checked.before)
    once = tree(mount)
    action.do(step, checked.before)
    assert tree(mount) == once
    assert it.check(step).effect is Effect.PRESENT
    it.undo(step, checked)
    assert tree(mount) == before
    it.undo(step, checked)
    assert tree(mount) == before


@STARTS
def test_preparing_survives_being_killed_before_any_change(
    here: tuple[Node, Path], arrange: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    it, mount = here
    record = local_volume(mount)
    step = call("brick.prepare", record, record.bricks[0])
    arrange(mount)
    before = tree(mount)
    checked = it.check(step)
    action = it.actions["brick.prepare"]
    action.do(step, checked.before)
    done = tree(mount)
    number = 0
    while True:
        it.undo(step, checked)
        cut = interrupted_at(monkeypatch, number, lambda: action.do(step, checked.before) and None)
        action.do(step, checked.before)
        assert tree(mount) == done, f"killed before change {number}, then done"
        it.undo(step, checked)
        interrupted_at(monkeypatch, number, lambda: action.do(step, checked.before) and None)
        it.undo(step, checked)
        assert tree(mount) == before, f"killed before change {number}, then undone"
        action.do(step, checked.before)
        interrupted_at(monkeypatch, number, lambda: it.undo(step, checked))
        it.undo(step, checked)
        assert tree(mount) == before, f"undo killed before change {number}"
        action.do(step, checked.before)
        number += 1
        if not cut:
            break
    assert number > 3


def test_a_brick_that_ran_is_given_back_as_it_was(here: tuple[Node, Path]) -> None:
    it, mount = here
    record = local_volume(mount)
    brick = record.bricks[0]
    empty_directory(mount)
    before = tree(mount)
    inspect = call("brick.inspect", record, brick)
    it.do(inspect)
    assert tree(mount) == before
    prepare, start = call("brick.prepare", record, brick), call("brick.start", record, brick)
    prepared = it.do(prepare)
    it.commit(record)
    started = it.do(start)
    first = it.fact(brick).pid
    it.do(start)
    assert it.fact(brick).pid == first, "a second process on the brick"
    (mount / "home/b0/.glusterfs/health_check").touch()
    with pytest.raises(StepError, match="still runs"):
        it.undo(prepare, prepared)
    it.undo(start, started)
    it.undo(start, started)
    it.undo(prepare, prepared)
    assert tree(mount) == before


def test_bricks_that_clients_have_mounted_are_given_back_too() -> None:
    def body() -> None:
        with node(port=24007) as (it, (mount,)):
            record = local_volume(mount, count=3, replica=3)
            before = tree(mount)
            prepared = {b.uuid: it.do(call("brick.prepare", record, b)) for b in record.bricks}
            it.commit(record)
            started = {b.uuid: it.do(call("brick.start", record, b)) for b in record.bricks}
            shd = it.do(call("shd.start", record))
            client = it.root / "client"
            client.mkdir()
            subprocess.run(["mount", "-t", "glusterfs", "127.0.0.1:/home", client], check=True)
            assert list(client.iterdir()) == []
            (client / "gone").write_text("a file that was removed again")
            (client / "gone").unlink()
            unmount(client)
            it.undo(call("shd.start", record), shd)
            for brick in reversed(record.bricks):
                it.undo(call("brick.start", record, brick), started[brick.uuid])
                it.undo(call("brick.prepare", record, brick), prepared[brick.uuid])
            assert tree(mount) == before

    in_own_namespaces(body)


def test_a_directory_shared_with_another_brick_stays_until_that_one_goes(here: tuple[Node, Path]) -> None:
    it, mount = here
    record = local_volume(mount, count=2, replica=2)
    steps = [call("brick.prepare", record, brick) for brick in record.bricks]
    before = tree(mount)
    checked = [it.check(step) for step in steps]  # both before either is done
    for step, its in zip(steps, checked, strict=True):
        it.actions["brick.prepare"].do(step, its.before)
    it.undo(steps[0], checked[0])
    it.files.verify(record, record.bricks[1])
    it.undo(steps[1], checked[1])
    assert tree(mount) == before


def test_data_on_a_brick_is_never_undone(here: tuple[Node, Path]) -> None:
    it, mount = here
    record = local_volume(mount)
    step = call("brick.prepare", record, record.bricks[0])
    checked = it.do(step)
    (mount / "home/b0/.glusterfs/ab/cd").mkdir(parents=True)
    (mount / "home/b0/precious").write_text("data")
    gfid = "abcd0000-0000-4000-8000-000000000001"
    (mount / f"home/b0/.glusterfs/ab/cd/{gfid}").hardlink_to(mount / "home/b0/precious")
    before = tree(mount)
    with pytest.raises(StepError, match="precious"):
        it.undo(step, checked)
    assert tree(mount) == before
    (mount / "home/b0/precious").unlink()  # its hard link is still data
    with pytest.raises(StepError, match=gfid):
        it.undo(step, checked)


def test_stopping_and_its_undo(here: tuple[Node, Path]) -> None:
    it, mount = here
    record = it.prepared(local_volume(mount))
    brick = record.bricks[0]
    it.do(call("brick.start", record, brick))
    stop = replace(call("brick.stop", record, brick), volume=None, previous=record)
    stopped = it.do(stop)
    assert not it.bricks.running(record, brick)
    it.do(stop)
    it.undo(stop, stopped)
    assert it.bricks.running(record, brick)
    pid = it.fact(brick).pid
    it.undo(stop, stopped)
    assert it.fact(brick).pid == pid


# ---------------------------------------------------------------- refusals


def stamp(path: Path, volume: str) -> None:
    path.mkdir(parents=True, exist_ok=True)
    os.setxattr(path, brick_directory.VOLUME_ID, bytes.fromhex(volume.replace("-", "")))


def foreign_volume(place: Path) -> None:
    stamp(place, FOREIGN)


def truncated_volume_id(place: Path) -> None:
    place.mkdir(parents=True)
    os.setxattr(place, brick_directory.VOLUME_ID, b"short")


def inside_a_brick(place: Path) -> None:
    stamp(place.parent, FOREIGN)


def inside_a_volume(place: Path) -> None:
    place.mkdir(parents=True)
    os.setxattr(place.parent, brick_directory.GFID, bytes(15) + b"\x07")


def not_empty(place: Path) -> None:
    place.mkdir(parents=True)
    (place / "letter").write_text("from somebody")


def leftover(place: Path) -> None:
    (place / ".glusterfs/00").mkdir(parents=True)


def a_file(place: Path) -> None:
    place.parent.mkdir(parents=True)
    place.touch()


def a_link(place: Path) -> None:
    place.parent.mkdir(parents=True)
    (place.parent / "elsewhere").mkdir()
    place.symlink_to("elsewhere")


def a_link_on_the_way(place: Path) -> None:
    (place.parent.parent / "elsewhere").mkdir()
    place.parent.symlink_to("elsewhere")


def of_another_user(place: Path) -> None:
    place.mkdir(parents=True)
    os.chown(place, 1234, 1234)


def damaged_identity(place: Path) -> None:
    (place / ".glusterfs").mkdir(parents=True)
    (place / ".glusterfs/gluster-state.json").write_text("{")


def read_only(place: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", place.parent.parent], check=True)


@pytest.mark.parametrize(
    ("arrange", "said"),
    [
        (foreign_volume, f"belongs to volume {FOREIGN}"),
        (truncated_volume_id, "damaged:73686f7274"),
        (inside_a_brick, "inside .*, which is a brick"),
        (inside_a_volume, "inside .*, which is a brick"),
        (not_empty, "not empty .*letter"),
        (leftover, "not empty .*.glusterfs"),
        (a_file, "is not a directory"),
        (a_link, "is a symbolic link"),
        (a_link_on_the_way, "symbolic link"),
        (of_another_user, "belongs to user 1234"),
        (damaged_identity, "not a JSON document"),
        (read_only, "read-only"),
    ],
)
def test_a_place_that_is_not_free_is_refused_and_left_alone(
    here: tuple[Node, Path], arrange: Callable[[Path], None], said: str
) -> None:
    it, mount = here
    record = local_volume(mount)
    brick = record.bricks[0]
    arrange(Path(brick.path))
    before = tree(mount)
    for kind in ("brick.inspect", "brick.prepare"):
        with pytest.raises(StepError, match=said) as caught:
            it.check(call(kind, record, brick))
        assert str(mount) in caught.value.message
    with pytest.raises(StepError, match=said):
        it.actions["brick.prepare"].do(call("brick.prepare", record, brick), {})
    with pytest.raises(StepError):
        it.check(call("brick.start", record, brick))
    assert tree(mount) == before


def test_the_mount_point_itself_is_no_brick(here: tuple[Node, Path]) -> None:
    it, mount = here
    record = local_volume(mount)
    brick = replace(record.bricks[0], path=str(mount))
    record = replace(record, bricks=(brick,))
    with pytest.raises(StepError, match="is a mount point"):
        it.check(call("brick.inspect", record, brick))


def with_brick(record: VolumeRecord, **changes: str) -> tuple[VolumeRecord, BrickRecord]:
    brick = replace(record.bricks[0], **changes)  # type: ignore[arg-type]
    return replace(record, bricks=(brick, *record.bricks[1:])), brick


def test_another_or_no_filesystem_is_refused(here: tuple[Node, Path]) -> None:
    it, mount = here
    record = it.prepared(local_volume(mount))
    uuid = Mounts().mount_of(str(mount)).fs_uuid
    right, brick = with_brick(record, fs_uuid=uuid)
    it.files.verify(right, brick)
    wrong, brick = with_brick(record, fs_uuid="00000000-1111-4222-8333-444444444444")
    with pytest.raises(StepError, match=f"has the UUID {uuid}.*another disk"):
        it.check(call("brick.start", wrong, brick))
    unmount(mount)
    for kind in ("brick.inspect", "brick.prepare", "brick.start"):
        with pytest.raises(StepError, match="not mounted"):
            it.check(call(kind, record, record.bricks[0]))
    with pytest.raises(StepError, match="not mounted"):
        it.bricks.start(record, record.bricks[0])
    assert list(mount.iterdir()) == [], "something was made on the filesystem below the mount point"


def test_the_root_filesystem_has_to_be_declared(tmp_path: Path) -> None:
    with node(disk_count=0) as (it, _):
        place = it.root / "brick"
        at_root = Mounts().of_path(str(place)).point == "/"
        assert at_root, "this test needs a temporary directory on the root filesystem"
        record, brick = with_brick(local_volume(it.root), path=str(place), mount="")
        with pytest.raises(StepError, match="root filesystem"):
            it.check(call("brick.prepare", record, brick))
        assert not place.exists()
        record, brick = with_brick(record, mount="/")
        step = call("brick.prepare", record, brick)
        checked = it.do(step)
        assert it.check(step).effect is Effect.PRESENT
        it.undo(step, checked)
        assert not place.exists()


def test_two_swapped_bricks_are_refused() -> None:
    with node(disk_count=2) as (it, (one, two)):
        record = local_volume(one, count=2)
        bricks = (record.bricks[0], replace(record.bricks[1], path=f"{two}/home/b0", mount=str(two)))
        record = it.prepared(replace(record, bricks=(replace(bricks[0], path=f"{one}/home/b0"), bricks[1])))
        sources = [Mounts().of_path(str(point)).source for point in (one, two)]
        for point in (one, two):
            subprocess.run(["umount", point], check=True)
        images = [it.root / "disk1.img", it.root / "disk0.img"]
        for image, point in zip(images, (one, two), strict=True):
            subprocess.run(["mount", "-o", "loop", image, point], check=True)
        assert len(sources) == 2
        before = tree(one), tree(two)
        for brick in record.bricks:
            for kind in ("brick.inspect", "brick.prepare", "brick.start"):
                with pytest.raises(StepError, match="two bricks are swapped"):
                    it.check(call(kind, record, brick))
        assert (tree(one), tree(two)) == before


@pytest.mark.parametrize("lost", ["volume_id", "identity", "both", "directory"])
def test_a_known_brick_without_its_stamps_is_refused_never_stamped(
    here: tuple[Node, Path], lost: str
) -> None:
    it, mount = here
    record = it.prepared(local_volume(mount))
    brick = record.bricks[0]
    place = Path(brick.path)
    if lost in ("volume_id", "both"):
        os.removexattr(place, brick_directory.VOLUME_ID)
    if lost in ("identity", "both"):
        (place / ".glusterfs/gluster-state.json").unlink()
    if lost == "directory":
        shutil.rmtree(place)
    before = tree(mount)
    for kind in ("brick.inspect", "brick.prepare"):
        with pytest.raises(StepError, match=r"no volume id|no identity|does not exist"):
            it.check(call(kind, record, brick, known=True))
        with pytest.raises(StepError):
            it.actions[kind].do(call(kind, record, brick, known=True), {})
    with pytest.raises(StepError):
        it.bricks.start(record, brick)
    assert not it.bricks.running(record, brick)
    assert tree(mount) == before


def test_a_disk_error_becomes_a_step_error_naming_the_place(
    here: tuple[Node, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    it, mount = here
    record = local_volume(mount)
    step = call("brick.prepare", record, record.bricks[0])
    checked = it.check(step)

    def broken(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "setxattr", broken)
        with pytest.raises(StepError, match=f"{record.bricks[0].path}.*Input/output error"):
            it.actions["brick.prepare"].do(step, checked.before)
    it.undo(step, checked)
    assert tree(mount) == {".": tree(mount)["."]}


def test_probing_tells_what_a_plan_needs(here: tuple[Node, Path]) -> None:
    it, mount = here
    record = local_volume(mount)
    path = record.bricks[0].path
    absent = it.files.probe(path)
    assert (absent.kind, absent.mount, absent.fs_type) == ("absent", str(mount), "xfs")
    assert absent.fs_uuid == Mounts().mount_of(str(mount)).fs_uuid
    assert absent.free_bytes > 1 << 20
    it.prepared(record)
    own = it.files.probe(path)
    assert (own.kind, own.volume_id, own.identity) == ("directory", record.volume_id, record.bricks[0].uuid)
    assert own.entries == ()
    assert it.files.probe(f"{path}/x").parent_volume == path
    not_empty(mount / "full")
    assert it.files.probe(str(mount / "full")).entries == ("letter",)
    leftover(mount / "left")
    assert it.files.probe(str(mount / "left")).entries == (".glusterfs",)
    (mount / "link").symlink_to("full")
    assert it.files.probe(str(mount / "link")).kind == "symlink"
    assert "normalised" in it.files.probe("relative").problem


def test_an_index_entry_counts_as_pending_heal(here: tuple[Node, Path]) -> None:
    it, mount = here
    record = it.prepared(local_volume(mount))
    brick = record.bricks[0]
    assert it.files.look(record, brick).heal_pending is None
    index = Path(brick.path) / ".glusterfs/indices/xattrop"
    index.mkdir(parents=True)
    for name in ("xattrop-1", "xattrop-2", "aaaa", "bbbb", "cccc"):
        (index / name).touch()
    assert it.files.look(record, brick).heal_pending == 3


def test_a_hundred_looks_take_no_time(here: tuple[Node, Path]) -> None:
    it, mount = here
    record = it.prepared(local_volume(mount))
    begun = time.monotonic()
    for _ in range(100):
        it.files.look(record, record.bricks[0])
    assert time.monotonic() - begun < 1.0
