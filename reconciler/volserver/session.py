"""The volfile server's side of one connection: bytes in, bytes out, and questions to a VolfileSource.

Opens no socket and reads no clock; server.py does both. What a caller may do depends on one fact, given at
construction: whether it came over the root-only unix socket (`trusted`). Over TCP the programs are an
allow-list without anything that changes state; credentials in a call are checked for form and grant nothing.

Source: glusterfs 10.3 xlators/mgmt/glusterd/src/glusterd-handshake.c and glusterd-pmap.c (what is asked and
answered), RFC 5531 section 9 (refusals).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from reconciler.errors import WireError
from reconciler.ports.volfiles import SpecReply, SpecRequest, VolfileSource
from reconciler.wire import programs, rpc
from reconciler.wire.programs import DumpProcedure, HandshakeProcedure, PortmapProcedure, Program
from reconciler.wire.rpc import AcceptStatus, RejectStatus


class Session:
    """One connection.

    Feed it with `receive`, then call `advance` until it returns None. One record is worked on per
    `advance`, so the caller can stop when the peer does not read its replies.

    Args:
        connection: its number, unique for the life of the server.
        source: what to serve.
        trusted: it came over the root-only unix socket from a process of root.
        remote: the peer's address, for messages.
        max_record: most bytes of a call.

    Attributes:
        fetched: it asked for a volfile, so it wants to hear of new ones.
        established: it got a volfile or signed a brick in: an idle connection of this kind is normal.
    """

    def __init__(
        self,
        connection: int,
        source: VolfileSource,
        *,
        trusted: bool,
        remote: str = "",
        max_record: int = 64 * 1024,
    ) -> None:
        self.connection = connection
        self.source = source
        self.trusted = trusted
        self.remote = remote
        self.fetched = False
        self.established = False
        self._records = rpc.RecordReader(max_record)
        self._answers = _LOCAL_ANSWERS if trusted else _OPEN_ANSWERS

    @property
    def pending(self) -> int:
        """Return how many received bytes have not been worked on."""
        return self._records.pending

    def receive(self, data: bytes) -> None:
        """Add bytes that arrived."""
        self._records.feed(data)

    def advance(self) -> bytes | None:
        """Work on the next complete call.

        Returns:
            The reply to send, with its record mark; None when more bytes must arrive first.

        Raises:
            WireError: the peer does not speak RPC; close this connection.
        """
        record = self._records.next_record()
        if record is None:
            return None
        message = rpc.decode_message(record)
        if not isinstance(message, rpc.Call):
            raise WireError("a reply, but nothing was asked: callbacks are not answered")
        return rpc.frame(self._reply(message).encode())

    def _reply(self, call: rpc.Call) -> rpc.Accepted | rpc.Denied:
        """Return the answer to a call, or the refusal that RFC 5531 asks for."""
        denied = _denial(call)
        if denied is not None:
            return denied
        procedures = self._answers.get(call.program)
        if procedures is None:
            return rpc.Accepted(xid=call.xid, status=AcceptStatus.PROG_UNAVAIL)
        version = programs.VERSIONS[Program(call.program)]
        if call.version != version:
            return rpc.Accepted(xid=call.xid, status=AcceptStatus.PROG_MISMATCH, low=version, high=version)
        answer = procedures.get(call.procedure)
        if answer is None:
            return rpc.Accepted(xid=call.xid, status=AcceptStatus.PROC_UNAVAIL)
        try:
            return rpc.Accepted(xid=call.xid, body=answer(self, call.body))
        except WireError:
            return rpc.Accepted(xid=call.xid, status=AcceptStatus.GARBAGE_ARGS)


def _denial(call: rpc.Call) -> rpc.Denied | None:
    """Return the reason not to look at a call: another RPC version, or credentials of no known form."""
    if call.rpc_version != rpc.RPC_VERSION:
        return rpc.Denied(xid=call.xid, status=RejectStatus.RPC_MISMATCH)
    try:
        rpc.decode_identity(call.credential)
    except WireError:
        return rpc.Denied(xid=call.xid, status=RejectStatus.AUTH_ERROR, auth_status=rpc.AUTH_BADCRED)
    return None


# The answers: body in, body out. WireError means that the arguments cannot be read (GARBAGE_ARGS).


def _null(_session: Session, _body: bytes) -> bytes:
    """Procedure 0 of every program does nothing, successfully (RFC 5531 section 12.1)."""
    return b""


def _dump(_session: Session, body: bytes) -> bytes:
    programs.DumpRequest.decode(body)
    return _DUMP_REPLY


def _ping(_session: Session, _body: bytes) -> bytes:
    return programs.CommonReply(with_dict=True).encode()


def _getspec(session: Session, body: bytes) -> bytes:
    request = programs.GetspecRequest.decode(body)
    wants_servers = bool(request.flags & programs.GETSPEC_SERVERS_LIST)
    reply = session.source.getspec(
        SpecRequest(
            connection=session.connection,
            key=request.key,
            trusted=session.trusted,
            remote=session.remote,
            wants_servers=wants_servers,
            max_op_version=request.max_op_version,
        )
    )
    session.fetched = True
    session.established = session.established or not reply.error
    # A local daemon never gets the list: it would move to another node while this agent restarts, and
    # never come back.
    values = _servers_list(reply) if wants_servers and not session.trusted else {}
    return programs.GetspecReply(spec=reply.text.encode(), error=reply.error, values=values).encode()


def _servers_list(reply: SpecReply) -> dict[str, str]:
    """Return the reply's list of volfile servers; clients append it to theirs (and ignore the port)."""
    if not reply.servers:
        return {}
    return {"servers-list": " ".join(f"{host}:{programs.VOLFILE_PORT}" for host in reply.servers)}


def _volume_info(session: Session, body: bytes) -> bytes:
    request = programs.VolumeInfoRequest.decode(body)
    return programs.VolumeInfoReply(volume_id=session.source.volume_uuid(request.volume)).encode()


def _port_by_brick(session: Session, body: bytes) -> bytes:
    request = programs.PortRequest.decode(body)
    return programs.PortReply(port=session.source.port_of(request.brick)).encode()


def _sign_in(session: Session, body: bytes) -> bytes:
    """Say yes, always: a brick whose sign-in is refused reports a failed start, and yet serves on."""
    request = programs.SignIn.decode(body)
    session.established = True
    if 0 < request.port < 65536:
        session.source.signed_in(session.connection, request.brick, request.port, request.pid)
    return programs.CommonReply().encode()


def _sign_out(session: Session, body: bytes) -> bytes:
    request = programs.SignOut.decode(body)
    session.source.signed_out(session.connection, request.brick)
    return programs.CommonReply().encode()


def _event_notify(session: Session, body: bytes) -> bytes:
    request = programs.EventNotify.decode(body)
    session.source.notified(session.connection, request.operation, request.values)
    return programs.CommonReply(with_dict=True).encode()


_DUMP_REPLY = programs.DumpReply(
    programs=tuple(
        programs.Listed(name=name, program=program, version=programs.VERSIONS[program])
        for name, program in programs.LISTED
    )
).encode()

_Answer = Callable[[Session, bytes], bytes]
_Answers = Mapping[int, Mapping[int, _Answer]]

# Each table names everything its callers may do. The open one holds no procedure that changes anything.
_OPEN_ANSWERS: _Answers = MappingProxyType(
    {
        Program.DUMP: {0: _null, DumpProcedure.DUMP: _dump, DumpProcedure.PING: _ping},
        Program.HANDSHAKE: {
            0: _null,
            HandshakeProcedure.GETSPEC: _getspec,
            HandshakeProcedure.GET_VOLUME_INFO: _volume_info,
        },
        Program.PORTMAP: {0: _null, PortmapProcedure.PORT_BY_BRICK: _port_by_brick},
    }
)
_LOCAL_ANSWERS: _Answers = MappingProxyType(
    {
        Program.DUMP: _OPEN_ANSWERS[Program.DUMP],
        Program.HANDSHAKE: {
            **_OPEN_ANSWERS[Program.HANDSHAKE],
            HandshakeProcedure.EVENT_NOTIFY: _event_notify,
        },
        Program.PORTMAP: {
            **_OPEN_ANSWERS[Program.PORTMAP],
            PortmapProcedure.SIGN_IN: _sign_in,
            PortmapProcedure.SIGN_OUT: _sign_out,
        },
    }
)
