"""Where an option lands: found by rendering graphs with two values of it and looking at what differs.

So it is true of whatever the graph rules do with the option, and there is no second table to keep.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from reconciler.errors import VolfileError
from reconciler.model.configured import BrickRecord, Secret, VolumeRecord
from reconciler.model.ids import BrickId, BrickUuid, NodeId, PeerName, VolumeId, VolumeName
from reconciler.model.volume import Shape, VolumeState, VolumeType
from reconciler.volgen.brick import brick_graph
from reconciler.volgen.client import client_graph, gfproxy_client_graph
from reconciler.volgen.graph import Graph, Xlator
from reconciler.volgen.native_names import canonical
from reconciler.volgen.option_table import rows_by_name
from reconciler.volgen.registry import View
from reconciler.volgen.services import shd_graph
from reconciler.volgen.slots import Slots
from reconciler.volgen.switches import SWITCHES


class Side(Enum):
    """Whose graph it is; a feature's daemon is a side of its own, called as in ``--graph``."""

    BRICK = "brick"
    CLIENT = "client"
    HEALER = "self-heal daemon"


class Effect(Enum):
    """What it takes until a changed value counts."""

    LIVE_ON_CLIENT = "live on clients"
    LIVE_ON_BRICK = "live on bricks"
    LIVE_ON_HEALER = "live in the self-heal daemon"
    LIVE_ON_DAEMON = "live in the node's daemon"
    GRAPH_SWITCH = "clients switch to a new graph"
    REMOUNT = "clients remount"
    BRICK_RESTART = "bricks restart"
    HEALER_RESTART = "the self-heal daemon restarts"
    DAEMON_RESTART = "the node's daemon restarts"
    NONE = "no effect here"


@dataclass(frozen=True, slots=True, order=True)
class Landing:
    """One place: a key of an xlator in a graph; an empty key is the xlator itself, there or not."""

    side: str
    xlator: str
    key: str


#: keys that xlators read when they start and never again, although they are settable.
#: Source: glusterfs 10.3, the options that an xlator's init reads (GF_OPTION_INIT) and its reconfigure does
#: not; xlators/features/snapview-client/src/snapview-client.c: "is NOT reconfigurable";
#: rpc/rpc-lib/src/rpc-transport.c (client-bind-insecure); xlators/features/bit-rot/src/bitd/bit-rot.c:
#: br_init_signer alone starts threads.
READ_ONCE = frozenset(
    [
        ("cluster/disperse", "ec-read-mask"),
        ("cluster/distribute", "xattr-name"),
        ("cluster/nufa", "local-volume-name"),
        ("cluster/switch", "pattern.switch.case"),
        ("debug/delay-gen", "delay-duration"),
        ("debug/delay-gen", "delay-percentage"),
        ("debug/delay-gen", "enable"),
        ("debug/io-stats", "ios-dnscache-ttl-sec"),
        ("features/bit-rot", "signer-threads"),
        ("features/cdc", "compression-level"),
        ("features/cdc", "debug"),
        ("features/cdc", "mem-level"),
        ("features/cdc", "min-size"),
        ("features/cdc", "window-size"),
        ("features/cloudsync", "cloudsync-storetype"),
        ("features/shard", "shard-lru-limit"),
        ("features/snapview-client", "snapdir-entry-path"),
        ("performance/io-threads", "idle-time"),
        ("performance/quick-read", "max-file-size"),
        ("performance/read-ahead", "force-atime-update"),
        ("performance/write-behind", "aggregate-size"),
        ("protocol/client", "client-bind-insecure"),
        ("protocol/client", "tcp-window-size"),
        ("protocol/server", "tcp-window-size"),
        ("storage/posix", "janitor-sleep-duration"),
    ]
)
#: keys that are still written into graphs and that no line of their xlators reads any more.
#: Source: glusterfs 10.3 xlators/cluster/afr/src, xlators/features/quota/src;
#: xlators/storage/posix/src/posix-common.c: set_xattr_user_namespace_mode (for macOS);
#: glusterfsd/src/glusterfsd.c (global-threading is an argument of processes, which nobody gives them here)
UNREAD = frozenset(
    [
        ("cluster/replicate", "data-change-log"),
        ("cluster/replicate", "entry-change-log"),
        ("cluster/replicate", "metadata-change-log"),
        ("cluster/replicate", "quorum-reads"),
        ("cluster/replicate", "readdir-failover"),
        ("cluster/replicate", "self-heal-readdir-size"),
        ("cluster/replicate", "strict-readdir"),
        ("cluster/replicate", "use-compound-fops"),
        ("debug/io-stats", "global-threading"),
        ("features/quota", "limit-set"),
        ("storage/posix", "xattr-user-namespace-mode"),
    ]
)
#: keys below it are read when a connection is made
_CONNECTION = "transport."
_BRICK_PATH = "/brick"  #: of the sample volumes
_OWN_PLACE = "posix"  #: where their bricks have an xlator of one's own: any place would do

#: every kind of volume, with every xlator that an option can bring: shape and options
_DEBUGGING = {"debug.trace": "client", "debug.error-gen": "posix", "debug.delay-gen": "client"}
_ALL = {option: "on" for options in SWITCHES.values() for option in options} | _DEBUGGING
_SAMPLES = (
    (Shape(type=VolumeType.DISTRIBUTE), _ALL),
    (Shape(type=VolumeType.DISTRIBUTE), _ALL | {"cluster.nufa": "on"}),
    (Shape(type=VolumeType.DISTRIBUTE), _ALL | {"cluster.switch": "on"}),
    (Shape(type=VolumeType.REPLICATE, replica=3), _ALL),
    (Shape(type=VolumeType.DISPERSE, data=2, redundancy=1), _ALL),
)
#: values tried in pairs: numbers that also are sizes and times, switches, and places for debug.*
_PAIRS = (("1048576", "2097152"), ("on", "off"), ("posix", "off"), ("client", "off"))
_SECRET = Secret(username="u", password="p")  # noqa: S106 - for graphs that nobody runs
_LIVE: Mapping[str, tuple[Effect, Effect, Effect]] = {
    Side.CLIENT.value: (Effect.LIVE_ON_CLIENT, Effect.REMOUNT, Effect.GRAPH_SWITCH),
    Side.BRICK.value: (Effect.LIVE_ON_BRICK, Effect.BRICK_RESTART, Effect.BRICK_RESTART),
    Side.HEALER.value: (Effect.LIVE_ON_HEALER, Effect.HEALER_RESTART, Effect.HEALER_RESTART),
}
_LIVE_ON_DAEMON = (Effect.LIVE_ON_DAEMON, Effect.DAEMON_RESTART, Effect.DAEMON_RESTART)
_Graphs = dict[tuple[str, str], Graph]


def landings(name: str, slots: Slots, own: str = "") -> tuple[Landing, ...]:
    """Return every place where an option lands, sorted; none for one that changes no graph.

    The daemons that features bring to nodes are asked only about options that land nowhere else: nearly
    everything that clients have lands there too, and says nothing of volumes without the feature.

    Args:
        name: the option.
        slots: what features add to graphs, and the graphs of their daemons.
        own: the option that puts the xlator into bricks, for one that no graph has by itself.
    """
    given = {own: _OWN_PLACE} if own else {}
    return _landings(name, slots, _graphs, given) or _landings(name, slots, _daemon_graphs, given)


def _landings(
    name: str,
    slots: Slots,
    graphs: Callable[[Shape, Mapping[str, str], Slots], _Graphs],
    given: Mapping[str, str],
) -> tuple[Landing, ...]:
    found: set[Landing] = set()
    for shape, options in _SAMPLES:
        for pair in _pairs(name):
            before, after = (graphs(shape, {**options, **given, name: value}, slots) for value in pair)
            for graph in before.keys() & after.keys():
                found |= set(_differences(graph[0], before[graph], after[graph]))
    return tuple(sorted(found))


def _pairs(name: str) -> Iterator[tuple[str, str]]:
    """Yield the values to compare: some of every kind, and the option's own words if it has any."""
    yield from _PAIRS
    for row in rows_by_name().get(canonical(name), ()):
        yield from ((row.choices[0], word) for word in row.choices[1:])


def effects(places: tuple[Landing, ...]) -> tuple[Effect, ...]:
    """Return what it takes until a change at these places counts, in the order of `Effect`."""
    found = {_effect(place) for place in places} or {Effect.NONE}
    return tuple(effect for effect in Effect if effect in found)


def _effect(place: Landing) -> Effect:
    live, start, topology = _LIVE.get(place.side, _LIVE_ON_DAEMON)
    if not place.key:
        return topology
    if (place.xlator, place.key) in UNREAD:
        return Effect.NONE
    once = (place.xlator, place.key) in READ_ONCE or place.key.startswith(_CONNECTION)
    return start if once else live


def _differences(side: str, before: Graph, after: Graph) -> Iterator[Landing]:
    old, new = ({xlator.name: xlator for xlator in graph} for graph in (before, after))
    for name in old.keys() | new.keys():
        one, other = old.get(name), new.get(name)
        if one is None or other is None or one.type != other.type:
            yield from (Landing(side, xlator.type, "") for xlator in (one, other) if xlator)
        else:
            yield from (Landing(side, one.type, key) for key in _changed_keys(one, other))


def _changed_keys(one: Xlator, other: Xlator) -> Iterator[str]:
    for key in one.options.keys() | other.options.keys():
        if one.options.get(key) != other.options.get(key):
            yield key.replace(_BRICK_PATH, "BRICK")


def _graphs(shape: Shape, options: Mapping[str, str], slots: Slots) -> _Graphs:
    """Return the graphs of a volume by side and name.

    What makes no graph is left out: a value that the option cannot have, a volume without a healer.
    """
    volume = _volume(shape, tuple(sorted(options.items())))
    found: _Graphs = {}
    with contextlib.suppress(VolfileError):
        found[Side.BRICK.value, ""] = brick_graph(volume, volume.bricks[0], slots=slots, secret=_SECRET)
    with contextlib.suppress(VolfileError):
        found[Side.CLIENT.value, ""] = client_graph(volume, slots=slots, secret=_SECRET)
    with contextlib.suppress(VolfileError):
        found[Side.CLIENT.value, "gfproxy"] = gfproxy_client_graph(volume, slots=slots, secret=_SECRET)
    with contextlib.suppress(VolfileError):
        found[Side.HEALER.value, ""] = shd_graph(volume, secret=_SECRET)
    return found


def _daemon_graphs(shape: Shape, options: Mapping[str, str], slots: Slots) -> _Graphs:
    """Return the graphs that a node has for its volumes of a feature; the features are on."""
    switched = {**dict.fromkeys(slots.graph_switches, "on"), **options}
    volume = _volume(shape, tuple(sorted(switched.items())))
    view = View(volume=volume, secret=_SECRET, slots=slots, host=volume.bricks[0].host)
    found: _Graphs = {}
    for entry in slots.graphs:
        with contextlib.suppress(VolfileError):
            if entry.node_wide and entry.exists(view):
                found[entry.name, ""] = entry.build(view)
    return found


def _volume(shape: Shape, options: tuple[tuple[str, str], ...]) -> VolumeRecord:
    bricks = tuple(
        BrickRecord(
            slot=f"0.{number}",
            brick_id=BrickId(f"v-client-{number}"),
            uuid=BrickUuid(f"00000000-0000-4000-8000-00000000000{number}"),
            peer=PeerName("p"),
            node_id=NodeId("n"),
            host="h",
            path=_BRICK_PATH,
            port=61000,
        )
        for number in range(3)
    )
    return VolumeRecord(
        name=VolumeName("v"),
        volume_id=VolumeId("00000000-0000-4000-8000-000000000001"),
        incarnation=1,
        generation=1,
        shape=shape,
        state=VolumeState.STARTED,
        bricks=bricks,
        options=options,
    )
