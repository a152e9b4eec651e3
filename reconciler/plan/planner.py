"""Desired x configured x observed -> plan. Pure: time and the plan's id are arguments.

Same inputs give the same plan, byte for byte, apart from its id and times.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from reconciler.diff.change import (
    Difference,
    LayoutChanged,
    PeerAdded,
    PeerChanged,
    SettingsChanged,
    Unmanaged,
    VolumeAdded,
    VolumeChanged,
    VolumeRemoved,
)
from reconciler.diff.compare import declared_settings, differences
from reconciler.model.cluster import Desired, PeerState
from reconciler.model.codec import canonical
from reconciler.model.configured import BrickRecord, ConfiguredCluster, PeerRecord, Secret, VolumeRecord
from reconciler.model.ids import Address, NodeId, PeerName, VolumeId
from reconciler.model.observed import BrickState, ObservedCluster
from reconciler.model.volume import VolumeState
from reconciler.plan import refusals
from reconciler.plan.drift import find_drift
from reconciler.plan.records import Ports, new_volume, peer_records, ports_of, with_settings
from reconciler.plan.sequence import Work, sequence
from reconciler.plan.step import (
    Action,
    Attribution,
    Blocker,
    Plan,
    PlannedChange,
    ReadKey,
)
from reconciler.volgen.brick import brick_graph, needs_brick_restart

EXPIRES_AFTER_S = 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What differs between two plans of the same input."""

    plan_id: str
    now: int
    tool_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a plan is made from. `joined` binds peer names to nodes; `allow` holds ``CODE=ADDRESS``."""

    desired: Desired
    configured: ConfiguredCluster
    observed: ObservedCluster
    joined: Mapping[PeerName, NodeId]
    allow: tuple[str, ...] = ()


def make_plan(given: Given, stamp: Stamp) -> Plan:
    """Return the plan that makes the cluster what the declaration says."""
    return _Planner(given, stamp).plan()


class _Planner:
    """One planning. Collects changes, blockers and work while walking the differences."""

    def __init__(self, given: Given, stamp: Stamp) -> None:
        self._given, self._stamp = given, stamp
        self._spec = given.desired.spec
        self._allowed = frozenset(given.allow)
        self._changes: list[PlannedChange] = []
        self._blockers: list[Blocker] = []
        self._unmanaged: list[Address] = []
        self._peers = {**given.configured.peers, **peer_records(self._spec, given.joined)}
        self._new_peers: list[PeerRecord] = []
        self._settings_changed = False
        self._ports: Ports = ports_of(self._spec, given.configured, given.observed)
        self._by_kind: dict[str, list[VolumeRecord]] = {
            kind: [] for kind in ("created", "changed", "started", "stopped", "deleted")
        }

    def plan(self) -> Plan:
        """Return the plan."""
        given, stamp = self._given, self._stamp
        unobserved = self._unobserved()
        for found in differences(self._spec, given.configured):
            self._take(found, frozenset(unobserved))
        drift = find_drift(
            given.configured, given.observed, {v.name: v.ignore_drift for v in self._spec.volumes}
        )
        repaired = self._repairs()
        work = Work(
            new_peers=tuple(self._new_peers),
            changed_settings=self._settings_changed,
            repaired=repaired,
            **{kind: tuple(volumes) for kind, volumes in self._by_kind.items()},
        )
        blocked = bool(self._blockers or unobserved)
        steps = () if blocked else sequence(work, dict(sorted(self._serving_peers().items())))
        touched = self._touched(repaired)
        deleted = {v.volume_id for v in self._by_kind["deleted"]}
        previous = {r.volume_id: r for r in given.configured.volumes.values() if r.volume_id in touched}
        settings = declared_settings(self._spec)
        return Plan(
            plan_id=stamp.plan_id,
            cluster_id=given.configured.cluster_id,
            cluster_name=given.configured.name,
            created=stamp.now,
            expires=stamp.now + EXPIRES_AFTER_S,
            tool_version=stamp.tool_version,
            desired_digest=given.desired.digest,
            source={"kind": "files", "files": list(given.desired.files)},
            revision=given.configured.revision,
            observed_at=given.observed.observed_at,
            observation=self._observation(),
            unobserved=unobserved,
            read_set=self._read_set(touched),
            changes=tuple(self._changes),
            steps=steps,
            volumes={v: r for v, r in touched.items() if v not in deleted},
            previous=previous,
            settings=replace(
                settings,
                generation=given.configured.settings.generation + (1 if self._settings_changed else 0),
                desired_digest=given.desired.digest,
            ),
            drift=drift,
            blockers=tuple(self._blockers),
            unmanaged=tuple(self._unmanaged),
            required_allow=tuple(sorted(f"GS101={v.address}" for v in self._by_kind["deleted"])),
            safety=self._safety(),
            diagnostics=given.desired.warnings,
            checked=self._checked(),
        )

    # ------------------------------------------------------------ differences

    def _take(self, found: Difference, unobserved: frozenset[PeerName]) -> None:
        match found:
            case PeerAdded(spec=spec) | PeerChanged(spec=spec):
                if spec.name in self._given.joined:
                    record = self._peers[spec.name]
                    self._new_peers.append(record)
                    old = self._given.configured.peers.get(spec.name)
                    self._changes.append(
                        PlannedChange(
                            address=Address(f"peer/{spec.name}"),
                            action=Action.CHANGE if old else Action.ADD,
                            before=old.address if old else None,
                            after=spec.address,
                            detail=f"{spec.address}" + (f" zone {spec.zone}" if spec.zone else ""),
                        )
                    )
            case SettingsChanged():
                self._settings_changed = True
                self._changes.append(
                    PlannedChange(
                        address=Address("settings"),
                        action=Action.CHANGE,
                        detail=", ".join(found.fields) or "first written",
                    )
                )
            case VolumeAdded():
                if unobserved.isdisjoint(b.peer for b in found.spec.bricks):
                    self._add(found)
            case VolumeChanged():
                self._change(found)
            case LayoutChanged():
                self._blockers.append(refusals.layout_blocker(found))
            case VolumeRemoved():
                self._remove(found)
            case Unmanaged(address=address):
                self._unmanaged.append(Address(address))

    def _add(self, found: VolumeAdded) -> None:
        spec = found.spec
        record = new_volume(
            spec,
            self._given.configured,
            self._peers,
            self._given.observed,
            self._ports,
            self._stamp.now,
        )
        self._blockers += [
            *refusals.risk_blockers(spec, self._allowed, self._stamp.now),
            *refusals.option_blockers(spec, self._given.desired.vouched),
            *refusals.new_brick_blockers(record, self._given.observed),
        ]
        if spec.auth is not None:
            self._blockers.append(
                Blocker(
                    address=record.address,
                    code="GS502",
                    summary="auth: is for the offline volfile command only",
                    hint="Remove it; credentials are made by the first step and stored apart.",
                )
            )
        self._by_kind["created"].append(record)
        self._changes.append(
            PlannedChange(
                address=record.address,
                action=Action.ADD,
                after={"id": record.volume_id, "state": record.state.value},
                detail=f"{record.shape.describe(len(record.bricks))}, {len(record.bricks)} bricks",
            )
        )
        for brick in record.bricks:
            self._changes.append(
                PlannedChange(
                    address=record.brick_address(brick),
                    action=Action.ADD,
                    after={"path": brick.path, "port": brick.port, "mount": brick.mount},
                    detail=f"{brick.peer}:{brick.path}  port {brick.port}",
                    parent=record.address,
                )
            )
        for option in spec.options:
            self._changes.append(
                PlannedChange(
                    address=Address(f"option/{spec.name}/{option.name}"),
                    action=Action.ADD,
                    after=option.value,
                    detail=option.value,
                    origin=option.origin,
                    parent=record.address,
                )
            )

    def _change(self, found: VolumeChanged) -> None:
        spec, record = found.spec, found.record
        after = with_settings(record, spec, self._stamp.now)
        self._blockers += refusals.option_blockers(spec, self._given.desired.vouched)
        if record.state is after.state is VolumeState.STARTED and _restarts(record, after):
            self._blockers.append(
                Blocker(
                    address=record.address,
                    code="GS202",
                    summary="these options change the bricks' xlators, which a running brick cannot do",
                    hint="Stop the volume first (state: stopped), change them, start it again.",
                )
            )
        kind = "changed"
        if record.state is not after.state:
            kind = "started" if after.state is VolumeState.STARTED else "stopped"
        self._by_kind[kind].append(after)
        self._changes.append(
            PlannedChange(
                address=record.address,
                action=Action.CHANGE,
                detail=f"generation {record.generation} → {after.generation}",
            )
        )
        for change in found.fields:
            name = change.path.partition("/")[2] or change.path
            kind = "option" if change.path.startswith("options/") else "setting"
            action = Action.CHANGE
            if kind == "option" and change.before is None:
                action = Action.ADD
            elif kind == "option" and change.after is None:
                action = Action.REMOVE
            self._changes.append(
                PlannedChange(
                    address=Address(f"{kind}/{record.name}/{name}"),
                    action=action,
                    before=change.before,
                    after=change.after,
                    detail=f"{_shown(change.before)} → {_shown(change.after)}",
                    origin=change.origin,
                    parent=record.address,
                )
            )

    def _remove(self, found: VolumeRemoved) -> None:
        blocked = list(refusals.removal_blockers(found, self._spec, self._allowed, self._stamp.now))
        if blocked:
            self._blockers += blocked
            return
        self._by_kind["deleted"].append(found.record)
        self._changes.append(
            PlannedChange(
                address=found.record.address,
                action=Action.REMOVE,
                before={"id": found.record.volume_id},
                detail=f"{len(found.record.bricks)} bricks stop; their data stays",
                codes=("GS101",),
            )
        )

    # ------------------------------------------------------------ drift that an apply repairs

    def _repairs(self) -> tuple[tuple[VolumeRecord, tuple[BrickRecord, ...], tuple[PeerName, ...]], ...]:
        declared = {v.name for v in self._spec.volumes if v.state is not VolumeState.ABSENT}
        moved = {r.volume_id for kind in ("started", "stopped", "deleted") for r in self._by_kind[kind]}
        found = []
        for name in sorted(self._given.configured.volumes):
            record = self._given.configured.volumes[name]
            if name not in declared or record.volume_id in moved:
                continue
            bricks = tuple(b for b in record.bricks if self._wrong(record, b))
            daemons = tuple(sorted(p for p in {b.peer for b in record.bricks} if self._no_shd(record, p)))
            if bricks or daemons:
                found.append((record, bricks, daemons))
                self._changes += _repair_changes(record, bricks, daemons)
        return tuple(found)

    def _wrong(self, record: VolumeRecord, brick: BrickRecord) -> bool:
        node = self._given.observed.nodes.get(brick.peer)
        fact = node.bricks.get(brick.uuid) if node and node.live else None
        if fact is None or fact.state is BrickState.REFUSED:
            return False
        return (record.state is VolumeState.STARTED) is not (fact.state is BrickState.RUNNING)

    def _no_shd(self, record: VolumeRecord, peer: PeerName) -> bool:
        node = self._given.observed.nodes.get(peer)
        fact = node.volumes.get(record.volume_id) if node and node.live else None
        started = record.state is VolumeState.STARTED
        return bool(fact and started and fact.shd_expected and not fact.shd_pid)

    # ------------------------------------------------------------ what the plan rests on

    def _serving_peers(self) -> dict[PeerName, PeerRecord]:
        lost = {p.name for p in self._spec.peers if p.state is PeerState.LOST}
        return {n: p for n, p in self._peers.items() if n not in lost}

    def _unobserved(self) -> tuple[PeerName, ...]:
        """Return peers that a decision needs and that said nothing: not joined, or not live."""
        needed = {p.name for p in self._spec.peers if p.state is not PeerState.LOST}
        seen = {n for n, node in self._given.observed.nodes.items() if node.live and node.answered}
        return tuple(sorted(needed - seen))

    def _touched(
        self, repaired: tuple[tuple[VolumeRecord, tuple[BrickRecord, ...], tuple[PeerName, ...]], ...]
    ) -> dict[VolumeId, VolumeRecord]:
        records = [r for r, _, _ in repaired]
        records += [r for kind in self._by_kind.values() for r in kind]
        return {r.volume_id: r for r in sorted(records, key=lambda r: r.name)}

    def _read_set(self, touched: Mapping[VolumeId, VolumeRecord]) -> tuple[ReadKey, ...]:
        revisions = self._given.configured.mod_revisions
        addresses = [Address("settings")]
        addresses += [Address(f"peer/{n}") for n in sorted(self._peers)]
        addresses += [r.address for r in touched.values()]
        return tuple(ReadKey(address=a, mod_revision=revisions.get(a, 0)) for a in addresses)

    def _observation(self) -> str:
        """Return the digest of the facts that decided: states, not numbers that always move."""
        nodes = self._given.observed.nodes
        facts = {
            name: [node.live, sorted((b, f.state.value) for b, f in node.bricks.items())]
            for name, node in nodes.items()
        }
        return "sha256:" + hashlib.sha256(canonical(facts).encode()).hexdigest()

    def _checked(self) -> str:
        nodes = self._given.observed.nodes.values()
        live = sum(n.live and n.answered for n in nodes)
        bricks = [b for v in self._given.configured.volumes.values() for b in v.bricks]
        seen = sum(1 for b in bricks if self._given.observed.brick(b.uuid) is not None)
        return f"{live}/{len(self._spec.peers)} peers, {seen}/{len(bricks)} bricks"

    def _safety(self) -> tuple[str, ...]:
        said = ["data      nothing is moved or removed"]
        if self._by_kind["deleted"]:
            names = ", ".join(str(v.name) for v in self._by_kind["deleted"])
            said.append(
                f"deletion  {names}: bricks stop and leave the configuration; their data stays (GS101)"
            )
        return tuple(said)


def _repair_changes(
    record: VolumeRecord, bricks: tuple[BrickRecord, ...], daemons: tuple[PeerName, ...]
) -> list[PlannedChange]:
    word = "start it" if record.state is VolumeState.STARTED else "stop it"
    found = [
        PlannedChange(
            address=record.brick_address(brick),
            action=Action.CHANGE,
            attribution=Attribution.DRIFT,
            detail=f"{brick.peer}:{brick.path}  {word}",
        )
        for brick in bricks
    ]
    found += [
        PlannedChange(
            address=Address(f"daemon/{record.name}/{peer}"),
            action=Action.CHANGE,
            attribution=Attribution.DRIFT,
            detail="start the self-heal daemon",
        )
        for peer in daemons
    ]
    return found


def _restarts(before: VolumeRecord, after: VolumeRecord) -> bool:
    """Return true if a brick's graph changes its xlators, which only a restart can bring about."""
    nobody = Secret(username="-", password="-")  # noqa: S106  credentials do not change a graph's shape
    return any(
        needs_brick_restart(
            brick_graph(before, brick, secret=nobody), brick_graph(after, brick, secret=nobody)
        )
        for brick in before.bricks
    )


def _shown(value: object) -> str:
    return "(unset)" if value is None else str(value)
