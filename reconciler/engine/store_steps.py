"""Steps that change only the store: the engine does them, in one commit with their record.

Because effect and record are one atomic commit, such a step is never in doubt. A volume with more bricks
than one commit can carry is claimed first, then writes in batches of which each but the last may be seen for
a while: bricks without the volume's record, which nobody looks at. Only a step that is not undone may do so.

`STORE_STEPS` has every kind. What a kind writes lies within its footprint, or the engine stops.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Protocol

from reconciler.errors import JournalError
from reconciler.model import keys
from reconciler.model.codec import decode, encode, from_json, to_json
from reconciler.model.configured import PeerRecord, Retained, Secret, Settings, VolumeRecord
from reconciler.model.fields import Json
from reconciler.model.ids import ClusterId, VolumeId
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A store step with what it works on. `entries` and `secret` are there for doing it, not for undoing."""

    step: Step
    plan: Plan
    entries: Entries
    now: int
    secret: Callable[[], Secret]

    @property
    def cluster(self) -> ClusterId:
        """Return the cluster whose keys are written."""
        return ClusterId(self.plan.cluster_id)

    @property
    def volume(self) -> VolumeId:
        """Return the volume that the step is about."""
        if self.step.volume is None:
            raise JournalError(f"step {self.step.step_id} ({self.step.kind}) names no volume")
        return self.step.volume

    @property
    def record(self) -> VolumeRecord:
        """Return the volume's record after the plan, or before it for one that goes."""
        found = self.plan.volumes.get(self.volume) or self.plan.previous.get(self.volume)
        if found is None:
            raise JournalError(f"step {self.step.step_id} ({self.step.kind}) comes without a volume's record")
        return found

    @property
    def peer(self) -> PeerRecord:
        """Return the peer that the step is about."""
        return from_json(PeerRecord, self.step.args["peer"])


class StoreStep(Protocol):
    """The code behind one kind of store step. Pure: the engine commits what it returns.

    Attributes:
        irrevocable: such a step is the point of no return of its part, and has no undo.
    """

    irrevocable: bool

    def footprint(self, job: Job) -> tuple[str, ...]:
        """Return the keys that the step may write; a final ``*``: all that begin so."""
        ...

    def do(self, job: Job) -> StoreEffect:
        """Return what doing the step writes. Again later it is the same, up to what is there already."""
        ...

    def undo(self, job: Job, before: Args) -> tuple[Operation, ...]:
        """Return the operations that restore `before`, exactly."""
        ...


class MakeCredentials:
    """``volume.credentials``: make what a volume's processes and clients identify themselves with."""

    irrevocable = False

    def footprint(self, job: Job) -> tuple[str, ...]:
        """The volume's secret."""
        return (keys.secret(job.cluster, job.volume),)

    def do(self, job: Job) -> StoreEffect:
        """Write new credentials, unless there are some."""
        key = keys.secret(job.cluster, job.volume)
        if key in job.entries:
            return StoreEffect((), (), {"made": False})
        return StoreEffect((), (Put(key, encode(job.secret())),), {"made": True})

    def undo(self, job: Job, before: Args) -> tuple[Operation, ...]:
        """Remove them, if the step made them."""
        return (Delete(keys.secret(job.cluster, job.volume)),) if before.get("made") else ()


class PutSettings:
    """``config.settings``: write the cluster's settings."""

    irrevocable = False

    def footprint(self, job: Job) -> tuple[str, ...]:
        """The cluster's settings."""
        return (keys.settings(job.cluster),)

    def do(self, job: Job) -> StoreEffect:
        """Write the plan's settings, with the second they are applied at."""
        return _restorable(
            job.entries,
            Put(keys.settings(job.cluster), encode(replace(job.plan.settings, applied_at=job.now))),
        )

    def undo(self, job: Job, before: Args) -> tuple[Operation, ...]:
        """Write back what was there, or remove them."""
        return _restored(job, before)


class PutPeer:
    """``config.peer``: take a peer into the configuration, or change its record."""

    irrevocable = False

    def footprint(self, job: Job) -> tuple[str, ...]:
        """The peer's record."""
        return (keys.peer(job.cluster, job.peer.name),)

    def do(self, job: Job) -> StoreEffect:
        """Write the peer's record."""
        return _restorable(job.entries, Put(keys.peer(job.cluster, job.peer.name), encode(job.peer)))

    def undo(self, job: Job, before: Args) -> tuple[Operation, ...]:
        """Write back what was there, or remove it."""
        return _restored(job, before)


class ConcludeRepair:
    """``volume.repaired``: let the repairs of a volume stand. The step's own record is all of it."""

    irrevocable = True

    def footprint(self, job: Job) -> tuple[str, ...]:  # noqa: ARG002 - the protocol's signature
        """Nothing."""
        return ()

    def do(self, job: Job) -> StoreEffect:  # noqa: ARG002 - the protocol's signature
        """Write nothing: from its record on the part stands."""
        return StoreEffect((), (), {})

    def undo(self, job: Job, before: Args) -> tuple[Operation, ...]:  # noqa: ARG002 - as above
        """Not undone."""
        raise _not_undone(job)


class PutVolume:
    """``config.volume``: commit a volume's next generation."""

    irrevocable = True

    def footprint(self, job: Job) -> tuple[str, ...]:
        """The volume's record, those of its bricks, and the count of volumes that had its name."""
        return (*_records(job), keys.incarnation(job.cluster, job.record.name))

    def do(self, job: Job) -> StoreEffect:
        """Write the record and its bricks, and remove bricks that it has no more; the record goes last."""
        return _put_volume(job.cluster, job.record, job.entries, job.now)

    def undo(self, job: Job, before: Args) -> tuple[Operation, ...]:  # noqa: ARG002 - as above
        """Not undone."""
        raise _not_undone(job)


class RetainVolume:
    """``config.retain``: take a volume out of the configuration; its bricks keep their data."""

    irrevocable = True

    def footprint(self, job: Job) -> tuple[str, ...]:
        """The volume's record, those of its bricks, and what is retained of it."""
        return (*_records(job), keys.retained(job.cluster, job.volume))

    def do(self, job: Job) -> StoreEffect:
        """Move the record to the retained ones and remove those of the bricks; the record goes first."""
        return _retain(job.cluster, job.record, job.now)

    def undo(self, job: Job, before: Args) -> tuple[Operation, ...]:  # noqa: ARG002 - as above
        """Not undone."""
        raise _not_undone(job)


STORE_STEPS: Mapping[str, StoreStep] = MappingProxyType(
    {
        "config.peer": PutPeer(),
        "config.retain": RetainVolume(),
        "config.settings": PutSettings(),
        "config.volume": PutVolume(),
        "volume.credentials": MakeCredentials(),
        "volume.repaired": ConcludeRepair(),
    }
)


def effect_of(
    step: Step, plan: Plan, entries: Entries, *, now: int, secret: Callable[[], Secret]
) -> StoreEffect:
    """Return what doing `step` writes, given the store's present entries.

    Raises JournalError for a kind this version does not know.
    """
    job = Job(step=step, plan=plan, entries=entries, now=now, secret=secret)
    kind = _kind_of(step)
    effect = kind.do(job)
    for batch in (*effect.early, effect.operations):
        _assert_within(kind.footprint(job), batch)
    return effect


def undo_of(step: Step, plan: Plan, before: Args) -> tuple[Operation, ...]:
    """Return the operations that restore `before`, exactly.

    Raises JournalError if a before-image names what is not the step's, or the step is not undone.
    """
    job = Job(step=step, plan=plan, entries={}, now=0, secret=_no_secret)
    kind = _kind_of(step)
    operations = kind.undo(job, before)
    strange = sorted(op.key for op in operations if not _within(kind.footprint(job), op.key))
    if strange:  # what was written is read back from the store: anybody may have altered it
        raise JournalError(f"step {step.step_id}: its before-image names {strange[0]}, which is not its own")
    return operations


def _kind_of(step: Step) -> StoreStep:
    kind = STORE_STEPS.get(step.kind)
    if kind is None:
        raise JournalError(f"step {step.step_id}: this version does not know store steps of kind {step.kind}")
    return kind


def _within(footprint: tuple[str, ...], key: str) -> bool:
    return any(key.startswith(own[:-1]) if own.endswith("*") else key == own for own in footprint)


def _assert_within(footprint: tuple[str, ...], operations: tuple[Operation, ...]) -> None:
    for operation in operations:
        assert _within(footprint, operation.key), f"{operation.key} is not in the step's footprint"


def _no_secret() -> Secret:
    raise AssertionError("undoing makes no credentials")


def _not_undone(job: Job) -> JournalError:
    return JournalError(f"step {job.step.step_id} ({job.step.kind}) is not undone")


def _records(job: Job) -> tuple[str, ...]:
    """Return the keys of a volume's record and of its bricks'."""
    return (keys.volume(job.cluster, job.volume), f"{keys.bricks_prefix(job.cluster, job.volume)}*")


def _restorable(entries: Entries, *puts: Put) -> StoreEffect:
    seen: dict[str, Json] = {p.key: entries[p.key].value if p.key in entries else None for p in puts}
    return StoreEffect((), puts, {"entries": seen})


def _restored(job: Job, before: Args) -> tuple[Operation, ...]:
    restored = before.get("entries")
    if not isinstance(restored, dict):
        raise JournalError(f"step {job.step.step_id}: its before-image does not name entries")
    return tuple(Delete(k) if v is None else Put(k, str(v)) for k, v in sorted(restored.items()))


def _put_volume(cluster: ClusterId, record: VolumeRecord, entries: Entries, now: int) -> StoreEffect:
    key = keys.volume(cluster, record.volume_id)
    old = decode(VolumeRecord, entries[key].value) if key in entries else None
    # A new one is live from now on, not since the plan was made: that may be a day ago.
    live = old is not None and old.deletion_policy is record.deletion_policy
    record = replace(record, policy_since=old.policy_since if old is not None and live else now)
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


def _retain(cluster: ClusterId, record: VolumeRecord, now: int) -> StoreEffect:
    kept = Retained(volume=record, deleted_at=now)
    gone: list[Operation] = [Delete(keys.brick(cluster, record.volume_id, b.uuid)) for b in record.bricks]
    early, rest = _batches(gone)
    last: list[Operation] = [
        Delete(keys.volume(cluster, record.volume_id)),
        Put(keys.retained(cluster, record.volume_id), encode(kept)),
    ]
    # The record goes before the bricks do: a volume without its record is not there, whatever is left.
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
