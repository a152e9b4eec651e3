"""A cluster as values, and what every kind of step does to it: the model that plans are held to.

Nothing here is taken from the planner: each step's meaning is written down once more, from what a node or
the store does with it, together with what must be true before it. Steps run in any order that their needs
allow, so a need that is missing shows.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from reconciler.model.cluster import Desired
from reconciler.model.codec import from_json
from reconciler.model.configured import (
    BrickRecord,
    ConfiguredCluster,
    PeerRecord,
    Retained,
    VolumeRecord,
)
from reconciler.model.ids import Address, BrickUuid, ClusterId, NodeId, PeerName, VolumeId, VolumeName
from reconciler.model.observed import (
    BrickFact,
    BrickState,
    ObservedCluster,
    ObservedNode,
    PathProbe,
    VolumeFact,
)
from reconciler.model.volume import VolumeState
from reconciler.plan.planner import Given, Stamp, make_plan
from reconciler.plan.step import Plan, Step, StepClass
from tests.volume_samples import SLOTS

CLUSTER = ClusterId("11111111-2222-4333-8444-555555555555")
PEERS = tuple(PeerName(f"gs{i}") for i in range(1, 6))
MOUNT = "/bricks"  #: where every node has its disk
BEGIN = 1_790_000_000


def node_id(peer: PeerName) -> NodeId:
    return NodeId(f"00000000-0000-4000-8000-{int(peer[2:]):012}")


@dataclass(slots=True)
class WorldNode:
    """A node: its disk, its processes, and the records its agent holds."""

    live: bool = True
    answers: bool = True
    disk: dict[str, tuple[VolumeId, BrickUuid]] = field(default_factory=dict)
    running: dict[BrickUuid, int] = field(default_factory=dict)  # with the port
    refused: set[BrickUuid] = field(default_factory=set)
    daemons: set[VolumeId] = field(default_factory=set)
    committed: dict[VolumeId, VolumeRecord] = field(default_factory=dict)
    staged: dict[VolumeId, VolumeRecord] = field(default_factory=dict)
    clients_get: dict[VolumeId, int] = field(default_factory=dict)  # the generation
    other_ports: set[int] = field(default_factory=set)

    def brick_fact(self, record: VolumeRecord, brick: BrickRecord) -> BrickFact:
        state = BrickState.STOPPED if record.state is VolumeState.STOPPED else BrickState.CRASHED
        if brick.uuid in self.running:
            state = BrickState.RUNNING
        if brick.uuid in self.refused:
            state = BrickState.REFUSED
        port = self.running.get(brick.uuid, 0)
        return BrickFact(
            uuid=brick.uuid,
            volume_id_configured=record.volume_id,
            state=state,
            pid=4711 if port else 0,
            port=port,
            problem="another disk" if state is BrickState.REFUSED else "",
        )

    def volume_fact(self, record: VolumeRecord, node: NodeId) -> VolumeFact:
        started = record.state is VolumeState.STARTED
        generation = self.clients_get.get(record.volume_id)
        return VolumeFact(
            volume_id=record.volume_id,
            generation=record.generation,
            served=generation is not None,
            client_digest=f"digest-{generation}" if generation else "",
            shd_pid=4712 if record.volume_id in self.daemons else 0,
            shd_expected=started and record.shape.heals and bool(record.on_node(node)),
        )


class World:
    """A cluster between plans."""

    def __init__(self, joined: Sequence[PeerName] = PEERS) -> None:
        self.configured = ConfiguredCluster(cluster_id=CLUSTER, name="prod", revision=1)
        self.nodes = {peer: WorldNode() for peer in joined}
        self.secrets: set[VolumeId] = set()
        self.now = BEGIN
        self.plans = 0

    def copy(self) -> World:
        return copy.deepcopy(self)

    # ------------------------------------------------------------ what is seen

    def given(self, desired: Desired, *, allow: tuple[str, ...] = ()) -> Given:
        """Return what a planner gets to see for a declaration."""
        wanted = [b for v in desired.spec.volumes if v.state is not VolumeState.ABSENT for b in v.bricks]
        paths = {peer: [b.path for b in wanted if b.peer == peer] for peer in self.nodes}
        return Given(
            desired=desired,
            configured=self.configured,
            observed=ObservedCluster(
                revision=self.configured.revision,
                observed_at=self.now,
                nodes={peer: self._seen(peer, node, paths[peer]) for peer, node in self.nodes.items()},
            ),
            joined={peer: node_id(peer) for peer in self.nodes},
            slots=SLOTS,
            allow=allow,
        )

    def _seen(self, peer: PeerName, node: WorldNode, paths: Sequence[str]) -> ObservedNode:
        held = node.committed.values()
        answered = node.live and node.answers
        return ObservedNode(
            node_id=node_id(peer),
            peer=peer,
            live=node.live,
            answered=answered,
            bricks={b.uuid: node.brick_fact(v, b) for v in held for b in v.on_node(node_id(peer))},
            volumes={v.volume_id: node.volume_fact(v, node_id(peer)) for v in held},
            probes={path: self._probe(peer, node, path) for path in paths} if answered else {},
            ports_in_use=tuple(sorted({*node.running.values(), *node.other_ports})) if answered else (),
        )

    def _probe(self, peer: PeerName, node: WorldNode, path: str) -> PathProbe:
        volume, brick = node.disk.get(path, ("", ""))
        return PathProbe(
            peer=peer,
            path=path,
            kind="directory" if volume else "absent",
            volume_id=volume,
            identity=brick,
            mount=MOUNT,
            fs_uuid=f"fs-{peer}",
            fs_type="xfs",
        )

    def plan(self, desired: Desired, *, allow: tuple[str, ...] = ()) -> Plan:
        """Plan at the world's time."""
        self.plans += 1
        stamp = Stamp(plan_id=f"p-{self.plans}", now=self.now, tool_version="0")
        return make_plan(self.given(desired, allow=allow), stamp)


Choose = Callable[[Sequence[Step]], Step]


def in_order(ready: Sequence[Step]) -> Step:
    return ready[0]


def simulate(plan: Plan, world: World, choose: Choose = in_order) -> World:
    """Return the world after all steps of a plan, run in an order that `choose` picks among ready ones."""
    after = _Applying(plan, world.copy())
    done: set[int] = set()
    of_part = Counter[int]()
    while len(done) < len(plan.steps):
        ready = [s for s in plan.steps if s.step_id not in done and done.issuperset(s.needs)]
        step = choose(ready)
        after.run(step, everything_else=of_part[step.part])
        done.add(step.step_id)
        of_part[step.part] += 1
    after.world.now += 10_000
    return after.world


class _Applying:
    """A plan at work on a world; one method for each kind of step, with what must hold before it."""

    def __init__(self, plan: Plan, world: World) -> None:
        self.plan, self.world = plan, world
        self.reversible = Counter(s.part for s in plan.steps if s.step_class is StepClass.COMPENSATABLE)
        self.to_inspect = {(s.part, s.args["brick"]) for s in plan.steps if s.kind == "brick.inspect"}
        self.inspected: set[tuple[int, object]] = set()

    def run(self, step: Step, everything_else: int) -> None:
        if step.step_class is not StepClass.COMPENSATABLE:
            reversible = self.reversible[step.part]
            assert everything_else >= reversible, f"{step.kind} before something that can be undone"
        if step.node is not None:
            assert step.peer is not None
            assert step.node == node_id(step.peer)
            node = self.world.nodes[step.peer]
            assert node.live, f"{step.kind} on {step.peer}, which is gone"
            assert node.answers, f"{step.kind} on {step.peer}, which did not answer"
        getattr(self, "_" + step.kind.replace(".", "_"))(step)

    # ------------------------------------------------------------ the store

    def _config_peer(self, step: Step) -> None:
        peer = from_json(PeerRecord, step.args["peer"])
        self._configure(peers={**self.world.configured.peers, peer.name: peer})

    def _config_settings(self, step: Step) -> None:
        self._configure(settings=replace(self.plan.settings, applied_at=self.world.now))

    def _volume_credentials(self, step: Step) -> None:
        assert step.volume is not None
        self._all_inspected(step)
        self.world.secrets.add(step.volume)

    def _config_volume(self, step: Step) -> None:
        record = self._record(step)
        configured = self.world.configured
        other = next((v for v in configured.volumes.values() if v.volume_id == record.volume_id), None)
        assert other is None or other.name == record.name, f"{record.name} is written over {other}"
        before = configured.volumes.get(record.name)
        assert record.generation == (before.generation + 1 if before else 1)
        if before is None or before.deletion_policy is not record.deletion_policy:
            record = replace(record, policy_since=self.world.now)
        self._configure(
            volumes={**configured.volumes, record.name: record},
            incarnations={**configured.incarnations, record.name: record.incarnation},
        )
        for peer, node in self.world.nodes.items():
            if peer in configured.peers and node.live:
                node.committed[record.volume_id] = record
                node.staged.pop(record.volume_id, None)
                node.clients_get.pop(record.volume_id, None)
                if record.state is VolumeState.STARTED:
                    node.clients_get[record.volume_id] = record.generation

    def _volume_repaired(self, step: Step) -> None:
        assert step.volume in self.plan.volumes

    def _config_retain(self, step: Step) -> None:
        record = self._record(step)
        volumes = {n: v for n, v in self.world.configured.volumes.items() if n != record.name}
        kept = Retained(volume=record, deleted_at=self.world.now)
        self._configure(volumes=volumes, retained=(*self.world.configured.retained, kept))
        for node in self.world.nodes.values():
            for held in (node.committed, node.staged, node.clients_get):
                held.pop(record.volume_id, None)

    def _configure(self, **values: object) -> None:
        configured = self.world.configured
        fresh = replace(configured, revision=configured.revision + 1, **values)  # type: ignore[arg-type]
        self.world.configured = fresh

    # ------------------------------------------------------------ nodes

    def _brick_inspect(self, step: Step) -> None:
        record, brick = self._brick(step)
        found = self._node(step).disk.get(brick.path)
        assert found in (None, (record.volume_id, brick.uuid)), f"{brick.path} is another brick"
        self.inspected.add((step.part, brick.uuid))

    def _all_inspected(self, step: Step) -> None:
        waiting = {one for one in self.to_inspect - self.inspected if one[0] == step.part}
        assert not waiting, "something is made before all of its part was looked at"

    def _brick_prepare(self, step: Step) -> None:
        record, brick = self._brick(step)
        assert record.volume_id in self.world.secrets
        self._all_inspected(step)
        self._node(step).disk[brick.path] = (record.volume_id, brick.uuid)

    def _volume_stage(self, step: Step) -> None:
        record = self._record(step)
        assert record.volume_id in self.world.secrets
        node = self._node(step)
        for brick in record.on_node(node_id(step.peer)):  # type: ignore[arg-type]
            assert node.disk.get(brick.path) == (record.volume_id, brick.uuid), "staged before prepared"
        node.staged[record.volume_id] = record

    def _volume_publish(self, step: Step) -> None:
        record = self._record(step)
        node = self._node(step)
        assert node.staged.get(record.volume_id) == record, "published before staged"
        self._all_run(record)
        node.clients_get[record.volume_id] = record.generation

    def _all_run(self, record: VolumeRecord) -> None:
        """Assert that a volume that clients did not have before runs in full when they get it."""
        before = self.plan.previous.get(record.volume_id)
        if before is not None and before.state is VolumeState.STARTED:
            return
        for brick in record.bricks:
            assert self.world.nodes[brick.peer].running.get(brick.uuid) == brick.port
            if record.shape.heals:
                assert record.volume_id in self.world.nodes[brick.peer].daemons

    def _volume_unpublish(self, step: Step) -> None:
        assert step.volume is not None
        self._node(step).clients_get.pop(step.volume, None)

    def _brick_start(self, step: Step) -> None:
        record, brick = self._brick(step)
        node = self._node(step)
        assert node.disk.get(brick.path) == (record.volume_id, brick.uuid)
        held = node.staged.get(record.volume_id) or node.committed.get(record.volume_id)
        assert held == record, "started before its node has the record"
        assert brick.uuid not in node.refused
        assert brick.port not in {*node.other_ports, *node.running.values()}, "its port is taken"
        node.running[brick.uuid] = brick.port

    def _brick_stop(self, step: Step) -> None:
        record, brick = self._brick(step)
        for peer, node in self.world.nodes.items():
            if node.live and peer in self.world.configured.peers and self._has_step(peer, "volume.unpublish"):
                assert record.volume_id not in node.clients_get, "stopped while clients are given it"
        assert record.volume_id not in self._node(step).daemons
        self._node(step).running.pop(brick.uuid, None)

    def _has_step(self, peer: PeerName, kind: str) -> bool:
        return any(s.kind == kind and s.peer == peer for s in self.plan.steps)

    def _shd_start(self, step: Step) -> None:
        record = self._record(step)
        running = self._node(step).running
        for brick in record.on_node(node_id(step.peer)):  # type: ignore[arg-type]
            assert brick.uuid in running or brick.uuid in self._node(step).refused
        self._node(step).daemons.add(record.volume_id)

    def _shd_stop(self, step: Step) -> None:
        assert step.volume is not None
        self._node(step).daemons.discard(step.volume)

    # ------------------------------------------------------------ what a step is about

    def _node(self, step: Step) -> WorldNode:
        assert step.peer is not None
        return self.world.nodes[step.peer]

    def _record(self, step: Step) -> VolumeRecord:
        assert step.volume is not None
        return self.plan.volumes.get(step.volume) or self.plan.previous[step.volume]

    def _brick(self, step: Step) -> tuple[VolumeRecord, BrickRecord]:
        record = self._record(step)
        brick = next(b for b in record.bricks if b.uuid == step.args["brick"])
        assert (brick.peer, brick.node_id) == (step.peer, step.node)
        return record, brick


# ---------------------------------------------------------------- what must be true at the end


def assert_as_declared(world: World, desired: Desired, before: Mapping[VolumeName, VolumeRecord]) -> None:
    """Assert that configuration and processes are what was declared, and the rest is what it was."""
    configured = world.configured
    for peer in desired.spec.peers:
        record = configured.peers[peer.name]
        assert (record.address, record.zone) == (peer.address, peer.zone)
    spec, settings = desired.spec, configured.settings
    assert (settings.brick_ports, settings.isolated_start) == (spec.brick_ports, spec.isolated_start)
    assert settings.unprotect_delay_s == spec.unprotect_delay_s
    assert settings.failure_domain == spec.failure_domain
    for volume in spec.volumes:
        if volume.state is VolumeState.ABSENT:
            assert volume.name not in configured.volumes
            continue
        live = configured.volumes[volume.name]
        assert (live.state, live.shape, live.restart) == (volume.state, volume.shape, volume.restart)
        assert live.deletion_policy is volume.deletion_policy
        assert dict(live.options) == {o.name: o.value for o in volume.options}
        assert [(b.peer, b.path) for b in live.bricks] == [(b.peer, b.path) for b in volume.bricks]
        for asked, brick in zip(volume.bricks, live.bricks, strict=True):
            assert asked.brick_id in (None, brick.brick_id)
            assert asked.port in (None, brick.port)
            node = world.nodes[brick.peer]
            runs = live.state is VolumeState.STARTED and brick.uuid not in node.refused
            assert node.running.get(brick.uuid) == (brick.port if runs else None)
            assert (live.volume_id in node.daemons) == (
                live.state is VolumeState.STARTED and live.shape.heals
            )
    declared = {v.name for v in spec.volumes}
    for name in before.keys() - declared:
        assert configured.volumes[name] == before[name]


def addresses_of(step: Step, plan: Plan) -> set[Address]:
    """Return the objects a step touches: its own, its volume and its peer."""
    touched = {step.address}
    if step.volume is not None:
        record = plan.volumes.get(step.volume) or plan.previous[step.volume]
        touched.add(record.address)
    if step.peer is not None:
        touched.add(Address(f"peer/{step.peer}"))
    return touched
