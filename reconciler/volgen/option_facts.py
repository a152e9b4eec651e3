"""What is known of an option, from our table of names and from a catalogue of what the libraries say.

The table decides what a name means and, where it says so, which values it takes; the library of the xlator
it lands on tells the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase

from reconciler.catalogue.index import Native, OptionIndex
from reconciler.catalogue.option import Level, LibraryOption, OptionType
from reconciler.volgen.landing import Effect, Landing, effects, landings
from reconciler.volgen.option_table import OptionRow, Rule, rows, rows_by_name
from reconciler.volgen.options import suggestions

#: what the table calls a kind of value -> what the catalogue calls it, where they differ
_KINDS = {"choice": OptionType.TEXT}
_TRANSPORT = "rpc-transport/socket"
_TABLE = "the names of glusterd 10.3"


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionFacts:
    """One option.

    Attributes:
        name: as users write it.
        aliases: other names for the same setting, sorted.
        type: what its value is.
        low: lowest value, if there is one.
        high: highest value, if there is one.
        values: the allowed values; empty if any of the type is.
        default: what counts when nobody sets it; None if that is nothing, or not known.
        description: for people; empty if nobody wrote one.
        xlators: the types it is for, in the order of the table.
        op_versions: cluster versions from which on it exists, newest first; empty if not known.
        deprecated: cluster versions from which on it should not be used.
        level: how much one should know before touching it.
        source: where this is known from.
    """

    name: str
    aliases: tuple[str, ...] = ()
    type: OptionType
    low: float | None = None
    high: float | None = None
    values: tuple[str, ...] = ()
    default: str | None = None
    description: str = ""
    xlators: tuple[str, ...]
    op_versions: tuple[int, ...] = ()
    deprecated: tuple[int, ...] = ()
    level: Level = Level.ADVANCED
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionPlaces:
    """Where an option lands, and what it takes until a change counts."""

    where: tuple[Landing, ...]
    effects: tuple[Effect, ...]


def listed(index: OptionIndex, pattern: str = "") -> tuple[OptionFacts, ...]:
    """Return the options that match a pattern, by name: ``*`` and ``?`` as in a shell, else a part of it."""
    wanted = pattern if any(sign in pattern for sign in "*?[") else f"*{pattern}*"
    names = sorted(name for name in rows_by_name() if fnmatchcase(name, wanted))
    return tuple(_of_table(name, index) for name in names)


def facts_of(name: str, index: OptionIndex) -> OptionFacts | None:
    """Return what is known of an option, or None if there is none of this name."""
    return _of_table(name, index) if name in rows_by_name() else None


def places_of(name: str) -> OptionPlaces:
    """Return where an option lands."""
    where = landings(name)
    return OptionPlaces(where=where, effects=effects(where))


def close_names(name: str, index: OptionIndex) -> tuple[str, ...]:
    """Return known names close to one that is not known, best first, at most three."""
    natives = [native.name for native in index.natives()]
    found = (*suggestions(name), *get_close_matches(name, natives, n=3, cutoff=0.8))
    return tuple(dict.fromkeys(found))[:3]


def _of_table(name: str, index: OptionIndex) -> OptionFacts:
    own = rows_by_name()[name]
    row = own[0]
    known = [found for found in (_library_option(row, index) for row in own) if found]
    option = known[0].option if known else LibraryOption(keys=(name,), type=OptionType.ANY)
    value = "bool" if row.rule is Rule.PERF else row.kind
    low, high = (row.low, row.high) if row.kind else (option.lowest, option.highest)
    written = [row.default for row in own if row.default is not None]
    paths = ", ".join(dict.fromkeys(native.library.path for native in known))
    return OptionFacts(
        name=name,
        aliases=_aliases(name, own),
        type=_KINDS.get(value) or (OptionType(value) if value else option.type),
        low=low,
        high=high,
        values=row.choices or (option.values if not row.kind else ()),
        default=written[-1] if written else option.default,
        description=_sentence(option.description),
        xlators=tuple(dict.fromkeys(row.xlator for row in own)),
        op_versions=option.op_versions,
        deprecated=option.deprecated,
        level=option.level,
        source=f"GlusterFS {index.version}: {paths}" if paths else _TABLE,
    )


def _library_option(row: OptionRow, index: OptionIndex) -> Native | None:
    """Return what a library says of a row; connections take options of the transport besides their own."""
    keys = [key for key in (row.key, row.name, row.name.partition(".")[2]) if key]
    return index.find(row.xlator, *keys) or (index.find(_TRANSPORT, row.key) if row.key else None)


def _aliases(name: str, own: tuple[OptionRow, ...]) -> tuple[str, ...]:
    """Return the other names of the table that set the same keys of the same xlators by the same rule."""
    places = {(row.xlator, row.key, row.rule) for row in own if row.key}
    return tuple(sorted({r.name for r in rows() if r.name != name and (r.xlator, r.key, r.rule) in places}))


def _sentence(description: str | None) -> str:
    return " ".join((description or "").split())
