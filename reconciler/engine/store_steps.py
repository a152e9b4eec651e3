"""Steps that change only the store: the engine does them, in one commit with their record.

Because effect and record are one atomic commit, such a step is never in doubt. A volume with more bricks
than one commit can carry is claimed first, then writes in batches of which each but the last may be seen for
a while: bricks without the volume's record, which nobody looks at. Only a step that is not undone may do so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from reconciler.errors import JournalError
from reconciler.model import keys
from reconciler.model.codec import decode, encode, from_json, to_json
from reconciler.model.configured import PeerRecord, Retained, Secret, Settings, VolumeRecord
from reconciler.model.fields import Json
from reconciler.model.ids import ClusterId
from reconciler.plan.step import Args, Plan, Step
from reconciler.ports.store import Delete, Entry, Operation, Put

BATCH = 80  #: brick records in one commit; leaves room under MAX_OPS for record, head and guards

Entries = Mapping[str, Entry]


@dataclass(frozen=True, slots=True)
class StoreEffect:
    """What a store step writes: commits that come first, the last one's operations, the before-image."""

    early: tuple[tuple[Operation, ...], ...]
    operations: tuple[Operation, ...]
    before: Args


def effect_of(
    step: Step, plan: Plan, entries: Entries, *, now: int, secret: Callable[[], Secret]
) -> StoreEffect:
    """Return what doing `step` writes, given the store's present entries.

    Raises JournalError for a kind this version does not know.
    """
    cluster = ClusterId(plan.cluster_id)
    if step.kind == "volume.credentials":
        assert step.volume is not None
        key = keys.secret(cluster, step.volume)
        if key in entries:
            return StoreEffect((), (), {"made": False})
        return StoreEffect((), (Put(key, encode(secret())),), {"made": True})
    if step.kind == "config.settings":
        return _restorable(
            entries, Put(keys.settings(cluster), encode(replace(plan.settings, applied_at=now)))
        )
    if step.kind == "config.peer":
        peer = from_json(PeerRecord, step.args["peer"])
        return _restorable(entries, Put(keys.peer(cluster, peer.name), encode(peer)))
    assert step.volume is not None
    record = plan.volumes.get(step.volume) or plan.previous[step.volume]
    return _end_of(step, record, cluster, entries, now)


def _end_of(step: Step, record: VolumeRecord, cluster: ClusterId, entries: Entries, now: int) -> StoreEffect:
    """Return what the last step of a volume's part writes."""
    if step.kind == "volume.repaired":
        return StoreEffect((), (), {})  # its own record is all: from then on the part stands
    if step.kind == "config.volume":
        return _put_volume(cluster, record, entries, now)
    if step.kind == "config.retain":
        return _retain(cluster, record, entries, now)
    raise JournalError(f"step {step.step_id}: this version does not know store steps of kind {step.kind}")


def undo_of(step: Step, plan: Plan, before: Args) -> tuple[Operation, ...]:
    """Return the operations that restore `before`, exactly."""
    if step.kind == "volume.credentials":
        assert step.volume is not None
        return (Delete(keys.secret(ClusterId(plan.cluster_id), step.volume)),) if before.get("made") else ()
    restored = before.get("entries")
    if not isinstance(restored, dict):
        raise JournalError(f"step {step.step_id}: its before-image does not name entries")
    return tuple(Delete(k) if v is None else Put(k, str(v)) for k, v in sorted(restored.items()))


def _restorable(entries: Entries, *puts: Put) -> StoreEffect:
    seen: dict[str, Json] = {p.key: entries[p.key].value if p.key in entries else None for p in puts}
    return StoreEffect((), puts, {"entries": seen})


def _put_volume(cluster: ClusterId, record: VolumeRecord, entries: Entries, now: int) -> StoreEffect:
    key = keys.volume(cluster, record.volume_id)
    old = decode(VolumeRecord, entries[key].value) if key in entries else None
    if old is None or old.deletion_policy is not record.deletion_policy:
        # It is live from now on, not since the plan was made: that may be a day ago.
        record = replace(record, policy_since=now)
    bricks: list[Operation] = []
    for brick in record.bricks:
        brick_key = keys.brick(cluster, record.volume_id, brick.uuid)
        value = encode(brick)
        if brick_key not in entries or entries[brick_key].value != value:
            bricks.append(Put(brick_key, value))
    kept = {keys.brick(cluster, record.volume_id, b.uuid) for b in record.bricks}
    prefix = keys.bricks_prefix(cluster, record.volume_id)
    stale = [Delete(k) for k in sorted(entries) if k.startswith(prefix) and k not in kept]
    counter = keys.incarnation(cluster, record.name)
    last: list[Operation] = [
        Put(key, encode(replace(record, bricks=()))),
        Put(counter, str(record.incarnation)),
    ]
    early, rest = _batches([*bricks, *stale])
    return StoreEffect(early, (*rest, *last), {})


def _retain(cluster: ClusterId, record: VolumeRecord, entries: Entries, now: int) -> StoreEffect:
    """Move a volume out of the configuration; its bricks keep their data."""
    kept = Retained(volume=record, deleted_at=now)
    gone: list[Operation] = [Delete(keys.brick(cluster, record.volume_id, b.uuid)) for b in record.bricks]
    early, rest = _batches(gone)
    last: list[Operation] = [
        Delete(keys.volume(cluster, record.volume_id)),
        Put(keys.retained(cluster, record.volume_id), encode(kept)),
    ]
    # The record goes before the bricks do: a volume without its record is not there, whatever is left.
    del entries
    if early:
        return StoreEffect(((*last,), *early), rest, {})
    return StoreEffect((), (*rest, *last), {})


def _batches(operations: list[Operation]) -> tuple[tuple[tuple[Operation, ...], ...], tuple[Operation, ...]]:
    """Split into full batches and the rest, which goes with the step's record."""
    if len(operations) <= BATCH:
        return (), tuple(operations)
    parts = [tuple(operations[i : i + BATCH]) for i in range(0, len(operations), BATCH)]
    return tuple(parts[:-1]), parts[-1]


def read_settings(entries: Entries, cluster: ClusterId) -> Settings:
    """Return the cluster's settings, or the defaults of a new cluster."""
    entry = entries.get(keys.settings(cluster))
    return decode(Settings, entry.value) if entry else Settings()


def peer_args(peer: PeerRecord) -> dict[str, Json]:
    """Return the arguments of a ``config.peer`` step."""
    return {"peer": to_json(peer)}
