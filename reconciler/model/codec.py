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
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from functools import cache
from typing import Any, TypeVar, cast

from reconciler.errors import JournalError

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

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
        # The journal, txn/record.py
        "Head": 1,
        "StepRecord": 1,
        "Command": 1,
        "Barrier": 1,
        "LockRecord": 1,
    }
)

T = TypeVar("T")
_Convert = Callable[[Any], Any]
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_EXACT_FLOAT = 2**53  #: below this every whole float is an exact integer


class _Mismatch(Exception):
    """A value that does not fit its type; collects the path while it travels up."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.path: list[str] = []

    def at(self, part: str) -> _Mismatch:
        """Note one more part of the path, from the inside out."""
        self.path.append(part)
        return self


@dataclasses.dataclass(frozen=True, slots=True)
class _Shape:
    """What is known of a class: its encoders by field, its decoders, and the fields that must be there."""

    encoders: tuple[tuple[str, _Convert | None], ...]
    decoders: Mapping[str, _Convert]
    required: frozenset[str]


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
    return canonical({"v": _version(cls), "kind": cls.__name__, **plain})


def decode(cls: type[T], text: str) -> T:
    """Return the record of class `cls` stored as `text`.

    Raises:
        JournalError: the text is damaged, of another kind, or of a version this program does not know.
    """
    plain = parse(text)
    if not isinstance(plain, dict):
        raise JournalError(f"stored {cls.__name__}: expected an object, found {_describe(plain)}")
    kind, version = plain.pop("kind", None), plain.pop("v", None)
    if kind != cls.__name__:
        raise JournalError(f"stored record is of kind {kind!r}, expected {cls.__name__!r}")
    known = _version(cls)
    if type(version) is not int or version != known:
        raise JournalError(
            f"stored {cls.__name__} has version {version!r}, this program knows version {known}",
            hint="run the newest gluster-state that has worked on this cluster",
        )
    return from_json(cls, plain)


@cache
def _version(cls: Any) -> int:
    """Return the version of a stored class; asserts what only a programming error can break."""
    name = cls.__name__
    assert name in VERSIONS, f"{name} has no stored form: add it to VERSIONS"
    taken = {"v", "kind"} & set(_shape(cls).decoders)
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
        return cast("T", _decoder(hint)(plain))
    except _Mismatch as exc:
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
            name: getattr(value, name) if convert is None else convert(getattr(value, name))
            for name, convert in _shape(value.__class__).encoders
        }
    raise TypeError(f"{type(value).__name__} has no JSON form")


@cache
def _shape(cls: Any) -> _Shape:
    """Read the fields of a dataclass, once."""
    hints = typing.get_type_hints(cls)
    fields = dataclasses.fields(cls)
    return _Shape(
        encoders=tuple((f.name, None if _is_plain(hints[f.name]) else _plain) for f in fields),
        decoders={f.name: _decoder(hints[f.name]) for f in fields},
        required=frozenset(
            f.name
            for f in fields
            if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        ),
    )


def _is_plain(hint: Any) -> bool:
    """Return true for types whose values are JSON as they are."""
    return _base(hint) in {str, int, bool}


def _base(hint: Any) -> Any:
    """Return the type under a NewType."""
    while isinstance(hint, typing.NewType):
        hint = hint.__supertype__
    return hint


# ---------------------------------------------------------------- decoders, one per kind of type


@cache
def _decoder(hint: Any) -> _Convert:
    """Return the function that turns a plain value into one of type `hint`, or raises _Mismatch."""
    hint = _base(hint)
    if hint in _SCALARS:
        return _SCALARS[hint]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _enum_decoder(hint)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _record_decoder(hint)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        return _tuple_decoder(args)
    if origin in (Mapping, dict):
        return _mapping_decoder(args[0], args[1])
    if origin in (types.UnionType, typing.Union):
        return _union_decoder(args)
    raise TypeError(f"no stored form for a field of type {hint!r}")


def _text(value: Any) -> str:
    if type(value) is not str:
        raise _Mismatch(f"expected text, found {_describe(value)}")
    return value


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise _Mismatch(f"expected a whole number, found {_describe(value)}")
    return value


def _truth(value: Any) -> bool:
    if type(value) is not bool:
        raise _Mismatch(f"expected true or false, found {_describe(value)}")
    return value


def _number(value: Any) -> float:
    if type(value) is not int and type(value) is not float:
        raise _Mismatch(f"expected a number, found {_describe(value)}")
    return float(value)


def _nothing(value: Any) -> None:
    if value is not None:
        raise _Mismatch(f"expected null, found {_describe(value)}")


_SCALARS: Mapping[Any, _Convert] = {
    str: _text,
    int: _whole,
    bool: _truth,
    float: _number,
    type(None): _nothing,
}


def _enum_decoder(cls: type[Enum]) -> _Convert:
    members = {(type(member.value), member.value): member for member in cls}

    def decode_enum(value: Any) -> Enum:
        known = members.get((type(value), value)) if isinstance(value, str | int) else None
        if known is None:
            words = ", ".join(str(member.value) for member in cls)
            raise _Mismatch(f"expected one of {words}; found {_describe(value)}")
        return known

    return decode_enum


def _record_decoder(cls: type) -> _Convert:
    def decode_record(value: Any) -> Any:
        if type(value) is not dict:
            raise _Mismatch(f"expected an object, found {_describe(value)}")
        shape = _shape(cls)  # looked up late: classes may refer to each other
        decoders = shape.decoders
        found = {}
        for name, item in value.items():
            if name not in decoders:
                raise _Mismatch(f"unknown field {name!r}")
            try:
                found[name] = decoders[name](item)
            except _Mismatch as exc:
                raise exc.at(f".{name}") from None
        if len(found) < len(decoders):
            missing = sorted(shape.required - found.keys())
            if missing:
                raise _Mismatch(f"missing field {missing[0]!r}")
        return cls(**found)

    return decode_record


def _tuple_decoder(args: tuple[Any, ...]) -> _Convert:
    if len(args) == 2 and args[1] is Ellipsis:
        return _many_decoder(_decoder(args[0]))
    parts = tuple(_decoder(arg) for arg in args)

    def decode_fixed(value: Any) -> tuple[Any, ...]:
        if type(value) is not list or len(value) != len(parts):
            raise _Mismatch(f"expected a list of {len(parts)}, found {_describe(value)}")
        return tuple(
            _item(part, item, index) for index, (part, item) in enumerate(zip(parts, value, strict=True))
        )

    return decode_fixed


def _many_decoder(item_decoder: _Convert) -> _Convert:
    def decode_many(value: Any) -> tuple[Any, ...]:
        if type(value) is not list:
            raise _Mismatch(f"expected a list, found {_describe(value)}")
        try:
            return tuple([item_decoder(item) for item in value])
        except _Mismatch:
            # Only a failing list pays for knowing its index.
            return tuple(_item(item_decoder, item, index) for index, item in enumerate(value))

    return decode_many


def _item(convert: _Convert, item: Any, index: int) -> Any:
    try:
        return convert(item)
    except _Mismatch as exc:
        raise exc.at(f"[{index}]") from None


def _mapping_decoder(key_hint: Any, value_hint: Any) -> _Convert:
    convert_key = {str: _text, int: _decimal}[_base(key_hint)]
    convert = _decoder(value_hint)

    def decode_mapping(value: Any) -> dict[Any, Any]:
        if type(value) is not dict:
            raise _Mismatch(f"expected an object, found {_describe(value)}")
        found = {}
        for key, item in value.items():
            try:
                found[convert_key(key)] = convert(item)
            except _Mismatch as exc:
                raise exc.at(f"[{key!r}]") from None
        return found

    return decode_mapping


def _decimal(key: str) -> int:
    if not re.fullmatch(r"0|-?[1-9][0-9]{0,18}", key):
        raise _Mismatch(f"expected a decimal number as key, found {key!r}")
    return int(key)


def _union_decoder(args: tuple[Any, ...]) -> _Convert:
    """Return the decoder of ``X | None``, of a union of scalars, or of any JSON.

    Json is told by its shape: it alone holds a list and a dict. Its recursive alias is not followed,
    for whatever the JSON reader returns fits it.
    """
    origins = {typing.get_origin(arg) for arg in args}
    if {list, dict} <= origins:
        return lambda value: value
    if len(args) == 2 and type(None) in args:
        inner = _decoder(args[0] if args[1] is type(None) else args[1])
        return lambda value: None if value is None else inner(value)
    scalars = {_base(arg) for arg in args}
    if not scalars <= _SCALARS.keys():
        raise TypeError(f"no stored form for a union of {args!r}")

    def decode_scalar(value: Any) -> Any:
        if type(value) in scalars:
            return value
        if float in scalars and type(value) is int:
            return float(value)
        words = ", ".join(sorted(scalar.__name__ for scalar in scalars))
        raise _Mismatch(f"expected one of {words}; found {_describe(value)}")

    return decode_scalar


def _describe(value: Any) -> str:
    """Return a short text of what was found. Never more than a few words: it may be a secret's neighbour."""
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
