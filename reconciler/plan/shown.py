"""Differences as a plan shows them to people. Decides nothing. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.diff.change import FieldChange, SettingsChanged, VolumeChanged
from reconciler.model.cluster import PeerSpec, VolumeSpec
from reconciler.model.configured import PeerRecord, VolumeRecord
from reconciler.model.ids import Address
from reconciler.model.volume import VolumeState
from reconciler.plan.repairs import Repair
from reconciler.plan.step import Action, Attribution, PlannedChange


def peer_change(spec: PeerSpec, old: PeerRecord | None) -> PlannedChange:
    """Return a peer that is new, or has another address or zone."""
    return PlannedChange(
        address=Address(f"peer/{spec.name}"),
        action=Action.CHANGE if old else Action.ADD,
        before=old.address if old else None,
        after=spec.address,
        detail=f"{spec.address}" + (f" zone {spec.zone}" if spec.zone else ""),
    )


def settings_change(found: SettingsChanged) -> PlannedChange:
    """Return a change of the cluster-wide settings."""
    return PlannedChange(
        address=Address("settings"),
        action=Action.CHANGE,
        detail=", ".join(found.fields) or "first written",
    )


def added_volume(spec: VolumeSpec, record: VolumeRecord) -> Iterator[PlannedChange]:
    """Yield a new volume, its bricks and its options."""
    yield PlannedChange(
        address=record.address,
        action=Action.ADD,
        after={"id": record.volume_id, "state": record.state.value},
        detail=f"{record.shape.describe(len(record.bricks))}, {len(record.bricks)} bricks",
    )
    for brick in record.bricks:
        yield PlannedChange(
            address=record.brick_address(brick),
            action=Action.ADD,
            after={"path": brick.path, "port": brick.port, "mount": brick.mount},
            detail=f"{brick.peer}:{brick.path}  port {brick.port}",
            parent=record.address,
        )
    for option in spec.options:
        yield PlannedChange(
            address=Address(f"option/{spec.name}/{option.name}"),
            action=Action.ADD,
            after=option.value,
            detail=option.value,
            origin=option.origin,
            parent=record.address,
        )


def changed_volume(found: VolumeChanged, after: VolumeRecord) -> Iterator[PlannedChange]:
    """Yield a volume's next generation and each setting that differs."""
    before = found.record
    yield PlannedChange(
        address=before.address,
        action=Action.CHANGE,
        detail=f"generation {before.generation} → {after.generation}",
    )
    for change in found.fields:
        yield _setting(before, change)


def removed_volume(record: VolumeRecord) -> PlannedChange:
    """Return a deletion."""
    return PlannedChange(
        address=record.address,
        action=Action.REMOVE,
        before={"id": record.volume_id},
        detail=f"{len(record.bricks)} bricks stop; their data stays",
        codes=("GS101",),
    )


def repair_changes(repair: Repair) -> Iterator[PlannedChange]:
    """Yield the bricks and daemons that an apply starts or stops although nobody changed the declaration."""
    record = repair.volume
    word = "start it" if record.state is VolumeState.STARTED else "stop it"
    for brick in repair.bricks:
        yield PlannedChange(
            address=record.brick_address(brick),
            action=Action.CHANGE,
            attribution=Attribution.DRIFT,
            detail=f"{brick.peer}:{brick.path}  {word}",
        )
    for peer in repair.daemons:
        yield PlannedChange(
            address=Address(f"daemon/{record.name}/{peer}"),
            action=Action.CHANGE,
            attribution=Attribution.DRIFT,
            detail="start the self-heal daemon",
        )


def _setting(record: VolumeRecord, change: FieldChange) -> PlannedChange:
    group, _, name = change.path.rpartition("/")
    kind = {"options": "option", "features": "feature"}.get(group, "setting")
    action = Action.CHANGE
    if kind != "setting" and change.before is None:
        action = Action.ADD
    elif kind != "setting" and change.after is None:
        action = Action.REMOVE
    return PlannedChange(
        address=Address(f"{kind}/{record.name}/{name}"),
        action=action,
        before=change.before,
        after=change.after,
        detail=f"{_shown(change.before)} → {_shown(change.after)}",
        origin=change.origin,
        parent=record.address,
    )


def _shown(value: object) -> str:
    return "(unset)" if value is None else str(value)
