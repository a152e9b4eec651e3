"""Between the volfile server (sockets) and the agent (what to serve). Protocols and their values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecRequest:
    """A GETSPEC call.

    Attributes:
        connection: number of the connection, unique for the life of the server.
        key: the volfile id asked for, as sent.
        trusted: the call came over the root-only unix socket from a local root process (SO_PEERCRED).
        remote: address of the caller, for messages; empty on the unix socket.
        wants_servers: the client asks for the list of volfile servers (GF_GETSPEC_FLAG_SERVERS_LIST).
        max_op_version: what the caller says it supports; 0 if it said nothing.
    """

    connection: int
    key: str
    trusted: bool
    remote: str = ""
    wants_servers: bool = False
    max_op_version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecReply:
    """The answer: `text` with `error` 0, or an errno such as 2 (no such volume) or 95 (op-version).

    `servers` are host names or addresses of volfile servers; sent only to clients that asked.
    """

    text: str = ""
    error: int = 0
    servers: tuple[str, ...] = field(default_factory=tuple)


class VolfileSource(Protocol):
    """What the volfile server asks. Called from the server's own thread; answers at once, never blocks."""

    def getspec(self, request: SpecRequest) -> SpecReply:
        """Return the volfile for a key."""
        ...

    def port_of(self, brick: str) -> int:
        """Return the port of the brick with this path on this node, or 0 if it is not running."""
        ...

    def volume_uuid(self, volume: str) -> str:
        """Return the id of a served volume, or an empty string."""
        ...

    def signed_in(self, connection: int, brick: str, port: int, pid: int) -> None:
        """Record that a brick process listens. Called only for connections on the unix socket."""
        ...

    def signed_out(self, connection: int, brick: str) -> None:
        """Record that the brick process of this connection is going away."""
        ...

    def disconnected(self, connection: int) -> None:
        """Record that a connection ended; whatever it had signed in is gone unless signed in elsewhere."""
        ...

    def notified(self, connection: int, operation: int, values: dict[str, str]) -> None:
        """Record an EVENT_NOTIFY of a local daemon (a rebalance that ended)."""
        ...
