"""Graphs of the daemons that serve one volume: self-heal, rebalance, snapshots, quota's crawler.

Source: glusterfs 10.3 xlators/mgmt/glusterd/src/glusterd-volgen.c: build_shd_graph,
build_rebalance_volfile, glusterd_snapdsvc_generate_volfile, glusterd_generate_client_per_brick_volfile;
glusterd-shd-svc.c: glusterd_shdsvc_create_volfile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.errors import VolfileError
from reconciler.model.volume import VolumeType
from reconciler.volgen.cluster import CLIENT, add_client, add_distribute, add_subvolumes
from reconciler.volgen.graph import Draft, Graph
from reconciler.volgen.option_table import Rule
from reconciler.volgen.settings import IO_STATS, VolumeSettings

if TYPE_CHECKING:
    from reconciler.model.configured import BrickRecord, Secret, VolumeRecord

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
    healer, switch = _HEALERS[volume.shape.type]
    declared = VolumeSettings(volume.effective_options())
    settings = declared.changed({switch: declared.declared(switch) or "enable", **_HEAL_EVERYTHING})
    draft = Draft(volume.name)
    subvolumes = add_subvolumes(draft, volume, settings, secret)
    # Before io-stats is there: of its options the daemon has only those that follow.
    settings.apply(draft)
    for row, value in settings.rows(Rule.SHD):
        draft.set(row.xlator, row.key, value)
    draft.set(healer, "iam-self-heal-daemon", "yes")
    draft.add(volume.name, IO_STATS, {}, subvolumes)
    settings.apply_stats(draft, Rule.CLIENT_STATS)
    settings.apply_natives(draft)  # they name an xlator, so they win over what is for several
    return draft.graph()


def rebalance_graph(volume: VolumeRecord, *, secret: Secret) -> Graph:
    """Return the graph of the process that moves files between subvolumes: no caches, no features.

    Raises:
        VolfileError: the volume's options make no graph.
    """
    settings = VolumeSettings(volume.effective_options())
    draft = Draft(volume.name)
    add_distribute(draft, volume, settings, add_subvolumes(draft, volume, settings, secret))
    draft.stack(IO_STATS, name=volume.name)
    settings.apply_stats(draft, Rule.CLIENT_STATS)
    settings.apply(draft)
    return draft.graph()


def snapd_graph(volume: VolumeRecord, *, secret: Secret) -> Graph:
    """Return the graph of the daemon behind user-serviceable snapshots.

    Raises:
        VolfileError: the volume's options make no graph.
    """
    settings = VolumeSettings(volume.effective_options())
    export = f"snapd-{volume.name}"
    draft = Draft(volume.name)
    draft.stack("features/snapview-server", {"volname": volume.name})
    draft.stack("performance/io-threads")
    draft.stack(IO_STATS, name=export)
    server = {
        "transport-type": "tcp",
        f"auth.login.{export}.allow": secret.username,
        f"auth.login.{secret.username}.password": secret.password,
        "auth-path": export,
        **settings.tls(),
    }
    if settings.is_on("server.ssl"):
        server["transport.socket.ssl-enabled"] = "true"
    for row, value in settings.rows(Rule.AUTH):
        server[f"auth.addr.{export}.{row.key}"] = value
    draft.stack("protocol/server", server)
    settings.apply_stats(draft, Rule.BRICK_STATS)
    return draft.graph()


def quota_crawler_graph(volume: VolumeRecord, brick: BrickRecord, *, secret: Secret) -> Graph:
    """Return the graph with which quota counts the files of one brick: nothing but a connection.

    Of the volume's options it has only the address family and whether TLS is on.
    """
    declared = VolumeSettings(volume.effective_options())
    names = ("transport.address-family",)
    few = {name: value for name in names if (value := declared.declared(name)) is not None}
    draft = Draft(volume.name)
    add_client(draft, brick.brick_id, (brick.host, brick.path), VolumeSettings(few), secret)
    if declared.is_on("client.ssl"):
        draft.set(CLIENT, "transport.socket.ssl-enabled", "true")
    return draft.graph()
