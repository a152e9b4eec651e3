"""Reading the mount table and superblocks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reconciler.adapters.mounts import Mounts, parse_mountinfo, superblock_uuid

TABLE = rb"""22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
42 27 7:0 / /bricks/a\040b\134c\011d rw,relatime shared:1 master:2 - xfs /dev/loop0 rw,inode64
43 42 7:0 /sub /bind ro,relatime - xfs /dev/loop0 rw
44 27 7:1 / /frozen rw - xfs /dev/loop1 ro,norecovery
a line of nonsense
45 27 0:9
46 27 0:44 / /raw\303\251 rw - fuse.glusterfs host:/vol rw
"""


def test_mountinfo_is_read_with_its_escapes_and_optional_fields() -> None:
    mounts = parse_mountinfo(TABLE)
    assert [m.mount_id for m in mounts] == [22, 27, 42, 43, 44, 46]
    disk = mounts[2]
    assert (disk.point, disk.fs_type, disk.source, disk.device) == (
        "/bricks/a b\\c\td",
        "xfs",
        "/dev/loop0",
        "7:0",
    )
    assert [m.point for m in mounts if m.read_only] == ["/bind", "/frozen"]
    assert mounts[-1].point == "/raw\u00e9"


@pytest.mark.parametrize(
    ("fs_type", "magic_at", "magic", "uuid_at"),
    [
        ("xfs", 0, b"XFSB", 32),
        ("ext4", 1080, b"\x53\xef", 1128),
        ("btrfs", 65600, b"_BHRfS_M", 65568),
    ],
)
def test_a_superblock_gives_its_uuid_if_it_is_of_that_type(
    fs_type: str, magic_at: int, magic: bytes, uuid_at: int
) -> None:
    block = bytearray(70000)
    block[uuid_at : uuid_at + 16] = bytes(range(16))
    assert superblock_uuid(fs_type, bytes(block)) == ""
    block[magic_at : magic_at + len(magic)] = magic
    assert superblock_uuid(fs_type, bytes(block)) == "00010203-0405-0607-0809-0a0b0c0d0e0f"
    assert superblock_uuid("zfs", bytes(block)) == ""
    assert superblock_uuid(fs_type, bytes(block[: uuid_at + 4])) == ""


def test_a_path_that_is_not_there_is_on_the_mount_of_its_nearest_parent(tmp_path: Path) -> None:
    mounts = Mounts()
    there = mounts.of_path(str(tmp_path))
    assert mounts.of_path(str(tmp_path / "not/yet/made")) == there
    (tmp_path / "file").touch()
    assert mounts.of_path(str(tmp_path / "file/below")) == there
    (tmp_path / "link").symlink_to("/proc")
    assert mounts.of_path(str(tmp_path / "link")).fs_type == "proc"
    fact = mounts.mount_of(str(tmp_path))
    assert fact.size_bytes == os.statvfs(there.point).f_blocks * os.statvfs(there.point).f_frsize
