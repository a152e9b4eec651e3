"""What a steward knows without asking: the heads of all transactions, and whether somebody holds the lock.

A listing fills it, watches keep it up to date. Plans and records pass through and are not kept, so it is as
small as there are transactions, however large their plans.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from reconciler.errors import JournalError
from reconciler.model import keys
from reconciler.model.codec import decode
from reconciler.model.ids import ClusterId, TxnId
from reconciler.ports.store import Change, Entry, Snapshot
from reconciler.txn.record import Head

LOG = logging.getLogger("gluster-state.steward")


@dataclass(frozen=True, slots=True)
class KnownHead:
    """A head and the revisions of its key."""

    head: Head
    created: int
    modified: int


@dataclass(slots=True)
class Outlook:
    """One cluster's heads by transaction, and its lock."""

    cluster: ClusterId
    known: dict[TxnId, KnownHead] = field(default_factory=dict)
    locked: bool = False
    _lock_revision: int = 0  #: of the newest thing heard of the lock

    def load(self, txns: Snapshot, lock: Entry | None, lock_revision: int) -> None:
        """Take a listing of the transactions, and the lock as it was at `lock_revision`."""
        self.known = {}
        self.locked, self._lock_revision = lock is not None, lock_revision
        for entry in txns.entries:
            self._take_entry(entry)

    def take(self, changes: Iterable[Change]) -> None:
        """Take what a watch has told, of the transactions or of the lock."""
        for change in changes:
            if change.key == keys.lock(self.cluster):
                self._take_lock(change.value is not None, change.mod_revision)
            elif change.value is not None:
                self._take_entry(change.as_entry())
            elif (txn := self._txn_of(change.key)) is not None:
                self.known.pop(txn, None)

    def take_read(self, key: str, entry: Entry | None) -> None:
        """Take a head or the lock as just read: a watch may lag behind what we have done ourselves."""
        if key == keys.lock(self.cluster):
            if entry is not None:
                self._take_lock(held=True, revision=entry.mod_revision)
        elif entry is not None:
            self._take_entry(entry)
        elif (txn := self._txn_of(key)) is not None:
            self.known.pop(txn, None)

    def active(self) -> Head | None:
        """Return the transaction that has to go on, or None."""
        found = [k.head for k in self.known.values() if k.head.state.active]
        return min(found, key=lambda head: (-head.started_at, head.txn), default=None)

    def orphan(self) -> Head | None:
        """Return the transaction that has to go on and that nobody drives, or None."""
        return None if self.locked else self.active()

    def ended(self) -> tuple[tuple[int, TxnId], ...]:
        """Return the transactions that are over, each with the create-revision of its head."""
        return tuple((k.created, txn) for txn, k in self.known.items() if k.head.state.terminal)

    @property
    def idle(self) -> bool:
        """Return true while nobody holds the lock and no transaction has to go on."""
        return not self.locked and self.active() is None

    def _take_lock(self, held: bool, revision: int) -> None:
        if revision > self._lock_revision:
            self.locked, self._lock_revision = held, revision

    def _take_entry(self, entry: Entry) -> None:
        txn = self._txn_of(entry.key)
        if txn is None:
            return
        before = self.known.get(txn)
        if before is not None and before.modified >= entry.mod_revision:
            return
        try:
            head = decode(Head, entry.value)
        except JournalError as exc:  # never guessed at; it keeps no other transaction waiting
            LOG.error("%s", exc.message)  # noqa: TRY400  expected, told without a traceback
            self.known.pop(txn, None)
        else:
            self.known[txn] = KnownHead(head, entry.create_revision, entry.mod_revision)

    def _txn_of(self, key: str) -> TxnId | None:
        """Return the transaction whose head the key is, or None for any other key."""
        parts = keys.parts_below(keys.all_txns_prefix(self.cluster), key)
        return TxnId(parts[0]) if len(parts) == 2 and parts[1] == "head" else None
