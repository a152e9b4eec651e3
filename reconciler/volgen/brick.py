"""The graph of a brick process.

The stack is one ordered table, top first. It is the same for all volumes, so that switching a feature
changes options and not the topology: a running brick cannot change its topology (`needs_brick_restart`).

Source: glusterfs 10.3 xlators/mgmt/glusterd/src/glusterd-volgen.c: server_graph_table and the functions
it names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.errors import VolfileError
from reconciler.model.volume import VolumeType
from reconciler.volgen.graph import Draft, Graph
from reconciler.volgen.layer import Layer as _Layer
from reconciler.volgen.layer import Switched as _Switched
from reconciler.volgen.layer import always
from reconciler.volgen.option_table import Rule
from reconciler.volgen.settings import IO_STATS, VolumeSettings
from reconciler.volgen.slots import BrickSite

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.model.configured import BrickRecord, Secret, VolumeRecord
    from reconciler.volgen.slots import Slots

SHARED_STORAGE = "gluster_shared_storage"  #: the volume that only trusted clients may mount


def brick_graph(
    volume: VolumeRecord,
    brick: BrickRecord,
    *,
    slots: Slots,
    secret: Secret,
    shared_brick_count: int = 1,
    bind_address: str = "",
) -> Graph:
    """Return the graph of one brick.

    Args:
        volume: the volume the brick belongs to.
        brick: one of its bricks.
        slots: what features add to it.
        secret: credentials that give trusted clients access.
        shared_brick_count: bricks of this volume on the same filesystem of the same node, this one
            included; 0 in a graph that describes another node's brick. A wrong number makes `df` wrong.
        bind_address: address the brick listens on; empty for all. Lab setups pass it on the command line.

    Raises:
        VolfileError: options contradict each other or make no graph.
    """
    settings = VolumeSettings(volume.effective_options())
    _refuse_contradictions(settings)
    slots.refuse_missing(volume, settings)
    site = _Site(volume, brick, settings, secret, shared_brick_count, bind_address)
    extras = _user_xlators(settings)
    draft = Draft(volume.name)
    for layer in reversed(LAYERS):
        if layer.wanted(site):
            options = slots.brick_options(layer.type, site, layer.options(site))
            draft.stack(layer.type, options, name=layer.name(site))
        for xlator_type in settings.debug_types(_position(layer)):
            if not draft.holds(draft.name_of(xlator_type)):
                draft.stack(xlator_type)
        for user in extras.get(_position(layer), ()):
            draft.stack(f"user/{user}", _user_options(settings, user))
    settings.apply_stats(draft, Rule.BRICK_STATS)
    settings.apply(draft)
    return draft.graph()


def needs_brick_restart(before: Graph, after: Graph) -> bool:
    """Return true if a brick that runs `before` cannot become `after` by re-reading its volfile.

    A brick told to load another topology tries to start a second graph, cannot bind its port, and goes
    on with the old graph and the old options.
    """
    return before.topology != after.topology


@dataclass(frozen=True, slots=True)
class _Site(BrickSite):
    secret: Secret
    shared_brick_count: int
    bind_address: str


def _position(layer: _Layer[_Site]) -> str:
    """Return the name by which debugging and user xlators are placed above a layer."""
    return "" if layer.type == "protocol/server" else layer.type.rpartition("/")[2]


def _server(site: _Site) -> Mapping[str, str]:
    path, secret, settings = site.brick.path, site.secret, site.settings
    options = {"transport-type": "tcp", **settings.tls()}
    family = settings.declared("transport.address-family")
    if family is not None:
        options["transport.address-family"] = family
    if site.bind_address:
        options["transport.socket.bind-address"] = site.bind_address
    options[f"auth.login.{path}.allow"] = secret.username
    options[f"auth.login.{secret.username}.password"] = secret.password
    options["auth-path"] = path
    if site.volume.name == SHARED_STORAGE:
        options["strict-auth-accept"] = "true"
    common_names = settings.declared("auth.ssl-allow")
    if common_names is not None:
        options[f"auth.login.{path}.ssl-allow"] = common_names
    for row, value in settings.rows(Rule.AUTH):
        options[f"auth.addr.{path}.{row.key}"] = value
    return options


def _io_stats(site: _Site) -> Mapping[str, str]:
    return {"unique-id": site.brick.path, "volume-id": site.volume.volume_id}


def _quota(site: _Site) -> Mapping[str, str]:
    # The option is called uuid and wants the name.
    return {"volume-uuid": site.volume.name}


def _index(site: _Site) -> Mapping[str, str]:
    base = {"index-base": f"{site.brick.path}/.glusterfs/indices"}
    if site.volume.shape.type is VolumeType.DISPERSE:
        return base | {"xattrop64-watchlist": "trusted.ec.dirty"}
    # Also for plain distribute: such a volume may become a replicated one while it runs.
    return base | {
        "xattrop-dirty-watchlist": "trusted.afr.dirty",
        "xattrop-pending-watchlist": f"trusted.afr.{site.volume.name}-",
    }


def _marker(site: _Site) -> Mapping[str, str]:
    return {"volume-uuid": site.volume.volume_id}


def _changelog(site: _Site) -> Mapping[str, str]:
    return {
        "changelog-brick": site.brick.path,
        "changelog-dir": f"{site.brick.path}/.glusterfs/changelogs",
    }


def _trash(site: _Site) -> Mapping[str, str]:
    return {"trash-dir": ".trashcan", "brick-path": site.brick.path, "trash-internal-op": "off"}


def _posix(site: _Site) -> Mapping[str, str]:
    return {
        "directory": site.brick.path,
        "volume-id": site.volume.volume_id,
        "fips-mode-rchecksum": "on",
        "shared-brick-count": str(site.shared_brick_count),
    }


def _is_arbiter(site: _Site) -> bool:
    if site.volume.shape.arbiter != 1:
        return False
    return any(group[-1].brick_id == site.brick.brick_id for group in site.volume.subvolumes())


LAYERS: tuple[_Layer[_Site], ...] = (
    _Layer("protocol/server", _server),
    _Layer(IO_STATS, _io_stats, name=lambda site: site.brick.path),
    # Without pass-through sdfs would switch itself off.
    _Layer("features/sdfs", lambda _: {"pass-through": "false"}, _Switched("features.sdfs")),
    _Layer("features/namespace", wanted=_Switched("features.tag-namespaces")),
    _Layer("features/cdc", lambda _: {"mode": "server"}, _Switched("network.compression")),
    _Layer("features/quota", _quota),
    _Layer("features/index", _index),
    _Layer("features/barrier"),
    _Layer("features/marker", _marker),
    _Layer("features/selinux"),
    _Layer("performance/io-threads"),
    _Layer("features/upcall"),
    _Layer("features/leases"),
    _Layer("features/read-only", lambda _: {"read-only": "off"}),
    _Layer("features/worm"),
    _Layer("features/locks"),
    _Layer("features/access-control", wanted=_Switched("features.acl")),
    _Layer("features/bitrot-stub", lambda site: {"export": site.brick.path}),
    _Layer("features/changelog", _changelog),
    _Layer("features/trash", _trash),
    _Layer("features/arbiter", wanted=_is_arbiter),
    _Layer("storage/posix", _posix),
)


#: Ends of the types of a brick's xlators: a debugging or user xlator may be put above one.
PLACES = frozenset(_position(layer) for layer in LAYERS) - {""}
#: Types of the xlators that every brick has: features may set options on them.
FIXED_PLACES = frozenset(layer.type for layer in LAYERS if layer.wanted is always)


def _refuse_contradictions(settings: VolumeSettings) -> None:
    worm = settings.is_on("features.worm") or settings.is_on("features.worm-file-level")
    if worm and settings.is_on("features.read-only"):
        raise VolfileError("features.read-only and features.worm cannot both be on")


def _user_xlators(settings: VolumeSettings) -> dict[str, list[str]]:
    """Return the names of ``user.xlator.NAME: POSITION`` xlators by position."""
    found: dict[str, list[str]] = {}
    for option in settings.names():
        if not option.startswith("user.xlator.") or option.count(".") != 2:
            continue
        position = settings.declared(option) or ""
        if position not in PLACES:
            raise VolfileError(f"option {option}: a brick has no xlator {position!r} to put it on")
        found.setdefault(position, []).append(option.rpartition(".")[2])
    return found


def _user_options(settings: VolumeSettings, xlator: str) -> dict[str, str]:
    prefix = f"user.xlator.{xlator}."
    values = {name: settings.declared(name) for name in settings.names() if name.startswith(prefix)}
    return {name.rpartition(".")[2]: value for name, value in values.items() if value is not None}
