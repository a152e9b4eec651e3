"""Round trips, and: arbitrary bytes at any split raise only WireError, within bounds."""

from __future__ import annotations

import contextlib
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.errors import WireError
from reconciler.wire import brickop, gfdict, programs, rpc
from reconciler.wire.xdr import Packer, Unpacker

LIMIT = 4096
U32 = st.integers(0, 2**32 - 1)
I32 = st.integers(-(2**31), 2**31 - 1)
PORTS = st.integers(0, 65535)
TEXT = st.text(st.characters(codec="utf-8"), max_size=60)
NO_NUL = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60)
DICTS = st.dictionaries(NO_NUL, NO_NUL, max_size=10)

messages = st.one_of(
    st.builds(programs.DumpRequest, gfs_id=st.integers(0, 2**64 - 1)),
    st.builds(
        programs.DumpReply,
        programs=st.lists(
            st.builds(programs.Listed, name=TEXT, program=U32, version=U32), max_size=5
        ).map(tuple),
    ),
    st.builds(programs.CommonReply, result=I32, error=I32, with_dict=st.booleans()),
    st.builds(programs.GetspecRequest, key=TEXT, flags=U32, values=DICTS),
    st.builds(programs.GetspecReply, spec=st.binary(max_size=200), values=DICTS),
    st.builds(programs.GetspecReply, error=st.integers(1, 200)),
    st.builds(programs.PortRequest, brick=TEXT),
    st.builds(programs.PortReply, port=PORTS),
    st.builds(programs.SignIn, brick=TEXT, port=I32, pid=I32),
    st.builds(programs.SignOut, brick=TEXT, port=I32),
    st.builds(programs.EventNotify, operation=I32, values=DICTS),
    st.builds(programs.VolumeInfoRequest, volume=NO_NUL),
    st.builds(programs.VolumeInfoReply, volume_id=NO_NUL),
    st.builds(
        brickop.BrickRequest, procedure=st.sampled_from(brickop.BrickProcedure), name=TEXT, values=DICTS
    ),
    st.builds(brickop.BrickReply, result=I32, error=I32, values=DICTS, message=TEXT),
)  # fmt: skip

DECODERS: list[Callable[[bytes], object]] = [
    programs.DumpRequest.decode,
    programs.DumpReply.decode,
    programs.CommonReply.decode,
    programs.GetspecRequest.decode,
    programs.GetspecReply.decode,
    programs.PortRequest.decode,
    programs.PortReply.decode,
    programs.SignIn.decode,
    programs.SignOut.decode,
    programs.EventNotify.decode,
    programs.VolumeInfoRequest.decode,
    programs.VolumeInfoReply.decode,
    brickop.BrickRequest.decode,
    brickop.BrickReply.decode,
    rpc.decode_message,
    gfdict.decode,
    gfdict.decode_text,
    lambda data: rpc.decode_identity(rpc.Credential(rpc.AuthFlavor.UNIX, data)),
    lambda data: rpc.decode_identity(rpc.Credential(rpc.AuthFlavor.GLUSTERFS, data)),
    lambda data: rpc.decode_identity(rpc.Credential(rpc.AuthFlavor.GLUSTERFS_V2, data)),
    lambda data: rpc.decode_identity(rpc.Credential(rpc.AuthFlavor.GLUSTERFS_V3, data)),
    lambda data: Unpacker(data).u32s(1000),
    lambda data: Unpacker(data).string(1000),
]

credentials = st.builds(rpc.Credential, U32, st.binary(max_size=400))
rpc_messages = st.one_of(
    st.builds(
        rpc.Call,
        xid=U32, program=U32, version=U32, procedure=U32,
        credential=credentials, verifier=credentials, body=st.binary(max_size=100),
    ),
    st.builds(
        rpc.Accepted,
        xid=U32,
        status=st.sampled_from([s for s in rpc.AcceptStatus if s is not rpc.AcceptStatus.PROG_MISMATCH]),
        body=st.binary(max_size=100),
    ),
    st.builds(rpc.Accepted, xid=U32, status=st.just(rpc.AcceptStatus.PROG_MISMATCH), low=U32, high=U32),
    st.builds(rpc.Denied, xid=U32, status=st.just(rpc.RejectStatus.RPC_MISMATCH), low=U32, high=U32),
    st.builds(rpc.Denied, xid=U32, status=st.just(rpc.RejectStatus.AUTH_ERROR), auth_status=U32),
)  # fmt: skip

#: bytes that look like XDR: small and huge numbers, text with its length, noise
xdr_like = st.lists(
    st.one_of(
        st.sampled_from([0, 1, 2, 3, 4, 64, 65, 2**31 - 1, 2**31, 2**32 - 1]).map(
            lambda number: number.to_bytes(4, "big")
        ),
        st.binary(max_size=12).map(lambda text: Packer().opaque(text).build()),
        st.dictionaries(st.text("ab", max_size=2), st.text("cd", max_size=2)).map(
            lambda values: Packer().opaque(gfdict.encode(values)).build()
        ),
        st.binary(max_size=8),
    ),
    max_size=20,
).map(b"".join)  # fmt: skip

#: a stream of records that are good, cut short, or lie about their length
streams = st.lists(
    st.one_of(
        rpc_messages.map(lambda message: rpc.frame(message.encode())),
        xdr_like,
        st.binary(max_size=30).map(lambda part: len(part).to_bytes(4, "big") + part),
    ),
    max_size=8,
).map(b"".join)


@given(messages)
def test_every_message_survives_a_round_trip(message: programs.SignIn) -> None:
    assert type(message).decode(message.encode()) == message


@given(rpc_messages)
def test_every_rpc_header_survives_a_round_trip(message: rpc.Message) -> None:
    assert rpc.decode_message(message.encode()) == message


@given(U32, I32, st.integers(0, 2**64 - 1), st.binary(max_size=50), TEXT, st.lists(U32, max_size=9))
def test_xdr_items_survive_a_round_trip(
    a: int, b: int, c: int, blob: bytes, text: str, numbers: list[int]
) -> None:
    packed = Packer().u32(a).i32(b).u64(c).opaque(blob).string(text).u32(len(numbers))
    for number in numbers:
        packed.u32(number)
    data = packed.build()
    reader = Unpacker(data)
    assert len(data) % 4 == 0
    assert (reader.u32(), reader.i32(), reader.u64()) == (a, b, c)
    assert (reader.opaque(50), reader.string(240), reader.u32s(9)) == (blob, text, tuple(numbers))
    assert reader.left == 0


@settings(max_examples=300)
@given(st.one_of(st.binary(max_size=300), xdr_like))
def test_arbitrary_bodies_raise_only_wire_errors(data: bytes) -> None:
    for decode in DECODERS:
        with contextlib.suppress(WireError):
            decode(data)


def records_of(pieces: list[bytes]) -> tuple[list[bytes], bool]:
    """Feed the pieces one by one; return the records until the stream broke, and whether it did."""
    reader = rpc.RecordReader(LIMIT, max_fragments=4)
    records: list[bytes] = []
    for piece in pieces:
        reader.feed(piece)
        try:
            while (record := reader.next_record()) is not None:
                records.append(record)
        except WireError:
            return records, True
        assert reader.pending <= LIMIT + 4, "holds more than one unfinished record"
    return records, False


@settings(max_examples=300)
@given(streams, st.data())
def test_the_split_of_a_stream_does_not_matter(stream: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    whole = records_of([stream])
    assert records_of(pieces) == whole
    assert records_of([stream[at : at + 1] for at in range(len(stream))]) == whole
    for record in whole[0]:
        with contextlib.suppress(WireError):
            rpc.decode_message(record)


@given(st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=4))
def test_framed_records_come_back(records: list[bytes]) -> None:
    assert records_of([rpc.frame(record) for record in records]) == (records, False)


@pytest.mark.parametrize("claimed", [2**31 - 1, 2**32 - 1, 10**9])
def test_a_claimed_length_allocates_nothing(claimed: int) -> None:
    data = claimed.to_bytes(4, "big") * 5
    tracemalloc.start()
    try:
        for decode in DECODERS:
            with contextlib.suppress(WireError):
                decode(data)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
