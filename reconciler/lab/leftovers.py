"""What a lab has on this machine: nothing of it may be there once the lab has been taken down.

Only what names the lab's directory, or lives in its namespaces, is the lab's: others may come and go.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from reconciler.adapters.mounts import parse_mountinfo
from reconciler.lab import processes


def traces(root: Path, namespace: str = "") -> tuple[str, ...]:
    """Return, in words, the processes, mounts and loop devices of the lab at `root`.

    Args:
        root: the lab's directory.
        namespace: the lab's mount namespace, as `processes.namespace_of` names it; empty if it had none.
    """
    return (*_processes(root, namespace), *_mounts(root), *_loop_devices(root))


def _processes(root: Path, namespace: str) -> list[str]:
    found = []
    for process, words in processes.every():
        within = bool(namespace) and processes.namespace_of(process.pid) == namespace
        if within or processes.names(words, root):
            found.append(f"process {process.pid}: {' '.join(words)[:120]}")
    return sorted(found)


def _mounts(root: Path) -> list[str]:
    """Return the mounts that can be seen from here; those in a namespace go with its last process."""
    table = parse_mountinfo(Path("/proc/self/mountinfo").read_bytes())
    points = (Path(mount.point) for mount in table)
    return sorted(f"mount {point}" for point in points if point == root or root in point.parents)


def _loop_devices(root: Path) -> list[str]:
    found = []
    for entry in Path("/sys/block").glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):  # given back in this moment
            file = Path(entry.read_text(encoding="utf-8").strip())
            if root in file.parents:
                found.append(f"loop device {entry.parts[3]} ({file})")
    return sorted(found)
