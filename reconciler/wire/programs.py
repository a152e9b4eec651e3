"""The programs on the volfile and portmap port: their numbers, and their messages with encode and decode.

A message's `decode` takes the body of a call or reply and raises WireError when it is cut short, over a
limit or not UTF-8. Bytes behind the last known field are ignored: later versions of GlusterFS append fields.

Source: glusterfs 10.3 rpc/rpc-lib/src/protocol-common.h (numbers); rpc/xdr/src/glusterfs3-xdr.x (handshake),
portmap-xdr.x and rpc-common-xdr.x (dump, ping); xlators/mgmt/glusterd/src/glusterd-handshake.c (keys).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from reconciler.errors import WireError
from reconciler.wire import gfdict
from reconciler.wire.rpc import Call
from reconciler.wire.xdr import Packer, Unpacker

VOLFILE_PORT = 24007
MAX_KEY_BYTES = 1024  #: of a volfile id
MAX_BRICK_BYTES = 4096  #: of a brick's name, which is a path (PATH_MAX)
MAX_DICT_BYTES = 64 * 1024
MAX_SPEC_BYTES = 16 * 1024 * 1024  #: of a volfile that we fetch ourselves
GETSPEC_SERVERS_LIST = 1  #: GETSPEC flag: send the list of volfile servers


class Program(IntEnum):
    """Program numbers."""

    DUMP = 123451501
    HANDSHAKE = 14398633
    PORTMAP = 34123456
    CALLBACK = 52743234


class DumpProcedure(IntEnum):
    """Procedures of GF-DUMP, version 1."""

    DUMP = 1
    PING = 2


class HandshakeProcedure(IntEnum):
    """Procedures of Gluster Handshake, version 2, that a volfile server answers."""

    GETSPEC = 2
    EVENT_NOTIFY = 5
    GET_VOLUME_INFO = 6


class PortmapProcedure(IntEnum):
    """Procedures of Gluster Portmap, version 1, that glusterfs processes use."""

    PORT_BY_BRICK = 1
    SIGN_IN = 4
    SIGN_OUT = 5


class CallbackProcedure(IntEnum):
    """Procedures of GlusterFS Callback, version 1, that a volfile server sends."""

    FETCHSPEC = 1


VERSIONS = {Program.DUMP: 1, Program.HANDSHAKE: 2, Program.PORTMAP: 1, Program.CALLBACK: 1}

#: what tells a client's protocol/client to ask us for a brick's port: the portmap program must be listed
LISTED = (
    ("Gluster Portmap", Program.PORTMAP),
    ("Gluster Handshake", Program.HANDSHAKE),
    ("GF-DUMP", Program.DUMP),
)


def fetchspec() -> bytes:
    """Return the record that tells a connected process to fetch its volfile again; it is not answered."""
    return Call(
        xid=0,
        program=Program.CALLBACK,
        version=VERSIONS[Program.CALLBACK],
        procedure=CallbackProcedure.FETCHSPEC,
    ).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A program in a DUMP reply."""

    name: str
    program: int
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DumpRequest:
    """Which programs do you serve? `gfs_id` is a constant that glusterfs sends and nobody reads."""

    gfs_id: int = 0xCAED

    def encode(self) -> bytes:
        """Return the body."""
        return Packer().u64(self.gfs_id).build()

    @classmethod
    def decode(cls, body: bytes) -> DumpRequest:
        """Return the message, or raise WireError."""
        return cls(gfs_id=Unpacker(body).u64())


@dataclass(frozen=True, slots=True, kw_only=True)
class DumpReply:
    """The programs served, as an XDR linked list (a 1 before each item, a 0 at the end)."""

    programs: tuple[Listed, ...]

    def encode(self) -> bytes:
        """Return the body."""
        packed = Packer().u64(0).i32(0).i32(0)
        for item in self.programs:
            packed.u32(1).string(item.name).u64(item.program).u64(item.version)
        return packed.u32(0).build()

    @classmethod
    def decode(cls, body: bytes) -> DumpReply:
        """Return the message, or raise WireError. At most 64 programs are believed."""
        reader = Unpacker(body)
        reader.u64()
        reader.i32()
        reader.i32()
        programs: list[Listed] = []
        while reader.u32():
            if len(programs) == 64:
                raise WireError("a DUMP reply with more than 64 programs")
            programs.append(Listed(name=reader.string(256), program=reader.u64(), version=reader.u64()))
        return cls(programs=tuple(programs))


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonReply:
    """`result` 0 or -1, and an errno. The reply to PING, SIGNIN, SIGNOUT and EVENT_NOTIFY.

    PING and EVENT_NOTIFY carry an empty dictionary behind it, SIGNIN and SIGNOUT nothing (`with_dict`).
    """

    result: int = 0
    error: int = 0
    with_dict: bool = False

    def encode(self) -> bytes:
        """Return the body."""
        packed = Packer().i32(self.result).i32(self.error)
        return packed.opaque(b"").build() if self.with_dict else packed.build()

    @classmethod
    def decode(cls, body: bytes) -> CommonReply:
        """Return the message, or raise WireError."""
        reader = Unpacker(body)
        return cls(result=reader.i32(), error=reader.i32(), with_dict=reader.left > 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class GetspecRequest:
    """Give me the volfile called `key`. `values` says min-op-version, max-op-version, brick_name."""

    key: str
    flags: int = 0
    values: dict[str, str] = field(default_factory=dict)

    def encode(self) -> bytes:
        """Return the body."""
        packed = Packer().u32(self.flags).string(self.key)
        return packed.opaque(gfdict.encode(self.values) if self.values else b"").build()

    @classmethod
    def decode(cls, body: bytes) -> GetspecRequest:
        """Return the message, or raise WireError."""
        reader = Unpacker(body)
        flags, key = reader.u32(), reader.string(MAX_KEY_BYTES)
        return cls(flags=flags, key=key, values=gfdict.decode_text(reader.opaque(MAX_DICT_BYTES)))

    @property
    def max_op_version(self) -> int:
        """Return the highest op-version the caller supports, 0 if it said nothing sensible."""
        text = self.values.get("max-op-version", "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GetspecReply:
    """A volfile, or an errno.

    The client writes exactly `op_ret` bytes to a file, so op_ret is the length in bytes; it is computed
    here and checked on the way in.
    """

    spec: bytes = b""
    error: int = 0
    values: dict[str, str] = field(default_factory=dict)

    def encode(self) -> bytes:
        """Return the body."""
        if self.error:
            return Packer().i32(-1).i32(self.error).opaque(b"").opaque(b"").build()
        packed = Packer().i32(len(self.spec)).i32(0).opaque(self.spec)
        return packed.opaque(gfdict.encode(self.values) if self.values else b"").build()

    @classmethod
    def decode(cls, body: bytes) -> GetspecReply:
        """Return the message, or raise WireError. A refusal without an errno becomes error 22 (EINVAL)."""
        reader = Unpacker(body)
        result, error = reader.i32(), reader.i32()
        spec = reader.opaque(MAX_SPEC_BYTES)
        values = gfdict.decode_text(reader.opaque(MAX_DICT_BYTES))
        if result < 0:
            return cls(error=error or 22)
        if result != len(spec):
            raise WireError(f"a GETSPEC reply that promises {result} bytes and carries {len(spec)}")
        return cls(spec=spec, values=values)


@dataclass(frozen=True, slots=True, kw_only=True)
class PortRequest:
    """On which port does this brick listen?"""

    brick: str

    def encode(self) -> bytes:
        """Return the body."""
        return Packer().string(self.brick).build()

    @classmethod
    def decode(cls, body: bytes) -> PortRequest:
        """Return the message, or raise WireError."""
        return cls(brick=Unpacker(body).string(MAX_BRICK_BYTES))


@dataclass(frozen=True, slots=True, kw_only=True)
class PortReply:
    """The port, or 0: not running. The client then asks again every three seconds."""

    port: int

    def encode(self) -> bytes:
        """Return the body: result, errno, status, port."""
        return Packer().i32(0 if self.port else -1).i32(0).i32(0).i32(self.port).build()

    @classmethod
    def decode(cls, body: bytes) -> PortReply:
        """Return the message, or raise WireError."""
        reader = Unpacker(body)
        result = reader.i32()
        reader.i32()
        reader.i32()
        port = reader.i32()
        if result == 0 and not 0 < port < 65536:
            raise WireError(f"a portmap reply with port {port}")
        return cls(port=port if result == 0 else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """A brick process listens on `port`. `pid` is 0 from versions that do not say it."""

    brick: str
    port: int
    pid: int = 0

    def encode(self) -> bytes:
        """Return the body."""
        return Packer().string(self.brick).i32(self.port).i32(self.pid).build()

    @classmethod
    def decode(cls, body: bytes) -> SignIn:
        """Return the message, or raise WireError."""
        reader = Unpacker(body)
        brick, port = reader.string(MAX_BRICK_BYTES), reader.i32()
        return cls(brick=brick, port=port, pid=reader.i32() if reader.left else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOut:
    """A brick process is going away. It says so twice; one that is killed never does."""

    brick: str
    port: int

    def encode(self) -> bytes:
        """Return the body; the last field is an RDMA port."""
        return Packer().string(self.brick).i32(self.port).i32(0).build()

    @classmethod
    def decode(cls, body: bytes) -> SignOut:
        """Return the message, or raise WireError."""
        reader = Unpacker(body)
        return cls(brick=reader.string(MAX_BRICK_BYTES), port=reader.i32())


@dataclass(frozen=True, slots=True, kw_only=True)
class EventNotify:
    """Something ended in a daemon; operation 0 is a rebalance, with its counters in `values`."""

    operation: int
    values: dict[str, str] = field(default_factory=dict)

    def encode(self) -> bytes:
        """Return the body."""
        return Packer().i32(self.operation).opaque(gfdict.encode(self.values)).build()

    @classmethod
    def decode(cls, body: bytes) -> EventNotify:
        """Return the message, or raise WireError."""
        reader = Unpacker(body)
        return cls(operation=reader.i32(), values=gfdict.decode_text(reader.opaque(MAX_DICT_BYTES)))


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeInfoRequest:
    """What is the id of this volume? Asked by libgfapi (`flags` 1) and gsyncd."""

    volume: str

    def encode(self) -> bytes:
        """Return the body."""
        return Packer().opaque(gfdict.encode({"flags": 1, "volname": self.volume})).build()

    @classmethod
    def decode(cls, body: bytes) -> VolumeInfoRequest:
        """Return the message, or raise WireError."""
        values = gfdict.decode_text(Unpacker(body).opaque(MAX_DICT_BYTES))
        return cls(volume=values.get("volname", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeInfoReply:
    """The volume's id as text, empty when there is no such volume (sent as ENOENT)."""

    volume_id: str

    def encode(self) -> bytes:
        """Return the body: result, errno, error text, dictionary."""
        if not self.volume_id:
            return Packer().i32(-1).i32(2).string("").opaque(b"").build()
        values = gfdict.encode({"volume_id": self.volume_id})
        return Packer().i32(0).i32(0).string("").opaque(values).build()

    @classmethod
    def decode(cls, body: bytes) -> VolumeInfoReply:
        """Return the message, or raise WireError."""
        reader = Unpacker(body)
        result = reader.i32()
        reader.i32()
        reader.string(4096)
        values = gfdict.decode_text(reader.opaque(MAX_DICT_BYTES))
        return cls(volume_id=values.get("volume_id", "") if result == 0 else "")
