"""XDR, the external data representation: a packer for our bytes and a bounded reader for theirs.

Every length that comes from a peer is compared with a limit and with what is left *before* anything is
copied, so no input can make us allocate more than it brought along.

Source: RFC 4506 sections 4.1-4.11 (all items are multiples of four bytes, big-endian).
"""

from __future__ import annotations

import struct

from reconciler.errors import WireError

_U32 = struct.Struct(">I")
_I32 = struct.Struct(">i")
_U64 = struct.Struct(">Q")


class Packer:
    """Builds an XDR body item by item. Values come from us: one out of range is a bug (struct.error)."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def u32(self, value: int) -> Packer:
        """Append an unsigned 32-bit integer."""
        self._parts.append(_U32.pack(value))
        return self

    def i32(self, value: int) -> Packer:
        """Append a signed 32-bit integer."""
        self._parts.append(_I32.pack(value))
        return self

    def u64(self, value: int) -> Packer:
        """Append an unsigned 64-bit integer."""
        self._parts.append(_U64.pack(value))
        return self

    def opaque(self, value: bytes) -> Packer:
        """Append variable-length bytes: length, bytes, zeros up to a multiple of four."""
        self._parts += (_U32.pack(len(value)), value, bytes(-len(value) % 4))
        return self

    def string(self, value: str) -> Packer:
        """Append a string as UTF-8. A lone surrogate is a bug (UnicodeEncodeError)."""
        return self.opaque(value.encode())

    def raw(self, value: bytes) -> Packer:
        """Append bytes that are XDR already."""
        self._parts.append(value)
        return self

    def build(self) -> bytes:
        """Return everything appended so far."""
        return b"".join(self._parts)


class Unpacker:
    """Reads an XDR body from the front. Every method raises WireError for bytes that do not fit."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        """Return how many bytes have not been read."""
        return len(self._data) - self._at

    def u32(self) -> int:
        """Read an unsigned 32-bit integer."""
        return int.from_bytes(self._take(4, "an unsigned integer"), "big")

    def i32(self) -> int:
        """Read a signed 32-bit integer."""
        return int.from_bytes(self._take(4, "an integer"), "big", signed=True)

    def u64(self) -> int:
        """Read an unsigned 64-bit integer."""
        return int.from_bytes(self._take(8, "a hyper integer"), "big")

    def opaque(self, limit: int) -> bytes:
        """Read variable-length bytes, at most `limit` of them.

        The padding must be there but its value is not looked at: RFC 4506 asks for zeros, a sender that
        leaves others harms nobody.
        """
        length = self.u32()
        if length > limit:
            raise WireError(f"{length} bytes at offset {self._at}, at most {limit} are allowed here")
        value = self._take(length, "bytes")
        self._take(-length % 4, "padding")
        return value

    def string(self, limit: int) -> str:
        """Read a string of at most `limit` bytes of UTF-8."""
        value = self.opaque(limit)
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise WireError(f"a string that is not UTF-8 ({error.reason} at byte {error.start})") from error

    def u32s(self, limit: int) -> tuple[int, ...]:
        """Read a counted array of at most `limit` unsigned 32-bit integers."""
        count = self.u32()
        if count > limit:
            raise WireError(f"an array of {count} at offset {self._at}, at most {limit} are allowed here")
        block = self._take(4 * count, "an array")
        return struct.unpack(f">{count}I", block)

    def rest(self) -> bytes:
        """Read everything that is left."""
        return self._take(self.left, "the rest")

    def _take(self, length: int, what: str) -> bytes:
        end = self._at + length
        if end > len(self._data):
            raise WireError(f"{what} of {length} bytes at offset {self._at}, but only {self.left} are left")
        block = self._data[self._at : end]
        self._at = end
        return block
