from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.errors import WireError
from reconciler.volserver.session import Session
from reconciler.wire import programs, rpc
from reconciler.wire.programs import Program
from reconciler.wire.rpc import AcceptStatus, RejectStatus
from reconciler.wire.xdr import Packer
from tests.volfile_sources import RecordedSource

GETSPEC = (Program.HANDSHAKE, 2, 2)
EVENT_NOTIFY = (Program.HANDSHAKE, 2, 5)
PORT_BY_BRICK = (Program.PORTMAP, 1, 1)
SIGN_IN = (Program.PORTMAP, 1, 4)
SIGN_OUT = (Program.PORTMAP, 1, 5)


def open_session(source: RecordedSource, *, trusted: bool = False) -> Session:
    return Session(7, source, trusted=trusted, remote="" if trusted else "127.0.0.1")


def ask(
    session: Session,
    where: tuple[int, int, int],
    body: bytes = b"",
    credential: rpc.Credential | None = None,
) -> rpc.Accepted | rpc.Denied:
    program, version, procedure = where
    call = rpc.Call(
        xid=3,
        program=program,
        version=version,
        procedure=procedure,
        credential=rpc.Identity().credential() if credential is None else credential,
        body=body,
    )
    session.receive(rpc.frame(call.encode()))
    return answer(session)


def answer(session: Session) -> rpc.Accepted | rpc.Denied:
    framed = session.advance()
    assert framed is not None
    assert session.advance() is None
    reader = rpc.RecordReader(2**24)
    reader.feed(framed)
    record = reader.next_record()
    assert record is not None
    message = rpc.decode_message(record)
    assert not isinstance(message, rpc.Call)
    return message


def body_of(reply: rpc.Accepted | rpc.Denied) -> bytes:
    assert isinstance(reply, rpc.Accepted)
    assert reply.status is AcceptStatus.SUCCESS
    return reply.body


def test_a_client_gets_its_volfile_and_the_servers_it_asked_for() -> None:
    source = RecordedSource(servers=("127.0.1.1", "127.0.1.2"))
    source.open_specs["/home"] = "volume grüße\n"
    session = open_session(source)
    request = programs.GetspecRequest(key="/home", flags=1, values={"max-op-version": "90000"})
    reply = programs.GetspecReply.decode(body_of(ask(session, GETSPEC, request.encode())))
    assert reply.spec.decode() == "volume grüße\n"
    assert reply.values == {"servers-list": "127.0.1.1:24007 127.0.1.2:24007"}
    assert source.requests[0].max_op_version == 90000
    assert source.requests[0].remote == "127.0.0.1"
    assert not source.requests[0].trusted
    assert session.fetched
    assert session.established


@pytest.mark.parametrize(("flags", "trusted"), [(0, False), (1, True)])
def test_nobody_else_gets_a_list_of_servers(flags: int, trusted: bool) -> None:
    source = RecordedSource(servers=("127.0.1.1",))
    source.open_specs["v"] = "text"
    session = open_session(source, trusted=trusted)
    body = body_of(ask(session, GETSPEC, programs.GetspecRequest(key="v", flags=flags).encode()))
    assert programs.GetspecReply.decode(body) == programs.GetspecReply(spec=b"text")


def test_a_refused_volfile_does_not_make_a_connection_established() -> None:
    session = open_session(RecordedSource())
    reply = body_of(ask(session, GETSPEC, programs.GetspecRequest(key="../../etc/passwd").encode()))
    assert programs.GetspecReply.decode(reply).error == 2
    assert session.fetched, "it wants to know when the volume comes"
    assert not session.established


def test_dump_lists_portmap_handshake_and_dump() -> None:
    body = body_of(ask(open_session(RecordedSource()), (Program.DUMP, 1, 1), programs.DumpRequest().encode()))
    listed = {(item.program, item.version) for item in programs.DumpReply.decode(body).programs}
    assert listed == {(34123456, 1), (14398633, 2), (123451501, 1)}


def test_ping_and_null_are_answered() -> None:
    session = open_session(RecordedSource())
    assert body_of(ask(session, (Program.DUMP, 1, 2))) == bytes(12)
    assert body_of(ask(session, (Program.PORTMAP, 1, 0))) == b""


def test_portmap_and_volume_id_are_answered_from_the_source() -> None:
    source = RecordedSource()
    source.ports["/b"] = 61000
    source.uuids["home"] = "0b9f"
    session = open_session(source)
    for brick, port in (("/b", 61000), ("/c", 0)):
        body = body_of(ask(session, PORT_BY_BRICK, programs.PortRequest(brick=brick).encode()))
        assert programs.PortReply.decode(body).port == port
    for volume, uuid in (("home", "0b9f"), ("gone", "")):
        request = programs.VolumeInfoRequest(volume=volume).encode()
        body = body_of(ask(session, (Program.HANDSHAKE, 2, 6), request))
        assert programs.VolumeInfoReply.decode(body).volume_id == uuid


CHANGES = [
    (SIGN_IN, programs.SignIn(brick="/b", port=61000, pid=9).encode()),
    (SIGN_OUT, programs.SignOut(brick="/b", port=61000).encode()),
    (EVENT_NOTIFY, programs.EventNotify(operation=0, values={"volname": "rebalance/v"}).encode()),
]


def test_nothing_can_be_changed_over_tcp() -> None:
    source = RecordedSource()
    session = open_session(source)
    root = rpc.Identity(pid=1, uid=0, gid=0).credential()
    for where, body in CHANGES:
        assert ask(session, where, body, root) == rpc.Accepted(xid=3, status=AcceptStatus.PROC_UNAVAIL)
    assert source.events == []
    assert not session.established


def test_the_open_table_of_procedures_is_exactly_this() -> None:
    source = RecordedSource()
    answered = {
        (program, procedure)
        for program in Program
        for procedure in range(20)
        if ask(open_session(source), (program, programs.VERSIONS[program], procedure))
        not in (
            rpc.Accepted(xid=3, status=AcceptStatus.PROC_UNAVAIL),
            rpc.Accepted(xid=3, status=AcceptStatus.PROG_UNAVAIL),
        )
    }
    assert answered == {
        (Program.DUMP, 0), (Program.DUMP, 1), (Program.DUMP, 2),
        (Program.HANDSHAKE, 0), (Program.HANDSHAKE, 2), (Program.HANDSHAKE, 6),
        (Program.PORTMAP, 0), (Program.PORTMAP, 1),
    }  # fmt: skip


def test_a_local_brick_signs_in_and_out_and_notifies() -> None:
    source = RecordedSource()
    session = open_session(source, trusted=True)
    for where, body in CHANGES:
        assert body_of(ask(session, where, body))[:8] == bytes(8)
    assert source.events == [
        ("signed_in", 7, "/b", 61000, 9),
        ("signed_out", 7, "/b"),
        ("notified", 7, 0, {"volname": "rebalance/v"}),
    ]
    assert session.established


def test_a_sign_in_with_a_senseless_port_is_answered_yes_but_not_believed() -> None:
    source = RecordedSource()
    session = open_session(source, trusted=True)
    for port in (0, -1, 65536):
        assert body_of(ask(session, SIGN_IN, programs.SignIn(brick="/b", port=port).encode())) == bytes(8)
    assert source.events == []


@pytest.mark.parametrize("trusted", [False, True])
def test_unknown_calls_get_the_refusal_of_rfc_5531(trusted: bool) -> None:
    session = open_session(RecordedSource(), trusted=trusted)
    unavailable = rpc.Accepted(xid=3, status=AcceptStatus.PROG_UNAVAIL)
    assert ask(session, (1238463, 2, 1)) == unavailable
    assert ask(session, (Program.CALLBACK, 1, 1)) == unavailable
    mismatch = rpc.Accepted(xid=3, status=AcceptStatus.PROG_MISMATCH, low=2, high=2)
    assert ask(session, (Program.HANDSHAKE, 3, 2)) == mismatch
    assert ask(session, (Program.HANDSHAKE, 2, 99)) == rpc.Accepted(xid=3, status=AcceptStatus.PROC_UNAVAIL)
    assert ask(session, GETSPEC, b"\0") == rpc.Accepted(xid=3, status=AcceptStatus.GARBAGE_ARGS)


def test_another_rpc_version_or_credential_is_denied() -> None:
    session = open_session(RecordedSource())
    session.receive(rpc.frame(rpc.Call(xid=3, rpc_version=4).encode()))
    assert answer(session) == rpc.Denied(xid=3, status=RejectStatus.RPC_MISMATCH)
    denied = rpc.Denied(xid=3, status=RejectStatus.AUTH_ERROR, auth_status=1)
    assert ask(session, GETSPEC, credential=rpc.Credential(4711)) == denied
    assert ask(session, GETSPEC, credential=rpc.Credential(390039, b"\0")) == denied


@pytest.mark.parametrize(
    "stream",
    [b"GET / HTTP/1.1\r\n\r\n", b"\x80\0\0\4\0\0\0\1", rpc.frame(rpc.Accepted(xid=2).encode()), bytes(4)],
)
def test_garbage_and_unasked_replies_end_the_connection(stream: bytes) -> None:
    session = open_session(RecordedSource())
    session.receive(stream)
    with pytest.raises(WireError):
        session.advance()


def test_a_key_in_another_encoding_or_too_long_is_garbage_arguments() -> None:
    source = RecordedSource()
    session = open_session(source)
    for key in (b"\xff\xfe", b"k" * 5000):
        body = Packer().u32(0).opaque(key).opaque(b"").build()
        assert ask(session, GETSPEC, body) == rpc.Accepted(xid=3, status=AcceptStatus.GARBAGE_ARGS)
    assert source.requests == []


calls = st.builds(
    rpc.Call,
    xid=st.integers(0, 9),
    program=st.sampled_from(Program),
    version=st.integers(0, 3),
    procedure=st.integers(0, 8),
    body=st.one_of(st.binary(max_size=60), *(st.just(body) for _, body in CHANGES)),
).map(lambda call: rpc.frame(call.encode()))


@settings(max_examples=300)
@given(st.lists(st.one_of(calls, st.binary(max_size=20)), max_size=6).map(b"".join), st.integers(1, 50))
def test_no_stream_over_tcp_changes_anything_or_raises_but_wire_errors(stream: bytes, step: int) -> None:
    source = RecordedSource()
    session = open_session(source)
    try:
        for at in range(0, len(stream), step):
            session.receive(stream[at : at + step])
            while session.advance() is not None:
                pass
    except WireError:
        pass
    assert source.events == []
