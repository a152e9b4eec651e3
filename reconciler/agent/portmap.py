"""Which brick of this node listens on which port, as the brick processes say themselves.

A brick process keeps its connection to the volfile server open, signs in on it again after every
reconnect, and a killed one says nothing: the end of the connection is the only sign. So an entry belongs to
the connection that made it, and goes with that connection alone; the sign-out of a failed second process
must not hide the first.

Source: glusterfs 10.3 glusterfsd/src/glusterfsd-mgmt.c: glusterfs_mgmt_pmap_signin, mgmt_rpc_notify;
xlators/mgmt/glusterd/src/glusterd-pmap.c.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_PER_CONNECTION = 512  #: bricks one process may sign in; GlusterFS puts at most 250 into one


@dataclass(frozen=True, slots=True)
class SignIn:
    """What a brick process said of itself. `pid` is 0 if it did not say."""

    port: int
    pid: int


class Portmap:
    """Sign-ins by brick path. Thread-safe; never blocks on anything but its own short lock."""

    def __init__(self, adopted: Callable[[str], int]) -> None:
        """Make an empty map.

        Args:
            adopted: returns the port of a brick process that was found running (0 if there is none), for
                the seconds between an agent's start and the process' reconnect. Must not block.
        """
        self._adopted = adopted
        self._lock = threading.Lock()
        self._by_connection: dict[int, dict[str, SignIn]] = {}
        self._connections: dict[str, list[int]] = {}  # by brick, the latest sign-in last

    def port_of(self, brick: str) -> int:
        """Return the port of a brick, or 0 if none is known to listen."""
        found = self.signed_in_as(brick)
        return found.port if found else self._adopted(brick)

    def signed_in_as(self, brick: str) -> SignIn | None:
        """Return the latest sign-in of a brick that still stands."""
        with self._lock:
            connections = self._connections.get(brick)
            return self._by_connection[connections[-1]][brick] if connections else None

    def sign_in(self, connection: int, brick: str, port: int, pid: int) -> bool:
        """Note a sign-in. Returns false, and notes nothing, for nonsense: a bad port or far too many."""
        with self._lock:
            entries = self._by_connection.get(connection, {})
            if not 0 < port <= 65535 or (brick not in entries and len(entries) >= MAX_PER_CONNECTION):
                return False
            self._forget(connection, brick)
            self._by_connection.setdefault(connection, {})[brick] = SignIn(port, pid)
            self._connections.setdefault(brick, []).append(connection)
            return True

    def sign_out(self, connection: int, brick: str) -> None:
        """Drop this connection's entry of a brick, and no other's."""
        with self._lock:
            self._forget(connection, brick)

    def disconnected(self, connection: int) -> None:
        """Drop everything a connection had signed in."""
        with self._lock:
            for brick in tuple(self._by_connection.get(connection, ())):
                self._forget(connection, brick)
            self._by_connection.pop(connection, None)

    def _forget(self, connection: int, brick: str) -> None:
        entries = self._by_connection.get(connection, {})
        if entries.pop(brick, None) is None:
            return
        if not entries:
            del self._by_connection[connection]
        rest = self._connections[brick]
        rest.remove(connection)
        if not rest:
            del self._connections[brick]
