"""The graphs that there are: under which name a user asks for one, and as which file glusterd has it.

One entry per graph, and one table of them; features bring more (`GraphFeature.graphs`). The command
``volfile`` and `render.all_graphs` read nothing else, so a new graph is one more entry
(docs/extend-volgen.md).

Source of file names, and of which file exists when: glusterfs 10.3 xlators/mgmt/glusterd/src/
glusterd-volgen.c: get_brick_filepath, glusterd_create_volfiles and the functions it calls;
glusterd-snapd-svc-helper.c: glusterd_svc_build_snapd_volfile.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from reconciler.model.volume import VolumeState
from reconciler.volgen.brick import SHARED_STORAGE, brick_graph
from reconciler.volgen.client import client_graph, gfproxy_client_graph, gfproxyd_graph
from reconciler.volgen.services import rebalance_graph, shd_graph, snapd_graph, thin_arbiter_graph
from reconciler.volgen.settings import VolumeSettings

if TYPE_CHECKING:
    from reconciler.model.configured import BrickRecord, Secret, VolumeRecord
    from reconciler.volgen.graph import Graph
    from reconciler.volgen.slots import Slots


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What graphs are rendered from: a volume of a cluster, as one of its nodes sees it.

    Attributes:
        volume: the volume.
        secret: its credentials.
        slots: what features add.
        host: the node: the host its bricks are declared under, or its node id.
        others: the other volumes of the cluster, with their credentials; only the graphs of daemons that
            serve all volumes of a node need them.
        brick: the one that the graph is about, if it is about one.
    """

    volume: VolumeRecord
    secret: Secret
    slots: Slots
    host: str
    others: tuple[tuple[VolumeRecord, Secret], ...] = ()
    brick: BrickRecord | None = None

    @property
    def cluster(self) -> tuple[tuple[VolumeRecord, Secret], ...]:
        """Return all volumes of the cluster, with their credentials."""
        return ((self.volume, self.secret), *self.others)

    @property
    def the_brick(self) -> BrickRecord:
        """Return the brick; only for graphs that are about one."""
        assert self.brick is not None, "asked only for entries with per_brick"
        return self.brick

    def is_on(self, option: str) -> bool:
        """Return whether a switch of the volume is on.

        Raises:
            VolfileError: its value is no boolean.
        """
        return VolumeSettings(self.volume.effective_options()).is_on(option)


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphEntry:
    """A graph.

    Attributes:
        name: as in ``--graph``; with `per_brick` without the brick's number.
        file: what glusterd calls it; ``{volume}``, ``{host}`` and ``{path}`` (of the brick, with dashes) are
            filled in.
        build: makes it. Raises VolfileError if the volume has no such graph, or its options make none.
        exists: whether it belongs to the volume as it is now, so that it is one of all its graphs.
        per_brick: there is one for each brick.
        node_wide: it is the node's, about all of its volumes: the same file whichever of them is asked for.
    """

    name: str
    file: str
    build: Callable[[View], Graph]
    exists: Callable[[View], bool] = lambda _: True
    per_brick: bool = False
    node_wide: bool = False

    def file_name(self, view: View) -> str:
        """Return the file's name, such as ``home.10.0.0.1.bricks-b0.vol``."""
        brick = view.brick
        path = brick.path.removeprefix("/").replace("/", "-") if brick else ""
        return self.file.format(volume=view.volume.name, host=brick.host if brick else "", path=path)

    def views(self, view: View) -> tuple[View, ...]:
        """Return what to build it from: the view itself, or one for each brick."""
        if not self.per_brick:
            return (view,)
        return tuple(replace(view, brick=brick) for brick in view.volume.bricks)


def entries(slots: Slots) -> tuple[GraphEntry, ...]:
    """Return all entries: those of the core, then those of the features."""
    return (*CORE, *slots.graphs)


def shared_brick_count(volume: VolumeRecord, brick: BrickRecord, *, host: str) -> int:
    """Return how many of the volume's bricks share `brick`'s filesystem on node `host`; 0 if it is not there.

    Bricks of which neither filesystem UUID nor mount point is recorded count as one filesystem: the root one.
    Source: glusterfs 10.3 xlators/mgmt/glusterd/src/glusterd-utils.c: gd_set_shared_brick_count.
    """
    if host not in (brick.host, brick.node_id):
        return 0
    here = (b for b in volume.bricks if host in (b.host, b.node_id))
    return sum((b.fs_uuid or b.mount) == (brick.fs_uuid or brick.mount) for b in here)


def _brick(view: View) -> Graph:
    volume, brick = view.volume, view.the_brick
    count = shared_brick_count(volume, brick, host=view.host)
    return brick_graph(volume, brick, slots=view.slots, secret=view.secret, shared_brick_count=count)


def _is_for_everybody(view: View) -> bool:
    return view.volume.name != SHARED_STORAGE  # that one is mounted from its own nodes, and from their bricks


def _has_snapshots_to_serve(view: View) -> bool:
    return view.volume.state is VolumeState.STARTED and view.is_on("features.uss")


CORE = (
    GraphEntry(
        name="client",
        file="{volume}.tcp-fuse.vol",
        build=lambda view: client_graph(view.volume, slots=view.slots),
        exists=_is_for_everybody,
    ),
    GraphEntry(
        name="trusted-client",
        file="trusted-{volume}.tcp-fuse.vol",
        build=lambda view: client_graph(view.volume, slots=view.slots, secret=view.secret),
    ),
    GraphEntry(name="brick", file="{volume}.{host}.{path}.vol", build=_brick, per_brick=True),
    GraphEntry(
        name="shd",
        file="{volume}-shd.vol",
        build=lambda view: shd_graph(view.volume, secret=view.secret),
        exists=lambda view: view.volume.shape.heals,
    ),
    GraphEntry(
        name="rebalance",
        file="{volume}-rebalance.vol",
        build=lambda view: rebalance_graph(view.volume, secret=view.secret),
        exists=lambda view: len(view.volume.subvolumes()) > 1,
    ),
    GraphEntry(
        name="snapd",
        file="{volume}-snapd.vol",
        build=lambda view: snapd_graph(view.volume, secret=view.secret),
        exists=_has_snapshots_to_serve,
    ),
    GraphEntry(
        name="gfproxyd",
        file="{volume}.gfproxyd.vol",
        build=lambda view: gfproxyd_graph(view.volume, slots=view.slots, secret=view.secret),
    ),
    GraphEntry(
        name="trusted-gfproxy-client",
        file="trusted-{volume}.tcp-gfproxy-fuse.vol",
        build=lambda view: gfproxy_client_graph(view.volume, slots=view.slots, secret=view.secret),
        exists=_is_for_everybody,
    ),
    GraphEntry(
        name="thin-arbiter",
        file="thin-arbiter.vol",
        build=lambda view: thin_arbiter_graph(view.volume),
        exists=lambda view: bool(view.volume.thin_arbiter),
        node_wide=True,
    ),
)
