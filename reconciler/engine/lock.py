"""The cluster's lock: a key on a lease. Its create-revision is the epoch that fences everything.

The lease is only a liveness device (reliability invariant 8): safety comes from comparing the epoch in
every write and every claim, so a holder that was stopped for an hour can do no harm when it wakes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from reconciler import failpoints
from reconciler.errors import LockHeld, OutcomeUnknown
from reconciler.model import keys
from reconciler.model.codec import decode, encode
from reconciler.model.ids import ClusterId
from reconciler.ports.store import Absent, Commit, Lease, Put, Store
from reconciler.txn.record import LockRecord

LEASE_TTL_S = 10  #: after this the lock of a dead holder is free
POLL_S = 0.5


@dataclass(slots=True)
class Lock:
    """A held lock. `epoch` is its create-revision. Leaving the context gives it back."""

    epoch: int
    lease: Lease

    def release(self) -> None:
        """Give the lock back by revoking its lease. May be called twice."""
        failpoints.hit("lock.release.before")
        self.lease.close()
        failpoints.hit("lock.release.after")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def holder_of(store: Store, cluster: ClusterId) -> LockRecord | None:
    """Return who holds the lock, or None."""
    entry = store.read(keys.lock(cluster))
    return decode(LockRecord, entry.value) if entry else None


def acquire(
    store: Store,
    cluster: ClusterId,
    record: LockRecord,
    *,
    timeout_s: float,
    on_lost: Callable[[], None],
    waiting: Callable[[LockRecord], None] = lambda _: None,
) -> Lock:
    """Take the lock, waiting up to `timeout_s` seconds for another holder to give it back.

    Args:
        store: the shared store.
        cluster: whose lock.
        record: who takes it; `op_id` must be unique to this call.
        timeout_s: 0 tries once.
        on_lost: called once when the lease must be considered gone.
        waiting: called once with the present holder if there is one.

    Raises:
        LockHeld: somebody else still holds it.
    """
    key = keys.lock(cluster)
    lease = store.lease(LEASE_TTL_S, on_lost)
    deadline = time.monotonic() + timeout_s
    told = False
    try:
        failpoints.hit("lock.write.before")
        while True:
            commit = Commit(when=(Absent(key),), then=(Put(key, encode(record), lease.lease_id),))
            try:
                store.commit(commit)
            except OutcomeUnknown:
                time.sleep(POLL_S)  # settled by the reading that follows
            entry = store.read(key)
            if entry and decode(LockRecord, entry.value).op_id == record.op_id:
                failpoints.hit("lock.write.after")
                return Lock(epoch=entry.create_revision, lease=lease)
            if entry and not told:
                waiting(decode(LockRecord, entry.value))
                told = True
            if time.monotonic() >= deadline:
                break
            time.sleep(POLL_S)
    except BaseException:
        lease.close()
        raise
    lease.close()
    raise _held_by(decode(LockRecord, entry.value) if entry else None)


def _held_by(held: LockRecord | None) -> LockHeld:
    who = f"{held.holder} ({held.purpose})" if held else "somebody who comes and goes"
    return LockHeld(
        f"the cluster is locked by {who}",
        hint=f"A dead holder's lock is free after {LEASE_TTL_S} s. See: gluster-state status",
    )
