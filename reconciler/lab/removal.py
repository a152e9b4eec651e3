"""Remove a lab's files: exactly those it made. What somebody else put into its directory stays."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from reconciler.errors import EnvironmentProblem
from reconciler.lab.disks import mounted_below
from reconciler.lab.layout import LabLayout, NodeLayout
from reconciler.lab.namespace import Inside

_SHOWN = 20  #: foreign files listed by name; more are counted


def remove_files(layout: LabLayout, nodes: list[NodeLayout]) -> None:
    """Remove the lab's directory, unless something in it is not the lab's: then nothing is removed.

    The record goes last, so that this can be tried again after any interruption.

    Raises:
        EnvironmentProblem: a filesystem is still mounted there, or there are foreign files; they are named.
    """
    mounted = mounted_below(layout.root, Inside())
    if mounted:
        raise EnvironmentProblem(_list("still mounted, so no file was removed:", mounted))
    ours, foreign = sort_out(layout, nodes)
    if foreign:
        raise EnvironmentProblem(
            _list("the lab has ended, but these files are not its own, so no file was removed:", foreign),
            hint=f"Move them away, then: gluster-state lab down --dir {layout.root}",
        )
    for path in ours:
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()
    layout.record.unlink()
    layout.root.rmdir()


def sort_out(layout: LabLayout, nodes: list[NodeLayout]) -> tuple[list[Path], list[Path]]:
    """Return what the lab made, contents before directories and without the record, and what it did not.

    A foreign directory is named, not looked into.
    """
    belongings = Belongings(layout, nodes)
    ours: list[Path] = []
    foreign: list[Path] = []
    for path, own in _walk(layout.root, belongings):
        (ours if own else foreign).append(path)
    return [path for path in reversed(ours) if path != layout.record], foreign


class Belongings:
    """Tells the lab's own files and directories from those of others, by place and kind."""

    def __init__(self, layout: LabLayout, nodes: list[NodeLayout]) -> None:
        self._device = layout.root.lstat().st_dev
        self._mounts = layout.mounts
        self._trees = {*layout.trees, *(path for node in nodes for path in node.folders.values())}
        self._folders = {layout.disks, *(path for node in nodes for path in (node.home, node.bricks))}
        self._files = {layout.record, layout.fresh_record, layout.declaration}
        for node in nodes:
            self._files |= {node.image, node.fresh_image, node.config}

    def owns_file(self, path: Path) -> bool:
        """Return whether the lab made a file. One at a mount point was written while nothing was mounted."""
        return path in self._files or self._in_tree(path)

    def owns_folder(self, path: Path) -> bool:
        """Return whether the lab made a directory. One on another filesystem never is."""
        if path.lstat().st_dev != self._device:
            return False
        below_mounts = path == self._mounts or self._mounts in path.parents
        return path in self._folders or below_mounts or path in self._trees or self._in_tree(path)

    def _in_tree(self, path: Path) -> bool:
        return any(parent in self._trees for parent in path.parents)


def _walk(folder: Path, belongings: Belongings) -> Iterator[tuple[Path, bool]]:
    """Yield what is below `folder`, directories before their contents, each with whether it is the lab's."""
    with os.scandir(folder) as entries:
        found = sorted((Path(entry.path), entry.is_dir(follow_symlinks=False)) for entry in entries)
    for path, is_folder in found:
        own = belongings.owns_folder(path) if is_folder else belongings.owns_file(path)
        yield path, own
        if own and is_folder:
            yield from _walk(path, belongings)


def _list(heading: str, paths: list[Path]) -> str:
    more = [f"  and {len(paths) - _SHOWN} more"] if len(paths) > _SHOWN else []
    return "\n".join([heading, *(f"  {path}" for path in paths[:_SHOWN]), *more])
