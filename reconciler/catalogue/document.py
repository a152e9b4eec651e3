"""Catalogue <-> text: JSON with one option a line, for equal catalogues the same byte for byte.

What an option has by default is left out. Reading is strict: an unknown field, a value of another type or an
option that could not have come from a table is an error.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from reconciler.catalogue.option import FORMAT, Catalogue, Library
from reconciler.catalogue.table import is_key
from reconciler.errors import JournalError, NativeError
from reconciler.model.codec import canonical, from_json, parse, to_json

MAX_CATALOGUE = 16 * 1024 * 1024  #: bytes; that of 10.3 has 170,000

T = TypeVar("T")


def write_catalogue(catalogue: Catalogue) -> str:
    """Return the text of a catalogue."""
    libraries = ",\n".join(map(_library_lines, catalogue.libraries))
    head = canonical({"format": catalogue.format, "version": catalogue.version})
    return f'{head[:-1]},"libraries":[\n{libraries}\n]}}\n'


def read_catalogue(text: str, where: str) -> Catalogue:
    """Return the catalogue that a text holds.

    Args:
        text: as `write_catalogue` makes it.
        where: what to call it in a message.

    Raises:
        NativeError: it is no catalogue, or one of another format.
    """
    if len(text) > MAX_CATALOGUE:
        raise NativeError(f"{where} is no catalogue: it is longer than {MAX_CATALOGUE} characters")
    try:
        plain = parse(text)
        if isinstance(plain, dict) and plain.get("format") not in (None, FORMAT):
            raise NativeError(
                f"{where} is a catalogue of format {plain['format']!r}, this program knows format {FORMAT}",
                hint="write it again: gluster-state options dump",
            )
        return _checked(from_json(Catalogue, plain))
    except JournalError as exc:
        raise NativeError(
            f"{where} is no catalogue: {exc.message}", hint="gluster-state options dump writes one"
        ) from exc


def write_library(library: Library) -> str:
    """Return one library on one line."""
    return canonical(_pruned(to_json(library)))


def read_library(text: str) -> Library:
    """Return the library that a line holds.

    Raises:
        NativeError: it holds none.
    """
    try:
        library = from_json(Library, parse(text))
        _check_library(library)
    except JournalError as exc:
        raise NativeError(f"no library: {exc.message}") from exc
    return library


def _library_lines(library: Library) -> str:
    plain = _pruned(to_json(library))
    options = plain.pop("options", [])
    head = canonical(plain)
    if not options:
        return head
    lines = ",\n".join(canonical(option) for option in options)
    return f'{head[:-1]},"options":[\n{lines}\n]}}'


#: What a field that was left out is; `maximum` has two special values and is left out at 0 only.
_DEFAULTS: dict[str, Any] = {
    "minimum": 0, "maximum": 0, "bounds": "both", "values": [], "default": None, "description": None,
    "op_versions": [], "deprecated": [], "flags": [], "tags": [], "setkey": None, "level": "advanced",
    "category": "unclassified", "links": [], "identifier": "", "options": [],
}  # fmt: skip
_ABSENT = object()


def _pruned(plain: Any) -> Any:
    if isinstance(plain, list):
        return [_pruned(item) for item in plain]
    if not isinstance(plain, dict):
        return plain
    return {key: _pruned(value) for key, value in plain.items() if _DEFAULTS.get(key, _ABSENT) != value}


def _checked(catalogue: Catalogue) -> Catalogue:
    for library in catalogue.libraries:
        _check_library(library)
    paths = [library.path for library in catalogue.libraries]
    _refuse(len(set(paths)) != len(paths), "a library occurs twice")
    return catalogue


def _check_library(library: Library) -> None:
    names: Iterable[str] = (library.path, *library.links)
    _refuse(not all(map(is_key, names)), f"a library is called {library.path[:60]!a}")
    for option in library.options:
        ok = option.keys and all(map(is_key, option.keys))
        _refuse(not ok, f"{library.path}: an option is called {ascii(option.keys[:1])[:60]}")


def _refuse(bad: bool, why: str) -> None:
    if bad:
        raise JournalError(why)
