"""Desired x configured x observed -> plan. Pure: time and the plan's id are arguments.

Same inputs give the same plan, byte for byte, apart from its id and times.
"""

from __future__ import annotations

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
from reconciler.model.cluster import Desired
from reconciler.model.configured import ConfiguredCluster, PeerRecord, Settings, VolumeRecord
from reconciler.model.ids import Address, NodeId, PeerName, VolumeId
from reconciler.model.observed import ObservedCluster
from reconciler.model.volume import VolumeState
from reconciler.plan import basis, refusals, shown
from reconciler.plan.drift import find_drift
from reconciler.plan.entry_heal import entry_heal_blockers
from reconciler.plan.records import Ports, new_volume, peer_records, ports_of, with_settings
from reconciler.plan.repairs import Repair, find_repairs
from reconciler.plan.sequence import sequence
from reconciler.plan.step import Blocker, DriftItem, Plan, PlannedChange
from reconciler.plan.work import Work
from reconciler.volgen.brick import brick_graph, needs_brick_restart
from reconciler.volgen.slots import Slots

EXPIRES_AFTER_S = 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What differs between two plans of the same input."""

    plan_id: str
    now: int
    tool_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a plan is made from.

    Attributes:
        joined: peer names bound to nodes.
        slots: what features add to graphs.
        allow: risks accepted on the command line, as ``CODE=ADDRESS``.
    """

    desired: Desired
    configured: ConfiguredCluster
    observed: ObservedCluster
    joined: Mapping[PeerName, NodeId]
    slots: Slots
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
        given, stamp, spec = self._given, self._stamp, self._spec
        concerned = basis.concerned(spec, given.configured)
        unobserved = basis.unobserved(spec, given.configured, given.observed)
        self._blockers += refusals.secret_blockers(spec)
        self._blockers += refusals.thin_arbiter_blockers(spec)
        for found in differences(spec, given.configured):
            self._take(found, frozenset(unobserved))
        drift = find_drift(given.configured, given.observed, {v.name: v.ignore_drift for v in spec.volumes})
        repaired = self._repairs(drift)
        blocked = bool(self._blockers or unobserved)
        touched = self._touched(repaired)
        deleted = {v.volume_id for v in self._by_kind["deleted"]}
        read_set = basis.read_set(given.configured, self._peers, (r.address for r in touched.values()))
        return Plan(
            plan_id=stamp.plan_id,
            cluster_id=given.configured.cluster_id,
            cluster_name=given.configured.name,
            created=stamp.now,
            expires=stamp.now + EXPIRES_AFTER_S,
            tool_version=stamp.tool_version,
            desired_digest=given.desired.digest,
            source={"kind": "files", "files": list(given.desired.files)},
            revision=basis.newest(read_set),
            observed_at=given.observed.observed_at,
            observation=basis.observation(given.observed),
            unobserved=unobserved,
            read_set=read_set,
            changes=tuple(self._changes),
            steps=() if blocked else sequence(self._work(repaired), self._serving_peers(), spec.rollback),
            volumes={v: r for v, r in touched.items() if v not in deleted},
            previous={r.volume_id: r for r in given.configured.volumes.values() if r.volume_id in touched},
            settings=self._settings(),
            drift=drift,
            blockers=tuple(self._blockers),
            unmanaged=tuple(self._unmanaged),
            required_allow=tuple(sorted(f"GS101={v.address}" for v in self._by_kind["deleted"])),
            safety=self._safety(),
            rollback=spec.rollback,
            on_crash=spec.on_crash,
            diagnostics=given.desired.warnings,
            checked=basis.checked(concerned, given.configured, given.observed),
        )

    # ------------------------------------------------------------ differences

    def _take(self, found: Difference, unobserved: frozenset[PeerName]) -> None:
        match found:
            case PeerAdded(spec=spec) | PeerChanged(spec=spec):
                self._blockers += refusals.address_blockers(found, self._given.configured)
                if spec.name in self._given.joined:
                    self._new_peers.append(self._peers[spec.name])
                    old = self._given.configured.peers.get(spec.name)
                    self._changes.append(shown.peer_change(spec, old))
            case SettingsChanged():
                self._settings_changed = True
                self._changes.append(shown.settings_change(found))
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
        refused = list(refusals.lost_peer_blockers(spec, self._spec))
        if refused:  # such a peer may never have joined: there is no node to make a record with
            self._blockers += refused
            return
        record = new_volume(
            spec,
            self._given.configured,
            self._peers,
            self._given.observed,
            self._ports,
        )
        self._blockers += [
            *refusals.risk_blockers(spec, self._allowed, self._stamp.now),
            *refusals.domain_blockers(self._given.desired, record, self._allowed),
            *refusals.id_blockers(record, self._given.configured),
            *refusals.option_blockers(spec, record, self._given.slots, self._given.desired.vouched),
            *refusals.daemon_blockers(record, self._given.slots, None),
            *refusals.version_blockers(spec, record, self._given.observed),
            *refusals.new_brick_blockers(spec, record, self._given.observed),
        ]
        self._by_kind["created"].append(record)
        self._changes += shown.added_volume(spec, record)

    def _change(self, found: VolumeChanged) -> None:
        spec, record = found.spec, found.record
        after = with_settings(record, spec)
        refused = [
            *refusals.option_blockers(spec, after, self._given.slots, self._given.desired.vouched),
            *refusals.version_blockers(spec, after, self._given.observed),
            *entry_heal_blockers(record, after, self._given.observed, self._allowed),
        ]
        self._blockers += refused
        self._blockers += refusals.daemon_blockers(after, self._given.slots, record)
        stays_started = record.state is after.state is VolumeState.STARTED
        if not refused and stays_started and _restarts(record, after, self._given.slots):
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
        if kind == "started":
            self._blockers += refusals.known_brick_blockers(record, self._given.observed)
        self._by_kind[kind].append(after)
        self._changes += shown.changed_volume(found, after)

    def _remove(self, found: VolumeRemoved) -> None:
        # The delay that is stored counts as well: a tombstone must not come with a shorter one of its own.
        stored = self._given.configured.settings
        delay = max(self._spec.unprotect_delay_s, stored.unprotect_delay_s)
        settings = replace(stored, unprotect_delay_s=delay)
        blocked = list(refusals.removal_blockers(found, settings, self._allowed, self._stamp.now))
        if blocked:
            self._blockers += blocked
            return
        self._by_kind["deleted"].append(found.record)
        self._changes.append(shown.removed_volume(found.record))

    # ------------------------------------------------------------ what the plan is made of

    def _repairs(self, drift: tuple[DriftItem, ...]) -> tuple[Repair, ...]:
        moved = {r.volume_id for kind in ("started", "stopped", "deleted") for r in self._by_kind[kind]}
        found = find_repairs(self._spec, self._given.configured, drift, moved)
        for repair in found:
            self._changes += shown.repair_changes(repair)
        return found

    def _work(self, repaired: tuple[Repair, ...]) -> Work:
        return Work(
            new_peers=tuple(self._new_peers),
            changed_settings=self._settings_changed,
            repaired=repaired,
            **{kind: tuple(volumes) for kind, volumes in self._by_kind.items()},
        )

    def _settings(self) -> Settings:
        return replace(
            declared_settings(self._spec),
            generation=self._given.configured.settings.generation + (1 if self._settings_changed else 0),
            desired_digest=self._given.desired.digest,
        )

    def _serving_peers(self) -> dict[PeerName, PeerRecord]:
        wanted = basis.concerned(self._spec, self._given.configured) - basis.lost(self._spec)
        return {n: p for n, p in sorted(self._peers.items()) if n in wanted}

    def _touched(self, repaired: tuple[Repair, ...]) -> dict[VolumeId, VolumeRecord]:
        records = [repair.volume for repair in repaired]
        records += [r for kind in self._by_kind.values() for r in kind]
        return {r.volume_id: r for r in sorted(records, key=lambda r: r.name)}

    def _safety(self) -> tuple[str, ...]:
        said = ["data      nothing is moved or removed", *refusals.skipped_peers(self._spec)]
        if self._by_kind["deleted"]:
            names = ", ".join(str(v.name) for v in self._by_kind["deleted"])
            said.append(
                f"deletion  {names}: bricks stop and leave the configuration; their data stays (GS101)"
            )
        return tuple(said)


def _restarts(before: VolumeRecord, after: VolumeRecord, slots: Slots) -> bool:
    """Return true if a brick's graph changes its xlators, which only a restart can bring about."""
    return any(
        needs_brick_restart(
            brick_graph(before, brick, slots=slots, secret=refusals.NOBODY),
            brick_graph(after, brick, slots=slots, secret=refusals.NOBODY),
        )
        for brick in before.bricks
    )
