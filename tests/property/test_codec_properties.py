"""decode(encode(x)) == x for arbitrary records, and arbitrary JSON never does worse than a JournalError."""

from __future__ import annotations

import contextlib
import dataclasses
import typing
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import JournalError
from reconciler.model import codec
from tests.stored_samples import SAMPLES

TEXT = st.text(st.characters(exclude_categories=()), max_size=12)  # lone surrogates included
SCALAR = st.none() | st.booleans() | st.integers() | TEXT
JSON = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3)
)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)


def _values(hint: typing.Any) -> st.SearchStrategy[typing.Any]:
    """Build a strategy from a field type, independently of the codec's own reading of it."""
    while isinstance(hint, typing.NewType):
        hint = hint.__supertype__
    known = {str: TEXT, float: NUMBER, int: st.integers(), bool: st.booleans(), type(None): st.none()}
    if hint in known:
        return known[hint]
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint, localns={"Json": codec.Json})
        return st.builds(hint, **{name: _values(hints[name]) for name in hints})
    args, origin = typing.get_args(hint), typing.get_origin(hint)
    if origin is tuple and args[-1] is Ellipsis:
        return st.lists(_values(args[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*map(_values, args))
    if origin is Mapping:
        return st.dictionaries(_values(args[0]), _values(args[1]), max_size=3)
    if args and any(typing.get_origin(arg) is list for arg in args):
        return JSON
    return st.one_of(*map(_values, args)) if args else st.from_type(hint)


CLASSES = [type(sample) for sample in SAMPLES]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_decoding_gives_back_what_was_encoded(cls: type) -> None:
    @given(_values(cls))
    def check(value: object) -> None:
        text = codec.encode(value)
        text.encode("utf-8")
        assert codec.decode(cls, text) == value
        assert codec.encode(codec.decode(cls, text)) == text

    check()


@given(st.sampled_from(CLASSES), st.dictionaries(TEXT, JSON, max_size=4) | JSON)
def test_arbitrary_json_is_refused_in_one_way_only(cls: type, plain: object) -> None:
    with contextlib.suppress(JournalError):
        codec.from_json(cls, plain)


@given(st.binary(max_size=60))
def test_arbitrary_bytes_are_refused_in_one_way_only(data: bytes) -> None:
    with pytest.raises(JournalError):
        codec.decode(CLASSES[0], data.decode("utf-8", "surrogateescape"))
