"""The rules of what a node serves: which configuration of a volume, under which keys. Pure.

The keys that mounts ask for are dictated by GlusterFS; all others are ours alone.
Source: glusterfs 10.3 xlators/mgmt/glusterd/src/glusterd-handshake.c: build_volfile_path (the ids of mounts);
api/src/glfs-mgmt.c and glusterfsd/src/glusterfsd-mgmt.c: glusterfs_volfile_fetch (what clients send).

Architecture Invariant: a key is looked up by exact match among the routes of configured volumes; nothing
that a caller sends becomes part of a path, and no route that carries credentials is open to TCP.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from reconciler.errors import VolfileError
from reconciler.model.volume import VolumeState
from reconciler.ports.staging import Serving, StagedVolume
from reconciler.volgen.brick import SHARED_STORAGE, brick_graph
from reconciler.volgen.client import client_graph
from reconciler.volgen.registry import shared_brick_count
from reconciler.volgen.services import rebalance_graph, shd_graph
from reconciler.volgen.text import write

if TYPE_CHECKING:
    from reconciler.model.configured import BrickRecord, Secret, VolumeRecord
    from reconciler.model.ids import BrickUuid, NodeId, VolumeId
    from reconciler.volgen.slots import Slots

GENERATIONS_KEY = ".gluster-state/generations"  #: cannot be a volume: names do not start with a dot
NEEDED_OP_VERSION = 100000  #: of every graph we render; GlusterFS 10 and 11 clients report it


class GraphKind(Enum):
    """The graphs of a volume that are served."""

    CLIENT = "client"
    TRUSTED = "trusted"
    SHD = "shd"
    REBALANCE = "rebalance"
    BRICK = "brick"


@dataclass(frozen=True, slots=True)
class Route:
    """What a key stands for. `brick` is set for a brick's graph only."""

    volume_id: VolumeId
    kind: GraphKind
    brick: BrickUuid | None = None

    @property
    def open_to_all(self) -> bool:
        """Return true if anybody may have it over TCP: it holds no credentials."""
        return self.kind is GraphKind.CLIENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a node holds of one volume.

    Attributes:
        committed: the last committed record; None for a volume that is only staged.
        staged: the record of an unfinished transaction.
        waiting: read from this node's disk and not yet confirmed: neither served nor started.
    """

    committed: VolumeRecord | None = None
    staged: StagedVolume | None = None
    secret: Secret | None = None
    waiting: bool = False

    @property
    def records(self) -> tuple[VolumeRecord, ...]:
        """Return the records there are, the staged one first."""
        both = (self.staged.record if self.staged else None, self.committed)
        return tuple(record for record in both if record is not None)


@dataclass(frozen=True, slots=True)
class RenderSite:
    """Where volfiles are rendered: the node, and what its features add to graphs."""

    node: NodeId
    slots: Slots


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredBrick:
    """A brick of this node that should run, with its volume as it is (or was last) committed."""

    volume: VolumeRecord
    brick: BrickRecord


def client_record(held: Held, *, connected: bool) -> VolumeRecord | None:
    """Return the record whose volfile mounts are given now, or None if they are refused."""
    if not _answers(held, connected=connected):
        return None
    record = held.committed
    if held.staged is not None and held.staged.serving is not Serving.COMMITTED:
        record = held.staged.record if held.staged.serving is Serving.STAGED else None
    return record if record is not None and record.state is VolumeState.STARTED else None


def daemon_record(held: Held, *, connected: bool) -> VolumeRecord | None:
    """Return the record that local daemons work with: what mounts have, whether or not it is started.

    The daemons of a new volume start before it is published, so they get what is staged.
    """
    if not _answers(held, connected=connected):
        return None
    if held.staged and (held.staged.serving is Serving.STAGED or held.committed is None):
        return held.staged.record
    return held.committed


def brick_record(
    held: Held, brick: BrickUuid, node: NodeId, *, connected: bool
) -> tuple[VolumeRecord, BrickRecord] | None:
    """Return a brick of this node with the volume it is rendered from: as staged, else as committed.

    A brick that the staged configuration has no more goes on with the committed one until it is stopped.
    """
    if not _answers(held, connected=connected):
        return None
    for record in held.records:
        for found in record.on_node(node):
            if found.uuid == brick:
                return record, found
    return None


def desired_bricks(held: Held, node: NodeId) -> tuple[DesiredBrick, ...]:
    """Return the bricks of this node that must be kept running.

    While something is staged these are only the bricks that the transaction does not touch: the others
    are started and stopped by its steps, and nobody else.
    """
    committed = held.committed
    if held.waiting or committed is None or committed.state is not VolumeState.STARTED:
        return ()
    bricks = committed.on_node(node)
    if held.staged is not None:
        after = held.staged.record
        kept = set(after.on_node(node)) if after.state is VolumeState.STARTED else set()
        bricks = tuple(brick for brick in bricks if brick in kept)
    return tuple(DesiredBrick(volume=committed, brick=brick) for brick in bricks)


def shd_expected(held: Held, node: NodeId) -> bool:
    """Return true if a self-heal daemon of the volume should run on this node."""
    return any(
        d.volume.shape.heals and d.volume.shape.bricks_per_subvolume > 1 for d in desired_bricks(held, node)
    )


def routes(held: Held, node: NodeId) -> Mapping[str, Route]:
    """Return every key under which something of the volume can be asked for on this node."""
    found: dict[str, Route] = {}
    for record in held.records:
        name, volume_id = record.name, record.volume_id
        found[f"trusted/{name}"] = Route(volume_id, GraphKind.TRUSTED)
        if name != SHARED_STORAGE:  # nobody untrusted may mount that one
            found |= {key: Route(volume_id, GraphKind.CLIENT) for key in (name, f"/{name}", f"{name}.tcp")}
        if record.shape.heals and record.shape.bricks_per_subvolume > 1:
            found[f"shd/{name}"] = Route(volume_id, GraphKind.SHD)
        if len(record.subvolumes()) > 1:
            found[f"rebalance/{name}"] = Route(volume_id, GraphKind.REBALANCE)
        for brick in record.on_node(node):
            found[brick_key(brick.uuid)] = Route(volume_id, GraphKind.BRICK, brick.uuid)
    return found


def brick_key(brick: BrickUuid) -> str:
    """Return the key under which a brick process fetches its volfile."""
    return f"brick/{brick}"


def source_of(
    held: Held, route: Route, node: NodeId, *, connected: bool
) -> tuple[VolumeRecord, BrickRecord | None] | None:
    """Return what a route's volfile is rendered from now, or None if it is refused."""
    if route.brick is not None:
        return brick_record(held, route.brick, node, connected=connected)
    choose = client_record if route.kind is GraphKind.CLIENT else daemon_record
    record = choose(held, connected=connected)
    return (record, None) if record is not None else None


def volfile(
    route: Route, source: tuple[VolumeRecord, BrickRecord | None], secret: Secret | None, site: RenderSite
) -> str:
    """Return the text of the volfile of a route, made from its source.

    Raises:
        VolfileError: the record makes no such graph, or its credentials are not known here.
    """
    kind, (record, brick), slots = route.kind, source, site.slots
    if kind is GraphKind.CLIENT:
        return write(client_graph(record, slots=slots))
    if secret is None:
        raise VolfileError(f"volume {record.name}: its credentials are not known on this node")
    if kind is GraphKind.BRICK:
        assert brick is not None
        count = shared_brick_count(record, brick, host=site.node)
        return write(brick_graph(record, brick, slots=slots, secret=secret, shared_brick_count=count))
    if kind is GraphKind.SHD:
        return write(shd_graph(record, secret=secret))
    if kind is GraphKind.REBALANCE:
        return write(rebalance_graph(record, secret=secret))
    return write(client_graph(record, slots=slots, secret=secret))


def _answers(held: Held, *, connected: bool) -> bool:
    """Return false while nothing may be said of the volume: what it is now is decided elsewhere.

    Without the store nobody here can know how the transaction of a staged record ended.
    """
    return not held.waiting and (connected or held.staged is None)
