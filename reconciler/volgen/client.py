"""The graph of a mount, and its two halves when a gfproxy daemon stands between mount and bricks.

Source: glusterfs 10.3 xlators/mgmt/glusterd/src/glusterd-volgen.c: client_graph_builder,
client_graph_set_perf_options, gfproxy_server_graph_builder.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from reconciler.volgen.cluster import add_client, add_distribute, add_subvolumes
from reconciler.volgen.graph import Draft, Graph
from reconciler.volgen.option_table import Rule
from reconciler.volgen.settings import IO_STATS, VolumeSettings, boolean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.model.configured import Secret, VolumeRecord
    from reconciler.volgen.slots import Slots

_SMALLEST_REQUEST = 4096  #: bytes; readdir-ahead accepts no less


@dataclass(frozen=True, slots=True)
class _Layer:
    """An xlator that a volume may have: by its switch, or by a feature that fills the place."""

    type: str
    switch: str = ""
    options: Mapping[str, str] = field(default_factory=dict)


# Above the cluster xlators and below the caches, bottom first.
_LAYERS = (
    _Layer("features/cloudsync", "features.cloudsync"),
    _Layer("features/shard"),
    _Layer("features/utime", "features.ctime"),
    _Layer("features/cdc", "network.compression", {"mode": "client"}),
)
#: Types of the xlators that are there only if a feature says so.
OPEN_PLACES = frozenset(layer.type for layer in _LAYERS if not layer.switch)


def client_graph(volume: VolumeRecord, *, slots: Slots, secret: Secret | None = None) -> Graph:
    """Return the graph of a mount; with `secret` that of a trusted one.

    Raises:
        VolfileError: options contradict each other or make no graph.
    """
    return _draft(volume, secret, _Role.MOUNT, slots).graph()


def gfproxy_client_graph(volume: VolumeRecord, *, slots: Slots, secret: Secret) -> Graph:
    """Return the graph of a mount that talks to a gfproxy daemon instead of bricks.

    Raises:
        VolfileError: options contradict each other or make no graph.
    """
    return _draft(volume, secret, _Role.THIN, slots).graph()


def gfproxyd_graph(volume: VolumeRecord, *, slots: Slots, secret: Secret) -> Graph:
    """Return the graph of a gfproxy daemon: a client stack with a server on top.

    Raises:
        VolfileError: options contradict each other or make no graph.
    """
    draft = _draft(volume, secret, _Role.PROXY, slots)
    export = f"gfproxyd-{volume.name}"
    draft.stack(
        "protocol/server",
        {
            "transport-type": "tcp",
            f"auth.login.{export}.allow": secret.username,
            f"auth.login.{secret.username}.password": secret.password,
            "auth-path": export,
        },
    )
    # Over the finished stack, and with what is declared: glusterd does it in this order, so that a
    # declared client.send-gids counts here although the mount's graph derives it from manage-gids.
    VolumeSettings(volume.effective_options()).apply(draft)
    return draft.graph()


class _Role(Enum):
    MOUNT = "mount"
    THIN = "thin"  #: the mount side of gfproxy
    PROXY = "proxy"  #: the daemon side of gfproxy


def _draft(volume: VolumeRecord, secret: Secret | None, role: _Role, slots: Slots) -> Draft:
    declared = VolumeSettings(volume.effective_options())
    slots.refuse_missing(volume, declared)
    draft = Draft(volume.name)
    if role is _Role.THIN:
        name = f"{volume.name}-gfproxy-client"
        add_client(draft, name, ("", f"gfproxyd-{volume.name}"), declared, secret)
    else:
        add_distribute(draft, volume, declared, add_subvolumes(draft, volume, declared, secret))
    _add_features(draft, declared, role, slots)
    _add_performance(draft, declared, role)
    _add_snapshots(draft, declared, secret)
    for xlator_type in declared.debug_types("client"):
        draft.stack(xlator_type)
    draft.stack(IO_STATS, name=f"gfproxyd-{volume.name}" if role is _Role.PROXY else volume.name)

    settings = declared.changed(_identity_options(declared))
    if role is _Role.MOUNT:
        settings = settings.changed(_readdir_budget(declared, len(volume.subvolumes())))
    settings.apply_stats(draft, Rule.CLIENT_STATS)
    settings.apply(draft)
    return draft


def _add_features(draft: Draft, settings: VolumeSettings, role: _Role, slots: Slots) -> None:
    for layer in _LAYERS:
        there = settings.is_on(layer.switch) if layer.switch else slots.client_has(layer.type, settings)
        if there:
            draft.stack(layer.type, layer.options)
    if role is _Role.THIN:
        draft.stack("features/quiesce")  # holds requests while the proxy fails over


def _add_performance(draft: Draft, settings: VolumeSettings, role: _Role) -> None:
    for row, _ in settings.rows(Rule.PERF):
        if not settings.is_on(row.name):
            continue
        # Writes are gathered next to the application, everything else is cached next to the bricks.
        gathers = row.xlator == "performance/write-behind"
        if (role is _Role.THIN and not gathers) or (role is _Role.PROXY and gathers):
            continue
        below_distribute = row.xlator == "performance/readdir-ahead" and settings.is_on(
            "performance.parallel-readdir"
        )
        if not below_distribute:
            draft.stack(row.xlator)


def _add_snapshots(draft: Draft, settings: VolumeSettings, secret: Secret | None) -> None:
    """Add the entry to user-serviceable snapshots: the volume is the first child, snapshots the second."""
    if not settings.is_on("features.uss"):
        return
    below = draft.top
    snapd = add_client(draft, f"{draft.volume}-snapd-client", ("", f"snapd-{draft.volume}"), settings, secret)
    draft.add(f"{draft.volume}-snapview-client", "features/snapview-client", {}, [below, snapd])


def _identity_options(settings: VolumeSettings) -> dict[str, str]:
    """Return the client options that follow from how bricks judge a user's identity."""
    # A brick that looks groups up itself has no use for those of the client.
    changes = {"client.send-gids": "false" if settings.is_on("server.manage-gids") else "true"}
    if settings.is_on("server.root-squash"):
        # open-behind would let a squashed root read without ever opening the file.
        declared = settings.declared("performance.read-after-open")
        if declared is None or not boolean(declared):
            changes["performance.read-after-open"] = "yes"
    return changes


def _readdir_budget(settings: VolumeSettings, subvolumes: int) -> dict[str, str]:
    """Return the share of the readdir-ahead cache that each subvolume's xlator gets."""
    wanted = settings.is_on("performance.parallel-readdir") and settings.is_on("performance.readdir-ahead")
    if subvolumes <= 1 or not wanted:
        return {}
    share = settings.size_bytes("performance.rda-cache-limit") // subvolumes
    request = settings.size_bytes("performance.rda-request-size")
    changes = {}
    if share < request:
        share = max(share, _SMALLEST_REQUEST)
        changes["performance.rda-request-size"] = f"{share}B"
    changes["performance.rda-cache-limit"] = f"{share}B"
    return changes
