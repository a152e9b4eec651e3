"""The lower half of every graph that reaches bricks: clients, replicas or erasure codes, distribution.

Source: glusterfs 10.3 xlators/mgmt/glusterd/src/glusterd-volgen.c: volgen_graph_build_client,
volgen_graph_build_afr_clusters, volgen_graph_build_ec_clusters, volgen_graph_build_dht_cluster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.errors import VolfileError
from reconciler.model.volume import VolumeType

if TYPE_CHECKING:
    from reconciler.model.configured import BrickRecord, Secret, VolumeRecord
    from reconciler.volgen.graph import Draft
    from reconciler.volgen.settings import VolumeSettings

CLIENT = "protocol/client"


def add_client(
    draft: Draft,
    name: str,
    remote: tuple[str, str],
    settings: VolumeSettings,
    secret: Secret | None,
) -> str:
    """Add a connection and return its name.

    Args:
        draft: the graph to add to.
        name: name of the xlator.
        remote: host and what to ask it for; an empty host means the volfile server's.
        settings: the volume's options.
        secret: credentials of a trusted client, None for any other.
    """
    host, subvolume = remote
    options = {"ping-timeout": "42", "remote-subvolume": subvolume, "transport-type": "tcp"}
    if host:
        options["remote-host"] = host
    family = settings.declared("transport.address-family")
    if family is not None:
        options["transport.address-family"] = family
    if secret is not None:
        options |= {"username": secret.username, "password": secret.password}
    return draft.add(name, CLIENT, options | settings.tls())


def add_subvolumes(
    draft: Draft, volume: VolumeRecord, settings: VolumeSettings, secret: Secret | None
) -> tuple[str, ...]:
    """Add all clients and what joins them into subvolumes; return the subvolumes' names in order.

    A client xlator is called by the brick's id, which stays when bricks before it go: replication keeps
    its accounts of pending changes under that name.

    Raises:
        VolfileError: the bricks do not fill the subvolumes.
    """
    size = volume.shape.bricks_per_subvolume
    if not volume.bricks or len(volume.bricks) % size:
        raise VolfileError(
            f"volume {volume.name}: {len(volume.bricks)} brick(s) do not fill subvolumes of {size}"
        )
    for brick in volume.bricks:
        add_client(draft, brick.brick_id, (brick.host, brick.path), settings, secret)
    if size == 1:
        return tuple(brick.brick_id for brick in volume.bricks)
    build = _disperse if volume.shape.type is VolumeType.DISPERSE else _replicate
    return tuple(build(draft, volume, number, group) for number, group in enumerate(volume.subvolumes()))


def add_distribute(
    draft: Draft, volume: VolumeRecord, settings: VolumeSettings, subvolumes: tuple[str, ...]
) -> str:
    """Add distribution over the subvolumes (also over a single one) and return its name.

    Raises:
        VolfileError: options contradict each other.
    """
    if settings.is_on("performance.parallel-readdir"):
        subvolumes = tuple(
            draft.add(
                f"{volume.name}-readdir-ahead-{number}",
                "performance/readdir-ahead",
                {"performance.readdir-ahead": "on"},
                [child],
            )
            for number, child in enumerate(subvolumes)
        )
    return draft.add(f"{volume.name}-dht", _distribute_type(settings), {}, subvolumes)


def _replicate(draft: Draft, volume: VolumeRecord, number: int, group: tuple[BrickRecord, ...]) -> str:
    ids = [brick.brick_id for brick in group]
    options = {"afr-pending-xattr": ",".join(ids), "volume-id": str(volume.volume_id)}
    if volume.shape.arbiter:
        options["arbiter-count"] = str(volume.shape.arbiter)
    return draft.add(f"{volume.name}-replicate-{number}", "cluster/replicate", options, ids)


def _disperse(draft: Draft, volume: VolumeRecord, number: int, group: tuple[BrickRecord, ...]) -> str:
    options = {"redundancy": str(volume.shape.redundancy)}
    ids = [brick.brick_id for brick in group]
    return draft.add(f"{volume.name}-disperse-{number}", "cluster/disperse", options, ids)


def _distribute_type(settings: VolumeSettings) -> str:
    nufa, switch = settings.is_on("cluster.nufa"), settings.is_on("cluster.switch")
    if nufa and switch:
        raise VolfileError("cluster.nufa and cluster.switch cannot both be on")
    if nufa:
        return "cluster/nufa"
    return "cluster/switch" if switch else "cluster/distribute"
