"""Writing a transaction's beginning, and reading transactions back.

The plan is frozen in chunks before the head names its digest: whoever reads it, an agent or a steward on
another machine, checks the digest and needs nothing else (reliability invariants 11 and 12).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from reconciler import failpoints
from reconciler.engine.frozen import packed, unpacked
from reconciler.errors import JournalError, OutcomeUnknown, PlanError, StalePlan
from reconciler.model import keys
from reconciler.model.codec import decode, encode
from reconciler.model.ids import Address, ClusterId, TxnId, VolumeId
from reconciler.plan.document import canonical_text, digest, parse_document
from reconciler.plan.step import Plan
from reconciler.ports.store import (
    MAX_OPS,
    Absent,
    Commit,
    Compare,
    CreatedAt,
    ModifiedAt,
    Put,
    Snapshot,
    Store,
)
from reconciler.txn.record import Head, HeadState, Phase

CERTAIN_TRIES = 5  #: of a write whose answers get lost
MAX_TAKEOVERS = 3  #: a transaction taken up more often than this is paused for a human


def txn_of(plan: Plan) -> TxnId:
    """Return the transaction that runs a plan: one plan, one transaction, so a plan is used once."""
    return TxnId("t-" + plan.plan_id.removeprefix("p-"))


def begin(store: Store, cluster: ClusterId, plan: Plan, head: Head, epoch: int) -> Head:
    """Freeze the plan and write the head, if the cluster is still as it was when the plan was made.

    Raises:
        StalePlan: the plan was used before, or something it was decided from has changed.
    """
    chunks = packed(canonical_text(plan))
    head_key = keys.head(cluster, head.txn)
    if store.read(head_key):
        raise StalePlan(f"plan {plan.plan_id} was applied before: transaction {head.txn}")
    lock = CreatedAt(keys.lock(cluster), epoch)
    for number, chunk in enumerate(chunks):
        key = keys.plan_chunk(cluster, head.txn, number)
        known = store.read(key)
        if known is None:
            put = Commit(when=(lock, Absent(key)), then=(Put(key, chunk),))
            if not _certain(store, put, key, chunk):
                raise StalePlan(f"plan {plan.plan_id} is not begun: somebody else took the lock")
            failpoints.hit("begin.chunk.after")
        elif known.value != chunk:
            raise JournalError(f"{key} holds another text than plan {plan.plan_id}")
    head = replace(head, plan_id=plan.plan_id, plan_digest=digest(plan), chunks=len(chunks))
    guards = (lock, Absent(head_key), *read_guards(cluster, plan))
    failpoints.hit("begin.head.before")
    put = Commit(when=guards[:MAX_OPS], then=(Put(head_key, encode(head)),))
    if not _hold(store, cluster, guards[MAX_OPS:]) or not _certain(store, put, head_key, encode(head)):
        raise StalePlan(
            f"the cluster has changed since plan {plan.plan_id} was made: {_moved(store, cluster, plan)}",
            hint="Make a new plan and review it.",
        )
    failpoints.hit("begin.head.after")
    return head


def reopen(store: Store, cluster: ClusterId, head: Head, epoch: int, *, undo: bool) -> Head:
    """Write an open transaction's head as running again, in a new phase of `epoch`.

    Raises:
        StalePlan: somebody else changed the head in the meantime.
    """
    key = keys.head(cluster, head.txn)
    entry = store.read(key)
    if entry is None or decode(Head, entry.value) != head:
        raise StalePlan(f"transaction {head.txn} has moved on", hint="Look at it again.")
    undoing = undo or head.phase.undoing
    fresh = replace(
        head,
        state=HeadState.ROLLING_BACK if undoing else HeadState.RUNNING,
        phase=Phase(epoch, 1 if undoing else 0),
        reason="asked for" if undo and not head.phase.undoing else head.reason,
        attempts=1,  # somebody has looked at it: takeovers are counted anew
    )
    guards = (CreatedAt(keys.lock(cluster), epoch), ModifiedAt(key, entry.mod_revision))
    if not _certain(store, Commit(when=guards, then=(Put(key, encode(fresh)),)), key, encode(fresh)):
        raise StalePlan(f"transaction {head.txn} has moved on", hint="Look at it again.")
    return fresh


def _hold(store: Store, cluster: ClusterId, guards: tuple[Compare, ...]) -> bool:
    """Return whether the guards hold that one commit cannot carry: of a plan that reads a hundred objects.

    Whoever writes configuration compares the lock's epoch. It is ours by now, and the commit compares it:
    what is read here cannot change before that.
    """
    if not guards:
        return True
    listed = store.read_prefix(keys.config_prefix(cluster)).entries
    found = {entry.key: entry.mod_revision for entry in listed}
    return all(isinstance(one, ModifiedAt) and found.get(one.key, 0) == one.revision for one in guards)


def read_guards(cluster: ClusterId, plan: Plan) -> tuple[Compare, ...]:
    """Return the comparisons that hold while everything the plan was decided from is unchanged."""
    return tuple(ModifiedAt(_key_of(cluster, r.address, plan), r.mod_revision) for r in plan.read_set)


def _key_of(cluster: ClusterId, address: Address, plan: Plan) -> str:
    kind, _, name = address.partition("/")
    if kind == "settings":
        return keys.settings(cluster)
    if kind == "peer":
        return next(k for k in (keys.peers_prefix(cluster) + name,))
    records = {**plan.previous, **plan.volumes}
    volume = next((v for v, r in records.items() if r.name == name), None)
    if kind != "volume" or volume is None:
        raise JournalError(f"the plan's read set names {address}, which it does not work with")
    return keys.volume(cluster, VolumeId(volume))


def _moved(store: Store, cluster: ClusterId, plan: Plan) -> str:
    moved = []
    for read in plan.read_set:
        entry = store.read(_key_of(cluster, read.address, plan))
        if (entry.mod_revision if entry else 0) != read.mod_revision:
            moved.append(str(read.address))
    return ", ".join(moved) or "somebody else took the lock"


def _certain(store: Store, commit: Commit, key: str, value: str) -> bool:
    """Run a commit that writes `value`, unique to us, under `key`; return whether it happened.

    A lost answer is settled by reading. If the write is not there, it is tried again: its guards hold for
    one of the two only. That one may be the first, arriving late, which is why a refusal is read back, too.

    Raises OutcomeUnknown if no answer comes for a while.
    """
    for left in reversed(range(CERTAIN_TRIES)):
        try:
            if store.commit(commit).succeeded:
                return True
        except OutcomeUnknown:
            entry = store.read(key)
            if entry is not None and entry.value == value:
                return True
            if not left:
                raise
        else:
            entry = store.read(key)
            return entry is not None and entry.value == value
    raise AssertionError("the last try returns or raises")


def take_over(store: Store, cluster: ClusterId, head: Head, epoch: int, holder: str) -> Head:
    """Write the head of a transaction whose engine has gone in our epoch, in its direction, and count that.

    It comes before anything of the transaction is read or parsed, so whatever kills its stewards has been
    counted by then. One that was taken up too often is paused instead.

    Args:
        store: the shared store.
        cluster: whose.
        head: as it was seen.
        epoch: of the lock, which the caller holds.
        holder: who takes it over, for people.

    Raises:
        StalePlan: the lock or the head has moved on.
    """
    phase = Phase(epoch, head.phase.direction)
    taken = replace(head, phase=phase, holder=holder, attempts=head.attempts + 1)
    if taken.attempts > MAX_TAKEOVERS:
        reason = f"taken up {MAX_TAKEOVERS} times without coming to an end"
        taken = replace(taken, state=HeadState.PAUSED, reason=reason)
    failpoints.hit("engine.takeover.before")
    _put_over(store, cluster, head, taken, epoch)
    failpoints.hit("engine.takeover.after")
    return taken


def stop_for_good(store: Store, cluster: ClusterId, head: Head, epoch: int, reason: str) -> Head:
    """Write the head of a transaction that cannot go on as STUCK, so that a human looks at it.

    Raises StalePlan if the lock or the head has moved on.
    """
    phase = Phase(epoch, head.phase.direction)
    stuck = replace(head, state=HeadState.STUCK, phase=phase, reason=reason)
    _put_over(store, cluster, head, stuck, epoch)
    return stuck


def _put_over(store: Store, cluster: ClusterId, known: Head, fresh: Head, epoch: int) -> None:
    """Put a head in the place of the known one. Raises StalePlan if that, or the lock, has moved on."""
    key = keys.head(cluster, known.txn)
    entry = store.read(key)
    guards = (CreatedAt(keys.lock(cluster), epoch), ModifiedAt(key, entry.mod_revision if entry else 0))
    if (
        entry is None
        or decode(Head, entry.value) != known
        or not _certain(store, Commit(when=guards, then=(Put(key, encode(fresh)),)), key, encode(fresh))
    ):
        raise StalePlan(f"transaction {known.txn} has moved on", hint="Look at it again.")


def heads(snapshot: Snapshot, cluster: ClusterId) -> tuple[Head, ...]:
    """Return all heads in a listing of the cluster or of its transactions, newest first."""
    prefix = keys.all_txns_prefix(cluster)
    found = [
        decode(Head, e.value)
        for e in snapshot.entries
        if e.key.startswith(prefix) and e.key.endswith("/head")
    ]
    return tuple(sorted(found, key=lambda h: (-h.started_at, h.txn)))


def open_heads(found: Iterable[Head]) -> tuple[Head, ...]:
    """Return those that have not come to an end."""
    return tuple(h for h in found if not h.state.terminal)


def frozen_plan(store: Store, cluster: ClusterId, head: Head) -> Plan:
    """Return the plan of a transaction.

    Raises:
        JournalError: a chunk is missing, or the text is no plan, or is not, to the byte, the one that the
            head names.
    """
    parts = []
    for number in range(head.chunks):
        entry = store.read(keys.plan_chunk(cluster, head.txn, number))
        if entry is None:
            raise JournalError(f"transaction {head.txn}: chunk {number} of its plan is missing")
        parts.append(entry.value)
    try:
        text = unpacked(parts)
        plan = parse_document(text)
    except (JournalError, PlanError) as exc:
        raise JournalError(f"transaction {head.txn}: its plan cannot be read: {exc.message}") from exc
    if digest(plan) != head.plan_digest or canonical_text(plan) != text:
        raise JournalError(f"transaction {head.txn}: its plan is not the one that its head names")
    return plan
