"""All graphs of a volume under the file names glusterd gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.errors import VolfileError
from reconciler.volgen.registry import View, entries

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reconciler.model.configured import Secret, VolumeRecord
    from reconciler.volgen.graph import Graph
    from reconciler.volgen.registry import GraphEntry
    from reconciler.volgen.slots import Slots


def all_graphs(
    volume: VolumeRecord,
    *,
    slots: Slots,
    secret: Secret,
    host: str,
    others: tuple[tuple[VolumeRecord, Secret], ...] | None = None,
) -> Mapping[str, Graph]:
    """Return every graph that the volume has, by file name; for the arguments see `registry.View`.

    Without `others` those are left out that the node has for all of its volumes.

    Raises:
        VolfileError: options contradict each other or make no graph, or two graphs would share a file.
    """
    view = View(volume=volume, slots=slots, secret=secret, host=host, others=others or ())
    found: dict[str, tuple[GraphEntry, View]] = {}
    for file, entry, one in _files(view, node_wide=others is not None):
        first = found.setdefault(file, (entry, one))[1]
        if first is not one:
            _refuse_shared_name(file, first, one)
    return {file: entry.build(one) for file, (entry, one) in found.items()}


def _files(view: View, *, node_wide: bool) -> Iterator[tuple[str, GraphEntry, View]]:
    for entry in entries(view.slots):
        if (node_wide or not entry.node_wide) and entry.exists(view):
            for one in entry.views(view):
                yield entry.file_name(one), entry, one


def _refuse_shared_name(file: str, first: View, second: View) -> None:
    """Raise VolfileError for bricks such as /b/x-y and /b/x/y: one file would take the other's place."""
    one, other = first.the_brick, second.the_brick
    raise VolfileError(
        f"volume {first.volume.name}: the bricks {one.path} and {other.path} of {one.host} would share the "
        f"file name {file}",
        hint="write them one by one: --graph brick:N",
    )
