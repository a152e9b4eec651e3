"""The lower half of every graph that reaches bricks: clients, replicas or erasure codes, distribution.

Source: glusterfs 10.3 xlators/mgmt/glusterd/src/glusterd-volgen.c: volgen_graph_build_clients,
volgen_graph_build_afr_clusters, volgen_graph_build_ec_clusters, volgen_graph_build_dht_cluster; of a thin
arbiter also glusterd-volume-ops.c: glusterd_op_create_volume.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.errors import VolfileError
from reconciler.model.volume import VolumeType
from reconciler.volgen.layer import Part

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.model.configured import BrickRecord, Secret, VolumeRecord
    from reconciler.volgen.graph import Draft
    from reconciler.volgen.settings import VolumeSettings

CLIENT = "protocol/client"


@dataclass(frozen=True, slots=True)
class VolumeSite:
    """What the layers of a graph of one volume ask. `secret` is None for a client that nobody trusts."""

    volume: VolumeRecord
    settings: VolumeSettings
    secret: Secret | None


def volume_name(site: VolumeSite) -> str:
    """Return the name of the volume, which is also that of the top of most of its graphs."""
    return site.volume.name


def add_client(draft: Draft, name: str, remote: tuple[str, str], site: VolumeSite) -> str:
    """Add a connection and return its name.

    Args:
        draft: the graph to add to.
        name: name of the xlator.
        remote: host and what to ask it for; an empty host means the volfile server's.
        site: the volume, its options, and the credentials of a trusted client.
    """
    host, subvolume = remote
    options = {"ping-timeout": "42", "remote-subvolume": subvolume, "transport-type": "tcp"}
    if host:
        options["remote-host"] = host
    family = site.settings.declared("transport.address-family")
    if family is not None:
        options["transport.address-family"] = family
    if site.secret is not None:
        options |= {"username": site.secret.username, "password": site.secret.password}
    return draft.add(name, CLIENT, options | site.settings.tls())


def encrypt(draft: Draft, settings: VolumeSettings) -> None:
    """Switch TLS on in clients that have none of the volume's options but this one."""
    if settings.is_on("client.ssl"):
        draft.set(CLIENT, "transport.socket.ssl-enabled", "true")


def _clients(draft: Draft, site: VolumeSite) -> None:
    """Add a client per brick, and one for the thin arbiter after those of each subvolume.

    A client xlator is called by the brick's id, which stays when bricks before it go: replication keeps
    its accounts of pending changes under that name.

    Raises:
        VolfileError: the bricks do not fill the subvolumes.
    """
    volume, size = site.volume, site.volume.shape.bricks_per_subvolume
    if not volume.bricks or len(volume.bricks) % size:
        raise VolfileError(
            f"volume {volume.name}: {len(volume.bricks)} brick(s) do not fill subvolumes of {size}"
        )
    for number, group in enumerate(volume.subvolumes()):
        for brick in group:
            add_client(draft, brick.brick_id, (brick.host, brick.path), site)
        if volume.thin_arbiter:
            _thin_arbiter_client(draft, site, number)


def _thin_arbiter_client(draft: Draft, site: VolumeSite, number: int) -> None:
    # glusterd 10.3 puts the third and later ones between two bricks of one subvolume, which makes subvolumes
    # of the wrong bricks; where it is right (up to two subvolumes) this is the same order.
    name = _thin_arbiter_id(site.volume, number)
    add_client(draft, name, thin_arbiter_place(site.volume), site)
    port = site.settings.declared("client.ta-brick-port")
    if port is not None:
        draft.option(name, "remote-port", port)


def thin_arbiter_place(volume: VolumeRecord) -> tuple[str, str]:
    """Return host and path of a volume's thin arbiter."""
    host, _, path = volume.thin_arbiter.partition(":/")
    return host, f"/{path}"


def _thin_arbiter_id(volume: VolumeRecord, number: int) -> str:
    """Return the name of the thin arbiter in one subvolume: it counts as its third brick."""
    size = volume.shape.bricks_per_subvolume + 1
    return f"{volume.name}-ta-{number * size + size - 1}"


def _subvolumes(draft: Draft, site: VolumeSite) -> None:
    """Join the clients into subvolumes; a volume of single bricks needs nothing."""
    volume = site.volume
    if volume.shape.bricks_per_subvolume > 1:
        build = _disperse if volume.shape.type is VolumeType.DISPERSE else _replicate
        for number, group in enumerate(volume.subvolumes()):
            build(draft, volume, number, group)


def _replicate(draft: Draft, volume: VolumeRecord, number: int, group: tuple[BrickRecord, ...]) -> None:
    children: list[str] = [brick.brick_id for brick in group]
    accounts = list(children)
    options = {"volume-id": str(volume.volume_id)}
    if volume.shape.arbiter:
        options["arbiter-count"] = str(volume.shape.arbiter)
    if volume.thin_arbiter:
        name = _thin_arbiter_id(volume, number)
        children.append(name)
        accounts.append(f"{name}.{volume.volume_id}")  # one thin arbiter may serve volumes of one name
        options["thin-arbiter"] = volume.thin_arbiter
    options["afr-pending-xattr"] = ",".join(accounts)
    draft.add(f"{volume.name}-replicate-{number}", "cluster/replicate", options, children)


def _disperse(draft: Draft, volume: VolumeRecord, number: int, group: tuple[BrickRecord, ...]) -> None:
    options = {"redundancy": str(volume.shape.redundancy)}
    ids = [brick.brick_id for brick in group]
    draft.add(f"{volume.name}-disperse-{number}", "cluster/disperse", options, ids)


def _read_ahead(draft: Draft, site: VolumeSite) -> None:
    """Put directory caches on the subvolumes, one each, if the volume reads directories in parallel."""
    if site.settings.is_on("performance.parallel-readdir"):
        for number, child in enumerate(draft.loose):
            draft.add(
                f"{site.volume.name}-readdir-ahead-{number}",
                "performance/readdir-ahead",
                {"performance.readdir-ahead": "on"},
                [child],
            )


def distribution(name: Callable[[VolumeSite], str]) -> Part[VolumeSite]:
    """Return distribution over the subvolumes (also over a single one), called `name`."""

    def put(draft: Draft, site: VolumeSite) -> None:
        subvolumes = zip(draft.loose, site.volume.subvolumes(), strict=True)
        leaving = [child for child, group in subvolumes if any(b.decommissioned for b in group)]
        # Distribution puts no new file there, and a rebalance moves away what is there.
        options = {"decommissioned-bricks": ",".join(leaving)} if leaving else {}
        draft.stack(_distribute_type(site.settings), options, name=name(site))

    return Part(put)


def _distribute_type(settings: VolumeSettings) -> str:
    nufa, switch = settings.is_on("cluster.nufa"), settings.is_on("cluster.switch")
    if nufa and switch:
        raise VolfileError("cluster.nufa and cluster.switch cannot both be on")
    if nufa:
        return "cluster/nufa"
    return "cluster/switch" if switch else "cluster/distribute"


#: Clients and what joins them, top first; leaves one loose end per subvolume.
SUBVOLUMES = (Part(_subvolumes), Part(_clients))
#: All of them as the children of distribution, which goes on top.
BELOW_DISTRIBUTION = (Part(_read_ahead), *SUBVOLUMES)
