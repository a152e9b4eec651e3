"""The plans that are crashed: made by the real planner from declarations, for a cluster of three nodes.

A scenario is what the store and the nodes hold before, and the plan. Every run begins from the same store,
revision by revision, so that the plan's read set holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache

from reconciler.adapters.memory_store import MemoryStore
from reconciler.engine.store_steps import effect_of
from reconciler.model import keys
from reconciler.model.cluster import OnCrash, Rollback
from reconciler.model.codec import encode
from reconciler.model.configured import Secret
from reconciler.model.ids import ClusterId, NodeId, PeerName, StepId
from reconciler.model.observed import ObservedCluster, ObservedNode, PathProbe
from reconciler.observe import configured_in
from reconciler.plan.planner import Given, Stamp, make_plan
from reconciler.plan.records import peer_records
from reconciler.plan.step import Plan
from reconciler.ports.store import MAX_OPS, Commit, Put
from tests.sim.world import Cells, after_all
from tests.unit.desired.declarations import cluster, desired
from tests.volume_samples import SLOTS

CLUSTER = ClusterId("7b0e0000-0000-4000-8000-000000000000")
NAME = "prod"
NOW = 1_800_000_000
LATER = NOW + 3600
SECRET = Secret(username="u" * 32, password="p" * 32)
JOINED = {PeerName(f"gs{i}"): NodeId(f"0b5ac1de-0000-4000-8000-00000000000{i}") for i in (1, 2, 3)}
NODES = tuple(JOINED.values())

REPLICA = """\
name: home
type: replicate
replica: 3
deletionPolicy: Delete
bricks: ["gs1:/b/home", "gs2:/b/home", "gs3:/b/home"]
"""
DISPERSE = """\
name: vault
type: disperse
data: 2
redundancy: 1
bricks: ["gs1:/b/vault", "gs2:/b/vault", "gs3:/b/vault"]
"""
DISTRIBUTE = """\
name: tmp
type: distribute
acknowledge: [{code: GS204, reason: scratch}]
bricks: ["gs2:/b/tmp", "gs3:/b/tmp"]
"""
SINGLE = """\
name: one
type: distribute
acknowledge: [{code: GS204, reason: scratch}, {code: GS203, reason: scratch}]
bricks: ["gs3:/b/one"]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Where a run begins, and what it is to do. `entries` are written in their order."""

    name: str
    plan: Plan
    entries: Mapping[str, str] = field(default_factory=dict)
    cells: Cells = field(default_factory=dict)

    def store(self, store: MemoryStore) -> None:
        """Fill an empty store."""
        _fill(store, self.entries)

    def expected(self) -> Cells:
        """Return what the nodes hold when every step was done."""
        return after_all(self.plan, self.cells)


def scenario(name: str) -> Scenario:
    """Return a scenario by its name in _SCENARIOS."""
    return _SCENARIOS[name]()


@cache
def _one() -> Scenario:
    return Scenario(name="one", plan=_plan(cluster(REPLICA), {}, at=NOW))


@cache
def _several() -> Scenario:
    text = cluster(REPLICA, DISPERSE, DISTRIBUTE)
    return Scenario(name="several", plan=_plan(text, {}, at=NOW))


def _parts(rollback: Rollback = Rollback.CHANGE, on_crash: OnCrash = OnCrash.CONTINUE) -> Scenario:
    """A volume changes and another one is made: two parts, on nodes that they share in part."""
    return _cached_parts(rollback, on_crash)


@cache
def _cached_parts(rollback: Rollback, on_crash: OnCrash) -> Scenario:
    entries, cells = _applied(_one())
    text = cluster(REPLICA + "options: {network.ping-timeout: 20}\n", SINGLE)
    plan = _plan(text, entries, at=LATER, modes=(rollback, on_crash))
    name = "parts" if rollback is Rollback.CHANGE else f"parts-{rollback.value}"
    name = "parts-crash" if on_crash is OnCrash.ROLLBACK else name
    return Scenario(name=name, plan=plan, entries=entries, cells=cells)


@cache
def _many() -> Scenario:
    """A volume with many bricks on few nodes: more is ready at once than a node is given at once."""
    bricks = ", ".join(f'"gs{i % 3 + 1}:/b/m{i}"' for i in range(18))
    text = f"name: many\ntype: distribute\nacknowledge: [{{code: GS204, reason: x}}]\nbricks: [{bricks}]\n"
    return Scenario(name="many", plan=_plan(cluster(text), {}, at=NOW))


@cache
def _option() -> Scenario:
    before = _one()
    entries, cells = _applied(before)
    changed = REPLICA + "options: {network.ping-timeout: 20}\n"
    return Scenario(
        name="option", plan=_plan(cluster(changed), entries, at=LATER), entries=entries, cells=cells
    )


@cache
def _delete() -> Scenario:
    before = _one()
    entries, cells = _applied(before)
    volume = next(iter(before.plan.volumes))
    gone = f"{{name: home, state: absent, confirm: {volume}, data: retain}}"
    plan = _plan(cluster(gone), entries, at=LATER, allow=("GS101=volume/home",))
    return Scenario(name="delete", plan=plan, entries=entries, cells=cells)


@cache
def _wide() -> Scenario:
    """A volume whose records take several commits: only the step that writes them, no node's."""
    bricks = ", ".join(f'"gs{i % 3 + 1}:/b/w{i}"' for i in range(200))
    wide = f"name: wide\ntype: distribute\nacknowledge: [{{code: GS204, reason: x}}]\nbricks: [{bricks}]\n"
    plan = _plan(cluster(wide + "deletionPolicy: Delete\n"), {}, at=NOW)
    return Scenario(name="wide", plan=_only(plan, "volume.credentials", "config.volume"))


@cache
def _wide_delete() -> Scenario:
    entries, _ = _applied(_wide())
    volume = next(iter(_wide().plan.volumes))
    peers = {
        keys.peer(CLUSTER, p): encode(r) for p, r in peer_records(desired(cluster()).spec, JOINED).items()
    }
    settings = {keys.settings(CLUSTER): encode(_wide().plan.settings)}
    entries = {**entries, **peers, **settings}
    gone = f"{{name: wide, state: absent, confirm: {volume}, data: retain}}"
    plan = _plan(cluster(gone), entries, at=LATER, allow=("GS101=volume/wide",))
    return Scenario(name="wide-delete", plan=_only(plan, "config.retain"), entries=entries)


_SCENARIOS = {
    "one": _one,
    "several": _several,
    "parts": _parts,
    "parts-all": lambda: _parts(Rollback.ALL),
    "parts-none": lambda: _parts(Rollback.NONE),
    "parts-crash": lambda: _parts(on_crash=OnCrash.ROLLBACK),
    "many": _many,
    "option": _option,
    "delete": _delete,
    "wide": _wide,
    "wide-delete": _wide_delete,
}


def _only(plan: Plan, *kinds: str) -> Plan:
    """Return the plan with the steps of some kinds, one after the other."""
    kept = [s for s in plan.steps if s.kind in kinds]
    steps = tuple(
        replace(s, step_id=StepId(i), needs=(StepId(i - 1),) if i > 1 else ()) for i, s in enumerate(kept, 1)
    )
    return replace(plan, steps=steps)


def _fill(store: MemoryStore, entries: Mapping[str, str]) -> None:
    puts = [Put(key, value) for key, value in entries.items()]
    for first in range(0, len(puts), MAX_OPS):
        assert store.commit(Commit(when=(), then=tuple(puts[first : first + MAX_OPS]))).succeeded


def _plan(
    text: str,
    entries: Mapping[str, str],
    *,
    at: int,
    allow: tuple[str, ...] = (),
    modes: tuple[Rollback, OnCrash] = (Rollback.CHANGE, OnCrash.CONTINUE),
) -> Plan:
    store = MemoryStore()
    _fill(store, entries)
    snapshot = store.read_prefix(keys.cluster_prefix(CLUSTER))
    wanted = desired(text)
    wanted = replace(wanted, spec=replace(wanted.spec, rollback=modes[0], on_crash=modes[1]))
    probes: dict[str, dict[str, PathProbe]] = {peer: {} for peer in JOINED}
    for volume in wanted.spec.volumes:
        for brick in volume.bricks:
            probes[brick.peer][brick.path] = PathProbe(
                peer=brick.peer, path=brick.path, kind="absent", mount="/b", fs_uuid="f-1", fs_type="xfs"
            )
    nodes = {
        peer: ObservedNode(node_id=node, peer=peer, live=True, answered=True, probes=probes[peer])
        for peer, node in JOINED.items()
    }
    plan = make_plan(
        Given(
            desired=wanted,
            configured=configured_in(snapshot, CLUSTER, NAME),
            observed=ObservedCluster(revision=snapshot.revision, observed_at=at, nodes=nodes),
            joined=JOINED,
            slots=SLOTS,
            allow=allow,
        ),
        Stamp(plan_id=f"p-{at:x}-0123456789", now=at, tool_version="0"),
    )
    assert not plan.blockers, plan.blockers
    assert plan.steps
    return plan


def _applied(before: Scenario) -> tuple[dict[str, str], Cells]:
    """Return the store and the nodes as a plan leaves them: its store steps done one after the other."""
    store = MemoryStore()
    before.store(store)
    prefix = keys.cluster_prefix(CLUSTER)
    for step in before.plan.steps:
        if step.node is None:
            entries = {e.key: e for e in store.read_prefix(prefix).entries}
            effect = effect_of(step, before.plan, entries, now=NOW, secret=lambda: SECRET)
            for batch in (*effect.early, effect.operations):
                assert store.commit(Commit(when=(), then=batch)).succeeded
    kept = {e.key: e.value for e in store.read_prefix(prefix).entries}
    # Once a generation is committed, nodes forget that they staged it.
    cells = {k: v for k, v in before.expected().items() if not k.startswith("serve/")}
    return kept, cells
