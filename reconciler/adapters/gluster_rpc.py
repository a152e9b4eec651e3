"""Blocking questions to GlusterFS processes: control sockets of bricks and daemons, and volfile servers.

Every function opens one connection, asks once and closes. The deadline is for all of it: connect, send,
reply; a peer that sends byte after byte cannot stretch it. Nothing is repeated here.

All raise StepError: retryable when no answer came (the process may be starting or ending), not retryable
when the answer was no. They raise WireError when the answer is not what the protocol says.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.errors import StepError, WireError
from reconciler.wire import brickop, programs, rpc

if TYPE_CHECKING:
    from collections.abc import Iterator

_XID = 1
_CHUNK_BYTES = 256 * 1024
_RECORD_SLACK = 128 * 1024  # what a reply may add to its longest field
_Address = str | tuple[str, int]


def brick_terminate(socket_path: Path, brick_path: str, *, timeout_s: float = 10.0) -> None:
    """Ask a brick process to end its brick `brick_path`; the last brick ends the process.

    Success says that it was asked, not that it is gone: that takes a second more, and a process that does
    not have this brick says yes too. Idempotent.
    """
    reply = _ask_brick(socket_path, brickop.terminate(brick_path), timeout_s)
    _require_success(reply, f"ending brick {brick_path}")


def brick_clients(
    socket_path: Path, volume: str, brick_path: str, *, timeout_s: float = 10.0
) -> tuple[brickop.BrickClient, ...]:
    """Return the processes connected to a brick, and the op-version each supports.

    An empty answer is certain: it is given only when the brick also answers a question that cannot be
    empty. `timeout_s` is for each of the two.
    """
    reply = _ask_brick(socket_path, brickop.clients_of(volume, brick_path), timeout_s)
    what = f"listing the clients of brick {brick_path}"
    if reply.result == 0:
        return brickop.read_clients(reply)
    if reply.message or reply.error:
        _require_success(reply, what)
    _require_success(_ask_brick(socket_path, brickop.memory_of(volume, brick_path), timeout_s), what)
    return ()


def shd_heal_index(
    socket_path: Path, clusters: Sequence[str], *, full: bool = False, timeout_s: float = 10.0
) -> dict[str, tuple[str, ...]]:
    """Tell a self-heal daemon to go through the index of pending heals now. Idempotent.

    Args:
        socket_path: the daemon's control socket.
        clusters: its xlators to heal, such as ``home-replicate-0`` or ``home-disperse-1``.
        full: crawl the whole volume instead of the index.
        timeout_s: seconds for everything.

    Returns:
        Per xlator what the daemon says of each child, such as ``Started self-heal``.
    """
    reply = _ask_brick(socket_path, brickop.heal_index(clusters, full=full), timeout_s)
    _require_success(reply, "starting a heal")
    return brickop.read_heal_status(reply, clusters)


def fetch_spec(host: str, port: int, key: str, *, timeout_s: float = 5.0) -> str:
    """Return the volfile that a volfile server gives out for `key` to anybody."""
    request = programs.GetspecRequest(key=key, values={"min-op-version": "1", "max-op-version": "100000"})
    call = rpc.Call(
        xid=_XID,
        program=programs.Program.HANDSHAKE,
        version=programs.VERSIONS[programs.Program.HANDSHAKE],
        procedure=programs.HandshakeProcedure.GETSPEC,
        credential=rpc.Identity(pid=os.getpid()).credential(),
        body=request.encode(),
    )
    limit = programs.MAX_SPEC_BYTES + _RECORD_SLACK
    reply = programs.GetspecReply.decode(_ask((host, port), call, limit, timeout_s))
    if reply.error:
        raise StepError(f"{host}:{port} has no volfile {key}: {os.strerror(reply.error)}")
    try:
        return reply.spec.decode()
    except UnicodeDecodeError as error:
        raise WireError(f"the volfile {key} of {host}:{port} is not UTF-8") from error


def _ask_brick(socket_path: Path, request: brickop.BrickRequest, timeout_s: float) -> brickop.BrickReply:
    call = rpc.Call(
        xid=_XID,
        program=brickop.BRICK_PROGRAM,
        version=brickop.BRICK_VERSION,
        procedure=request.procedure,
        body=request.encode(),
    )
    limit = brickop.MAX_REPLY_BYTES + _RECORD_SLACK
    body = _ask(str(socket_path), call, limit, timeout_s)
    if not body:  # glusterfs 10.3 answers so when it has no such brick, and for operations it does not know
        raise StepError(f"{socket_path} has nothing to say to {request.procedure.name}: no such brick there")
    return brickop.BrickReply.decode(body)


def _require_success(reply: brickop.BrickReply, what: str) -> None:
    if reply.result != 0:
        reason = reply.message or os.strerror(reply.error)
        raise StepError(f"{what} was refused: {reason}")


def _ask(address: _Address, call: rpc.Call, max_record: int, timeout_s: float) -> bytes:
    """Return the body of the reply to one call."""
    deadline = time.monotonic() + timeout_s
    where = address if isinstance(address, str) else f"{address[0]}:{address[1]}"
    with _no_answer_is_retryable(where, timeout_s):
        with _connect(address, timeout_s) as connection:
            connection.settimeout(_time_left(deadline))
            connection.sendall(rpc.frame(call.encode()))
            reply = _reply(connection, call.xid, max_record, deadline)
    if isinstance(reply, rpc.Denied):
        raise StepError(f"{where} does not look at the call: {reply.status.name}")
    if reply.status is not rpc.AcceptStatus.SUCCESS:
        raise StepError(f"{where} cannot do the call: {reply.status.name}")
    return reply.body


@contextmanager
def _no_answer_is_retryable(where: str, timeout_s: float) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise StepError(f"no answer from {where} within {timeout_s:g} s", retryable=True) from error
    except OSError as error:
        raise StepError(f"no answer from {where}: {error.strerror or error}", retryable=True) from error


def _connect(address: _Address, timeout_s: float) -> socket.socket:
    if isinstance(address, tuple):
        return socket.create_connection(address, timeout_s)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout_s)
    try:
        connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection


def _reply(
    connection: socket.socket, xid: int, max_record: int, deadline: float
) -> rpc.Accepted | rpc.Denied:
    """Read until the reply to `xid` is there; callbacks that come in between are passed over."""
    records = rpc.RecordReader(max_record)
    while True:
        connection.settimeout(_time_left(deadline))
        data = connection.recv(_CHUNK_BYTES)
        if not data:
            raise ConnectionResetError("the connection was closed")
        records.feed(data)
        while (record := records.next_record()) is not None:
            message = rpc.decode_message(record)
            if not isinstance(message, rpc.Call) and message.xid == xid:
                return message


def _time_left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
