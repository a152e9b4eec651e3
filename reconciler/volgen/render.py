"""All graphs of a volume under the file names glusterd gives them.

Source: glusterfs 10.3 xlators/mgmt/glusterd/src/glusterd-volgen.c: get_brick_filepath,
glusterd_create_volfiles; glusterd-utils.c: gd_set_shared_brick_count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.errors import VolfileError
from reconciler.model.volume import VolumeState
from reconciler.volgen.brick import SHARED_STORAGE, brick_graph
from reconciler.volgen.client import client_graph, gfproxy_client_graph, gfproxyd_graph
from reconciler.volgen.services import quota_crawler_graph, rebalance_graph, shd_graph, snapd_graph
from reconciler.volgen.settings import VolumeSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.model.configured import BrickRecord, Secret, VolumeRecord
    from reconciler.volgen.graph import Graph
    from reconciler.volgen.slots import Slots


def all_graphs(volume: VolumeRecord, *, slots: Slots, secret: Secret, host: str) -> Mapping[str, Graph]:
    """Return every graph of the volume by file name, as seen from one node.

    Args:
        volume: the volume.
        slots: what features add.
        secret: its credentials.
        host: the node: the host its bricks are declared under, or its node id.

    Raises:
        VolfileError: options contradict each other or make no graph.
    """
    name = volume.name
    _refuse_shared_names(volume)
    graphs = {
        brick_file_name(volume, brick): brick_graph(
            volume,
            brick,
            slots=slots,
            secret=secret,
            shared_brick_count=shared_brick_count(volume, brick, host=host),
        )
        for brick in volume.bricks
    }
    graphs[f"trusted-{name}.tcp-fuse.vol"] = client_graph(volume, slots=slots, secret=secret)
    graphs[f"{name}.gfproxyd.vol"] = gfproxyd_graph(volume, slots=slots, secret=secret)
    if name != SHARED_STORAGE:  # that one is mounted from its own nodes, and from their bricks
        gfproxy_client = gfproxy_client_graph(volume, slots=slots, secret=secret)
        graphs[f"trusted-{name}.tcp-gfproxy-fuse.vol"] = gfproxy_client
        graphs[f"{name}.tcp-fuse.vol"] = client_graph(volume, slots=slots)
    if volume.shape.heals:
        graphs[f"{name}-shd.vol"] = shd_graph(volume, secret=secret)
    if len(volume.subvolumes()) > 1:
        graphs[f"{name}-rebalance.vol"] = rebalance_graph(volume, secret=secret)
    settings = VolumeSettings(volume.effective_options())
    if settings.is_on("features.uss") and volume.state is VolumeState.STARTED:
        graphs[f"{name}-snapd.vol"] = snapd_graph(volume, secret=secret)
    if settings.is_on("features.quota"):
        for brick in volume.bricks:
            graphs[_brick_file(volume, brick, "client.")] = quota_crawler_graph(volume, brick, secret=secret)
    return graphs


def _refuse_shared_names(volume: VolumeRecord) -> None:
    """Raise VolfileError for bricks such as /b/x-y and /b/x/y: one file would take the other's place."""
    seen: dict[str, BrickRecord] = {}
    for brick in volume.bricks:
        file = brick_file_name(volume, brick)
        first = seen.setdefault(file, brick)
        if first is not brick:
            raise VolfileError(
                f"volume {volume.name}: the bricks {first.path} and {brick.path} of {brick.host} would share "
                f"the file name {file}",
                hint="write them one by one: --graph brick:N",
            )


def brick_file_name(volume: VolumeRecord, brick: BrickRecord) -> str:
    """Return the name of a brick's volfile, ``VOL.HOST.PATH-WITH-DASHES.vol``."""
    return _brick_file(volume, brick, "")


def shared_brick_count(volume: VolumeRecord, brick: BrickRecord, *, host: str) -> int:
    """Return how many of the volume's bricks share `brick`'s filesystem on node `host`; 0 if it is not there.

    Bricks of which neither filesystem UUID nor mount point is recorded count as one filesystem: the root one.
    """
    if host not in (brick.host, brick.node_id):
        return 0
    here = (b for b in volume.bricks if host in (b.host, b.node_id))
    return sum((b.fs_uuid or b.mount) == (brick.fs_uuid or brick.mount) for b in here)


def _brick_file(volume: VolumeRecord, brick: BrickRecord, role: str) -> str:
    return f"{volume.name}.{role}{brick.host}.{brick.path.removeprefix('/').replace('/', '-')}.vol"
