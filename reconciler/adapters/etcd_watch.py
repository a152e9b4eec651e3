"""A watch that survives its connections.

etcd's stream is followed by one thread. When it breaks, the thread opens another at the revision after
the last one delivered, so nothing is lost and nothing comes twice. What cannot be resumed (compacted
history, another cluster behind the address, a history that went backwards, no permission) ends it with
a reason.

Progress notifications are not asked for: before etcd 3.4.25 and 3.5.8 they could run ahead of events.
"""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any

import grpc

from reconciler.adapters.etcd_connection import ATTEMPT_TIMEOUT_S, pauses
from reconciler.adapters.etcd_errors import Verdict, classify
from reconciler.adapters.etcd_messages import etcdrpc
from reconciler.errors import StoreError, StoreUnavailable
from reconciler.ports.store import Change, Changes, WatchEnded

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.adapters.etcd_connection import EtcdConnection

_CLOSE_TIMEOUT_S = 2.0


def key_range(prefix: str) -> tuple[bytes, bytes]:
    """Return the first key and the end of the range of all keys that start with `prefix`.

    UTF-8 has no byte 0xff, so raising the last byte is always possible. Zero bytes mean "from the first
    key" and "to the last key" (etcd ``rpc.proto``, RangeRequest).
    """
    first = prefix.encode()
    if not first:
        return b"\0", b"\0"
    return first, first[:-1] + bytes([first[-1] + 1])


def text(stored: bytes) -> str:
    r"""Decode a key or value. Bytes that are no UTF-8 become ``\x..``.

    Only a foreign writer leaves such bytes; the record's decoder refuses them then, which harms that
    record alone, not the listing or the watch.
    """
    return stored.decode("utf-8", "backslashreplace")


class WatchFold:
    """Turns one stream's responses after another into batches. Pure; survives reconnects.

    `last` is the revision up to which everything was delivered.
    """

    def __init__(self, after: int) -> None:
        self.last = after
        self._pending: list[Change] = []

    def reopened(self) -> None:
        """Forget the half of a fragmented response whose other half will never come."""
        self._pending.clear()

    def take(self, response: Any) -> Changes | WatchEnded | None:
        """Return a complete batch, the end of the watch, or None when there is nothing to deliver yet.

        A response may be a fragment; events seen before a reconnect are dropped (etcd 3.4.23 also sends
        some twice by itself, fixed in 3.4.24).
        """
        if response.compact_revision:
            return WatchEnded(
                reason=f"history before revision {response.compact_revision} is compacted",
                compacted=response.compact_revision,
            )
        if response.canceled:
            return WatchEnded(reason=response.cancel_reason or "etcd cancelled the watch")
        self._pending.extend(_change(event) for event in response.events if event.kv.mod_revision > self.last)
        if response.fragment or not self._pending:
            return None
        changes = tuple(self._pending)
        self._pending.clear()
        self.last = changes[-1].mod_revision
        return Changes(revision=self.last, changes=changes)


def _change(event: Any) -> Change:
    deleted = event.type == etcdrpc.Event.DELETE
    return Change(
        key=text(event.kv.key),
        value=None if deleted else text(event.kv.value),
        create_revision=event.kv.create_revision,
        mod_revision=event.kv.mod_revision,
    )


class EtcdWatch:
    """A running watch; see `reconciler.ports.store.Watch`."""

    def __init__(
        self,
        connection: EtcdConnection,
        prefix: str,
        after: int,
        sink: Callable[[Changes | WatchEnded], None],
    ) -> None:
        self._connection = connection
        self._range = key_range(prefix)
        self._sink = sink
        self._fold = WatchFold(after)
        self._stopping = threading.Event()
        self._stream: Any = None
        self._created = False
        self._login_tried = False
        self._delivery = threading.RLock()
        self._thread = threading.Thread(target=self._run, name=f"etcd-watch {prefix}", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Return false once the watch's thread has ended."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Ask the thread to end, without waiting."""
        self._stopping.set()
        stream = self._stream
        if stream is not None:
            stream.cancel()

    def close(self) -> None:
        """Stop it; no call of the sink begins after this returns. May be called twice, also by the sink.

        A call of the sink that is under way is waited for, at most 2 s.
        """
        self.stop()
        if self._delivery.acquire(timeout=_CLOSE_TIMEOUT_S):
            self._delivery.release()
        if self._thread is not threading.current_thread():
            self._thread.join(_CLOSE_TIMEOUT_S)

    def _run(self) -> None:
        waits = pauses()
        while not self._stopping.is_set():
            self._created = False
            try:
                ended = self._follow()
            except StoreUnavailable:
                ended = None
            except StoreError as error:
                ended = WatchEnded(reason=str(error))
            if ended is not None:
                self._deliver(ended)
                return
            if self._created:
                waits = pauses()
            self._stopping.wait(next(waits))

    def _follow(self) -> WatchEnded | None:
        """Follow one stream until it breaks (None: open another) or says that the watch is over."""
        self._fold.reopened()
        outbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        outbox.put(self._request())
        # grpc reads requests until None: ending them earlier would half-close the stream.
        host, stream = self._connection.open_watch(iter(outbox.get, None))
        silence = threading.Timer(ATTEMPT_TIMEOUT_S, stream.cancel)  # until the first answer
        silence.daemon = True
        silence.start()
        self._stream = stream
        try:
            if self._stopping.is_set():
                return None
            for response in stream:
                silence.cancel()
                ended = self._take(response)
                if ended is not None:
                    refusal = classify(grpc.StatusCode.UNKNOWN, ended.reason)
                    return None if self._log_in_again(refusal) else ended
            self._connection.suspect(host)
        except grpc.RpcError as error:
            self._connection.suspect(host)
            return self._broken(error)
        finally:
            silence.cancel()
            stream.cancel()
            outbox.put(None)
        return None

    def _request(self) -> Any:
        first, end = self._range
        create = etcdrpc.WatchCreateRequest(
            key=first, range_end=end, start_revision=self._fold.last + 1, fragment=True
        )
        return etcdrpc.WatchRequest(create_request=create)

    def _take(self, response: Any) -> WatchEnded | None:
        self._connection.admit(response.header)
        if response.created and not response.canceled:
            self._refuse_older_history(response.header.revision)
            self._created = True
            self._login_tried = False
        outcome = self._fold.take(response)
        if isinstance(outcome, Changes):
            self._deliver(outcome)
            return None
        return outcome

    def _refuse_older_history(self, revision: int) -> None:
        """Raise StoreError if the store has not even reached what we have seen.

        A watch is answered by one member, which may lag behind; so a low revision there is only the
        reason to ask the cluster (a linearizable read).
        """
        if revision >= self._fold.last:
            return
        first, end = self._range
        answer = self._connection.read(etcdrpc.RangeRequest(key=first, range_end=end, count_only=True))
        self._connection.admit(answer.header, self._fold.last)

    def _broken(self, error: Any) -> WatchEnded | None:
        """Return how the watch ends because of a stream's error, or None to open another stream."""
        verdict = classify(error.code(), error.details() or "")
        if verdict in (Verdict.UNKNOWN, Verdict.NOT_APPLIED):
            return None
        ended = WatchEnded(reason=f"etcd refuses the watch: {error.details()}")
        return None if self._log_in_again(verdict) else ended

    def _log_in_again(self, verdict: Verdict) -> bool:
        """Return true if the refusal may be due to a token that etcd no longer knows.

        etcd 3.4 says "permission denied" for an expired token as well, so one login is tried.
        """
        if verdict not in (Verdict.FORBIDDEN, Verdict.STALE_LOGIN) or self._login_tried:
            return False
        self._login_tried = True
        return self._connection.forget_token()

    def _deliver(self, message: Changes | WatchEnded) -> None:
        with self._delivery:
            if not self._stopping.is_set():
                self._sink(message)
