"""The connections of the volfile server: one asyncio protocol each, and the table that limits them.

Runs in the server's loop only. A connection that got a volfile may stay idle for good, because callbacks
travel on it; all others must make progress: a first call in time, the rest of a begun call in time, and no
long idling. A peer that does not read its replies is not read from either, and closed after a while.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import resource
import socket
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from reconciler.errors import WireError
from reconciler.volserver.listen import peer_uid
from reconciler.volserver.session import Session
from reconciler.wire import programs, rpc

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.ports.volfiles import VolfileSource

_log = logging.getLogger(__name__)
_FETCHSPEC = rpc.frame(programs.fetchspec())
_RECORDS_AT_A_TIME = 32  # then other connections get their turn
_RESERVED_FILES = 256  # descriptors that strangers may not use up: the agent and its daemons need some
_LOG_EVERY_S = 10.0  # one line at most about refused connections, however many there are
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 20), (socket.TCP_KEEPINTVL, 2), (socket.TCP_KEEPCNT, 9))


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much strangers may use. Of these, `local_record_bytes` alone is for the unix socket.

    Attributes:
        connections: over TCP, altogether (fewer when the process may open fewer files).
        connections_per_address: over TCP, from one address. Where there is no room, the oldest connection
            without a volfile gives way to a new one: idle strangers cannot keep a client out.
        record_bytes: longest call over TCP; local_record_bytes: over the unix socket.
        first_record_s: time for the first call, and for the rest of any call once begun.
        idle_s: time without a call for a connection that got no volfile.
        stalled_write_s: time in which a peer has to read what it asked for.
        write_high_bytes: unread replies of a connection before we stop reading from it.
        unread_bytes: unread replies altogether; beyond that the longest stalled are closed.
    """

    connections: int = 10_000
    connections_per_address: int = 512
    record_bytes: int = 64 * 1024
    local_record_bytes: int = 1024 * 1024
    first_record_s: float = 10.0
    idle_s: float = 60.0
    stalled_write_s: float = 30.0
    write_high_bytes: int = 256 * 1024
    unread_bytes: int = 64 * 1024 * 1024


class ConnectionTable:
    """All open connections of one server."""

    def __init__(self, source: VolfileSource, limits: Limits) -> None:
        self.source = source
        self.limits = limits
        self.closing = False
        self._open: dict[Connection, str] = {}
        self._per_address: Counter[str] = Counter()
        # Without a volfile, oldest first: all of them, and those of each address.
        self._waiting: dict[Connection, None] = {}
        self._waiting_at: dict[str, dict[Connection, None]] = {}
        self._numbers = itertools.count(1)
        self._refused = 0
        self._refusal = ""
        self._log_from = -math.inf
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._most = max(16, min(limits.connections, files - _RESERVED_FILES))

    def stranger(self) -> Connection:
        """Return the protocol for a new TCP connection."""
        return Connection(self, trusted=False)

    def local(self) -> Connection:
        """Return the protocol for a new connection on the unix socket."""
        return Connection(self, trusted=True)

    def admit(self, connection: Connection, remote: str) -> int:
        """Return a number for a new connection, or 0 when there is no room. `remote` is empty for local."""
        if remote:
            most = self.limits.connections_per_address
            if self._per_address[remote] >= most:
                self.refuse(f"{remote} has {most} connections already")
                if not self._displace(self._waiting_at.get(remote, {})):
                    return 0
            if self._per_address.total() >= self._most:
                self.refuse(f"{self._most} connections are open already")
                if not self._displace(self._waiting):
                    return 0
            self._per_address[remote] += 1
            self._waiting[connection] = None
            self._waiting_at.setdefault(remote, {})[connection] = None
        self._open[connection] = remote
        return next(self._numbers)

    def settle(self, connection: Connection) -> None:
        """Let a connection stay for good: it has a volfile."""
        if connection in self._waiting:
            del self._waiting[connection]
            remote = self._open[connection]
            del self._waiting_at[remote][connection]
            if not self._waiting_at[remote]:
                del self._waiting_at[remote]

    def _displace(self, waiting: Mapping[Connection, None]) -> bool:
        """Close the oldest of some connections, to make room; false if there is none."""
        oldest = next(iter(waiting), None)
        if oldest is None:
            return False
        self.forget(oldest)
        oldest.abort()
        return True

    def forget(self, connection: Connection) -> None:
        """Give the room of an admitted connection back."""
        self.settle(connection)
        remote = self._open.pop(connection, "")
        if remote:
            self._per_address[remote] -= 1
            if not self._per_address[remote]:
                del self._per_address[remote]

    def refuse(self, reason: str) -> None:
        """Count a connection that was closed by us; `sweep` writes the log."""
        self._refused += 1
        self._refusal = reason

    def sweep(self, now: float) -> None:
        """Close connections whose time is over. `now` is the loop's clock in seconds."""
        for connection in list(self._open):
            if connection.deadline <= now:
                self.refuse(f"{self._open[connection]} was too slow")
                connection.abort()
        if self._refused and now >= self._log_from:
            _log.warning(
                "volserver.refused %d connections, the last because %s", self._refused, self._refusal
            )
            self._refused = 0
            self._log_from = now + _LOG_EVERY_S

    def spare_memory(self) -> None:
        """Close the longest stalled strangers until what they leave unread fits into the limit."""
        stalled = [item for item, remote in self._open.items() if remote and item.stalled]
        unread = sum(item.unread for item in stalled)
        for connection in sorted(stalled, key=lambda item: item.deadline):
            if unread <= self.limits.unread_bytes:
                return
            unread -= connection.unread
            self.refuse("too many replies lie unread")
            connection.abort()

    def broadcast(self) -> None:
        """Send FETCHSPEC to every connection that asked for a volfile."""
        for connection in list(self._open):
            connection.fetchspec()

    def close_all(self) -> None:
        """Close everything; the source hears nothing of it."""
        self.closing = True
        for connection in list(self._open):
            connection.abort()


class Connection(asyncio.Protocol):
    """One connection: feeds a Session and watches the peer's pace."""

    def __init__(self, table: ConnectionTable, *, trusted: bool) -> None:
        self.deadline = math.inf
        self.stalled = False
        self._table = table
        self._trusted = trusted
        self._loop = asyncio.get_running_loop()
        self._begun = 0.0
        self._fetchspec_due = False
        self._resting = False
        self._transport: asyncio.Transport
        self._session: Session | None = None

    @property
    def unread(self) -> int:
        """Return how many bytes the peer has not read yet."""
        return self._transport.get_write_buffer_size()

    def abort(self) -> None:
        """Close at once; unread replies are lost."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the peer in, or close when it may not come in."""
        self._transport = cast("asyncio.Transport", transport)
        peer: socket.socket = transport.get_extra_info("socket")
        if self._trusted:
            remote = ""
            if peer_uid(peer) != 0:
                self._table.refuse("a process that is not root's connected to the unix socket")
                self.abort()
                return
        else:
            remote = str(transport.get_extra_info("peername")[0])
        limits = self._table.limits
        number = self._table.admit(self, remote)
        if not number:
            self.abort()
            return
        if not self._trusted:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in _KEEPALIVE:
                peer.setsockopt(socket.IPPROTO_TCP, option, value)
            self._begun = self._loop.time()
            self.deadline = self._begun + limits.first_record_s
        self._transport.set_write_buffer_limits(high=limits.write_high_bytes)
        self._session = Session(
            number,
            self._table.source,
            trusted=self._trusted,
            remote=remote,
            max_record=limits.local_record_bytes if self._trusted else limits.record_bytes,
        )

    def data_received(self, data: bytes) -> None:
        """Work on what arrived."""
        if self._session is not None and not self._transport.is_closing():
            self._session.receive(data)
            self._work(self._session)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the loop passes it
        """Forget the connection and tell the source."""
        self._table.forget(self)
        if self._session is not None and not self._table.closing:
            self._table.source.disconnected(self._session.connection)

    def pause_writing(self) -> None:
        """Stop reading from a peer that does not read."""
        self.stalled = True
        self._transport.pause_reading()
        if not self._trusted:
            self.deadline = self._loop.time() + self._table.limits.stalled_write_s
            # Later: the transport is in the middle of a write and must not be aborted under its feet.
            self._loop.call_soon(self._table.spare_memory)

    def resume_writing(self) -> None:
        """Go on with a peer that reads again."""
        self.stalled = False
        if self._fetchspec_due:
            self._fetchspec_due = False
            self._transport.write(_FETCHSPEC)
        self._continue()

    def fetchspec(self) -> None:
        """Send FETCHSPEC if this peer ever asked for a volfile; to a stalled one when it reads again."""
        if self._session is None or not self._session.fetched or self._transport.is_closing():
            return
        if self.stalled:
            self._fetchspec_due = True
        else:
            self._transport.write(_FETCHSPEC)

    def _continue(self) -> None:
        self._resting = False
        if self._session is not None and not self._transport.is_closing():
            self._work(self._session)

    def _work(self, session: Session) -> None:
        """Answer some of the calls that have arrived; with more of them waiting, come back later."""
        answered = 0
        try:
            while not self.stalled and not self._resting:
                reply = session.advance()
                if reply is None:
                    self._transport.resume_reading()
                    self._set_deadline(session, progress=answered > 0)
                    return
                self._transport.write(reply)
                answered += 1
                if answered == _RECORDS_AT_A_TIME and not self.stalled:
                    self._resting = True
                    self._transport.pause_reading()
                    self._loop.call_soon(self._continue)
        except WireError as error:
            self._table.refuse(f"{session.remote or 'a local process'} sent no RPC: {error.message}")
            self._leave()
        except BaseException:
            self.abort()  # a bug, ours or the source's: it costs this connection, the loop's log tells
            raise

    def _leave(self) -> None:
        """Close after the peer has read the replies it is still owed, or after the usual patience."""
        self.deadline = self._loop.time() + self._table.limits.stalled_write_s
        self._transport.close()

    def _set_deadline(self, session: Session, *, progress: bool) -> None:
        """Say by when the peer must have done what. Single bytes of a begun call buy it no time."""
        if self._trusted:
            return
        now, limits = self._loop.time(), self._table.limits
        if progress:
            self._begun = now
        if session.established:
            self._table.settle(self)
        if session.pending:
            self.deadline = self._begun + limits.first_record_s
        else:
            self.deadline = math.inf if session.established else now + limits.idle_s
