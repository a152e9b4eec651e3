"""The shared store in memory: the twin of `etcd_store` for tests, simulation and planning without etcd.

It keeps revisions, history, leases and compaction as etcd does (``etcd 3.4 mvcc``: one revision per
transaction that changes something, a deletion of nothing changes nothing, a key's deletion and
re-creation give a new create-revision).

`MemoryStore` is one client. `another()` gives a second client of the same data, as two processes have;
closing a client ends its watches and stops keeping its leases alive.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.adapters.store_rules import check_commit
from reconciler.errors import StoreError, StoreUnavailable
from reconciler.ports.store import (
    Absent,
    Change,
    Changes,
    Committed,
    CreatedAt,
    Delete,
    Entry,
    Put,
    Snapshot,
    WatchEnded,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.ports.store import Commit, Compare, Operation

_CLOSE_TIMEOUT_S = 2.0


@dataclass(slots=True)
class _Grant:
    """A lease as the server sees it. `expires_at` counts only while no client keeps it alive."""

    ttl_s: int
    kept_alive: bool = True
    expires_at: float = 0.0


class _Data:
    """What all clients share. Every method is called with `lock` held."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.lock = threading.RLock()
        self.clock = clock
        self.revision = 1
        self.compacted = 0
        self.entries: dict[str, Entry] = {}
        self.history: list[Changes] = []
        self.grants: dict[int, _Grant] = {}
        self.last_lease = 0
        self.watches: list[MemoryWatch] = []
        self.leases: dict[int, MemoryLease] = {}

    def holds(self, compare: Compare) -> bool:
        entry = self.entries.get(compare.key)
        if isinstance(compare, Absent):
            return entry is None
        if isinstance(compare, CreatedAt):
            return entry is not None and entry.create_revision == compare.revision
        return (entry.mod_revision if entry else 0) == compare.revision

    def apply(self, operations: tuple[Operation, ...]) -> None:
        for operation in operations:
            if isinstance(operation, Put) and operation.lease and operation.lease not in self.grants:
                raise StoreError(f"{operation.key}: requested lease {operation.lease:x} not found")
        revision = self.revision + 1
        changes = tuple(
            change for change in (self._apply_one(one, revision) for one in operations) if change is not None
        )
        if changes:
            self.revision = revision
            batch = Changes(revision=revision, changes=changes)
            self.history.append(batch)
            for watch in self.watches:
                watch.offer(batch)

    def _apply_one(self, operation: Operation, revision: int) -> Change | None:
        before = self.entries.get(operation.key)
        if isinstance(operation, Put):
            created = before.create_revision if before else revision
            self.entries[operation.key] = Entry(
                key=operation.key,
                value=operation.value,
                create_revision=created,
                mod_revision=revision,
                lease=operation.lease,
            )
            value: str | None = operation.value
        elif before is None:
            return None
        else:
            del self.entries[operation.key]
            created, value = 0, None  # etcd's delete events carry no create-revision
        return Change(key=operation.key, value=value, create_revision=created, mod_revision=revision)

    def drop_lease(self, lease_id: int) -> None:
        """Forget the lease and delete its keys in one revision."""
        if self.grants.pop(lease_id, None) is None:
            return
        self.leases.pop(lease_id, None)
        from_lease = sorted(key for key, entry in self.entries.items() if entry.lease == lease_id)
        self._delete(from_lease)

    def _delete(self, keys: list[str]) -> None:
        self.apply(tuple(Delete(key) for key in keys))

    def expire_due(self) -> None:
        for lease_id, grant in list(self.grants.items()):
            if not grant.kept_alive and self.clock() >= grant.expires_at:
                self.drop_lease(lease_id)


class MemoryWatch:
    """A running watch. Batches wait in a queue, so that the sink never runs under the store's lock."""

    def __init__(
        self, data: _Data, prefix: str, sink: Callable[[Changes | WatchEnded], None], *, inline: bool
    ) -> None:
        self._data = data
        self._prefix = prefix
        self._sink = sink
        self._queue: deque[Changes | WatchEnded] = deque()
        self._wake = threading.Condition()
        self._closed = False
        self._delivery = threading.RLock()
        self._delivering = False
        self._thread: threading.Thread | None = None
        if not inline:
            self._thread = threading.Thread(target=self._run, name=f"memory-watch {prefix}", daemon=True)
            self._thread.start()

    def offer(self, message: Changes | WatchEnded) -> None:
        """Queue a message; of a batch only what is under the prefix."""
        if isinstance(message, Changes):
            changes = tuple(change for change in message.changes if change.key.startswith(self._prefix))
            if not changes:
                return
            message = Changes(revision=message.revision, changes=changes)
        with self._wake:
            self._queue.append(message)
            self._wake.notify()

    def deliver(self) -> None:
        """Call the sink for what waits. A call from within the sink leaves the rest to the outer one."""
        with self._delivery:
            if self._delivering:
                return
            self._delivering = True
            try:
                while not self._closed and (message := self._next()) is not None:
                    self._sink(message)
            finally:
                self._delivering = False

    def close(self) -> None:
        """Stop it. May be called twice, also by the sink."""
        with self._data.lock:
            if self in self._data.watches:
                self._data.watches.remove(self)
        with self._wake:
            self._closed = True
            self._wake.notify()
        if self._delivery.acquire(timeout=_CLOSE_TIMEOUT_S):
            self._delivery.release()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_CLOSE_TIMEOUT_S)

    @property
    def inline(self) -> bool:
        """Return true if whoever causes a change also delivers it."""
        return self._thread is None

    def _next(self) -> Changes | WatchEnded | None:
        with self._wake:
            return self._queue.popleft() if self._queue else None

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._queue or self._closed)
                if self._closed:
                    return
            self.deliver()


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
        """Revoke it. May be called twice."""
        self._gone = True
        self._store.revoke(self._id)

    def declare_lost(self) -> None:
        """Turn `lost` and call `on_lost`, once."""
        if self._gone:
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
        shared: _Data | None = None,
    ) -> None:
        self._data = shared or _Data(clock)
        self._inline = inline
        self._closed = False
        self._watches: list[MemoryWatch] = []
        self._leases: list[MemoryLease] = []

    def another(self) -> MemoryStore:
        """Return a second client of the same data."""
        return MemoryStore(inline=self._inline, shared=self._data)

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
            succeeded = all(self._data.holds(compare) for compare in commit.when)
            if succeeded:
                self._data.apply(commit.then)
            answer = Committed(succeeded=succeeded, revision=self._data.revision)
        self._deliver()
        return answer

    def watch(self, prefix: str, after: int, sink: Callable[[Changes | WatchEnded], None]) -> MemoryWatch:
        """Deliver every change under `prefix` after revision `after`, history first."""
        with self._data.lock:
            self._enter()
            watch = MemoryWatch(self._data, prefix, sink, inline=self._inline)
            self._watches.append(watch)
            if after > self._data.revision:
                watch.offer(
                    WatchEnded(reason=f"the revision went back from {after} to {self._data.revision}")
                )
            elif after + 1 < self._data.compacted:
                compacted = self._data.compacted
                watch.offer(
                    WatchEnded(
                        reason=f"history before revision {compacted} is compacted", compacted=compacted
                    )
                )
            else:
                for batch in self._data.history:
                    if batch.revision > after:
                        watch.offer(batch)
                self._data.watches.append(watch)
        self._deliver()
        return watch

    def lease(self, ttl_s: int, on_lost: Callable[[], None] | None = None) -> MemoryLease:
        """Grant a lease."""
        with self._data.lock:
            self._enter()
            self._data.last_lease += 1
            lease = MemoryLease(self, self._data.last_lease, on_lost)
            self._data.grants[lease.lease_id] = _Grant(ttl_s)
            self._data.leases[lease.lease_id] = lease
            self._leases.append(lease)
        return lease

    def close(self) -> None:
        """End all watches and stop keeping leases alive; they end after their time to live."""
        with self._data.lock:
            self._closed = True
            for lease in self._leases:
                grant = self._data.grants.get(lease.lease_id)
                if grant is not None and grant.kept_alive:
                    grant.kept_alive = False
                    grant.expires_at = self._data.clock() + grant.ttl_s
            watches, self._watches = self._watches, []
        for watch in watches:
            watch.close()

    # --- what only the twin can do ---------------------------------------------------------------------

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

    def knows(self, lease_id: int) -> bool:
        """Return true while the lease exists."""
        with self._data.lock:
            return lease_id in self._data.grants

    def _enter(self) -> None:
        if self._closed:
            raise StoreUnavailable("the store is closed")
        self._data.expire_due()

    def _deliver(self) -> None:
        with self._data.lock:
            watches = [watch for watch in (*self._data.watches, *self._watches) if watch.inline]
        for watch in dict.fromkeys(watches):
            watch.deliver()
