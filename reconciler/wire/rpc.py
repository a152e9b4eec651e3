"""ONC RPC version 2: records in a byte stream, calls and replies in records.

`RecordReader` is fed bytes at any split and hands out records; `decode_message` turns a record into a `Call`,
`Accepted` or `Denied`. Nothing here opens a socket, and nothing raises anything but WireError on foreign
bytes. Calls travel in both directions on one connection: a call from a glusterfs server is a *callback*
and gets no reply.

Source: RFC 5531 sections 9 and 11. Credentials: glusterfs 10.3 rpc/rpc-lib/src/rpcsvc-auth.c and
auth-glusterfs.c, rpc/xdr/src/rpc-common-xdr.x and glusterfs4-xdr.x.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from reconciler.errors import WireError
from reconciler.wire.xdr import Packer, Unpacker

RPC_VERSION = 2
MAX_AUTH_BYTES = 400  #: RFC 5531 section 8.2; glusterfs GF_MAX_AUTH_BYTES
MAX_FRAGMENTS = 64  #: per record; glusterfs itself always sends one
_LAST_FRAGMENT = 0x80000000
_CALL, _REPLY = 0, 1
_ACCEPTED, _DENIED = 0, 1


class AuthFlavor(IntEnum):
    """Kinds of credentials. A credential is a claim, never a proof: nothing is granted by one."""

    NULL = 0
    UNIX = 1
    GLUSTERFS = 5
    GLUSTERFS_V2 = 390039
    GLUSTERFS_V3 = 390040


class AcceptStatus(IntEnum):
    """How a call fared that was understood so far (RFC 5531 accept_stat)."""

    SUCCESS = 0
    PROG_UNAVAIL = 1
    PROG_MISMATCH = 2
    PROC_UNAVAIL = 3
    GARBAGE_ARGS = 4
    SYSTEM_ERR = 5


class RejectStatus(IntEnum):
    """Why a call was not looked at (RFC 5531 reject_stat)."""

    RPC_MISMATCH = 0
    AUTH_ERROR = 1


AUTH_BADCRED = 1  #: auth_stat: bad credential


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential or verifier as sent."""

    flavor: int = AuthFlavor.NULL
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who a caller says it is."""

    pid: int = 0
    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    lock_owner: bytes = b"\0\0\0\0"

    def credential(self) -> Credential:
        """Return the AUTH_GLUSTERFS_v2 credential, the one every glusterfs process sends to port 24007.

        Raises:
            ValueError: groups and lock owner do not fit into the 400 bytes.
        """
        body = Packer().i32(self.pid).u32(self.uid).u32(self.gid).u32(len(self.groups))
        for group in self.groups:
            body.u32(group)
        packed = body.opaque(self.lock_owner).build()
        if len(packed) > MAX_AUTH_BYTES:
            raise ValueError(f"a credential of {len(packed)} bytes, at most {MAX_AUTH_BYTES} fit")
        return Credential(AuthFlavor.GLUSTERFS_V2, packed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call, or a callback. With another `rpc_version` than 2 nothing after it was read."""

    xid: int
    program: int = 0
    version: int = 0
    procedure: int = 0
    credential: Credential = Credential()
    verifier: Credential = Credential()
    body: bytes = b""
    rpc_version: int = RPC_VERSION

    def encode(self) -> bytes:
        """Return the record, without its mark."""
        packed = Packer().u32(self.xid).u32(_CALL).u32(self.rpc_version)
        packed.u32(self.program).u32(self.version).u32(self.procedure)
        for auth in (self.credential, self.verifier):
            packed.u32(auth.flavor).opaque(auth.body)
        return packed.raw(self.body).build()


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A reply to a call that was looked at. `low` and `high` are the versions known (PROG_MISMATCH)."""

    xid: int
    status: AcceptStatus = AcceptStatus.SUCCESS
    body: bytes = b""
    low: int = 0
    high: int = 0

    def encode(self) -> bytes:
        """Return the record, without its mark."""
        packed = Packer().u32(self.xid).u32(_REPLY).u32(_ACCEPTED)
        packed.u32(AuthFlavor.NULL).opaque(b"").u32(self.status)
        if self.status is AcceptStatus.PROG_MISMATCH:
            packed.u32(self.low).u32(self.high)
        return packed.raw(self.body).build()


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """A reply to a call that was not looked at: wrong RPC version or a bad credential (`auth_status`)."""

    xid: int
    status: RejectStatus
    low: int = RPC_VERSION
    high: int = RPC_VERSION
    auth_status: int = 0

    def encode(self) -> bytes:
        """Return the record, without its mark."""
        packed = Packer().u32(self.xid).u32(_REPLY).u32(_DENIED).u32(self.status)
        if self.status is RejectStatus.RPC_MISMATCH:
            return packed.u32(self.low).u32(self.high).build()
        return packed.u32(self.auth_status).build()


Message = Call | Accepted | Denied


def frame(record: bytes) -> bytes:
    """Return a record with its mark, as one last fragment."""
    return Packer().u32(_LAST_FRAGMENT | len(record)).raw(record).build()


def decode_message(record: bytes) -> Message:
    """Return the message in a record.

    Raises:
        WireError: the header is cut short or says something that RFC 5531 does not know.
    """
    reader = Unpacker(record)
    xid, kind = reader.u32(), reader.u32()
    if kind == _CALL:
        return _call(xid, reader)
    if kind == _REPLY:
        return _reply(xid, reader)
    raise WireError(f"an RPC message of type {kind}")


def decode_identity(credential: Credential) -> Identity | None:
    """Return what a credential claims; None for AUTH_NULL.

    Raises:
        WireError: the flavour is unknown, or the body is not what the flavour says.
    """
    reader = Unpacker(credential.body)
    match credential.flavor:
        case AuthFlavor.NULL:
            return None
        case AuthFlavor.UNIX:
            return _unix_identity(reader)
        case AuthFlavor.GLUSTERFS:
            return _glusterfs_identity(reader)
        case AuthFlavor.GLUSTERFS_V2 | AuthFlavor.GLUSTERFS_V3 as flavor:
            return _glusterfs_v2_identity(reader, times=flavor is AuthFlavor.GLUSTERFS_V3)
        case other:
            raise WireError(f"credentials of the unknown flavour {other}")


class RecordReader:
    """Cuts a byte stream into records (RFC 5531 section 11), whatever the split of the stream.

    Holds at most one unfinished record plus what was fed and not yet taken. After a WireError the stream
    has lost its frame for good: every later call raises again.

    Args:
        max_record: most bytes of a record, all fragments together.
        max_fragments: most fragments of a record.
    """

    def __init__(self, max_record: int, max_fragments: int = MAX_FRAGMENTS) -> None:
        self._max_record = max_record
        self._max_fragments = max_fragments
        self._buffer = bytearray()
        self._record = bytearray()
        self._fragments = 0
        self._mark: tuple[int, bool] | None = None  # length of the fragment being read; is it the last one

    @property
    def pending(self) -> int:
        """Return how many bytes wait for the rest of their record (or for being taken)."""
        return len(self._buffer) + len(self._record) + (4 if self._mark else 0)

    def feed(self, data: bytes) -> None:
        """Add bytes from the stream. Take the records out with `next_record` until it returns None."""
        self._buffer += data

    def next_record(self) -> bytes | None:
        """Return the next complete record, or None when more bytes are needed.

        Raises:
            WireError: a fragment or record is empty or over the limits.
        """
        while True:
            if self._mark is None:
                if len(self._buffer) < 4:
                    return None
                self._mark = self._admit(int.from_bytes(self._buffer[:4], "big"))
                del self._buffer[:4]
            length, last = self._mark
            if len(self._buffer) < length:
                return None
            self._record += self._buffer[:length]
            del self._buffer[:length]
            self._mark = None
            self._fragments += 1
            if last:
                record = bytes(self._record)
                self._record.clear()
                self._fragments = 0
                return record

    def _admit(self, word: int) -> tuple[int, bool]:
        """Judge a record mark before anything behind it is stored."""
        length, last = word & ~_LAST_FRAGMENT, bool(word & _LAST_FRAGMENT)
        total = len(self._record) + length
        if total > self._max_record:
            raise WireError(f"an RPC record of {total} bytes or more, at most {self._max_record} are allowed")
        if length == 0 and not (last and self._record):
            raise WireError("an empty RPC fragment")
        if self._fragments >= self._max_fragments:
            raise WireError(f"an RPC record of more than {self._max_fragments} fragments")
        return length, last


def _call(xid: int, reader: Unpacker) -> Call:
    rpc_version = reader.u32()
    if rpc_version != RPC_VERSION:
        return Call(xid=xid, rpc_version=rpc_version)
    program, version, procedure = reader.u32(), reader.u32(), reader.u32()
    credential, verifier = (Credential(reader.u32(), reader.opaque(MAX_AUTH_BYTES)) for _ in range(2))
    return Call(
        xid=xid,
        program=program,
        version=version,
        procedure=procedure,
        credential=credential,
        verifier=verifier,
        body=reader.rest(),
    )


def _reply(xid: int, reader: Unpacker) -> Accepted | Denied:
    kind = reader.u32()
    if kind == _DENIED:
        return _denied(xid, reader)
    if kind != _ACCEPTED:
        raise WireError(f"an RPC reply of type {kind}")
    reader.u32()
    reader.opaque(MAX_AUTH_BYTES)  # a verifier: none of the flavours has one worth looking at
    number = reader.u32()
    try:
        status = AcceptStatus(number)
    except ValueError as error:
        raise WireError(f"an RPC accept status {number}") from error
    if status is AcceptStatus.PROG_MISMATCH:
        return Accepted(xid=xid, status=status, low=reader.u32(), high=reader.u32(), body=reader.rest())
    return Accepted(xid=xid, status=status, body=reader.rest())


def _denied(xid: int, reader: Unpacker) -> Denied:
    number = reader.u32()
    if number == RejectStatus.RPC_MISMATCH:
        return Denied(xid=xid, status=RejectStatus.RPC_MISMATCH, low=reader.u32(), high=reader.u32())
    if number == RejectStatus.AUTH_ERROR:
        return Denied(xid=xid, status=RejectStatus.AUTH_ERROR, auth_status=reader.u32())
    raise WireError(f"an RPC reject status {number}")


def _unix_identity(reader: Unpacker) -> Identity:
    """RFC 5531 appendix A: stamp, machine name (at most 255 bytes), uid, gid, at most 16 groups."""
    reader.u32()
    reader.opaque(255)
    return Identity(uid=reader.u32(), gid=reader.u32(), groups=reader.u32s(16))


def _glusterfs_identity(reader: Unpacker) -> Identity:
    """The first glusterfs form: fixed sixteen groups, of which the first `count` are meant."""
    owner = reader.u64()
    pid, uid, gid, count = reader.u32(), reader.u32(), reader.u32(), reader.u32()
    groups = tuple(reader.u32() for _ in range(16))
    if count > len(groups):
        raise WireError(f"a credential with {count} groups, 16 fit")
    return Identity(pid=pid, uid=uid, gid=gid, groups=groups[:count], lock_owner=owner.to_bytes(8, "big"))


def _glusterfs_v2_identity(reader: Unpacker, *, times: bool) -> Identity:
    """Versions 2 and 3 differ by flags and a change time between the group id and the groups."""
    pid, uid, gid = reader.i32(), reader.u32(), reader.u32()
    if times:
        reader.u32()
        reader.u32()
        reader.u64()
    groups = reader.u32s(MAX_AUTH_BYTES // 4)
    return Identity(pid=pid, uid=uid, gid=gid, groups=groups, lock_owner=reader.opaque(MAX_AUTH_BYTES))
