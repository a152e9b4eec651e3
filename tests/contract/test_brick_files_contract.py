"""What every BrickFiles keeps: run on a real filesystem (as root) and on the simulation's machine."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.adapters.brick_files import DiskBrickFiles
from reconciler.adapters.mounts import Mount, Mounts
from reconciler.errors import StepError
from reconciler.model.configured import BrickRecord, VolumeRecord
from reconciler.model.ids import BrickUuid, PeerName
from reconciler.ports.brick import BrickFiles
from reconciler.ports.node import Effect
from tests.disks import disks
from tests.sim.machine import Machine, ModelBrickFiles
from tests.volume_samples import CLUSTER, NODE, volume, volume_id


def _home(mount: str) -> tuple[VolumeRecord, BrickRecord]:
    record = volume(bricks=1, replica=1)
    brick = replace(record.bricks[0], path=f"{mount}/home/b0", mount=mount, fs_uuid="", node_id=NODE)
    return replace(record, bricks=(brick,)), brick


@pytest.fixture(params=["model", pytest.param("disk", marks=pytest.mark.real)])
def place(request: pytest.FixtureRequest) -> Iterator[tuple[BrickFiles, VolumeRecord, BrickRecord]]:
    peer = PeerName("gs1")
    if request.param == "model":
        mount = Mount(mount_id=1, device="8:1", point="/m", fs_type="xfs", source="/dev/x", read_only=False)
        yield ModelBrickFiles(Machine(mount, ""), CLUSTER, NODE, peer), *_home("/m")
        return
    with tempfile.TemporaryDirectory(prefix="gsc-") as name:
        with disks(Path(name), 1) as (disk,):
            disk.mount(Path(name) / "d")
            yield DiskBrickFiles(CLUSTER, NODE, peer, Mounts()), *_home(f"{name}/d")


Place = tuple[BrickFiles, VolumeRecord, BrickRecord]


def test_what_is_prepared_is_present_and_unprepared_is_as_before(place: Place) -> None:
    files, record, brick = place
    before = files.inspect(record, brick, known=False)
    assert before.effect is Effect.ABSENT
    assert before.before == {
        "made": [str(Path(brick.path).parent), brick.path],
        "hidden": False,
        "hidden_used": False,
        "volume_id": "",
        "identity": "",
        "attributes": [],
    }
    for _ in range(2):
        files.prepare(record, brick, before.before)
    done = files.inspect(record, brick, known=True)
    assert done.effect is Effect.PRESENT
    assert done.before["identity"] == brick.uuid
    assert done.before["volume_id"] == record.volume_id
    assert done.before["hidden_used"] is False, "our identity file alone is no use"
    assert done.before["attributes"] == ["trusted.glusterfs.volume-id"]
    for _ in range(2):
        files.unprepare(record, brick, before.before)
    assert files.inspect(record, brick, known=False) == before


def test_undoing_what_never_ran_changes_nothing(place: Place) -> None:
    files, record, brick = place
    before = files.inspect(record, brick, known=False)
    files.unprepare(record, brick, before.before)
    assert files.inspect(record, brick, known=False) == before


def test_a_brick_that_was_there_before_the_step_stays(place: Place) -> None:
    files, record, brick = place
    files.prepare(record, brick, files.inspect(record, brick, known=False).before)
    again = files.inspect(record, brick, known=False)
    files.unprepare(record, brick, again.before)
    files.verify(record, brick)


def test_a_brick_that_was_configured_and_has_no_stamps_is_refused(place: Place) -> None:
    files, record, brick = place
    with pytest.raises(StepError, match="does not exist"):
        files.verify(record, brick)
    assert "does not exist" in files.look(record, brick).problem


def test_another_volumes_brick_is_neither_used_nor_cleaned_away(place: Place) -> None:
    files, record, brick = place
    before = files.inspect(record, brick, known=False)
    files.prepare(record, brick, before.before)
    other = replace(record, volume_id=volume_id("another"))
    with pytest.raises(StepError, match="belongs to volume"):
        files.inspect(other, brick, known=False)
    swapped = replace(brick, uuid=BrickUuid(volume_id("swapped")))
    with pytest.raises(StepError, match="two bricks are swapped"):
        files.prepare(record, swapped, before.before)
    files.unprepare(other, brick, before.before)
    files.verify(record, brick)
    assert files.look(record, brick).problem == ""


def test_a_brick_elsewhere_than_declared_is_refused(place: Place) -> None:
    files, record, brick = place
    moved = replace(brick, mount="/elsewhere")
    with pytest.raises(StepError, match="not mounted"):
        files.inspect(record, moved, known=False)
    stranger = replace(brick, fs_uuid="0b5ac1de-0000-4000-8000-00000000000f")
    with pytest.raises(StepError, match="another disk is mounted"):
        files.prepare(record, stranger, {})
