"""Plans of volumes with features, from YAML on."""

from __future__ import annotations

from dataclasses import replace

from reconciler.desired.load import load
from reconciler.desired.offline import offline_records
from reconciler.model.cluster import Desired
from reconciler.model.configured import ConfiguredCluster, PeerRecord, Settings, VolumeRecord
from reconciler.model.ids import ClusterId, NodeId
from reconciler.model.observed import BrickFact, BrickState, ObservedCluster, ObservedNode
from reconciler.plan.planner import Given, Stamp, make_plan
from reconciler.plan.step import Plan
from reconciler.shipped import shipped_features
from tests.unit.desired.declarations import REP3, cluster
from tests.volume_samples import SLOTS


def _desired(*volumes: str) -> Desired:
    return load([("c.yaml", cluster(*volumes).encode())], shipped_features())


def _plan(desired: Desired, *records: VolumeRecord, state: BrickState = BrickState.RUNNING) -> Plan:
    """Plan for a cluster whose peers all answer and whose bricks all are in one state."""
    spec = desired.spec
    nodes = {
        p.name: ObservedNode(
            node_id=NodeId(p.name),
            peer=p.name,
            live=True,
            answered=True,
            bricks={
                b.uuid: BrickFact(uuid=b.uuid, volume_id_configured=r.volume_id, state=state)
                for r in records
                for b in r.bricks
                if b.peer == p.name
            },
        )
        for p in spec.peers
    }
    configured = ConfiguredCluster(
        cluster_id=ClusterId("11111111-2222-4333-8444-555555555555"),
        name=spec.name,
        revision=1,
        settings=Settings(generation=1),
        peers={
            p.name: PeerRecord(name=p.name, address=p.address, zone=p.zone, node_id=NodeId(p.name))
            for p in spec.peers
        },
        volumes={r.name: r for r in records},
    )
    given = Given(
        desired=desired,
        configured=configured,
        observed=ObservedCluster(revision=1, observed_at=1, nodes=nodes),
        joined={p.name: NodeId(p.name) for p in spec.peers},
        slots=SLOTS,
    )
    return make_plan(given, Stamp(plan_id="p", now=1, tool_version="t"))


def test_a_feature_is_switched_on_under_running_bricks_and_then_there_is_nothing_to_do() -> None:
    (record,) = offline_records(_desired(REP3))
    with_key = _desired(REP3 + "shard: {enabled: true}\ntrash: {enabled: true}\n")
    plan = _plan(with_key, record)
    assert plan.blockers == ()
    assert [(change.address, change.detail, change.origin) for change in plan.changes[1:]] == [
        ("feature/home/shard", "(unset) → features.shard", ""),
        ("feature/home/trash", "(unset) → features.trash", ""),
        ("option/home/features.shard", "(unset) → on", "feature shard"),
        ("option/home/features.trash", "(unset) → on", "feature trash"),
    ]
    (after,) = plan.volumes.values()
    assert after.feature_options == (("features.shard", "shard"), ("features.trash", "trash"))
    for declared in (with_key, _desired(REP3)):
        again = _plan(declared, after)
        assert (again.changes, again.steps) == ((), ())


def test_bricks_of_declared_volumes_are_repaired_and_those_of_others_left_alone() -> None:
    (record,) = offline_records(_desired(REP3))
    other = replace(record, name="other", volume_id="5b0f2c1e-8a54-4f0e-9a3c-1d5f0a6e7c11", bricks=())
    stray = replace(other, bricks=tuple(replace(b, uuid=f"of-other-{b.slot}") for b in record.bricks))
    plan = _plan(_desired(REP3), record, stray, state=BrickState.CRASHED)
    assert {str(change.address) for change in plan.changes} == {f"brick/home/0.{i}" for i in range(3)}
