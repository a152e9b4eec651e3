"""Small XFS disks for tests: image files, loop-mounted, always unmounted."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SIZE = 320 << 20  # mkfs.xfs 6.1 refuses less than 300 MiB; the file is sparse


@dataclass(frozen=True, slots=True)
class Disk:
    """An image with XFS on it."""

    image: Path

    @property
    def uuid(self) -> str:
        done = subprocess.run(
            ["blkid", "-p", "-o", "value", "-s", "UUID", self.image],
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def mount(self, point: Path, options: str = "loop") -> None:
        point.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-o", options, self.image, point], check=True)


def unmount(point: Path) -> None:
    """Unmount; a brick that was just killed may keep the filesystem busy for a moment."""
    deadline = time.monotonic() + 10
    while subprocess.run(["umount", point], check=False, capture_output=True).returncode != 0:
        assert time.monotonic() < deadline, f"{point} stays busy"
        time.sleep(0.05)


@contextlib.contextmanager
def disks(root: Path, count: int) -> Iterator[list[Disk]]:
    """Yield unmounted disks; whatever is mounted below `root` afterwards is unmounted."""
    made = [Disk(root / f"disk{i}.img") for i in range(count)]
    for disk in made:
        with disk.image.open("wb") as file:
            file.truncate(_SIZE)
        subprocess.run(["mkfs.xfs", "-q", disk.image], check=True)
    try:
        yield made
    finally:
        for point in _mounted_below(root):
            unmount(point)
        for disk in made:
            disk.image.unlink()


def _mounted_below(root: Path) -> list[Path]:
    lines = Path("/proc/thread-self/mountinfo").read_text(encoding="utf-8").splitlines()
    points = [Path(line.split()[4].replace("\\040", " ")) for line in lines]
    return sorted((p for p in points if p.is_relative_to(root)), key=lambda p: len(p.parts), reverse=True)


def tree(root: Path, closed: frozenset[Path] = frozenset()) -> dict[str, tuple[object, ...]]:
    """Return everything below `root`, but for what is below `closed`, by path: see `entry`."""
    found: dict[str, tuple[object, ...]] = {".": entry(root)}
    for place, directories, files in os.walk(root):
        for name in [*directories, *files]:
            path = Path(place) / name
            found[str(path.relative_to(root))] = entry(path)
        directories[:] = [name for name in directories if Path(place) / name not in closed]
    return found


def entry(path: Path) -> tuple[object, ...]:
    """Return what is at a path: kind and mode, content or target, extended attributes, owner."""
    attributes = {a: os.getxattr(path, a, follow_symlinks=False) for a in _attributes(path)}
    content: object = b""
    if path.is_symlink():
        content = path.readlink()
    elif path.is_file():
        content = path.read_bytes()
    found = path.lstat()
    return found.st_mode, content, attributes, (found.st_uid, found.st_gid)


def _attributes(path: Path) -> list[str]:
    return sorted(os.listxattr(path, follow_symlinks=False))
