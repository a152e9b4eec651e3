"""Graphs of the daemons that serve one volume: self-heal, rebalance, snapshots; and of a thin arbiter.

Source: glusterfs 10.3 xlators/mgmt/glusterd/src/glusterd-volgen.c: build_shd_graph,
build_rebalance_volfile, glusterd_snapdsvc_generate_volfile; glusterd-shd-svc.c:
glusterd_shdsvc_create_volfile; extras/thin-arbiter/thin-arbiter.vol.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.errors import VolfileError
from reconciler.model.volume import VolumeType
from reconciler.volgen.cluster import (
    BELOW_DISTRIBUTION,
    SUBVOLUMES,
    VolumeSite,
    distribution,
    thin_arbiter_place,
    volume_name,
)
from reconciler.volgen.graph import Draft, Graph
from reconciler.volgen.layer import Layer, Part, stack
from reconciler.volgen.option_table import Rule
from reconciler.volgen.settings import IO_STATS, VolumeSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.model.configured import Secret, VolumeRecord

_Table = tuple[Layer[VolumeSite] | Part[VolumeSite], ...]


# ---------------------------------------------------------------------------- self-heal

_HEALERS = {
    VolumeType.REPLICATE: ("cluster/replicate", "cluster.self-heal-daemon"),
    VolumeType.DISPERSE: ("cluster/disperse", "cluster.disperse-self-heal-daemon"),
}

# What mounts may leave undone, the daemon does: whatever is declared for clients does not count here.
_HEAL_EVERYTHING = {
    "cluster.background-self-heal-count": "0",
    "cluster.data-self-heal": "on",
    "cluster.metadata-self-heal": "on",
    "cluster.entry-self-heal": "on",
}


def shd_graph(volume: VolumeRecord, *, secret: Secret) -> Graph:
    """Return the graph of the volume's self-heal daemon: its subvolumes side by side, no distribution.

    Raises:
        VolfileError: the volume has nothing to heal, or its options make no graph.
    """
    if volume.shape.type not in _HEALERS or volume.shape.bricks_per_subvolume == 1:
        raise VolfileError(
            f"volume {volume.name}: a {volume.shape.type.value} volume has no self-heal daemon"
        )
    _, switch = _HEALERS[volume.shape.type]
    declared = VolumeSettings(volume.effective_options())
    settings = declared.changed({switch: declared.declared(switch) or "enable", **_HEAL_EVERYTHING})
    draft = Draft(volume.name)
    stack(_SELF_HEAL, draft, VolumeSite(volume, settings, secret))
    settings.apply_stats(draft, Rule.CLIENT_STATS)
    settings.apply_natives(draft)  # they name an xlator, so they win over what is for several
    return draft.graph()


def _healing(draft: Draft, site: VolumeSite) -> None:
    site.settings.apply(draft)
    for row, value in site.settings.rows(Rule.SHD):
        draft.set(row.xlator, row.key, value)
    healer, _ = _HEALERS[site.volume.shape.type]
    draft.set(healer, "iam-self-heal-daemon", "yes")


_SELF_HEAL: _Table = (
    Layer(IO_STATS, name=volume_name),
    Part(_healing),  # below io-stats: the daemon's has only those options that are set later
    *SUBVOLUMES,
)


# ---------------------------------------------------------------------------- rebalance


def rebalance_graph(volume: VolumeRecord, *, secret: Secret) -> Graph:
    """Return the graph of the process that moves files between subvolumes: no caches, no features.

    Raises:
        VolfileError: the volume's options make no graph.
    """
    settings = VolumeSettings(volume.effective_options())
    draft = Draft(volume.name)
    stack(_REBALANCE, draft, VolumeSite(volume, settings, secret))
    settings.apply_stats(draft, Rule.CLIENT_STATS)
    settings.apply(draft)
    return draft.graph()


_REBALANCE: _Table = (
    Layer(IO_STATS, name=volume_name),
    distribution(lambda site: f"{site.volume.name}-dht"),
    *BELOW_DISTRIBUTION,
)


# ---------------------------------------------------------------------------- snapshots


def snapd_graph(volume: VolumeRecord, *, secret: Secret) -> Graph:
    """Return the graph of the daemon behind user-serviceable snapshots.

    Raises:
        VolfileError: the volume's options make no graph.
    """
    settings = VolumeSettings(volume.effective_options())
    draft = Draft(volume.name)
    stack(_SNAPSHOTS, draft, VolumeSite(volume, settings, secret))
    settings.apply_stats(draft, Rule.BRICK_STATS)
    return draft.graph()


def _export(site: VolumeSite) -> str:
    return f"snapd-{site.volume.name}"


def _snapshot_server(site: VolumeSite) -> Mapping[str, str]:
    export, secret = _export(site), site.secret
    assert secret is not None, "a daemon is trusted"
    server = {
        "transport-type": "tcp",
        f"auth.login.{export}.allow": secret.username,
        f"auth.login.{secret.username}.password": secret.password,
        "auth-path": export,
        **site.settings.tls(),
    }
    if site.settings.is_on("server.ssl"):
        server["transport.socket.ssl-enabled"] = "true"
    for row, value in site.settings.rows(Rule.AUTH):
        server[f"auth.addr.{export}.{row.key}"] = value
    return server


_SNAPSHOTS: _Table = (
    Layer("protocol/server", _snapshot_server),
    Layer(IO_STATS, name=_export),
    Layer("performance/io-threads"),
    Layer("features/snapview-server", lambda site: {"volname": site.volume.name}),
)


# ---------------------------------------------------------------------------- thin arbiter


def thin_arbiter_graph(volume: VolumeRecord) -> Graph:
    """Return the graph of a volume's thin arbiter, a process that its administrator runs, on port 24007.

    It is the same for every volume that names the same host and path, and has nobody's credentials.

    Raises:
        VolfileError: the volume has no thin arbiter.
    """
    if not volume.thin_arbiter:
        raise VolfileError(f"volume {volume.name} has no thin arbiter")
    _, path = thin_arbiter_place(volume)
    draft = Draft("ta")
    stack(_THIN_ARBITER, draft, path)
    return draft.graph()


_THIN_ARBITER: tuple[Layer[str], ...] = (
    Layer(
        "protocol/server",
        lambda path: {
            "transport-type": "tcp",
            "transport.address-family": "inet",
            "transport.listen-backlog": "10",
            "transport.socket.keepalive": "1",
            "transport.socket.keepalive-count": "9",
            "transport.socket.keepalive-interval": "2",
            "transport.socket.keepalive-time": "20",
            "transport.tcp-user-timeout": "0",
            "auth-path": path,
            f"auth.addr.{path}.allow": "*",
        },
    ),
    Layer(
        IO_STATS,
        lambda path: {"unique-id": path, "count-fop-hits": "off", "latency-measurement": "off"},
        name=lambda path: path,
    ),
    Layer(
        "features/index",
        lambda path: {
            "index-base": f"{path}/.glusterfs/indices",
            "xattrop-dirty-watchlist": "trusted.afr.dirty",
            "xattrop-pending-watchlist": "trusted.afr.ta-",
        },
    ),
    Layer("performance/io-threads"),
    Layer("features/upcall", lambda _: {"cache-invalidation": "off"}),
    Layer("features/locks", lambda _: {"notify-contention": "yes"}),
    Layer("features/thin-arbiter"),
    Layer("storage/posix", lambda path: {"directory": path}),
)
