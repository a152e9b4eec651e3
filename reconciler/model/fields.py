"""How a plain JSON value becomes a typed one: a decoder for every kind of field type, built once per type.

Strict: nothing is converted on a guess. `reconciler.model.codec` is the door to this module.
"""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from functools import cache
from typing import Any

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

Convert = Callable[[Any], Any]


class Mismatch(Exception):
    """A value that does not fit its type; collects the path while it travels up."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.path: list[str] = []

    def at(self, part: str) -> Mismatch:
        """Note one more part of the path, from the inside out."""
        self.path.append(part)
        return self


@dataclasses.dataclass(frozen=True, slots=True)
class Fields:
    """What is known of a class.

    Attributes:
        names: its fields, and whether their values are plain JSON as they are.
        decoders: by field.
        required: fields without default.
    """

    names: tuple[tuple[str, bool], ...]
    decoders: Mapping[str, Convert]
    required: frozenset[str]


@cache
def fields_of(cls: Any) -> Fields:
    """Read the fields of a dataclass, once."""
    # Json refers to itself by name, also where a class sees it only through another alias.
    hints = typing.get_type_hints(cls, localns={"Json": Json})
    fields = dataclasses.fields(cls)
    return Fields(
        names=tuple((f.name, _base(hints[f.name]) in {str, int, bool}) for f in fields),
        decoders={f.name: decoder_for(hints[f.name]) for f in fields},
        required=frozenset(
            f.name
            for f in fields
            if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        ),
    )


def _base(hint: Any) -> Any:
    """Return the type under a NewType."""
    while isinstance(hint, typing.NewType):
        hint = hint.__supertype__
    return hint


# ---------------------------------------------------------------- decoders, one per kind of type


@cache
def decoder_for(hint: Any) -> Convert:
    """Return the function that turns a plain value into one of type `hint`, or raises Mismatch."""
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
        raise Mismatch(f"expected text, found {describe(value)}")
    return value


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise Mismatch(f"expected a whole number, found {describe(value)}")
    return value


def _truth(value: Any) -> bool:
    if type(value) is not bool:
        raise Mismatch(f"expected true or false, found {describe(value)}")
    return value


def _number(value: Any) -> float:
    if type(value) is not int and type(value) is not float:
        raise Mismatch(f"expected a number, found {describe(value)}")
    return float(value)


def _nothing(value: Any) -> None:
    if value is not None:
        raise Mismatch(f"expected null, found {describe(value)}")


_SCALARS: Mapping[Any, Convert] = {
    str: _text,
    int: _whole,
    bool: _truth,
    float: _number,
    type(None): _nothing,
}


def _enum_decoder(cls: type[Enum]) -> Convert:
    members = {(type(member.value), member.value): member for member in cls}

    def decode_enum(value: Any) -> Enum:
        known = members.get((type(value), value)) if isinstance(value, str | int) else None
        if known is None:
            words = ", ".join(str(member.value) for member in cls)
            raise Mismatch(f"expected one of {words}; found {describe(value)}")
        return known

    return decode_enum


def _record_decoder(cls: type) -> Convert:
    def decode_record(value: Any) -> Any:
        if type(value) is not dict:
            raise Mismatch(f"expected an object, found {describe(value)}")
        known = fields_of(cls)  # looked up late: classes may refer to each other
        decoders = known.decoders
        found = {}
        for name, item in value.items():
            if name not in decoders:
                raise Mismatch(f"unknown field {name!r}")
            try:
                found[name] = decoders[name](item)
            except Mismatch as exc:
                raise exc.at(f".{name}") from None
        if len(found) < len(decoders):
            missing = sorted(known.required - found.keys())
            if missing:
                raise Mismatch(f"missing field {missing[0]!r}")
        return cls(**found)

    return decode_record


def _tuple_decoder(args: tuple[Any, ...]) -> Convert:
    if len(args) == 2 and args[1] is Ellipsis:
        return _many_decoder(decoder_for(args[0]))
    parts = tuple(decoder_for(arg) for arg in args)

    def decode_fixed(value: Any) -> tuple[Any, ...]:
        if type(value) is not list or len(value) != len(parts):
            raise Mismatch(f"expected a list of {len(parts)}, found {describe(value)}")
        return tuple(
            _item(part, item, index) for index, (part, item) in enumerate(zip(parts, value, strict=True))
        )

    return decode_fixed


def _many_decoder(item_decoder: Convert) -> Convert:
    def decode_many(value: Any) -> tuple[Any, ...]:
        if type(value) is not list:
            raise Mismatch(f"expected a list, found {describe(value)}")
        try:
            return tuple([item_decoder(item) for item in value])
        except Mismatch:
            # Only a failing list pays for knowing its index.
            return tuple(_item(item_decoder, item, index) for index, item in enumerate(value))

    return decode_many


def _item(convert: Convert, item: Any, index: int) -> Any:
    try:
        return convert(item)
    except Mismatch as exc:
        raise exc.at(f"[{index}]") from None


def _mapping_decoder(key_hint: Any, value_hint: Any) -> Convert:
    convert_key = {str: _text, int: _decimal}[_base(key_hint)]
    convert = decoder_for(value_hint)

    def decode_mapping(value: Any) -> dict[Any, Any]:
        if type(value) is not dict:
            raise Mismatch(f"expected an object, found {describe(value)}")
        found = {}
        for key, item in value.items():
            try:
                found[convert_key(key)] = convert(item)
            except Mismatch as exc:
                raise exc.at(f"[{key!r}]") from None
        return found

    return decode_mapping


def _decimal(key: str) -> int:
    if not re.fullmatch(r"0|-?[1-9][0-9]{0,18}", key):
        raise Mismatch(f"expected a decimal number as key, found {key!r}")
    return int(key)


def _union_decoder(args: tuple[Any, ...]) -> Convert:
    """Return the decoder of ``X | None``, of a union of scalars, or of any JSON.

    Json is told by its shape: it alone holds a list and a dict. Its recursive alias is not followed,
    for whatever the JSON reader returns fits it.
    """
    origins = {typing.get_origin(arg) for arg in args}
    if {list, dict} <= origins:
        return lambda value: value
    if len(args) == 2 and type(None) in args:
        inner = decoder_for(args[0] if args[1] is type(None) else args[1])
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
        raise Mismatch(f"expected one of {words}; found {describe(value)}")

    return decode_scalar


def describe(value: Any) -> str:
    """Return a short text of what was found. Never more than a few words: it may be a secret's neighbour."""
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
