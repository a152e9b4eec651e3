"""The shared store on etcd v3.

Importing this module loads grpc and protobuf (about 150 ms): commands that need no store must not.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import grpc

from reconciler.adapters.etcd_connection import (
    CALL_TIMEOUT_S,
    LEASE_GRANT,
    PAGE_KEYS,
    STATUS,
    EtcdConnection,
    EtcdEndpoint,
)
from reconciler.adapters.etcd_errors import Refused, ailment
from reconciler.adapters.etcd_lease import EtcdLease, now
from reconciler.adapters.etcd_messages import etcdrpc
from reconciler.adapters.etcd_watch import EtcdWatch, key_range, text
from reconciler.adapters.store_rules import check_commit
from reconciler.errors import StoreUnavailable
from reconciler.ports.store import Absent, Committed, CreatedAt, Entry, ModifiedAt, Put, Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.ports.store import Changes, Commit, Compare, Operation, WatchEnded

__all__ = ["EtcdEndpoint", "EtcdStore"]

_LISTING_TIMEOUT_S = 30.0  # after which a listing is not started again
_CLOSE_TIMEOUT_S = 2.0


class EtcdStore:
    """`reconciler.ports.store.Store` on an etcd cluster. Connects with the first call.

    Args:
        endpoint: where etcd is and who we are to it.
        call_timeout_s: how long a call may take, all its tries together; a listing takes that per page.

    Raises EnvironmentProblem when a TLS file cannot be read.
    """

    def __init__(self, endpoint: EtcdEndpoint, *, call_timeout_s: float = CALL_TIMEOUT_S) -> None:
        self._connection = EtcdConnection(endpoint, call_timeout_s=call_timeout_s)
        self._lock = threading.Lock()
        self._background: list[EtcdWatch | EtcdLease] = []
        self._closed = False

    def server_version(self) -> str:
        """Return etcd's version, such as ``3.5.16``, of the endpoint in use."""
        return str(self._connection.ask(STATUS, etcdrpc.StatusRequest()).version)

    def identity(self) -> str:
        """Return etcd's cluster id, in hexadecimal."""
        answer = self._connection.ask(STATUS, etcdrpc.StatusRequest())
        self._connection.admit(answer.header)
        return f"{answer.header.cluster_id:x}"

    def ailment(self) -> str:
        """Return the alarms and the like that the member in use tells of, with the way out."""
        said = self._connection.ask(STATUS, etcdrpc.StatusRequest()).errors
        return "; ".join(dict.fromkeys(ailment(error) for error in said))

    def read(self, key: str) -> Entry | None:
        """Return the entry of one key, or None."""
        answer = self._connection.read(etcdrpc.RangeRequest(key=key.encode()))
        return _entry(answer.kvs[0]) if answer.kvs else None

    def read_prefix(self, prefix: str) -> Snapshot:
        """Return all entries under `prefix` at one revision, sorted by key.

        A listing whose revision is compacted between two pages starts again.
        """
        end = time.monotonic() + _LISTING_TIMEOUT_S
        while True:
            try:
                return self._list(prefix)
            except Refused as refused:
                if refused.code is not grpc.StatusCode.OUT_OF_RANGE:
                    raise
                if time.monotonic() >= end:
                    raise StoreUnavailable(f"listing {prefix} was overtaken by compactions") from refused

    def commit(self, commit: Commit) -> Committed:
        """Run a guarded transaction, once."""
        check_commit(commit)
        request = etcdrpc.TxnRequest(
            compare=[_compare(compare) for compare in commit.when],
            success=[_operation(operation) for operation in commit.then],
        )
        answer = self._connection.write(request)
        return Committed(succeeded=answer.succeeded, revision=answer.header.revision)

    def watch(self, prefix: str, after: int, sink: Callable[[Changes | WatchEnded], None]) -> EtcdWatch:
        """Deliver every change under `prefix` after revision `after` to `sink`, from another thread."""
        with self._lock:
            self._refuse_if_closed()
            watch = EtcdWatch(self._connection, prefix, after, sink)
            self._keep(watch)
        return watch

    def lease(self, ttl_s: int, on_lost: Callable[[], None] | None = None) -> EtcdLease:
        """Grant a lease and keep it alive. A grant whose answer got lost ends by itself."""
        sent_at = now()
        answer = self._connection.ask(LEASE_GRANT, etcdrpc.LeaseGrantRequest(TTL=ttl_s))
        self._connection.admit(answer.header)
        with self._lock:
            self._refuse_if_closed()
            lease = EtcdLease(self._connection, answer.ID, answer.TTL, sent_at=sent_at, on_lost=on_lost)
            self._keep(lease)
        return lease

    def close(self) -> None:
        """End all watches and leases' keep-alive (without revoking) and the connection, within about 2 s."""
        with self._lock:
            self._closed = True
            background, self._background = self._background, []
        for task in background:
            task.stop()
        self._connection.close()
        end = time.monotonic() + _CLOSE_TIMEOUT_S
        for task in background:
            if isinstance(task, EtcdLease):
                task.join(max(0.0, end - time.monotonic()))
            else:
                task.close()

    def _keep(self, task: EtcdWatch | EtcdLease) -> None:
        self._background = [kept for kept in self._background if kept.running]
        self._background.append(task)

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise StoreUnavailable("the connection to etcd is closed")

    def _list(self, prefix: str) -> Snapshot:
        first, range_end = key_range(prefix)
        revision = 0
        entries: list[Entry] = []
        while True:
            request = etcdrpc.RangeRequest(key=first, range_end=range_end, limit=PAGE_KEYS, revision=revision)
            answer = self._connection.read(request)
            revision = revision or answer.header.revision
            entries.extend(_entry(pair) for pair in answer.kvs)
            if not answer.more:
                return Snapshot(revision=revision, entries=tuple(entries))
            first = answer.kvs[-1].key + b"\0"


def _entry(pair: Any) -> Entry:
    return Entry(
        key=text(pair.key),
        value=text(pair.value),
        create_revision=pair.create_revision,
        mod_revision=pair.mod_revision,
        lease=pair.lease,
    )


def _compare(compare: Compare) -> Any:
    message = etcdrpc.Compare(key=compare.key.encode(), result=etcdrpc.Compare.EQUAL)
    match compare:
        case Absent():
            message.target = etcdrpc.Compare.CREATE
            message.create_revision = 0
        case CreatedAt(revision=revision):
            message.target = etcdrpc.Compare.CREATE
            message.create_revision = revision
        case ModifiedAt(revision=revision):
            message.target = etcdrpc.Compare.MOD
            message.mod_revision = revision
    return message


def _operation(operation: Operation) -> Any:
    key = operation.key.encode()
    if isinstance(operation, Put):
        put = etcdrpc.PutRequest(key=key, value=operation.value.encode(), lease=operation.lease)
        return etcdrpc.RequestOp(request_put=put)
    return etcdrpc.RequestOp(request_delete_range=etcdrpc.DeleteRangeRequest(key=key))
