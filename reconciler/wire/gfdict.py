"""The serialised glusterfs dictionary, as it travels inside the opaque fields of the management programs.

``count i32``, then per pair ``key length i32 | value length i32 | key | NUL | value``, nothing padded.
The key length leaves its NUL out. Strings, and numbers as decimal text, carry a NUL *inside* the value.
An absent dictionary is no bytes at all.

Source: glusterfs 10.3 libglusterfs/src/dict.c (dict_serialize, dict_unserialize). That code trusts signed
lengths; here a negative one is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.errors import WireError

_NUL = b"\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class DictLimits:
    """The most we accept of a foreign dictionary. Lengths are bytes."""

    pairs: int = 64
    key: int = 256
    value: int = 16 * 1024


REQUEST_LIMITS = DictLimits()  #: for what strangers send us
#: for the answers of our own bricks and daemons: a STATUS of a busy brick has five pairs per client
REPLY_LIMITS = DictLimits(pairs=200_000, key=4096, value=64 * 1024)


def encode(values: Mapping[str, str | int]) -> bytes:
    """Serialise `values` in their order; numbers become decimal text, everything ends with a NUL."""
    parts = [_i32(len(values))]
    for key, value in values.items():
        name, text = key.encode(), str(value).encode() + _NUL
        parts += (_i32(len(name)), _i32(len(text)), name, _NUL, text)
    return b"".join(parts)


def decode(data: bytes, limits: DictLimits = REQUEST_LIMITS) -> dict[str, bytes]:
    """Return the pairs with their values as sent. A key given twice keeps its last value.

    Bytes after the last pair are ignored, as glusterfs does: the opaque around it has bounded them.

    Raises:
        WireError: a count or length is negative, over the limit or past the end; or a key is not UTF-8.
    """
    if not data:
        return {}
    reader = _Reader(data)
    count = reader.length("number of pairs", limits.pairs)
    values: dict[str, bytes] = {}
    for _ in range(count):
        key_length = reader.length("key length", limits.key)
        value_length = reader.length("value length", limits.value)
        key = reader.take(key_length)
        if reader.take(1) != _NUL:
            raise WireError("a dictionary key that does not end with a NUL")
        try:
            values[key.decode()] = reader.take(value_length)
        except UnicodeDecodeError as error:
            raise WireError("a dictionary key that is not UTF-8") from error
    return values


def decode_text(data: bytes, limits: DictLimits = REQUEST_LIMITS) -> dict[str, str]:
    r"""Return the pairs as text, without the closing NUL.

    A value that is not UTF-8 does not spoil the others (a client may choose its name): its odd bytes
    become ``\xNN``.

    Raises:
        WireError: as `decode`.
    """
    return {
        key: value.removesuffix(_NUL).decode(errors="backslashreplace")
        for key, value in decode(data, limits).items()
    }


def _i32(value: int) -> bytes:
    return value.to_bytes(4, "big", signed=True)


class _Reader:
    """Walks over a serialised dictionary."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def length(self, what: str, limit: int) -> int:
        value = int.from_bytes(self.take(4), "big", signed=True)
        if not 0 <= value <= limit:
            raise WireError(f"dictionary: {what} {value} is outside 0 to {limit}")
        return value

    def take(self, length: int) -> bytes:
        end = self._at + length
        if end > len(self._data):
            raise WireError(f"dictionary: {length} bytes at offset {self._at} of {len(self._data)}")
        block = self._data[self._at : end]
        self._at = end
        return block
