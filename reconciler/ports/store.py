"""The shared store, reduced to what we use of etcd v3. Protocols and their values only: no code.

Every implementation passes tests/contract/test_store_contract.py.

Rules that hold for all of them:

* Every call has a deadline; none blocks for ever.
* No call repeats a write by itself. A write whose answer did not arrive raises OutcomeUnknown,
  and the caller reads back.
* Reads are linearizable. A listing is of one revision, however many pages it took.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

MAX_VALUE_BYTES = 256 * 1024  #: longest value we write (etcd itself refuses requests over 1.5 MiB)
MAX_OPS = 100  #: most operations in one transaction (etcd refuses more than 128)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A key with its value and revisions. `lease` is 0 for a key that outlives its writer."""

    key: str
    value: str
    create_revision: int
    mod_revision: int
    lease: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Entries of one prefix at one revision, sorted by key."""

    revision: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Absent:
    """Holds while the key does not exist."""

    key: str


@dataclass(frozen=True, slots=True)
class CreatedAt:
    """Holds while the key exists and was created at `revision` (deleted and recreated is another)."""

    key: str
    revision: int


@dataclass(frozen=True, slots=True)
class ModifiedAt:
    """Holds while the key's last modification was at `revision`; revision 0 means absent."""

    key: str
    revision: int


Compare = Absent | CreatedAt | ModifiedAt


@dataclass(frozen=True, slots=True)
class Put:
    """Write a key. With a lease the key goes when the lease does."""

    key: str
    value: str
    lease: int = 0


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a key; nothing happens if it is absent."""

    key: str


Operation = Put | Delete


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """Apply all of `then` if all of `when` holds, else nothing. A key occurs at most once in `then`."""

    when: tuple[Compare, ...]
    then: tuple[Operation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """The answer: whether the comparisons held, and the store's revision after it."""

    succeeded: bool
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One key changed. `value` is None for a deletion."""

    key: str
    value: str | None
    create_revision: int
    mod_revision: int

    def as_entry(self) -> Entry:
        """Return the entry that is there after the change, which must not be a deletion."""
        assert self.value is not None
        return Entry(
            key=self.key,
            value=self.value,
            create_revision=self.create_revision,
            mod_revision=self.mod_revision,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """A batch from a watch: complete up to `revision`, in order, nothing twice, nothing skipped."""

    revision: int
    changes: tuple[Change, ...] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchEnded:
    """The watch cannot go on; list the prefix again and start another.

    `compacted` is the revision before which history is gone, or 0 if the reason is another one.
    """

    reason: str
    compacted: int = 0


class Watch(Protocol):
    """A running watch."""

    def close(self) -> None:
        """Stop it. No call of the sink happens after this returns. May be called twice."""
        ...


class Lease(Protocol):
    """A lease that is kept alive in the background.

    `lost` turns true (and `on_lost` is called once) at the latest a safety margin before the server may
    let it expire, even when the network or the keep-alive thread hangs: a watchdog on the monotonic
    clock decides, not an RPC.
    """

    @property
    def lease_id(self) -> int:
        """Return the store's number of the lease."""
        ...

    @property
    def lost(self) -> bool:
        """Return true once the lease must be considered gone."""
        ...

    def close(self) -> None:
        """Revoke it if possible within a short deadline and stop keeping it alive. May be called twice."""
        ...


class Store(Protocol):
    """A consistent key-value store with revisions, leases and resumable watches. Thread-safe.

    All methods raise StoreUnavailable (retry at will) or StorePermission; `commit` also OutcomeUnknown.
    """

    def identity(self) -> str:
        """Return what tells this store from others; a restored copy has another, or the same."""
        ...

    def ailment(self) -> str:
        """Return what keeps the store from taking writes, with the way out; empty if it knows of nothing."""
        ...

    def read(self, key: str) -> Entry | None:
        """Return the entry of one key, or None."""
        ...

    def read_prefix(self, prefix: str) -> Snapshot:
        """Return all entries under `prefix` at one revision, sorted by key."""
        ...

    def commit(self, commit: Commit) -> Committed:
        """Run a guarded transaction, once.

        Raises ValueError for a value over MAX_VALUE_BYTES or more than MAX_OPS operations.
        """
        ...

    def watch(self, prefix: str, after: int, sink: Callable[[Changes | WatchEnded], None]) -> Watch:
        """Deliver every change under `prefix` with a revision greater than `after` to `sink`.

        `sink` is called from another thread, one call at a time. Disconnects are resumed silently;
        after WatchEnded nothing more comes.
        """
        ...

    def lease(self, ttl_s: int, on_lost: Callable[[], None] | None = None) -> Lease:
        """Grant a lease and keep it alive."""
        ...

    def close(self) -> None:
        """End all watches and leases' keep-alive (without revoking) and the connection."""
        ...
