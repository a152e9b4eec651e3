"""Graphs of quota's processes: the daemon that adds up usage, and the crawler that counts one brick.

Source: glusterfs 10.3 xlators/mgmt/glusterd/src/glusterd-volgen.c: build_quotad_graph,
glusterd_generate_client_per_brick_volfile; names of files: get_brick_filepath, glusterd-svc-helper.c:
glusterd_svc_build_volfile_path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.errors import VolfileError
from reconciler.model.volume import VolumeState
from reconciler.plugins.quota.spec import SWITCH
from reconciler.volgen.cluster import (
    BELOW_DISTRIBUTION,
    VolumeSite,
    add_client,
    distribution,
    encrypt,
    volume_name,
)
from reconciler.volgen.graph import Draft, Graph
from reconciler.volgen.layer import Layer, Part, stack
from reconciler.volgen.registry import GraphEntry
from reconciler.volgen.settings import VolumeSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reconciler.model.configured import BrickRecord, Secret, VolumeRecord


def has_quota(volume: VolumeRecord) -> bool:
    """Return whether quota is on."""
    return VolumeSettings(volume.effective_options()).is_on(SWITCH)


def serves_quota(volume: VolumeRecord) -> bool:
    """Return whether the daemon has the volume in its graph: a stopped one has no bricks to ask."""
    return volume.state is VolumeState.STARTED and has_quota(volume)


def quotad_graph(volumes: Iterable[tuple[VolumeRecord, Secret]]) -> Graph:
    """Return the graph of the quota daemon, the same on every node: all volumes with quota side by side.

    Args:
        volumes: those of the cluster, with their credentials; the ones without quota and the stopped ones do
            not count.

    Raises:
        VolfileError: none of them is left, or their options make no graph.
    """
    served = tuple(
        VolumeSite(volume, VolumeSettings(volume.effective_options()), secret)
        for volume, secret in sorted(volumes, key=lambda pair: pair[0].name)
        if serves_quota(volume)
    )
    if not served:
        raise VolfileError("no started volume has quota on, so there is no quota daemon")
    draft = Draft("quotad")
    stack(_DAEMON, draft, served)
    return draft.graph()


_Served = tuple[VolumeSite, ...]


def _volumes(draft: Draft, served: _Served) -> None:
    for site in served:
        # A draft of its own, so that its options do not reach the xlators of other volumes.
        one = Draft(site.volume.name)
        stack(_VOLUME, one, site)
        site.settings.apply(one)
        draft.take(one)


def _names(served: _Served) -> Mapping[str, str]:
    # The option is called an id and wants the name.
    return {f"{site.volume.name}.volume-id": site.volume.name for site in served}


# The quota daemon asks for a volume by its name, so distribution has that here. glusterd means to leave
# parallel-readdir's caches out of it, but asks the wrong graph whether it is the daemon's: they are in.
_VOLUME = (distribution(volume_name), *BELOW_DISTRIBUTION)
_DAEMON: tuple[Layer[_Served] | Part[_Served], ...] = (
    Layer("features/quotad", _names, name=lambda _: "quotad"),
    Part(_volumes),
)


def quota_crawler_graph(volume: VolumeRecord, brick: BrickRecord, *, secret: Secret) -> Graph:
    """Return the graph with which quota counts the files of one brick: nothing but a connection.

    Of the volume's options it has only the address family and whether TLS is on.
    """
    declared = VolumeSettings(volume.effective_options())
    names = ("transport.address-family",)
    few = {name: value for name in names if (value := declared.declared(name)) is not None}
    draft = Draft(volume.name)
    site = VolumeSite(volume, VolumeSettings(few), secret)
    add_client(draft, brick.brick_id, (brick.host, brick.path), site)
    encrypt(draft, declared)
    return draft.graph()


GRAPHS = (
    GraphEntry(
        name="quota-crawler",
        file="{volume}.client.{host}.{path}.vol",
        build=lambda view: quota_crawler_graph(view.volume, view.the_brick, secret=view.secret),
        exists=lambda view: has_quota(view.volume),
        per_brick=True,
    ),
    GraphEntry(
        name="quotad",
        file="quotad.vol",
        build=lambda view: quotad_graph(view.cluster),
        exists=lambda view: serves_quota(view.volume),
        node_wide=True,
    ),
)
