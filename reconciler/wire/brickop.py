"""Brick operations: what the control socket of a brick or daemon (glusterfsd -S) answers.

Every operation has one request and one reply shape; the dictionaries inside differ. The functions here build
the requests we use and read their replies; sockets are in adapters/gluster_rpc.py.

Source: glusterfs 10.3 rpc/xdr/src/glusterd1-xdr.x (gd1_mgmt_brick_op_req, _rsp),
glusterfsd/src/glusterfsd-mgmt.c (glusterfs_handle_terminate, _brick_status, _translator_op).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from reconciler.errors import WireError
from reconciler.wire import gfdict
from reconciler.wire.xdr import Packer, Unpacker

BRICK_PROGRAM = 4867634
BRICK_VERSION = 2
MAX_REPLY_BYTES = 16 * 1024 * 1024
_MAX_NAME_BYTES = 4096
_STATUS_MEMORY, _STATUS_CLIENTS = 1, 2  #: STATUS commands: bits, but 10.3 refuses two at once
_HEAL_INDEX, _HEAL_FULL = 1, 2  #: translator operations of the self-heal daemon


class BrickProcedure(IntEnum):
    """Procedures of the brick operations program; the operation number repeats the procedure's."""

    TERMINATE = 1
    XLATOR_INFO = 2
    XLATOR_OP = 3
    STATUS = 4
    XLATOR_DEFRAG = 6
    NODE_STATUS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class BrickRequest:
    """One brick operation. `name` is a brick's path, an xlator's name, or empty."""

    procedure: BrickProcedure
    name: str = ""
    values: Mapping[str, str | int] = field(default_factory=dict)

    def encode(self) -> bytes:
        """Return the body: name, operation, input dictionary, a second dictionary that nothing here uses."""
        packed = Packer().string(self.name).i32(self.procedure)
        return packed.opaque(gfdict.encode(self.values)).opaque(b"").build()

    @classmethod
    def decode(cls, body: bytes) -> BrickRequest:
        """Return the message, or raise WireError."""
        reader = Unpacker(body)
        name, number = reader.string(_MAX_NAME_BYTES), reader.i32()
        values = gfdict.decode_text(reader.opaque(64 * 1024))
        try:
            procedure = BrickProcedure(number)
        except ValueError as error:
            raise WireError(f"brick operation {number}") from error
        return cls(procedure=procedure, name=name, values=values)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrickReply:
    """What came of it: `result` 0 or -1, an errno, a dictionary, and a text for people."""

    result: int
    error: int = 0
    values: dict[str, str] = field(default_factory=dict)
    message: str = ""

    def encode(self) -> bytes:
        """Return the body."""
        packed = Packer().i32(self.result).i32(self.error)
        return packed.opaque(gfdict.encode(self.values)).string(self.message).build()

    @classmethod
    def decode(cls, body: bytes) -> BrickReply:
        """Return the message, or raise WireError."""
        reader = Unpacker(body)
        result, error = reader.i32(), reader.i32()
        values = gfdict.decode_text(reader.opaque(MAX_REPLY_BYTES), gfdict.REPLY_LIMITS)
        message = reader.opaque(64 * 1024).decode(errors="backslashreplace")
        return cls(result=result, error=error, values=values, message=message)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrickClient:
    """A process connected to a brick.

    Attributes:
        name: the kind of process it says it is, such as ``fuse`` (what --process-name said); not unique.
        address: ``host:port`` it comes from; unique.
        op_version: the highest it supports, 0 when it did not say.
        bytes_read: what it read since it connected; bytes_written: what it wrote.
    """

    name: str
    address: str
    op_version: int
    bytes_read: int
    bytes_written: int


def terminate(brick_path: str) -> BrickRequest:
    """Stop a brick. Answered with success also for a brick that the process does not have."""
    return BrickRequest(procedure=BrickProcedure.TERMINATE, name=brick_path)


def clients_of(volume: str, brick_path: str) -> BrickRequest:
    """List the processes connected to a brick.

    A brick without any client answers -1 and nothing else, as it does for some failures: ask `memory_of`
    to tell the two apart.
    """
    return _status(_STATUS_CLIENTS, volume, brick_path)


def memory_of(volume: str, brick_path: str) -> BrickRequest:
    """Ask for a brick's memory figures: a STATUS that succeeds for every healthy brick."""
    return _status(_STATUS_MEMORY, volume, brick_path)


def read_clients(reply: BrickReply) -> tuple[BrickClient, ...]:
    """Return the clients in a successful reply to `clients_of`, in the brick's order.

    Raises:
        WireError: the count and the entries do not agree, or there is no count.
    """
    values = reply.values
    if "clientcount" not in values:
        raise WireError("a list of clients without a count")
    count = _number(values, "clientcount")
    if count > gfdict.REPLY_LIMITS.pairs:
        raise WireError(f"a brick that lists {count} clients")
    return tuple(_client(values, f"client{number}") for number in range(count))


def heal_index(clusters: Sequence[str], *, full: bool = False) -> BrickRequest:
    """Tell a self-heal daemon to go through the index of pending heals now (or through everything).

    Args:
        clusters: xlators such as ``home-replicate-0``; their position here is their number in the reply.
        full: crawl the whole volume instead of the index.
    """
    values: dict[str, str | int] = {"xl-op": _HEAL_FULL if full else _HEAL_INDEX, "count": len(clusters)}
    for number, cluster in enumerate(clusters):
        values[f"xl-{number}"] = cluster
        values[cluster] = number
    return BrickRequest(procedure=BrickProcedure.XLATOR_OP, values=values)


def read_heal_status(reply: BrickReply, clusters: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return what the daemon says per xlator and child, such as ``Started self-heal``.

    The children end at the first one the daemon does not mention.
    """
    found: dict[str, tuple[str, ...]] = {}
    for number, cluster in enumerate(clusters):
        children: list[str] = []
        while (status := reply.values.get(f"{number}-{len(children)}-status")) is not None:
            children.append(status)
        found[cluster] = tuple(children)
    return found


def _status(command: int, volume: str, brick_path: str) -> BrickRequest:
    values: dict[str, str | int] = {"cmd": command, "brick-name": brick_path, "volname": volume}
    return BrickRequest(procedure=BrickProcedure.STATUS, values=values)


def _client(values: Mapping[str, str], prefix: str) -> BrickClient:
    try:
        address = values[f"{prefix}.hostname"]
    except KeyError as error:
        raise WireError(f"the brick counts more clients than it lists: no {prefix}") from error
    return BrickClient(
        name=values.get(f"{prefix}.name", ""),
        address=address,
        op_version=_number(values, f"{prefix}.opversion"),
        bytes_read=_number(values, f"{prefix}.bytesread"),
        bytes_written=_number(values, f"{prefix}.byteswrite"),
    )


def _number(values: Mapping[str, str], key: str) -> int:
    """Return a count, 0 when it is missing."""
    text = values.get(key, "0")
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise WireError(f"{key} is {text[:40]!r}, not a count")
    return int(text)
