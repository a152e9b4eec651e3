from __future__ import annotations

import pytest

from reconciler.errors import WireError
from reconciler.wire import gfdict


def i32(value: int) -> bytes:
    return value.to_bytes(4, "big", signed=True)


def pair(key: bytes, value: bytes) -> bytes:
    return i32(len(key)) + i32(len(value)) + key + b"\0" + value


def test_numbers_travel_as_text_with_a_closing_nul() -> None:
    assert gfdict.encode({"cmd": 2}) == i32(1) + i32(3) + i32(2) + b"cmd\0" + b"2\0"


def test_no_bytes_are_an_absent_dictionary() -> None:
    assert gfdict.decode(b"") == {}
    assert gfdict.decode(i32(0)) == {}


@pytest.mark.parametrize(
    "data",
    [
        i32(-1),
        i32(10**9),
        i32(65),
        i32(1),
        i32(1) + i32(-1) + i32(1) + b"a\0b",
        i32(1) + i32(1) + i32(-2147483648) + b"a\0b",
        i32(1) + i32(257) + i32(0) + bytes(258),
        i32(1) + i32(1) + i32(16 * 1024 + 1) + b"a\0" + bytes(16 * 1024 + 1),
        i32(1) + i32(1) + i32(5) + b"a\0four",
        i32(1) + i32(1) + i32(1) + b"a!b",
        i32(1) + pair(b"\xff\xfe", b"x\0"),
        i32(2) + pair(b"a", b"b"),
        b"\0\0",
    ],
)
def test_lengths_that_lie_are_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        gfdict.decode(data)


def test_values_keep_their_bytes_and_text_stays_readable() -> None:
    data = i32(2) + pair(b"blob", b"\xff\0\0") + pair(b"name", b"gr\xc3\xbc\xc3\x9fe\0")
    assert gfdict.decode(data)["blob"] == b"\xff\0\0"
    assert gfdict.decode_text(data) == {"blob": "\\xff\0", "name": "grüße"}
