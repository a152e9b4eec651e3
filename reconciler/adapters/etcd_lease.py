"""A lease that is kept alive, and declared lost in time when it cannot be.

Two threads: one renews every third of the time to live; the other is a watchdog that does no I/O and
only compares a clock. Time is counted from *before* a renewal was sent, so that we always think the
lease ends earlier than etcd does.

The clock is CLOCK_BOOTTIME: unlike CLOCK_MONOTONIC it goes on while the machine is suspended, as etcd's
does.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

from reconciler.adapters.etcd_connection import ATTEMPT_TIMEOUT_S, LEASE_REVOKE
from reconciler.adapters.etcd_messages import etcdrpc
from reconciler.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.adapters.etcd_connection import EtcdConnection

_RETRY_S = 0.2  # between a failed renewal and the next
_CLOSE_TIMEOUT_S = 1.0  # for revoking, and again for the threads to end
_LONGEST_SLEEP_S = 1.0  # waiting counts CLOCK_MONOTONIC: look again after a suspend


def now() -> float:
    """Return seconds of a clock that only goes forward, suspends included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def safety_margin_s(ttl_s: int) -> float:
    """Return how long before its end a lease is declared lost: a tenth, at least half a second."""
    return max(0.5, ttl_s / 10)


class EtcdLease:
    """A granted lease; see `reconciler.ports.store.Lease`.

    Args:
        connection: to renew and revoke over.
        lease_id: etcd's number; ttl_s: what etcd granted, which may be more than was asked for.
        sent_at: `now()` before the grant was asked for.
        on_lost: called once, by one of the two threads, unless `close` or `stop` came first.
    """

    def __init__(
        self,
        connection: EtcdConnection,
        lease_id: int,
        ttl_s: int,
        *,
        sent_at: float,
        on_lost: Callable[[], None] | None,
    ) -> None:
        self._connection = connection
        self._id = lease_id
        self._ttl_s = ttl_s
        self._on_lost = on_lost
        self._lost_at = sent_at + ttl_s - safety_margin_s(ttl_s)
        self._lock = threading.Lock()
        self._gone = False
        self._stopping = threading.Event()
        self._threads = tuple(
            threading.Thread(target=target, name=f"etcd-lease {lease_id:x} {target.__name__}", daemon=True)
            for target in (self._renew, self._watch_over)
        )
        for thread in self._threads:
            thread.start()

    @property
    def lease_id(self) -> int:
        """Return etcd's number of the lease."""
        return self._id

    @property
    def lost(self) -> bool:
        """Return true once the lease must be considered gone; does not depend on any thread."""
        return self._gone or now() >= self._lost_at

    @property
    def running(self) -> bool:
        """Return false once nothing keeps the lease alive any more."""
        return any(thread.is_alive() for thread in self._threads)

    def stop(self) -> None:
        """Stop keeping it alive, without waiting, revoking or calling `on_lost`."""
        self._stopping.set()

    def close(self) -> None:
        """Revoke it, within a second if possible, and end the threads. May be called twice."""
        with self._lock:
            first = not self._gone
            self._gone = True
        self.stop()
        if first:
            with contextlib.suppress(StoreError):  # it ends by itself then
                self._connection.ask(LEASE_REVOKE, etcdrpc.LeaseRevokeRequest(ID=self._id), _CLOSE_TIMEOUT_S)
        self.join(_CLOSE_TIMEOUT_S)

    def join(self, timeout_s: float) -> None:
        """Wait for the threads, at most `timeout_s` for both together."""
        end = time.monotonic() + timeout_s
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, end - time.monotonic()))

    def _renew(self) -> None:
        pause = max(0.0, self._left() - self._ttl_s * 2 / 3)
        while not self._stopping.wait(pause):
            sent_at = now()
            try:
                ttl_s = self._connection.renew(self._id, min(ATTEMPT_TIMEOUT_S, self._ttl_s / 3))
            except StoreError:
                pause = _RETRY_S
                continue
            if ttl_s <= 0:
                self._declare_lost()
                return
            with self._lock:
                self._lost_at = max(self._lost_at, sent_at + ttl_s - safety_margin_s(ttl_s))
            pause = self._ttl_s / 3

    def _watch_over(self) -> None:
        while (left := self._left()) > 0:
            if self._stopping.wait(min(left, _LONGEST_SLEEP_S)):
                return
        self._declare_lost()

    def _left(self) -> float:
        with self._lock:
            return self._lost_at - now()

    def _declare_lost(self) -> None:
        with self._lock:
            if self._gone or self._stopping.is_set():
                return
            self._gone = True
        self._stopping.set()
        if self._on_lost is not None:
            self._on_lost()
