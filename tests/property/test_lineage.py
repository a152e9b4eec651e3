"""Volumes that are changed again and again, held at every step to a small model of what is right.

The model knows bricks as (peer, path, number, life) in groups, the numbers ever used, and options as a
dictionary. It shares no code with the product: declarations go in as text, volfiles come out as text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.cli.declaration import Declaration
from reconciler.cli.lineage import record_of
from reconciler.model.cluster import Desired
from reconciler.model.configured import Secret, VolumeRecord
from reconciler.model.ids import VolumeName
from reconciler.plan.succession import offline_creation, offline_successor
from reconciler.volgen.graph import Graph
from reconciler.volgen.render import all_graphs
from reconciler.volgen.text import parse, write
from tests.strategies import read
from tests.volume_samples import SLOTS

SECRET = Secret(username="u", password="p")
PEERS = 3
PINNED = {"transport.address-family": "inet"}
#: Options that land on one kind of xlator each: name, type and key there, and two values.
OPTIONS = {
    "network.ping-timeout": ("protocol/client", "ping-timeout", ("11", "12")),
    "cluster.min-free-disk": ("cluster/distribute", "min-free-disk", ("3%", "4%")),
    "client.event-threads": ("protocol/client", "event-threads", ("3", "4")),
    "cluster.lookup-optimize": ("cluster/distribute", "lookup-optimize", ("on", "off")),
}
#: Where the group ``metadata-cache`` lands: on the client, by type and key.
GROUP = {
    ("performance/md-cache", "cache-invalidation"): "on",
    ("performance/md-cache", "md-cache-timeout"): "600",
}
THREADS = "performance.client-io-threads"


@dataclass(frozen=True)
class Brick:
    peer: int
    path: str
    number: int
    life: int  #: counts the directories that were ever made a brick

    @property
    def id(self) -> str:
        return f"v-client-{self.number}"


@dataclass
class Volume:
    """The model. `size` is bricks per subvolume; `kind` is distribute, replicate, arbiter or disperse."""

    kind: str
    size: int
    born: str
    groups: list[list[Brick]] = field(default_factory=list)
    used: set[int] = field(default_factory=set)
    lives: int = 0
    directories: int = 0
    left: list[tuple[int, str]] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)
    group: bool = False

    def fresh(self, again: bool) -> Brick:
        """Return a brick with the next number, in a new directory or in one that had left."""
        peer, path = self._place(again)
        number = max(self.used, default=-1) + 1
        self.used.add(number)
        return Brick(peer, path, number, self._life())

    def replacement(self, old: Brick, again: bool) -> Brick:
        peer, path = self._place(again)
        self.left.append((old.peer, old.path))
        return Brick(peer, path, old.number, self._life())

    def leave(self, bricks: list[Brick]) -> None:
        self.left += [(brick.peer, brick.path) for brick in bricks]

    def _place(self, again: bool) -> tuple[int, str]:
        if again and self.left:
            return self.left.pop(0)
        self.directories += 1
        return self.directories % PEERS, f"/b/v/{self.directories}"

    def _life(self) -> int:
        self.lives += 1
        return self.lives

    @property
    def replica(self) -> bool:
        return self.kind in ("replicate", "arbiter")

    def document(self, ids: bool = False) -> dict[str, Any]:
        shapes: dict[str, dict[str, Any]] = {
            "distribute": {"type": "distribute"},
            "replicate": {"type": "replicate", "replica": self.size},
            "arbiter": {"type": "replicate", "replica": 3, "arbiter": 1},
            "disperse": {"type": "disperse", "data": 2, "redundancy": 1},
        }
        bricks = [brick for group in self.groups for brick in group]
        volume = {
            "name": "v",
            **shapes[self.kind],
            "bricks": [
                {"peer": f"gs{b.peer}", "path": b.path, **({"id": b.id} if ids else {})} for b in bricks
            ],
            "options": self.options,
            "acknowledge": [{"code": c, "reason": "test"} for c in ("GS203", "GS204", "GS205")],
            "profiles": ["builtin/metadata-cache"] if self.group else [],
        }
        peers = [{"name": f"gs{i}", "address": f"10.0.0.{i + 1}"} for i in range(PEERS)]
        return {
            "apiVersion": "gluster-state.io/v1",
            "kind": "Cluster",
            "metadata": {"name": "prod"},
            "spec": {"peers": peers, "volumes": [volume]},
        }

    def pinned(self) -> dict[str, str]:
        """Return what was fixed at creation; client threads follow the type."""
        found = dict(PINNED)
        if self.born in ("replicate", "arbiter"):
            found["cluster.granular-entry-heal"] = "on"
        if self.replica:
            found[THREADS] = "off"
        return found


# ---------------------------------------------------------------- steps


def new(draw: st.DrawFn) -> Volume:
    kind = draw(st.sampled_from(["distribute", "replicate", "replicate", "arbiter", "disperse"]))
    size = {"distribute": 1, "replicate": draw(st.integers(2, 3)), "arbiter": 3, "disperse": 3}[kind]
    volume = Volume(kind, size, kind)
    volume.groups = [[volume.fresh(False) for _ in range(size)] for _ in range(draw(st.integers(1, 3)))]
    return volume


def add(volume: Volume, draw: st.DrawFn) -> None:
    for _ in range(draw(st.integers(1, 2))):
        again = draw(st.booleans())
        volume.groups.append([volume.fresh(again) for _ in range(volume.size)])


def remove(volume: Volume, draw: st.DrawFn) -> None:
    if len(volume.groups) > 1:
        volume.leave(volume.groups.pop(draw(st.integers(0, len(volume.groups) - 1))))


def replace_one(volume: Volume, draw: st.DrawFn) -> None:
    if volume.size > 1:
        group = draw(st.sampled_from(volume.groups))
        position = draw(st.integers(0, volume.size - 1))
        group[position] = volume.replacement(group[position], draw(st.booleans()))


def grow(volume: Volume, draw: st.DrawFn) -> None:
    """Add a replica to every subvolume, or an arbiter; new numbers go round the subvolumes."""
    if volume.kind in ("disperse", "arbiter") or volume.size == 3:
        return
    for group in volume.groups:
        group.append(volume.fresh(False))
    volume.size += 1
    volume.kind = "arbiter" if volume.size == 3 and draw(st.booleans()) else "replicate"


def shrink(volume: Volume, draw: st.DrawFn) -> None:
    """Remove a replica from every subvolume: the arbiter, if there is one."""
    if not volume.replica:
        return
    for group in volume.groups:
        position = 2 if volume.kind == "arbiter" else draw(st.integers(0, volume.size - 1))
        volume.leave([group.pop(position)])
    volume.size -= 1
    volume.kind = "replicate" if volume.size > 1 else "distribute"


def set_one(volume: Volume, draw: st.DrawFn) -> None:
    name = draw(st.sampled_from([*OPTIONS, THREADS]))
    volume.options[name] = draw(st.sampled_from(OPTIONS[name][2] if name in OPTIONS else ("on", "off")))


def reset_one(volume: Volume, draw: st.DrawFn) -> None:
    if volume.options:
        del volume.options[draw(st.sampled_from(sorted(volume.options)))]


def reset_all(volume: Volume, draw: st.DrawFn) -> None:
    volume.options, volume.group = {}, False


def group(volume: Volume, draw: st.DrawFn) -> None:
    volume.group = True


BRICKS = [add, remove, replace_one, replace_one, grow, shrink]
SETTINGS = [set_one, set_one, reset_one, reset_all, group]


# ---------------------------------------------------------------- what must hold


def rendered(record: VolumeRecord) -> dict[str, Graph]:
    """Return all graphs, read back from their text."""
    graphs = all_graphs(record, slots=SLOTS, secret=SECRET, host=record.bricks[0].host)
    return {name: parse(write(graph)) for name, graph in graphs.items()}


def assert_graphs(volume: Volume, record: VolumeRecord) -> None:
    bricks = [brick for group in volume.groups for brick in group]
    graphs = rendered(record)
    for name in ("v.tcp-fuse.vol", "trusted-v.tcp-fuse.vol", "v.gfproxyd.vol"):
        graph = {xlator.name: xlator for xlator in graphs[name]}
        clients = [x for x in graph.values() if x.type == "protocol/client"]
        assert [x.name for x in clients] == [brick.id for brick in bricks]
        remotes = [(x.options["remote-host"], x.options["remote-subvolume"]) for x in clients]
        assert remotes == [(f"10.0.0.{b.peer + 1}", b.path) for b in bricks]
        below = assert_subvolumes(volume, graph)
        assert list(graph["v-dht"].subvolumes) == below
    fuse = {x.name: x for x in graphs["v.tcp-fuse.vol"]}
    assert ("v-io-threads" in fuse) == (assumed(volume, THREADS, "on") == "on")
    for name, (kind, key, _) in OPTIONS.items():
        default = "42" if key == "ping-timeout" else None
        found = {x.options.get(key) for x in fuse.values() if x.type == kind}
        assert found == {volume.options.get(name, default)}, name
    for (kind, key), value in GROUP.items():
        assert {x.options.get(key) for x in fuse.values() if x.type == kind} == {
            value if volume.group else None
        }
    assert ("v-shd.vol" in graphs) == (volume.kind != "distribute")


def assumed(volume: Volume, name: str, default: str) -> str:
    return volume.options.get(name) or volume.pinned().get(name) or default


def assert_subvolumes(volume: Volume, graph: dict[str, Any]) -> list[str]:
    """Check what stands between the clients and distribution; return distribution's children."""
    kinds = [x for x in graph.values() if x.type in ("cluster/replicate", "cluster/disperse")]
    if volume.kind == "distribute":
        assert kinds == []
        return [brick.id for group in volume.groups for brick in group]
    word = "replicate" if volume.replica else "disperse"
    names = [f"v-{word}-{i}" for i in range(len(volume.groups))]
    assert [x.name for x in kinds] == names
    for name, bricks in zip(names, volume.groups, strict=True):
        ids = [brick.id for brick in bricks]
        assert list(graph[name].subvolumes) == ids
        assert graph[name].options.get("afr-pending-xattr") == (",".join(ids) if volume.replica else None)
        assert graph[name].options.get("arbiter-count") == ("1" if volume.kind == "arbiter" else None)
        granular = "on" if "cluster.granular-entry-heal" in volume.pinned() and volume.replica else None
        assert graph[name].options.get("granular-entry-heal") == granular
    return names


def assert_record(volume: Volume, record: VolumeRecord, uuids: dict[int, str]) -> None:
    """Check ids, places, and that every directory that ever was a brick has a UUID of its own."""
    bricks = [brick for group in volume.groups for brick in group]
    assert [(b.brick_id, b.peer, b.path) for b in record.bricks] == [
        (b.id, f"gs{b.peer}", b.path) for b in bricks
    ]
    slots = [f"{g}.{i}" for g in range(len(volume.groups)) for i in range(volume.size)]
    assert [b.slot for b in record.bricks] == slots
    assert record.next_client == max(volume.used) + 1
    assert dict(record.pinned) == volume.pinned()
    ports: set[tuple[str, int]] = {(b.peer, b.port) for b in record.bricks}
    assert len(ports) == len(record.bricks)
    for brick, found in zip(bricks, record.bricks, strict=True):
        assert uuids.setdefault(brick.life, found.uuid) == found.uuid
    assert len(set(uuids.values())) == len(uuids)


def changed(record: VolumeRecord | None, desired: Desired) -> VolumeRecord:
    (spec,) = desired.spec.volumes
    if record is not None:
        return offline_successor(record, desired, spec)
    found = offline_creation(desired, VolumeName("v"))
    assert found is not None
    return found


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_ids_and_graphs_are_right_at_every_step(data: st.DataObject) -> None:
    draw: Any = data.draw
    volume, uuids = new(draw), dict[int, str]()
    row = [read(volume.document())]
    record = changed(None, row[0])
    assert_record(volume, record, uuids)
    assert_graphs(volume, record)
    for _ in range(draw(st.integers(1, 6))):
        before, topology = record, rendered(record)
        step = draw(st.sampled_from(BRICKS + SETTINGS))
        step(volume, draw)
        row.append(read(volume.document()))
        record = changed(record, row[-1])
        assert record.generation == before.generation + 1
        assert_record(volume, record, uuids)
        assert_graphs(volume, record)
        if step in SETTINGS:
            assert record.bricks == before.bricks
            assert_only_options_changed(topology, rendered(record))
    assert record_of("v", [as_given(desired) for desired in row]) == record
    assert_as_if_ids_were_declared(volume, record)


def as_given(desired: Desired) -> Declaration:
    return Declaration(files=(), desired=desired, findings=())


def assert_only_options_changed(before: dict[str, Graph], after: dict[str, Graph]) -> None:
    """Check that a setting changes no brick, no client and no subvolume."""
    assert before.keys() == after.keys()
    cluster = ("protocol/client", "cluster/replicate", "cluster/disperse", "cluster/distribute")
    for name, graph in before.items():
        lower = [
            [(x.name, x.type, x.subvolumes) for x in g if x.type in cluster] for g in (graph, after[name])
        ]
        assert lower[0] == lower[1]
        if name.startswith("v.10."):
            assert [(x.name, x.type) for x in graph] == [(x.name, x.type) for x in after[name]]


def assert_as_if_ids_were_declared(volume: Volume, record: VolumeRecord) -> None:
    """Check that a new volume of this shape with these ids written down has the very same graphs."""
    written = changed(None, read(volume.document(ids=True)))
    graphs, others = rendered(record), rendered(written)
    assert graphs.keys() == others.keys()
    if record.pinned == written.pinned:
        assert {n: write(g) for n, g in graphs.items()} == {n: write(g) for n, g in others.items()}
