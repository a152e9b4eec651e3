"""What property tests draw: declarations, the same ones in another order, edits of them, and damage."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import strategies as st

from reconciler.desired.load import load
from reconciler.model.cluster import Desired
from reconciler.shipped import shipped_features
from tests.plan_world import MOUNT, PEERS, World

Document = dict[str, Any]

ACCEPTED = [{"code": code, "reason": "test"} for code in ("GS203", "GS204", "GS205")]
OPTIONS = st.dictionaries(
    st.sampled_from(["network.ping-timeout", "cluster.min-free-disk", "storage.reserve", "user.note"]),
    st.sampled_from(["5", "10", "20"]),
    max_size=3,
)
_SHAPES: list[tuple[Document, int]] = [
    ({"type": "distribute"}, 1),
    ({"type": "replicate", "replica": 2}, 2),
    ({"type": "replicate", "replica": 3}, 3),
    ({"type": "replicate", "replica": 3, "arbiter": 1}, 3),
    ({"type": "disperse", "data": 2, "redundancy": 1}, 3),
]
_STATES = st.sampled_from(["started", "started", "stopped"])
_POLICIES = st.sampled_from(["Protect", "Retain", "Delete"])
_RESTARTS = st.sampled_from([{"policy": "never"}, {"policy": "onCrash", "delay": "5s"}])


def read(document: Document) -> Desired:
    """Return what a document declares; JSON is YAML."""
    return load([("c.yaml", json.dumps(document).encode())], shipped_features())


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """A good Cluster of five peers that a plan makes without asking back."""
    names = draw(st.lists(st.sampled_from(["alpha", "beta", "home.x", "v-1"]), unique=True, max_size=3))
    ports = iter(range(61002, 61100, 3))
    return {
        "apiVersion": "gluster-state.io/v1",
        "kind": "Cluster",
        "metadata": {"name": "prod"},
        "spec": {
            "unprotectDelay": draw(st.sampled_from(["5s", "10m"])),
            "isolatedStart": draw(st.sampled_from(["wait", "start"])),
            "apply": {"rollback": draw(st.sampled_from(["change", "all", "none"]))},
            "peers": [{"name": p, "address": f"10.0.0.{p[2:]}", "zone": draw(_ZONES)} for p in PEERS],
            "volumes": [draw(volumes(name, ports)) for name in names],
        },
    }


_ZONES = st.sampled_from(["a", "b"])


@st.composite
def volumes(draw: st.DrawFn, name: str, ports: Any) -> Document:
    """A declared volume of any type; `ports` yields numbers that no other brick declares."""
    shape, size = draw(st.sampled_from(_SHAPES))
    count = size * draw(st.integers(1, 2))
    first = draw(st.integers(0, len(PEERS) - 1))
    bricks: list[Any] = []
    for i in range(count):
        peer, path = PEERS[(first + i) % len(PEERS)], f"{MOUNT}/{name}/b{i}"
        brick: Document = {"peer": peer, "path": path}
        if draw(st.booleans()):
            brick["port"] = next(ports)
        if draw(st.booleans()):
            brick["mount"] = MOUNT
        if draw(st.booleans()):
            brick["id"] = f"{name}-client-{count - 1 - i}"
        bricks.append(brick if len(brick) > 2 or draw(st.booleans()) else f"{peer}:{path}")
    return {
        "name": name,
        **copy.deepcopy(shape),
        "bricks": bricks,
        "state": draw(_STATES),
        "deletionPolicy": draw(_POLICIES),
        "options": draw(OPTIONS),
        "restart": draw(_RESTARTS),
        "acknowledge": copy.deepcopy(ACCEPTED),
    }


@st.composite
def edits(draw: st.DrawFn, document: Document, world: World) -> tuple[Document, tuple[str, ...]]:
    """An edit of a document that was applied to `world`, and the consent that its tombstones need."""
    edited = copy.deepcopy(document)
    spec = edited["spec"]
    changed = [draw(_edited(volume, world)) for volume in spec["volumes"]]
    kept = [volume for volume in changed if volume]
    allow = tuple(f"GS101=volume/{v['name']}" for v in kept if v["state"] == "absent")
    if draw(st.booleans()):
        kept.append(draw(volumes("fresh", iter(range(61200, 61300)))))
    spec["volumes"] = kept
    if draw(st.booleans()):
        spec["isolatedStart"] = draw(st.sampled_from(["wait", "start"]))
    used = {
        b["peer"] if isinstance(b, dict) else b.partition(":")[0] for v in kept for b in v.get("bricks", ())
    }
    idle = [p for p in spec["peers"] if p["name"] not in used]
    gone = draw(st.lists(st.sampled_from(idle), unique_by=lambda p: p["name"], max_size=2)) if idle else []
    spec["peers"] = [p for p in spec["peers"] if p not in gone] or spec["peers"]
    for peer in spec["peers"]:
        peer["zone"] = draw(_ZONES)
    return edited, allow


@st.composite
def _edited(draw: st.DrawFn, volume: Document, world: World) -> Document | None:
    """A volume changed in one way, its tombstone, or None for one that is not declared any more."""
    fresh = {"options": OPTIONS, "state": _STATES, "deletionPolicy": _POLICIES, "restart": _RESTARTS}
    what = draw(st.sampled_from(["keep", "drop", "delete", *fresh]))
    if what == "drop":
        return None
    if what == "delete" and volume["deletionPolicy"] != "Protect":
        live = world.configured.volumes[volume["name"]]
        return {"name": live.name, "state": "absent", "confirm": live.volume_id, "data": "retain"}
    return {**volume, what: draw(fresh[what])} if what in fresh else volume


@st.composite
def damages(draw: st.DrawFn, world: World) -> World:
    """The world with bricks and daemons that ended by themselves, and disks that are not the right ones."""
    hurt = world.copy()
    for node in hurt.nodes.values():
        for brick in sorted(node.running):
            what = draw(st.sampled_from(["keep", "keep", "crash", "refuse"]))
            if what != "keep":
                del node.running[brick]
            if what == "refuse":
                node.refused.add(brick)
        node.daemons = {v for v in sorted(node.daemons) if draw(st.booleans())}
    return hurt


def shuffled(draw: st.DrawFn, value: Any, key: str = "", above: str = "") -> Any:
    """Return `value` with keys and meaningless lists in another order."""
    if isinstance(value, dict):
        return {name: shuffled(draw, value[name], name, key) for name in draw(st.permutations(list(value)))}
    if isinstance(value, list):
        items = [shuffled(draw, item, key, above) for item in value]
        ordered = key == "bricks" or (key == "profiles" and items and isinstance(items[0], str))
        return items if ordered else draw(st.permutations(items))
    return value
