"""The shared store in memory: the twin of `etcd_store` for tests, simulation and planning without etcd.

It keeps revisions, history, leases and compaction as etcd does (``etcd 3.4 mvcc``: one revision per
transaction that changes something, a deletion of nothing changes nothing, a key's deletion and
re-creation give a new create-revision).

`MemoryStore` is one client. `another()` gives a second client of the same data, as two processes have;
closing a client ends its watches and stops keeping its leases alive.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from reconciler.adapters.memory_data import Grant, MemoryData, MemoryWatch
from reconciler.adapters.store_rules import check_commit
from reconciler.errors import StoreError, StoreUnavailable
from reconciler.ports.store import Changes, Committed, Entry, Snapshot, WatchEnded

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.ports.store import Commit


class MemoryLease:
    """A lease that its client keeps alive until it is closed, expired by a test, or the client closes."""

    def __init__(self, store: MemoryStore, lease_id: int, on_lost: Callable[[], None] | None) -> None:
        self._store = store
        self._id = lease_id
        self._on_lost = on_lost
        self._gone = False

    @property
    def lease_id(self) -> int:
        """Return the store's number of the lease."""
        return self._id

    @property
    def lost(self) -> bool:
        """Return true once the lease must be considered gone."""
        return self._gone or not self._store.knows(self._id)

    def close(self) -> None:
        """Revoke it if the store can be reached. May be called twice."""
        self._gone = True
        self._store.let_go(self._id)

    def declare_lost(self) -> None:
        """Turn `lost` and call `on_lost`, once; the holder that has closed its store hears nothing."""
        if self._gone or self._store.closed:
            return
        self._gone = True
        if self._on_lost is not None:
            self._on_lost()


class MemoryStore:
    """`reconciler.ports.store.Store` in memory.

    Args:
        clock: seconds; decides when leases of closed clients end (looked at by every call).
        inline: deliver watches in the thread that commits, before `commit` returns: deterministic, but
            a caller that holds a lock which its sink takes would deadlock. Without it each watch has
            a thread, as with etcd.
        shared: data of another client; see `another`.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        *,
        inline: bool = False,
        shared: MemoryData | None = None,
    ) -> None:
        self._data = shared or MemoryData(clock)
        self._inline = inline
        self._closed = self._cut = False
        self._watches: list[MemoryWatch] = []
        self._leases: list[MemoryLease] = []

    def another(self) -> MemoryStore:
        """Return a second client of the same data."""
        return MemoryStore(inline=self._inline, shared=self._data)

    def identity(self) -> str:
        """Return what tells this store from others: clients of the same data have the same."""
        with self._data.lock:
            self._enter()
            return f"{id(self._data):x}"

    def ailment(self) -> str:
        """Return that there is no space if there is none."""
        with self._data.lock:
            self._enter()
            return "there is no space left: make some" if self._data.full else ""

    def read(self, key: str) -> Entry | None:
        """Return the entry of one key, or None."""
        with self._data.lock:
            self._enter()
            entry = self._data.entries.get(key)
        self._deliver()
        return entry

    def read_prefix(self, prefix: str) -> Snapshot:
        """Return all entries under `prefix` at one revision, sorted by key."""
        with self._data.lock:
            self._enter()
            entries = sorted(
                (entry for key, entry in self._data.entries.items() if key.startswith(prefix)),
                key=lambda entry: entry.key,
            )
            snapshot = Snapshot(revision=self._data.revision, entries=tuple(entries))
        self._deliver()
        return snapshot

    def commit(self, commit: Commit) -> Committed:
        """Run a guarded transaction."""
        check_commit(commit)
        with self._data.lock:
            self._enter()
            self._data.refuse_if_full(commit)
            succeeded = all(self._data.holds(compare) for compare in commit.when)
            if succeeded:
                self._data.apply(commit.then)
            answer = Committed(succeeded=succeeded, revision=self._data.revision)
        self._deliver()
        return answer

    def watch(self, prefix: str, after: int, sink: Callable[[Changes | WatchEnded], None]) -> MemoryWatch:
        """Deliver every change under `prefix` after revision `after`, history first."""
        with self._data.lock:
            self._refuse_if_closed()
            watch = MemoryWatch(self._data, prefix, after, sink, inline=self._inline)
            self._watches.append(watch)
            if not self._cut:
                self._data.follow(watch)
        self._deliver()
        return watch

    def lease(self, ttl_s: int, on_lost: Callable[[], None] | None = None) -> MemoryLease:
        """Grant a lease."""
        with self._data.lock:
            self._enter()
            if self._data.full:
                raise StoreUnavailable("etcdserver: mvcc: database space exceeded")
            self._data.last_lease += 1
            lease = MemoryLease(self, self._data.last_lease, on_lost)
            self._data.grants[lease.lease_id] = Grant(ttl_s)
            self._data.leases[lease.lease_id] = lease
            self._leases.append(lease)
        return lease

    def close(self) -> None:
        """End all watches and stop keeping leases alive; they end after their time to live."""
        with self._data.lock:
            self._closed = True
            self._stop_renewing()
            watches, self._watches = self._watches, []
        for watch in watches:
            watch.close()

    # --- what only the twin can do ---------------------------------------------------------------------

    def cut(self) -> None:
        """Cut this client off: calls fail, watches fall silent, leases are not renewed."""
        with self._data.lock:
            self._data.expire_due()
            self._cut = True
            self._stop_renewing()
            for watch in self._watches:
                watch.part()

    def mend(self) -> None:
        """Connect it again: watches go on where they were, if that history is still there."""
        with self._data.lock:
            if not self._cut:
                return
            self._data.expire_due()
            self._cut = False
            self._renew()
            for watch in [w for w in self._watches if not w.closed]:
                self._data.follow(watch)
        self._deliver()

    def stop_renewing(self) -> None:
        """Let this client's leases run out although it is connected, as those of a stopped process do."""
        with self._data.lock:
            self._stop_renewing()

    def renew(self) -> None:
        """Keep those alive again that have not been lost."""
        with self._data.lock:
            self._data.expire_due()
            self._renew()

    def let_leases_outlive(self, seconds: float) -> None:
        """Have leases live so much longer than asked for, from the next that nobody renews on."""
        with self._data.lock:
            self._data.outlive_s = seconds

    def set_full(self, full: bool) -> None:
        """Raise or lift the space alarm, for all clients: nothing that grows the store is accepted."""
        with self._data.lock:
            self._data.full = full

    def expire(self, lease_id: int) -> None:
        """Let a lease end: its holder learns first, as with etcd, then its keys go."""
        with self._data.lock:
            lease = self._data.leases.get(lease_id)
        if lease is not None:
            lease.declare_lost()
        self.revoke(lease_id)

    def compact(self, revision: int) -> None:
        """Forget the history before `revision`.

        Raises StoreError for a revision that is compacted already or lies in the future, as etcd does.
        """
        with self._data.lock:
            if not self._data.compacted < revision <= self._data.revision:
                raise StoreError(f"cannot compact to {revision}, the store is at {self._data.revision}")
            self._data.compacted = revision
            self._data.history = [batch for batch in self._data.history if batch.revision >= revision]

    def tick(self) -> None:
        """End the leases whose time has come; every other call does so, too."""
        with self._data.lock:
            self._data.expire_due()
        self._deliver()

    def revoke(self, lease_id: int) -> None:
        """End a lease and delete its keys; nothing happens if it is gone."""
        with self._data.lock:
            self._data.drop_lease(lease_id)
        self._deliver()

    def let_go(self, lease_id: int) -> None:
        """Revoke a lease, or let it run out if the store cannot be reached."""
        with self._data.lock:
            if self._cut:
                self._data.stop_renewing(lease_id)
                return
        self.revoke(lease_id)

    @property
    def closed(self) -> bool:
        """Return true once `close` was called."""
        return self._closed

    def knows(self, lease_id: int) -> bool:
        """Return true while the lease exists."""
        with self._data.lock:
            return lease_id in self._data.grants

    def _enter(self) -> None:
        self._refuse_if_closed()
        self._data.expire_due()
        if self._cut:
            raise StoreUnavailable("the store cannot be reached")

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise StoreUnavailable("the store is closed")

    def _stop_renewing(self) -> None:
        for lease in self._leases:
            self._data.stop_renewing(lease.lease_id)

    def _renew(self) -> None:
        for lease in self._leases:
            grant = self._data.grants.get(lease.lease_id)
            if grant is not None and not lease.lost:
                grant.kept_alive = not self._closed

    def _deliver(self) -> None:
        with self._data.lock:
            watches = [watch for watch in (*self._data.watches, *self._watches) if watch.inline]
        for watch in dict.fromkeys(watches):
            watch.deliver()
