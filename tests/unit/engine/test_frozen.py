"""The packed text of a plan: it comes back to the byte, in values that the store takes, whatever it holds."""

from __future__ import annotations

import base64
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.engine.frozen import CHUNK, packed, unpacked
from reconciler.errors import JournalError, PlanError
from reconciler.plan.document import MAX_DOCUMENT_BYTES
from reconciler.ports.store import MAX_VALUE_BYTES


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_what_is_packed_comes_back(text: str) -> None:
    held = "x" + text  # a plan's own text begins with a bracket, which means: not packed
    assert unpacked(packed(held)) == held
    assert unpacked(["{" + text]) == "{" + text


def test_a_text_that_cannot_be_made_smaller_still_fits_in_several_values() -> None:
    draw = random.Random(4)
    text = "".join(chr(draw.randrange(0x10000, 0x20000)) for _ in range(150_000))
    values = packed(text)
    assert [len(value) for value in values[:-1]] == [CHUNK] * (len(values) - 1)
    assert len(values) > 2
    assert all(len(value.encode()) <= MAX_VALUE_BYTES for value in values)
    assert unpacked(values) == text
    for wrong in (values[:-1], values[1:], (values[1], values[0], *values[2:])):
        with pytest.raises(JournalError, match="damaged"):
            unpacked(wrong)


def test_a_few_bytes_that_unfold_to_gigabytes_are_refused_before_they_do() -> None:
    unfolding = zlib.compressobj(9)
    part = b" " * (16 * 1024 * 1024)
    bomb = b"".join(unfolding.compress(part) for _ in range(64)) + unfolding.flush()
    with pytest.raises(JournalError, match="longer than any plan"):
        unpacked([base64.b85encode(bomb).decode("ascii")])


def test_what_nobody_could_read_back_is_not_packed() -> None:
    with pytest.raises(PlanError, match="more than fit"):
        packed("x" * (MAX_DOCUMENT_BYTES + 1))
