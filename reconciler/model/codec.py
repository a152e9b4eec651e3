"""Frozen dataclasses <-> plain JSON values <-> canonical text: the only knower of stored forms.

The field types of a class are its schema; they are read once per class and turned into a plan of small
functions, so that a hundred thousand records decode in seconds. Decoding is strict: an unknown field, a
missing field without default, or a value of another type is a JournalError that names the place.
Nothing is converted on a guess.

Canonical text follows RFC 8785 in what matters to a digest: keys sorted, no spaces, UTF-8 unescaped,
whole floats without fraction. Two differences, both harmless inside one program: keys are sorted by code
point (not UTF-16 unit), and integers are exact beyond 2**53.

Which fields a stored class has may grow: a new field with a default reads old records. Any other change
needs a new number in `VERSIONS` and a sample of the old form under tests/golden/stored/.
"""

from __future__ import annotations

import dataclasses
import json
import re
import types
from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Any, TypeVar, cast

from reconciler.errors import JournalError
from reconciler.model.fields import Json, Mismatch, decoder_for, describe, fields_of

__all__ = ["VERSIONS", "Json", "canonical", "decode", "encode", "from_json", "parse", "to_json"]

#: Version of each stored form, by class name (the classes live on several floors; their names are unique).
VERSIONS: Mapping[str, int] = types.MappingProxyType(
    {
        # The configuration, model/configured.py
        "PeerRecord": 1,
        "BrickRecord": 1,
        "VolumeRecord": 1,
        "Secret": 1,
        "Settings": 1,
        "Retained": 1,
        "ConfiguredCluster": 1,
        # What agents report, model/observed.py
        "MountFact": 1,
        "NodeFact": 1,
        "BrickFact": 1,
        "VolumeFact": 1,
        "ObservedNode": 1,
        "Doubt": 1,
        # The journal, txn/record.py
        "Head": 1,
        "StepRecord": 1,
        "Command": 1,
        "Barrier": 1,
        "LockRecord": 1,
        # Questions to nodes, model/questions.py
        "Question": 1,
        "Answer": 1,
    }
)

#: Classes stored without the fields that are at their defaults: what a transaction writes most of.
_SPARSE = frozenset({"StepRecord"})

T = TypeVar("T")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_EXACT_FLOAT = 2**53  #: below this every whole float is an exact integer


# ---------------------------------------------------------------- text


def canonical(value: object) -> str:
    """Return the canonical text of a plain JSON value.

    Lone surrogates (undecodable bytes of a file name) are written as escapes, so that the text always has
    a UTF-8 form and reads back unchanged. Raises ValueError for NaN and infinity.
    """
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    if text.isascii():
        return text
    return _LONE_SURROGATE.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def parse(text: str) -> Json:
    """Return the JSON value of a text; a repeated key, NaN or any syntax error is a JournalError."""
    try:
        return cast("Json", json.loads(text, object_pairs_hook=_distinct, parse_constant=_no_constant))
    except (ValueError, RecursionError) as exc:
        raise JournalError(f"not a JSON document: {exc}") from exc


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        repeated = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]  # set.add as a marker
        raise ValueError(f"key {repeated!r} occurs twice")
    return found


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


# ---------------------------------------------------------------- stored forms


def encode(value: object) -> str:
    """Return the stored form of a record: its fields with ``v`` (version) and ``kind`` (class name)."""
    cls: Any = type(value)
    plain = to_json(value)
    assert isinstance(plain, dict), f"{cls.__name__} is not a record"
    if cls.__name__ in _SPARSE:
        usual = _defaults(cls)
        plain = {name: item for name, item in plain.items() if name not in usual or item != usual[name]}
    return canonical({"v": _version(cls), "kind": cls.__name__, **plain})


def decode(cls: type[T], text: str) -> T:
    """Return the record of class `cls` stored as `text`.

    Raises:
        JournalError: the text is damaged, of another kind, or of a version this program does not know.
    """
    plain = parse(text)
    if not isinstance(plain, dict):
        raise JournalError(f"stored {cls.__name__}: expected an object, found {describe(plain)}")
    kind, version = plain.pop("kind", None), plain.pop("v", None)
    if kind != cls.__name__:
        raise JournalError(f"stored record is of kind {kind!r}, expected {cls.__name__!r}")
    wanted: Any = cls
    known = _version(wanted)
    if type(version) is not int or version != known:
        raise JournalError(
            f"stored {cls.__name__} has version {version!r}, this program knows version {known}",
            hint="run the newest version of this program that has worked on this cluster",
        )
    return from_json(cls, plain)


@cache
def _defaults(cls: Any) -> Mapping[str, Json]:
    """Return the plain values of a class' defaults, by field."""
    found: dict[str, Json] = {}
    for field in dataclasses.fields(cls):
        if field.default_factory is not dataclasses.MISSING:
            found[field.name] = to_json(field.default_factory())
        elif field.default is not dataclasses.MISSING:
            found[field.name] = to_json(field.default)
    return found


@cache
def _version(cls: Any) -> int:
    """Return the version of a stored class; asserts what only a programming error can break."""
    name = cls.__name__
    assert name in VERSIONS, f"{name} has no stored form: add it to VERSIONS"
    taken = {"v", "kind"} & set(fields_of(cls).decoders)
    assert not taken, (
        f"{name}.{taken} would hide the envelope of the stored form: store it inside another record"
    )
    return VERSIONS[name]


# ---------------------------------------------------------------- plain values


def to_json(value: object) -> Json:
    """Return the plain JSON value of a dataclass instance, or of anything a field may hold."""
    return cast("Json", _plain(value))


def from_json(cls: type[T], plain: object) -> T:
    """Return the instance of `cls` that a plain JSON value describes.

    Raises:
        JournalError: with the path of the first value that does not fit.
    """
    try:
        hint: Any = cls
        return cast("T", decoder_for(hint)(plain))
    except Mismatch as exc:
        path = "".join(reversed(exc.path))
        name = getattr(cls, "__name__", str(cls))
        raise JournalError(f"{name}{path}: {exc.message}") from None


def _plain(value: Any) -> Any:
    """Return the JSON value of something whose declared type does not matter."""
    if value is None or (isinstance(value, str | bool | int) and not isinstance(value, Enum)):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < _EXACT_FLOAT else value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if dataclasses.is_dataclass(value):
        return {
            name: getattr(value, name) if plain else _plain(getattr(value, name))
            for name, plain in fields_of(value.__class__).names
        }
    raise TypeError(f"{type(value).__name__} has no JSON form")
