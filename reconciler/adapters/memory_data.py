"""What the clients of one store in memory share: entries, history, leases' grants, and running watches.

Semantics are etcd's (``etcd 3.4 mvcc``): one revision per transaction that changes something, a deletion of
nothing changes nothing, a key's deletion and re-creation give a new create-revision.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.errors import OutcomeUnknown, StoreError
from reconciler.ports.store import (
    Absent,
    Change,
    Changes,
    CreatedAt,
    Delete,
    Entry,
    Put,
    WatchEnded,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.adapters.memory_store import MemoryLease
    from reconciler.ports.store import Commit, Compare, Operation

_CLOSE_TIMEOUT_S = 2.0


@dataclass(slots=True)
class Grant:
    """A lease as the server sees it. The times count only while no client keeps it alive."""

    ttl_s: int
    kept_alive: bool = True
    lost_at: float = 0.0  #: its holder must consider it gone
    expires_at: float = 0.0


class MemoryData:
    """What all clients share. Every method is called with `lock` held."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.lock = threading.RLock()
        self.clock = clock
        self.revision = 1
        self.compacted = 0
        self.entries: dict[str, Entry] = {}
        self.history: list[Changes] = []
        self.grants: dict[int, Grant] = {}
        self.last_lease = 0
        self.watches: list[MemoryWatch] = []
        self.leases: dict[int, MemoryLease] = {}
        self.full = False
        self.outlive_s = 0.0  #: how much longer leases live than asked for, as after a change of leader

    def holds(self, compare: Compare) -> bool:
        """Return whether a comparison holds now."""
        entry = self.entries.get(compare.key)
        if isinstance(compare, Absent):
            return entry is None
        if isinstance(compare, CreatedAt):
            return entry is not None and entry.create_revision == compare.revision
        return (entry.mod_revision if entry else 0) == compare.revision

    def refuse_if_full(self, commit: Commit) -> None:
        """Raise OutcomeUnknown as an etcd with its space alarm does for whatever would grow it.

        Comparisons are not looked at, and deletions pass (``etcd apply.go``: applierV3Capped.Txn). It is
        unknown to the caller because the write that raises the alarm is applied and answered alike.
        """
        if self.full and any(isinstance(operation, Put) for operation in commit.then):
            raise OutcomeUnknown("etcdserver: mvcc: database space exceeded")

    def follow(self, watch: MemoryWatch) -> None:
        """Have a watch go on after the last revision that it was given, or end it with the reason."""
        if watch.last > self.revision:
            reason = f"the revision went back from {watch.last} to {self.revision}"
            watch.offer(WatchEnded(reason=reason))
        elif watch.last + 1 < self.compacted:
            reason = f"history before revision {self.compacted} is compacted"
            watch.offer(WatchEnded(reason=reason, compacted=self.compacted))
        else:
            for batch in self.history:
                if batch.revision > watch.last:
                    watch.offer(batch)
            self.watches.append(watch)

    def apply(self, operations: tuple[Operation, ...]) -> None:
        """Make one revision of operations, and tell the watches. Raises StoreError for a lost lease."""
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
        """End leases that nobody keeps alive and whose time has come; their holders learn it first."""
        now = self.clock()
        for lease_id, grant in list(self.grants.items()):
            if grant.kept_alive:
                continue
            lease = self.leases.get(lease_id)
            if now >= grant.lost_at and lease is not None:
                lease.declare_lost()
            if now >= grant.expires_at:
                self.drop_lease(lease_id)

    def stop_renewing(self, lease_id: int) -> None:
        """Let a lease run out."""
        grant = self.grants.get(lease_id)
        if grant is not None and grant.kept_alive:
            grant.kept_alive = False
            grant.lost_at = self.clock() + grant.ttl_s
            grant.expires_at = grant.lost_at + self.outlive_s


class MemoryWatch:
    """A running watch. Batches wait in a queue, so that the sink never runs under the store's lock."""

    def __init__(
        self,
        data: MemoryData,
        prefix: str,
        after: int,
        sink: Callable[[Changes | WatchEnded], None],
        *,
        inline: bool,
    ) -> None:
        self.last = after  #: everything up to this revision was delivered
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

    def part(self) -> None:
        """Lose the connection: what waits is not delivered; `MemoryData.follow` goes on after `last`."""
        if self in self._data.watches:
            self._data.watches.remove(self)
        with self._wake:
            self._queue.clear()

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
    def closed(self) -> bool:
        """Return true once nothing is delivered any more."""
        return self._closed

    @property
    def inline(self) -> bool:
        """Return true if whoever causes a change also delivers it."""
        return self._thread is None

    def _next(self) -> Changes | WatchEnded | None:
        with self._wake:
            if not self._queue:
                return None
            message = self._queue.popleft()
            if isinstance(message, Changes):
                self.last = message.revision
            return message

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._queue or self._closed)
                if self._closed:
                    return
            self.deliver()
