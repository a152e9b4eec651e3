"""Bytes that stock GlusterFS 10.3 processes sent and understood, recorded on the wire."""

from __future__ import annotations

from reconciler.wire import programs, rpc

GETSPEC_CALL = bytes.fromhex(
    "8000008c 00000002 00000000 00000002 00dbb4a9 00000002 00000002 0005f397 00000018 00000000 00000000"
    "00000000 00000000 00000004 00000000 00000000 00000000 00000001 00000004 2f723261 0000003b"
    "000000020000000e000000026d696e2d6f702d76657273696f6e0031000000000e000000076d61782d6f702d766572"
    "73696f6e003130303030300000"
)
GETSPEC_REPLY = bytes.fromhex(
    "8000002c 00000002 00000001 00000000 00000000 00000000 00000000 00000003 00000000 00000003"
    "61626300 00000000"
)
FETCHSPEC = bytes.fromhex(
    "80000028 00000000 00000000 00000002 0324cc42 00000001 00000001 00000000 00000000 00000000 00000000"
)


def one_record(stream: bytes) -> bytes:
    reader = rpc.RecordReader(64 * 1024)
    reader.feed(stream)
    record = reader.next_record()
    assert record is not None
    assert reader.pending == 0
    return record


def test_the_getspec_call_of_a_real_client_is_understood() -> None:
    call = rpc.decode_message(one_record(GETSPEC_CALL))
    assert isinstance(call, rpc.Call)
    assert (call.xid, call.program, call.version, call.procedure) == (2, programs.Program.HANDSHAKE, 2, 2)
    assert rpc.decode_identity(call.credential) == rpc.Identity(lock_owner=b"\0\0\0\0")
    request = programs.GetspecRequest.decode(call.body)
    assert request.key == "/r2a"
    assert request.flags == programs.GETSPEC_SERVERS_LIST
    assert request.values == {"min-op-version": "1", "max-op-version": "100000"}
    assert request.max_op_version == 100000


def test_our_getspec_call_is_byte_for_byte_that_of_a_real_client() -> None:
    call = rpc.Call(
        xid=2,
        program=programs.Program.HANDSHAKE,
        version=2,
        procedure=programs.HandshakeProcedure.GETSPEC,
        credential=rpc.Identity().credential(),
        body=programs.GetspecRequest(
            key="/r2a", flags=1, values={"min-op-version": "1", "max-op-version": "100000"}
        ).encode(),
    )
    assert rpc.frame(call.encode()) == GETSPEC_CALL


def test_our_getspec_reply_is_byte_for_byte_what_a_real_client_took() -> None:
    reply = rpc.Accepted(xid=2, body=programs.GetspecReply(spec=b"abc").encode())
    assert rpc.frame(reply.encode()) == GETSPEC_REPLY


def test_the_fetchspec_callback_is_byte_for_byte_what_a_real_client_obeyed() -> None:
    assert rpc.frame(programs.fetchspec()) == FETCHSPEC
