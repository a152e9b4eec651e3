"""A node's disk: a sparse file with XFS, loop-mounted. The only place that calls mkfs."""

from __future__ import annotations

from pathlib import Path

from reconciler.lab.layout import NodeLayout
from reconciler.lab.namespace import run

SIZE = 2 << 30
"""Bytes of each image; sparse: an empty one takes a few MiB. mkfs.xfs 6.1 refuses less than 300 MiB."""


def create(node: NodeLayout, inside: list[str]) -> None:
    """Make the image if there is none, and mount it. A mounted disk is left as it is."""
    node.image.parent.mkdir(parents=True, exist_ok=True)
    node.bricks.mkdir(parents=True, exist_ok=True)
    if not node.image.exists():
        fresh = node.image.with_suffix(".new")
        with fresh.open("wb") as file:
            file.truncate(SIZE)
        run(["mkfs.xfs", "-q", "-f", "-i", "size=512", str(fresh)])
        fresh.replace(node.image)  # a half-made filesystem never carries the final name
    if node.bricks not in mounted_below(node.bricks, inside):
        run([*inside, "mount", "-o", "loop,noatime,inode64", str(node.image), str(node.bricks)])


def mounted_below(root: Path, inside: list[str]) -> list[Path]:
    """Return the mount points at or below `root`, deepest first (proc(5), mountinfo field 5)."""
    found = []
    for line in run([*inside, "cat", "/proc/self/mountinfo"]).splitlines():
        point = Path(line.split()[4].encode().decode("unicode_escape"))
        if point == root or root in point.parents:
            found.append(point)
    return sorted(found, key=lambda point: len(point.parts), reverse=True)


def unmount_below(root: Path, inside: list[str]) -> None:
    """Unmount everything at or below `root`; `mount -o loop` gives the loop device back by itself."""
    for point in mounted_below(root, inside):
        run([*inside, "umount", str(point)])
