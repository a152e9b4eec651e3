"""Whatever the bytes of a library are, reading it ends soon, with options or with a NativeError."""

from __future__ import annotations

import contextlib
import struct
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.catalogue.layout import LAYOUTS, named
from reconciler.catalogue.option import Library
from reconciler.catalogue.static import read_static
from reconciler.errors import NativeError
from tests.elf_images import MACHINES, image

IMAGES = [image(machine) for machine in MACHINES]
LONGEST_S = 2.0  #: an undamaged one takes well under a millisecond
SPECIAL = [0, 1, 0x7F, 0x80, 0xFF]


def ends(data: bytes, layout: str) -> None:
    start = time.process_time()
    with contextlib.suppress(NativeError):
        assert isinstance(read_static(data, named(layout), "xlator/frob"), Library)
    assert time.process_time() - start < LONGEST_S


layouts = st.sampled_from([layout.name for layout in LAYOUTS])
edits = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.one_of(st.sampled_from(SPECIAL), st.integers(0, 255))),
    min_size=1,
    max_size=40,
)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(IMAGES), edits, layouts)
def test_any_bytes_changed(whole: bytes, changes: list[tuple[float, int]], layout: str) -> None:
    data = bytearray(whole)
    for where, value in changes:
        data[int(where * len(data))] = value
    ends(bytes(data), layout)


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(IMAGES),
    st.lists(st.tuples(st.integers(0, 100), st.integers(0, 2**64 - 1)), min_size=1, max_size=4),
    layouts,
)
def test_words_of_the_headers_and_tables_changed(
    whole: bytes, changes: list[tuple[int, int]], layout: str
) -> None:
    """Hits the numbers that lead to other places: the file's headers and the tables at its end."""
    data = bytearray(whole)
    for where, value in changes:
        at = 16 + where * 4 if where < 40 else len(data) - 8 - (where - 40) * 8
        data[at : at + 8] = struct.pack("<Q", value)
    ends(bytes(data), layout)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(IMAGES), st.floats(0, 1), st.binary(max_size=64), layouts)
def test_any_piece_cut_off_and_anything_put_behind(
    whole: bytes, cut: float, more: bytes, layout: str
) -> None:
    ends(whole[: int(cut * len(whole))] + more, layout)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.booleans(), layouts)
def test_any_bytes_at_all(data: bytes, elf: bool, layout: str) -> None:
    ends((b"\x7fELF" if elf else b"") + data, layout)
