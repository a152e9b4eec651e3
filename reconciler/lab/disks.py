"""A node's disk: a sparse file with XFS, loop-mounted. The only place that calls mkfs."""

from __future__ import annotations

import time
from pathlib import Path

from reconciler.adapters.mounts import parse_mountinfo
from reconciler.errors import EnvironmentProblem
from reconciler.lab.layout import NodeLayout
from reconciler.lab.namespace import Inside, run

SIZE = 2 << 30
"""Bytes of each image; sparse: an empty one takes a few MiB. mkfs.xfs 6.1 refuses less than 300 MiB."""
_SETTLED_S = 5.0  #: how long an unmount is tried again while nobody is seen at the mount


def create(node: NodeLayout, inside: Inside) -> None:
    """Make the image if there is none, and mount it. A mounted disk is left as it is."""
    node.image.parent.mkdir(parents=True, exist_ok=True)
    node.bricks.mkdir(parents=True, exist_ok=True)
    if not node.image.exists():
        fresh = node.fresh_image
        with fresh.open("wb") as file:
            file.truncate(SIZE)
        run(["mkfs.xfs", "-q", "-f", "-i", "size=512", str(fresh)])
        fresh.replace(node.image)  # a half-made filesystem never carries the final name
    if node.bricks not in mounted_below(node.bricks, inside):
        mount(node.image, node.bricks, inside)


def mount(image: Path, point: Path, inside: Inside) -> None:
    """Mount an image. Images that are in use already get the same loop device again (mount(8))."""
    run([*inside.prefix, "mount", "-o", "loop,noatime,inode64", str(image), str(point)])


def mounted_below(root: Path, inside: Inside) -> list[Path]:
    """Return the mount points at or below `root`, deepest first."""
    table = (Path(mount.point) for mount in parse_mountinfo(inside.mountinfo.read_bytes()))
    found = [point for point in table if point == root or root in point.parents]
    return sorted(found, key=lambda point: len(point.parts), reverse=True)


def unmount_below(root: Path, inside: Inside) -> None:
    """Unmount everything at or below `root`; `mount -o loop` gives the loop device back by itself.

    Raises:
        EnvironmentProblem: something is in use; the message says by whom.
    """
    for point in mounted_below(root, inside):
        _unmount(point, inside)


def _unmount(point: Path, inside: Inside) -> None:
    """Unmount one point. While nobody is seen there, try again: the kernel may not be done with who ended."""
    deadline = time.monotonic() + _SETTLED_S
    while True:
        try:
            run([*inside.prefix, "umount", str(point)])
        except EnvironmentProblem as problem:
            users = _users_of(point)
            if users or time.monotonic() > deadline:
                names = "".join(f"\n  process {pid} ({name}) is there" for pid, name in users)
                raise EnvironmentProblem(
                    f"{problem.message}{names}", hint="leave it, then try again"
                ) from None
            time.sleep(0.1)
        else:
            return


def unplug(point: Path, inside: Inside) -> None:
    """Take a disk away while it may be in use: the mount goes at once, the filesystem with its last user."""
    for _ in mounted_below(point, inside):
        run([*inside.prefix, "umount", "--lazy", str(point)])


def _users_of(point: Path) -> list[tuple[int, str]]:
    """Return the processes whose working directory or an open file is at or below `point`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and any(_is_below(link, point) for link in _links(entry)):
            name = entry / "comm"
            found.append(
                (int(entry.name), name.read_text(encoding="utf-8").strip() if name.exists() else "?")
            )
    return found


def _links(process: Path) -> list[Path]:
    try:
        return [process / "cwd", process / "root", *(process / "fd").iterdir()]
    except OSError:
        return []


def _is_below(link: Path, point: Path) -> bool:
    try:
        place = link.readlink()
    except OSError:
        return False
    return place == point or point in place.parents
