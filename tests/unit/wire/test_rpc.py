from __future__ import annotations

import pytest

from reconciler.errors import WireError
from reconciler.wire import rpc
from reconciler.wire.rpc import AcceptStatus, AuthFlavor, Credential, Identity, RejectStatus
from reconciler.wire.xdr import Packer

LAST = 0x80000000


def reader_with(*words_and_bytes: int | bytes, limit: int = 1024) -> rpc.RecordReader:
    reader = rpc.RecordReader(limit)
    for item in words_and_bytes:
        reader.feed(item if isinstance(item, bytes) else item.to_bytes(4, "big"))
    return reader


def test_fragments_make_one_record() -> None:
    reader = reader_with(2, b"ab", 1, b"c", LAST | 3, b"def", LAST | 1, b"x")
    assert reader.next_record() == b"abcdef"
    assert reader.next_record() == b"x"
    assert reader.next_record() is None
    assert reader.pending == 0


def test_a_record_may_end_with_an_empty_last_fragment() -> None:
    assert reader_with(2, b"ab", LAST).next_record() == b"ab"


def test_a_giant_length_is_refused_before_its_bytes_come() -> None:
    for word in (0x7FFFFFFF, 0xFFFFFFFF, 1025, LAST | 1025):
        with pytest.raises(WireError, match="at most 1024"):
            reader_with(word).next_record()


def test_the_record_at_the_limit_passes() -> None:
    assert reader_with(LAST | 1024, bytes(1024)).next_record() == bytes(1024)


def test_fragments_may_not_exceed_the_limit_together() -> None:
    reader = reader_with(1000, bytes(1000), LAST | 25)
    with pytest.raises(WireError, match="1025 bytes"):
        reader.next_record()


@pytest.mark.parametrize("word", [0, LAST])
def test_empty_fragments_are_refused(word: int) -> None:
    with pytest.raises(WireError, match="empty"):
        reader_with(word).next_record()


def test_a_record_of_many_tiny_fragments_is_refused() -> None:
    with pytest.raises(WireError, match="fragments"):
        reader_with(*((1).to_bytes(4, "big") + b"x" for _ in range(65))).next_record()


def test_as_many_fragments_as_allowed_make_a_record() -> None:
    pieces = [(1).to_bytes(4, "big") + b"x"] * 63
    assert reader_with(*pieces, LAST | 1, b"y").next_record() == b"x" * 63 + b"y"


def test_a_broken_stream_stays_broken() -> None:
    reader = reader_with(LAST | 1, b"a", 0)
    assert reader.next_record() == b"a"
    for _ in range(2):
        with pytest.raises(WireError):
            reader.next_record()
        reader.feed(b"\x80\0\0\1z")


def test_a_call_with_another_rpc_version_keeps_its_xid_only() -> None:
    record = Packer().u32(7).u32(0).u32(3).raw(b"whatever").build()
    assert rpc.decode_message(record) == rpc.Call(xid=7, rpc_version=3)


def test_credentials_end_at_400_bytes() -> None:
    fits = rpc.Call(xid=1, credential=Credential(AuthFlavor.GLUSTERFS_V2, bytes(400)))
    assert rpc.decode_message(fits.encode()) == fits
    for call in (
        rpc.Call(xid=1, credential=Credential(AuthFlavor.GLUSTERFS_V2, bytes(401))),
        rpc.Call(xid=1, verifier=Credential(AuthFlavor.NULL, bytes(401))),
    ):
        with pytest.raises(WireError, match="at most 400"):
            rpc.decode_message(call.encode())


def test_our_own_credential_must_fit_into_400_bytes() -> None:
    most = Identity(groups=tuple(range(94)))
    assert rpc.decode_identity(most.credential()) == most
    with pytest.raises(ValueError, match="at most 400"):
        Identity(groups=tuple(range(95))).credential()


def test_every_flavour_of_credential_is_read() -> None:
    owner = Packer().opaque(b"\1\2\3\4").build()
    v3 = Packer().i32(9).u32(1).u32(2).u32(0).u32(5).u64(6).u32(2).u32(10).u32(11).raw(owner).build()
    v1 = Packer().u64(3).u32(9).u32(1).u32(2).u32(1)
    for group in range(10, 26):
        v1.u32(group)
    unix = Packer().u32(99).string("host").u32(1).u32(2).u32(1).u32(10).build()
    read = rpc.decode_identity
    assert read(Credential(AuthFlavor.NULL)) is None
    assert read(Credential(AuthFlavor.UNIX, unix)) == Identity(uid=1, gid=2, groups=(10,))
    assert read(Credential(AuthFlavor.GLUSTERFS, v1.build())) == Identity(
        pid=9, uid=1, gid=2, groups=(10,), lock_owner=bytes(7) + b"\3"
    )
    assert read(Credential(AuthFlavor.GLUSTERFS_V3, v3)) == Identity(
        pid=9, uid=1, gid=2, groups=(10, 11), lock_owner=b"\1\2\3\4"
    )


def test_a_credential_that_lies_about_its_groups_is_refused() -> None:
    v1 = Packer().u64(3).u32(9).u32(1).u32(2).u32(17).raw(bytes(64)).build()
    v2 = Packer().i32(9).u32(1).u32(2).u32(0xFFFFFFFF).build()
    for credential in (Credential(5, v1), Credential(390039, v2), Credential(6, b""), Credential(1, b"x")):
        with pytest.raises(WireError):
            rpc.decode_identity(credential)


@pytest.mark.parametrize(
    "words",
    [
        (1,),
        (1, 2),
        (1, 1, 2),
        (1, 1, 0, 0, 0, 6),
        (1, 1, 0, 0, 0, 2, 1),
        (1, 1, 0, 0, 401),
        (1, 1, 1, 2),
        (1, 1, 1, 0, 2),
    ],
)
def test_replies_that_rfc_5531_does_not_know_are_refused(words: tuple[int, ...]) -> None:
    packed = Packer()
    for word in words:
        packed.u32(word)
    with pytest.raises(WireError):
        rpc.decode_message(packed.build())


def test_refusals_are_encoded_as_rfc_5531_says() -> None:
    def words(message: rpc.Accepted | rpc.Denied) -> list[int]:
        record = message.encode()
        return [int.from_bytes(record[at : at + 4], "big") for at in range(0, len(record), 4)]

    mismatch = rpc.Accepted(xid=5, status=AcceptStatus.PROG_MISMATCH, low=1, high=2)
    assert words(mismatch) == [5, 1, 0, 0, 0, 2, 1, 2]
    assert words(rpc.Accepted(xid=5, status=AcceptStatus.PROC_UNAVAIL)) == [5, 1, 0, 0, 0, 3]
    assert words(rpc.Denied(xid=5, status=RejectStatus.RPC_MISMATCH)) == [5, 1, 1, 0, 2, 2]
    assert words(rpc.Denied(xid=5, status=RejectStatus.AUTH_ERROR, auth_status=1)) == [5, 1, 1, 1, 1]
