"""An option table as found in memory -> checked values. Both readers end here.

A table read with a wrong layout, from a damaged file or from something that is no table at all must not
become options. What is checked holds for every table of releases 9.2, 10.3 and 11.1: short printable keys,
known numbers, arrays filled from the front, texts in UTF-8, and an end that is zero throughout.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from reconciler.catalogue.layout import KEYS, RELEASES, VALUES
from reconciler.catalogue.option import Bounds, Category, Flag, Level, Library, LibraryOption, OptionType
from reconciler.errors import NativeError

MAX_OPTIONS = 500  #: of one library; the largest known has 51
MAX_TEXT = 16 * 1024  #: bytes of one text; the longest known has about 1,100
MAX_ALL_TEXTS = 1024 * 1024  #: bytes of all texts of one library; the most known are about 12,000

_KEY = re.compile(r"[!-~]{1,200}", re.ASCII)
_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
_UNFIT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")  #: what no description holds; tabs and line ends are fine
_HIGHEST_OP_VERSION = 10_000_000

E = TypeVar("E", bound=Enum)
Texts = tuple[str | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RawOption:
    """One struct of a table, its pointers followed (None: NULL). Fields are called as in C."""

    key: Texts
    type: int
    min: float
    max: float
    value: Texts
    default_value: str | None
    description: str | None
    validate: int
    op_version: tuple[int, ...] = ()
    deprecated: tuple[int, ...] = ()
    flags: int = 0
    tags: Texts = ()
    setkey: str | None = None
    level: int = 0
    category: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RawApi:
    """What a library says of itself; None for `identifier` is NULL. Fields are called as in C."""

    identifier: str | None
    op_version: tuple[int, ...] = ()
    category: int = 0


class TextBudget:
    """Decodes texts and stops when a library has more of them than any real one."""

    def __init__(self) -> None:
        self._left = MAX_ALL_TEXTS

    def decode(self, data: bytes) -> str:
        """Return a text.

        Raises:
            NativeError: it is not UTF-8 or has characters that texts do not have, or there are too many.
        """
        self._left -= len(data) + 1
        if self._left < 0:
            raise NativeError(f"its texts are longer than {MAX_ALL_TEXTS} bytes")
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            raise NativeError(f"a text is not UTF-8: {data[:40]!a}") from None
        if _UNFIT.search(text):
            raise NativeError(f"a text has control characters: {text[:40]!a}")
        return text


def library_of(path: str, api: RawApi | None, options: Iterable[RawOption]) -> Library:
    """Return the library whose table holds `options`; `api` is None if it only has a table.

    Raises:
        NativeError: something in it cannot be what it should be.
    """
    found: list[LibraryOption] = []
    for raw in options:
        if len(found) == MAX_OPTIONS:
            raise NativeError(f"its table has more than {MAX_OPTIONS} options")
        found.append(option_of(raw))
    if api is None:
        return Library(path=path, options=tuple(found))
    if api.identifier is None or not _IDENTIFIER.fullmatch(api.identifier):
        raise NativeError(f"it calls itself {_shown(api.identifier)}, which is no xlator's name")
    return Library(
        path=path,
        identifier=api.identifier,
        op_versions=_op_versions(api.op_version, "op_version of the library"),
        category=_member(Category, api.category, "category of the library"),
        options=tuple(found),
    )


def option_of(raw: RawOption) -> LibraryOption:
    """Return the option that a struct describes.

    Raises:
        NativeError: something in it cannot be what it should be.
    """
    keys = _filled(raw.key, KEYS, "key")
    if not keys or not all(map(is_key, keys)):
        raise NativeError(f"an option is called {_shown(keys[0] if keys else None)}")
    where = f"option {keys[0]}"
    if not math.isfinite(raw.min) or not raw.max > -math.inf:  # NaN is not greater than anything
        raise NativeError(f"{where}: its range is no range")
    return LibraryOption(
        keys=keys,
        type=_member(OptionType, raw.type, f"{where}: type"),
        minimum=raw.min,
        maximum=None if raw.max == math.inf else raw.max,
        bounds=_member(Bounds, raw.validate, f"{where}: validate"),
        values=_filled(raw.value, VALUES, f"{where}: value"),
        default=raw.default_value,
        description=raw.description,
        op_versions=_op_versions(raw.op_version, f"{where}: op_version"),
        deprecated=_op_versions(raw.deprecated, f"{where}: deprecated"),
        flags=_flags(raw.flags, where),
        tags=_filled(raw.tags, VALUES, f"{where}: tags"),
        setkey=raw.setkey,
        level=_member(Level, raw.level, f"{where}: level"),
        category=_member(Category, raw.category, f"{where}: category"),
    )


def is_key(text: str) -> bool:
    """Return whether an option or a library can be called so."""
    return _KEY.fullmatch(text) is not None


def check_end(data: bytes) -> None:
    """Check the struct that ends a table.

    Raises:
        NativeError: it is not zero throughout, so the structs are of another size than was thought.
    """
    if any(data):
        raise NativeError("its table ends in the middle of an option: it is of another version")


def _filled(texts: Texts, length: int, where: str) -> tuple[str, ...]:
    assert len(texts) in (0, length)
    found = tuple(text for text in texts if text is not None)
    if any(text is None for text in texts[: len(found)]):
        raise NativeError(f"{where}: the array has a hole")
    return found


def _member(enum: type[E], number: int, where: str) -> E:
    members = tuple(enum)
    if not 0 <= number < len(members):
        raise NativeError(f"{where} is {number}, known are 0 to {len(members) - 1}")
    return members[number]


def _flags(bits: int, where: str) -> tuple[Flag, ...]:
    members = tuple(Flag)
    if bits >> len(members):
        raise NativeError(f"{where}: flags are {bits:#x}, known are {(1 << len(members)) - 1:#x}")
    return tuple(flag for place, flag in enumerate(members) if bits >> place & 1)


def _op_versions(numbers: tuple[int, ...], where: str) -> tuple[int, ...]:
    assert len(numbers) in (0, RELEASES)
    found = tuple(number for number in numbers if number)
    if 0 in numbers[: len(found)] or any(number > _HIGHEST_OP_VERSION for number in found):
        raise NativeError(f"{where} is {list(numbers)}, which are no cluster versions")
    return found


def _shown(text: str | None) -> str:
    return "NULL" if text is None else ascii(text[:40])
