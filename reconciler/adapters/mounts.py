"""Mounted filesystems: which one holds a path, and which UUID it has.

The mount of a path is taken from an open descriptor of it (mnt_id in /proc/.../fdinfo), not from comparing
strings or device numbers: both are wrong under bind mounts and mounts on top of mounts.

Source: Linux proc(5) (mountinfo, fdinfo); ioctl FS_IOC_GETFSUUID of Linux 6.9 include/uapi/linux/fs.h;
superblocks: Linux fs/xfs/libxfs/xfs_format.h (struct xfs_dsb), fs/ext4/ext4.h (struct ext4_super_block),
include/uapi/linux/btrfs_tree.h (struct btrfs_super_block).
"""

from __future__ import annotations

import fcntl
import os
import re
import uuid
from dataclasses import dataclass
from pathlib import Path

from reconciler.errors import StepError
from reconciler.model.observed import DISK_TYPES, MountFact

_ESCAPE = re.compile(rb"\\([0-7]{3})")
_FS_IOC_GETFSUUID = 0x80111500  #: _IOR(0x15, 0, struct fsuuid2): a length byte and 16 bytes of UUID
_SUPERBLOCK_BYTES = 65536 + 4096


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where a superblock keeps its magic number and its UUID, in bytes from the start of the device."""

    magic_at: int
    magic: bytes
    uuid_at: int


_EXT = _Layout(1024 + 0x38, b"\x53\xef", 1024 + 0x68)
_LAYOUTS = {
    "xfs": _Layout(0, b"XFSB", 32),
    "ext2": _EXT,
    "ext3": _EXT,
    "ext4": _EXT,
    "btrfs": _Layout(65536 + 0x40, b"_BHRfS_M", 65536 + 0x20),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One line of mountinfo. `device` is ``MAJOR:MINOR``; `source` what was mounted (``/dev/sdb1``)."""

    mount_id: int
    device: str
    point: str
    fs_type: str
    source: str
    read_only: bool


def parse_mountinfo(text: bytes) -> tuple[Mount, ...]:
    """Return the mounts of a mountinfo file, in its order: later ones lie on top.

    Lines that are not understood are left out.
    """
    found = []
    for line in text.splitlines():
        head, dash, tail = line.partition(b" - ")
        left, right = head.split(b" "), tail.split(b" ")
        if not dash or len(left) < 6 or len(right) < 3 or not left[0].isdigit():
            continue
        found.append(
            Mount(
                mount_id=int(left[0]),
                device=left[2].decode("ascii", "replace"),
                point=_unescape(left[4]),
                fs_type=_unescape(right[0]),
                source=_unescape(right[1]),
                read_only=b"ro" in left[5].split(b",") or b"ro" in right[2].split(b","),
            )
        )
    return tuple(found)


def _unescape(word: bytes) -> str:
    """Return a word with its octal escapes (blank, tab, line break, backslash) resolved."""
    return os.fsdecode(_ESCAPE.sub(lambda m: bytes([int(m[1], 8) & 0xFF]), word))


def superblock_uuid(fs_type: str, block: bytes) -> str:
    """Return the UUID in the first bytes of a device, or an empty string if it is not of that type."""
    layout = _LAYOUTS.get(fs_type)
    if layout is None or block[layout.magic_at :][: len(layout.magic)] != layout.magic:
        return ""
    return _uuid_text(block[layout.uuid_at :][:16])


def _uuid_text(raw: bytes) -> str:
    return str(uuid.UUID(bytes=raw)) if len(raw) == 16 and any(raw) else ""


class Mounts:
    """The mount table of the calling thread's mount namespace."""

    def table(self) -> tuple[Mount, ...]:
        """Return all mounts, now."""
        return parse_mountinfo(Path("/proc/thread-self/mountinfo").read_bytes())

    def of_descriptor(self, descriptor: int) -> Mount:
        """Return the mount that an open file or directory is on.

        Raises StepError if it is on none of this namespace (detached by a lazy unmount).
        """
        lines = Path(f"/proc/thread-self/fdinfo/{descriptor}").read_text(encoding="ascii").splitlines()
        wanted = next(int(line.split()[1]) for line in lines if line.startswith("mnt_id:"))
        for mount in self.table():
            if mount.mount_id == wanted:
                return mount
        where = Path(f"/proc/thread-self/fd/{descriptor}").readlink()
        raise StepError(f"{where} is on a filesystem that is no longer mounted", retryable=True)

    def of_path(self, path: str) -> Mount:
        """Return the mount that `path` is on; of a path that does not exist, where it would come to be.

        Symbolic links are followed. Raises StepError if no parent can be opened.
        """
        place = Path(path)
        while True:
            try:
                descriptor = os.open(place, os.O_PATH | os.O_CLOEXEC)
            except (FileNotFoundError, NotADirectoryError) as exc:
                if place == place.parent:
                    raise StepError(f"{path}: no parent directory exists") from exc
                place = place.parent
                continue
            except OSError as exc:
                raise StepError(f"{place} cannot be opened: {exc.strerror}") from exc
            try:
                return self.of_descriptor(descriptor)
            finally:
                os.close(descriptor)

    def mount_of(self, path: str) -> MountFact:
        """Return the filesystem that holds `path`, or would."""
        return self.fact(self.of_path(path))

    def list_mounts(self) -> tuple[MountFact, ...]:
        """Return the mounted filesystems of local disks, by mount point; a covered mount is left out."""
        visible = {mount.point: mount for mount in self.table()}
        return tuple(self.fact(visible[p]) for p in sorted(visible) if visible[p].fs_type in DISK_TYPES)

    def fact(self, mount: Mount) -> MountFact:
        """Return a mount with its UUID and space in bytes (0 if it does not answer)."""
        size = free = 0
        try:
            space = os.statvfs(mount.point)
            size, free = space.f_blocks * space.f_frsize, space.f_bavail * space.f_frsize
        except OSError:
            pass  # a filesystem that is shut down has no space to offer
        return MountFact(
            mount=mount.point,
            fs_type=mount.fs_type,
            device=mount.source,
            fs_uuid=self.fs_uuid(mount),
            size_bytes=size,
            free_bytes=free,
        )

    def fs_uuid(self, mount: Mount) -> str:
        """Return the UUID of a mounted filesystem in lower case; empty if it has none that lasts.

        The kernel is asked first: it names what is mounted, whatever stands under /dev. Nothing is
        remembered between calls, for mount and device numbers are reused.
        """
        if mount.fs_type not in DISK_TYPES:
            return ""
        return _kernel_uuid(mount.point) or _device_uuid(mount) or _udev_uuid(mount)


def _kernel_uuid(point: str) -> str:
    try:
        descriptor = os.open(point, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        answer = fcntl.ioctl(descriptor, _FS_IOC_GETFSUUID, bytes(17))
    except OSError:
        return ""  # before Linux 6.9, or a filesystem that does not tell
    finally:
        os.close(descriptor)
    return _uuid_text(answer[1:]) if answer[0] == 16 else ""


def _device_uuid(mount: Mount) -> str:
    for device in (f"/dev/block/{mount.device}", _sysfs_device(mount), mount.source):
        if not device.startswith("/dev/"):
            continue
        try:
            descriptor = os.open(device, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            continue
        try:
            found = superblock_uuid(mount.fs_type, os.pread(descriptor, _SUPERBLOCK_BYTES, 0))
        except OSError:
            continue
        finally:
            os.close(descriptor)
        if found:
            return found
    return ""


def _sysfs_device(mount: Mount) -> str:
    """Return the device node's name in sysfs: machines without udev have no /dev/block."""
    try:
        return f"/dev/{Path(f'/sys/dev/block/{mount.device}').readlink().name}"
    except OSError:
        return ""


def _udev_uuid(mount: Mount) -> str:
    """Return the UUID by udev's links, for filesystems whose superblock is not read here."""
    try:
        source = Path(mount.source).resolve(strict=True)
        links = sorted(Path("/dev/disk/by-uuid").iterdir())
    except OSError:
        return ""
    return next((link.name.lower() for link in links if link.resolve() == source), "")
