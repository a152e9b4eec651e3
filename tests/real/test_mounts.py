"""Filesystem UUIDs and mounts on top of each other, for real."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.adapters import mounts as module
from reconciler.adapters.mounts import Mounts
from tests.disks import Disk, disks, unmount

pytestmark = pytest.mark.real


@pytest.fixture
def two(tmp_path: Path) -> Iterator[list[Disk]]:
    with disks(tmp_path, 2) as made:
        yield made


def test_the_uuid_of_a_mounted_disk_is_the_one_blkid_finds_by_any_way(
    two: list[Disk], tmp_path: Path
) -> None:
    point = tmp_path / "with blank"
    two[0].mount(point)
    mount = Mounts().of_path(str(point / "not/there/yet"))
    assert mount.point == str(point)
    assert Mounts().fs_uuid(mount) == two[0].uuid
    assert module._device_uuid(mount) == two[0].uuid
    assert module._kernel_uuid(mount.point) in ("", two[0].uuid)  # empty before Linux 6.9
    assert [m.fs_uuid for m in Mounts().list_mounts() if m.mount == str(point)] == [two[0].uuid]
    unmount(point)
    two[1].mount(point)  # same mount point, often the same loop device and mount id
    assert Mounts().mount_of(str(point)).fs_uuid == two[1].uuid


def test_the_mount_on_top_counts_and_a_bind_mount_is_its_own(two: list[Disk], tmp_path: Path) -> None:
    point, bind = tmp_path / "p", tmp_path / "bind"
    two[0].mount(point)
    two[1].mount(point)
    assert Mounts().mount_of(str(point)).fs_uuid == two[1].uuid
    assert [m.fs_uuid for m in Mounts().list_mounts() if m.mount == str(point)] == [two[1].uuid]
    (point / "sub").mkdir()
    bind.mkdir()
    subprocess.run(["mount", "--bind", point / "sub", bind], check=True)
    assert Mounts().mount_of(str(bind / "x")).mount == str(bind)
    assert Mounts().mount_of(str(bind)).fs_uuid == two[1].uuid
