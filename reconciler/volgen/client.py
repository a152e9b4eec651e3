"""The graph of a mount, and its two halves when a gfproxy daemon stands between mount and bricks.

Source: glusterfs 10.3 xlators/mgmt/glusterd/src/glusterd-volgen.c: client_graph_builder,
client_graph_set_perf_options, gfproxy_server_graph_builder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.volgen.cluster import (
    BELOW_DISTRIBUTION,
    VolumeSite,
    add_client,
    distribution,
    volume_name,
)
from reconciler.volgen.graph import Draft, Graph
from reconciler.volgen.layer import Layer, Part, Switched, stack
from reconciler.volgen.option_table import Rule
from reconciler.volgen.settings import IO_STATS, VolumeSettings, boolean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reconciler.model.configured import Secret, VolumeRecord
    from reconciler.volgen.slots import Slots

_SMALLEST_REQUEST = 4096  #: bytes; readdir-ahead accepts no less


def client_graph(volume: VolumeRecord, *, slots: Slots, secret: Secret | None = None) -> Graph:
    """Return the graph of a mount; with `secret` that of a trusted one.

    Raises:
        VolfileError: options contradict each other or make no graph.
    """
    site = _site(volume, slots, secret)
    budget = _readdir_budget(site.settings, len(volume.subvolumes()))
    return _draft(_MOUNT, site, budget).graph()


def gfproxy_client_graph(volume: VolumeRecord, *, slots: Slots, secret: Secret) -> Graph:
    """Return the graph of a mount that talks to a gfproxy daemon instead of bricks.

    Raises:
        VolfileError: options contradict each other or make no graph.
    """
    return _draft(_PROXY_CLIENT, _site(volume, slots, secret)).graph()


def gfproxyd_graph(volume: VolumeRecord, *, slots: Slots, secret: Secret) -> Graph:
    """Return the graph of a gfproxy daemon: a client stack with a server on top.

    Raises:
        VolfileError: options contradict each other or make no graph.
    """
    site = _site(volume, slots, secret)
    draft = _draft(_PROXY_DAEMON, site)
    # Again, over the finished stack and with what is declared: glusterd does it in this order, so that a
    # declared client.send-gids counts here although the mount's graph derives it from manage-gids.
    site.settings.apply(draft)
    return draft.graph()


@dataclass(frozen=True, slots=True)
class _Site(VolumeSite):
    slots: Slots


def _site(volume: VolumeRecord, slots: Slots, secret: Secret | None) -> _Site:
    settings = VolumeSettings(volume.effective_options())
    slots.refuse_missing(volume, settings)
    return _Site(volume, settings, secret, slots)


def _draft(table: _Table, site: _Site, changes: Mapping[str, str] | None = None) -> Draft:
    draft = Draft(site.volume.name)
    stack(table, draft, site)
    settings = site.settings.changed({**_identity_options(site.settings), **(changes or {})})
    settings.apply_stats(draft, Rule.CLIENT_STATS)
    settings.apply(draft)
    return draft


# ---------------------------------------------------------------------------- the tables


_Table = tuple[Layer[_Site] | Part[_Site] | Part[VolumeSite], ...]


@dataclass(frozen=True, slots=True)
class _Filled:
    """The condition of an open place: a feature puts the xlator there."""

    type: str

    def __call__(self, site: _Site) -> bool:
        return site.slots.client_has(self.type, site.settings)


def _export(site: VolumeSite) -> str:
    return f"gfproxyd-{site.volume.name}"


def _server(site: _Site) -> Mapping[str, str]:
    export, secret = _export(site), site.secret
    assert secret is not None, "a daemon is trusted"
    return {
        "transport-type": "tcp",
        f"auth.login.{export}.allow": secret.username,
        f"auth.login.{secret.username}.password": secret.password,
        "auth-path": export,
    }


def _caches_whole_volume(site: _Site) -> bool:
    on, parallel = (
        site.settings.is_on(f"performance.{name}") for name in ("readdir-ahead", "parallel-readdir")
    )
    return on and not parallel  # in parallel each subvolume has one


def _debugging(draft: Draft, site: VolumeSite) -> None:
    for xlator_type in site.settings.debug_types("client"):
        draft.stack(xlator_type)


def _snapshot_daemon(draft: Draft, site: VolumeSite) -> None:
    if site.settings.is_on("features.uss"):
        add_client(draft, f"{site.volume.name}-snapd-client", ("", f"snapd-{site.volume.name}"), site)


def _proxy(draft: Draft, site: VolumeSite) -> None:
    add_client(draft, f"{site.volume.name}-gfproxy-client", ("", _export(site)), site)


def _io_stats(name: Callable[[VolumeSite], str]) -> Layer[_Site]:
    return Layer(IO_STATS, name=name)


# The entry to user-serviceable snapshots: the volume is its first child, snapshots are the second.
_SNAPSHOTS = (
    Layer("features/snapview-client", wanted=Switched("features.uss")),
    Part(_snapshot_daemon),
)
_CACHES = (
    Layer("performance/io-threads", wanted=Switched("performance.client-io-threads")),
    Layer("performance/md-cache", wanted=Switched("performance.stat-prefetch")),
    Layer("performance/nl-cache", wanted=Switched("performance.nl-cache")),
    Layer("performance/quick-read", wanted=Switched("performance.quick-read")),
    Layer("performance/open-behind", wanted=Switched("performance.open-behind")),
    Layer("performance/io-cache", wanted=Switched("performance.io-cache")),
    Layer("performance/readdir-ahead", wanted=_caches_whole_volume),
    Layer("performance/read-ahead", wanted=Switched("performance.read-ahead")),
)
_WRITES = (Layer("performance/write-behind", wanted=Switched("performance.write-behind")),)
_FEATURES = (
    Layer("features/cdc", lambda _: {"mode": "client"}, Switched("network.compression")),
    Layer("features/utime", wanted=Switched("features.ctime")),
    Layer("features/shard", wanted=_Filled("features/shard")),
    Layer("features/cloudsync", wanted=Switched("features.cloudsync")),
)
#: Types of the xlators that are there only if a feature says so.
OPEN_PLACES = frozenset(layer.type for layer in _FEATURES if isinstance(layer.wanted, _Filled))

_MOUNT: _Table = (
    _io_stats(volume_name),
    Part(_debugging),
    *_SNAPSHOTS,
    *_CACHES,
    *_WRITES,
    *_FEATURES,
    distribution(lambda site: f"{site.volume.name}-dht"),
    *BELOW_DISTRIBUTION,
)
# Writes are gathered next to the application, everything else is cached next to the bricks.
_PROXY_CLIENT: _Table = (
    _io_stats(volume_name),
    Part(_debugging),
    *_SNAPSHOTS,
    *_WRITES,
    Layer("features/quiesce"),  # holds requests while the proxy fails over
    *_FEATURES,
    Part(_proxy),
)
_PROXY_DAEMON: _Table = (
    Layer("protocol/server", _server),
    _io_stats(_export),
    Part(_debugging),
    *_SNAPSHOTS,
    *_CACHES,
    *_FEATURES,
    distribution(lambda site: f"{site.volume.name}-dht"),
    *BELOW_DISTRIBUTION,
)
#: What the graphs of mounts and of both halves of one may have.
LAYERS = (*_MOUNT, *_PROXY_CLIENT, *_PROXY_DAEMON)


# ---------------------------------------------------------------------------- options that follow from others


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
