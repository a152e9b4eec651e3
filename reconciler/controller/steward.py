"""The steward: brings transactions to their end whose applying process has gone (design 3.5).

Between them it removes the oldest of those that have ended, so that the journal does not grow for ever.

It acts on state: an active head and no lock. That state is listed once and then held by two watches, so a
steward that has nothing to do asks the store nothing. The lock it takes gives it a new epoch, which fences
off whatever is left of the former holder; the rest is the same engine that an apply runs.
"""

from __future__ import annotations

import logging
import queue
import secrets
import threading
from typing import TYPE_CHECKING

from reconciler import failpoints
from reconciler.controller.outlook import Outlook
from reconciler.controller.removal import remove_ended
from reconciler.controller.session import new_secret, who
from reconciler.engine.applier import Applier
from reconciler.engine.driver import Driver
from reconciler.engine.journal import frozen_plan, stop_for_good, take_over
from reconciler.engine.lock import acquire
from reconciler.engine.messages import LockGone
from reconciler.engine.retention import node_keys, superfluous
from reconciler.errors import (
    JournalError,
    LockHeld,
    ReconcilerError,
    StoreError,
    StoreRestored,
    StoreUnavailable,
)
from reconciler.model import keys
from reconciler.model.report import ProgressEvent
from reconciler.observe import refuse_doubted
from reconciler.ports.store import Changes, Watch, WatchEnded
from reconciler.txn.record import Head, LockRecord

if TYPE_CHECKING:
    from reconciler.model.ids import ClusterId, TxnId
    from reconciler.ports.node import Clock
    from reconciler.ports.store import Store

LOG = logging.getLogger("gluster-state.steward")
TICK_S = 0.25  #: how soon it hears that it is to stop; nothing is read at a tick
AGAIN_S = 1.0  #: pause before everything is listed again after trouble


class Steward:
    """Takes orphaned transactions over until it is stopped. One thread; watches only put into a queue."""

    def __init__(self, store: Store, cluster: ClusterId, clock: Clock, stop: threading.Event) -> None:
        self._store, self._cluster, self._clock, self._stop = store, cluster, clock, stop
        self._outlook = Outlook(cluster)
        self._events: queue.SimpleQueue[Changes | WatchEnded] = queue.SimpleQueue()

    def run(self) -> None:
        """List, watch, take over; after trouble with the store list again. Raises StoreRestored."""
        while not self._stop.is_set():
            try:
                self._follow()
            except StoreRestored:
                raise  # this connection remembers another store; the next one begins anew
            except StoreError as exc:
                LOG.warning("listing again: %s", exc.message)
            except ReconcilerError as exc:
                LOG.error("%s", exc.message)  # noqa: TRY400  expected, told without a traceback
            self._stop.wait(AGAIN_S)

    def look_once(self) -> Head | None:
        """List, and take over an orphaned transaction if there is one; return its head afterwards.

        A steward that is stopped lets go of the transaction, and the next one goes on with it: that a
        machine is shut down is no reason to wait for a human.
        """
        self.look()
        return self._act()

    def look(self) -> tuple[tuple[str, int], tuple[str, int]]:
        """List the transactions and the lock; return what to watch, and each from which revision on."""
        txns_prefix, lock_key = keys.all_txns_prefix(self._cluster), keys.lock(self._cluster)
        txns, lock = self._store.read_prefix(txns_prefix), self._store.read_prefix(lock_key)
        held = next((e for e in lock.entries if e.key == lock_key), None)
        self._outlook.load(txns, held, lock.revision)
        return (txns_prefix, txns.revision), (lock_key, lock.revision)

    def orphan(self) -> Head | None:
        """Return an active transaction that nobody drives, as far as is known."""
        return self._outlook.orphan()

    def take_over(self, epoch: int) -> Applier | None:
        """Return an engine for the active transaction, or None; the lock with this epoch is ours."""
        known = self._outlook.active()
        orphan = self._read_again(known.txn) if known else None
        if orphan is None or not orphan.state.active:
            return None
        LOG.warning("taking over transaction %s of %s", orphan.txn, orphan.holder)
        taken = take_over(self._store, self._cluster, orphan, epoch, who())
        if not taken.state.active:
            LOG.warning("transaction %s is %s: %s", taken.txn, taken.state.value, taken.reason)
            return None
        try:
            plan = frozen_plan(self._store, self._cluster, taken)
        except JournalError as exc:
            stop_for_good(self._store, self._cluster, taken, epoch, exc.message)
            raise
        failpoints.hit("steward.plan.loaded")
        return Applier(self._cluster, taken.txn, plan, epoch=epoch, holder=who(), secret=new_secret)

    # ------------------------------------------------------------ following

    def _follow(self) -> None:
        """List, then act on what the watches tell, until told to stop."""
        self._events = queue.SimpleQueue()  # what a former watch has said is in the listing
        watches: list[Watch] = []
        try:
            for prefix, after in self.look():
                watches.append(self._store.watch(prefix, after, self._events.put))
            while not self._stop.is_set():
                self._act()
                self._hear(TICK_S)
        finally:
            for watch in watches:
                watch.close()

    def _hear(self, wait_s: float) -> None:
        """Take what the watches have told, waiting for the first of it.

        Raises StoreUnavailable if a watch has ended: everything has to be listed again.
        """
        try:
            event = self._events.get(timeout=wait_s) if wait_s else self._events.get_nowait()
            while True:
                if isinstance(event, WatchEnded):
                    raise StoreUnavailable(f"a watch ended: {event.reason}")
                self._outlook.take(event.changes)
                event = self._events.get_nowait()
        except queue.Empty:
            return

    def _read_again(self, txn: TxnId) -> Head | None:
        """Read a head instead of waiting for the watch; return it, or None if it is gone or unreadable."""
        key = keys.head(self._cluster, txn)
        self._outlook.take_read(key, self._store.read(key))
        known = self._outlook.known.get(txn)
        return known.head if known else None

    # ------------------------------------------------------------ acting

    def _act(self) -> Head | None:
        """Do what is to be done; return the head of the transaction that was driven.

        What looks like an orphan is read again before the lock is taken: the two watches are in no order
        between them, so an apply that begins or ends may look like one for a moment.
        """
        seeming = self.orphan()
        if seeming is None:
            self._remove_old()
            return None
        lock = keys.lock(self._cluster)
        self._outlook.take_read(lock, self._store.read(lock))
        self._read_again(seeming.txn)
        orphan = self.orphan()
        if orphan is None:
            return None
        refuse_doubted(self._store.read_prefix(keys.nodes_prefix(self._cluster)), self._cluster)
        return self._drive(orphan)

    def _remove_old(self) -> None:
        """Remove the oldest ended transactions if there are too many and nothing else is to be done."""
        old = superfluous(self._outlook.ended()) if self._outlook.idle else ()
        if not old:
            return
        nodes = self._store.read_prefix(keys.nodes_prefix(self._cluster))
        refuse_doubted(nodes, self._cluster)
        at_nodes = node_keys(self._cluster, nodes.entries)
        for txn in old:
            if self._stop.is_set() or not self._outlook.idle:
                return
            if remove_ended(self._store, self._cluster, txn, at_nodes.get(txn, ())):
                LOG.info("removed transaction %s, which ended long ago", txn)
            self._read_again(txn)
            self._hear(0)

    def _drive(self, orphan: Head) -> Head | None:
        driver = Driver(
            self._store, self._cluster, self._clock, _log_event, self._stop.is_set, on_stop=LockGone()
        )
        record = LockRecord(
            holder=who(),
            op_id=secrets.token_hex(8),
            since=self._clock.now(),
            purpose=f"steward for {orphan.txn}",
        )
        failpoints.hit("steward.orphan.seen")
        try:
            lock = acquire(self._store, self._cluster, record, timeout_s=0, on_lost=driver.lock_lost)
        except LockHeld:
            return None  # seen at the next tick
        with lock:
            applier = self.take_over(lock.epoch)
            end = driver.run(applier) if applier is not None else None
        self._read_again(orphan.txn)
        if end is not None:
            LOG.warning("transaction %s: %s", end.txn, end.state.value)
        return end


def _log_event(event: ProgressEvent) -> None:
    LOG.info("%s %s %s %s", event.kind.value, event.op, event.address or "", event.text)
