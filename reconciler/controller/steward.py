"""The steward: brings transactions to their end whose applying process has gone (design 3.5).

It acts on state: an active head and no lock. The lock it takes gives it a new epoch, which fences off
whatever is left of the former holder; the rest is the same engine that an apply runs.
"""

from __future__ import annotations

import logging
import secrets
import threading
from typing import TYPE_CHECKING

from reconciler.controller.session import new_secret, who
from reconciler.engine.applier import Applier
from reconciler.engine.driver import Driver
from reconciler.engine.journal import frozen_plan, heads, stop_for_good
from reconciler.engine.lock import acquire, holder_of
from reconciler.engine.messages import LockGone
from reconciler.errors import JournalError, LockHeld, ReconcilerError, StoreError
from reconciler.model import keys
from reconciler.model.report import ProgressEvent
from reconciler.txn.record import Head, LockRecord

if TYPE_CHECKING:
    from reconciler.model.ids import ClusterId
    from reconciler.ports.node import Clock
    from reconciler.ports.store import Store

LOG = logging.getLogger("gluster-state.steward")
LOOK_EVERY_S = 2.0


class Steward:
    """Looks for orphaned transactions until it is stopped."""

    def __init__(self, store: Store, cluster: ClusterId, clock: Clock, stop: threading.Event) -> None:
        self._store, self._cluster, self._clock, self._stop = store, cluster, clock, stop

    def run(self) -> None:
        """Look, take over, look again. Store trouble only delays it."""
        while not self._stop.wait(LOOK_EVERY_S):
            try:
                self.look_once()
            except StoreError as exc:
                LOG.warning("the store does not answer: %s", exc.message)
            except ReconcilerError as exc:
                LOG.error("%s", exc.message)  # noqa: TRY400  expected, told without a traceback

    def look_once(self) -> Head | None:
        """Take over an orphaned transaction if there is one; return its head afterwards.

        A steward that is stopped lets go of the transaction, and the next one goes on with it: that a
        machine is shut down is no reason to wait for a human.
        """
        orphan = self.orphan()
        if orphan is None:
            return None
        driver = Driver(
            self._store, self._cluster, self._clock, _log_event, self._stop.is_set, on_stop=LockGone()
        )
        record = LockRecord(
            holder=who(),
            op_id=secrets.token_hex(8),
            since=self._clock.now(),
            purpose=f"steward for {orphan.txn}",
        )
        try:
            lock = acquire(self._store, self._cluster, record, timeout_s=0, on_lost=driver.lock_lost)
        except LockHeld:
            return None
        with lock:
            applier = self.take_over(lock.epoch)
            if applier is None:
                return None
            end = driver.run(applier)
        if end is not None:
            LOG.warning("transaction %s: %s", end.txn, end.state.value)
        return end

    def take_over(self, epoch: int) -> Applier | None:
        """Return an engine for the active transaction, or None; the lock with this epoch is ours."""
        orphan = self._active()
        if orphan is None:
            return None
        LOG.warning("taking over transaction %s of %s", orphan.txn, orphan.holder)
        try:
            plan = frozen_plan(self._store, self._cluster, orphan)
        except JournalError as exc:
            stop_for_good(self._store, self._cluster, orphan, epoch, exc.message)
            raise
        return Applier(self._cluster, orphan.txn, plan, epoch=epoch, holder=who(), secret=new_secret)

    def orphan(self) -> Head | None:
        """Return an active transaction that nobody drives."""
        if holder_of(self._store, self._cluster) is not None:
            return None
        return self._active()

    def _active(self) -> Head | None:
        snapshot = self._store.read_prefix(keys.all_txns_prefix(self._cluster))
        return next((h for h in heads(snapshot, self._cluster) if h.state.active), None)


def _log_event(event: ProgressEvent) -> None:
    LOG.info("%s %s %s %s", event.kind.value, event.op, event.address or "", event.text)
