"""What is known of an option, from our table of names and from a catalogue of what the libraries say.

The table decides what a name means and, where it says so, which values it takes; the library of the xlator
it lands on tells the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from reconciler.catalogue.index import Native, OptionIndex
from reconciler.catalogue.option import Level, LibraryOption, OptionType
from reconciler.volgen.landing import Effect, Landing, effects, landings
from reconciler.volgen.native_names import canonical, split
from reconciler.volgen.option_table import OptionRow, Rule, names, rows, rows_by_name
from reconciler.volgen.options import OWN_XLATOR, may_be_set, suggestions
from reconciler.volgen.slots import Slots

#: what the table calls a kind of value -> what the catalogue calls it, where they differ
_KINDS = {
    **dict.fromkeys(("choice", "name", "snapshot-directory", "throttle"), OptionType.TEXT),
    "decimal": OptionType.INT,
}
_TRANSPORT = "rpc-transport/socket"
_OWN_TYPE = "user/"  #: before the names of xlators that only `OWN_XLATOR` brings
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
        volumes: the type of volume that it is for; empty if it is for all.
        needs: the option that must be on for it, or that puts its xlator into bricks (`OWN_XLATOR`: the value
            is a place); empty if there is none.
        settable: whether a declaration may have it; else the graph or glusterd sets it.
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
    volumes: str = ""
    needs: str = ""
    settable: bool = True
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionPlaces:
    """Where an option lands, and what it takes until a change counts."""

    where: tuple[Landing, ...]
    effects: tuple[Effect, ...]


def listed(index: OptionIndex, pattern: str = "") -> tuple[OptionFacts, ...]:
    """Return the options that match a pattern, by name: ``*`` and ``?`` as in a shell, else a part of it.

    A library's own name is listed where the table has none for the same setting.
    """
    wanted = pattern if any(sign in pattern for sign in "*?[") else f"*{pattern}*"
    own = {native.name for native in index.natives() if may_be_set(native)}
    every = sorted({canonical(name) for name in own} | rows_by_name().keys())
    found = (facts_of(name, index) for name in every if fnmatchcase(name, wanted))
    return tuple(facts for facts in found if facts)


def facts_of(name: str, index: OptionIndex) -> OptionFacts | None:
    """Return what is known of an option, or None if there is none of this name."""
    known = canonical(name)
    if known in rows_by_name():
        return _of_table(known, index)
    native = index.native(name)
    return _of_library(native, index) if native and split(name) else None


def places_of(facts: OptionFacts, slots: Slots) -> OptionPlaces:
    """Return where an option lands; `slots` is what features add to graphs."""
    own = facts.needs if facts.needs.startswith(OWN_XLATOR) else ""
    where = landings(facts.name, slots, own)
    return OptionPlaces(where=where, effects=effects(where))


def close_names(name: str, index: OptionIndex) -> tuple[str, ...]:
    """Return known names close to one that is not known, best first, at most three."""
    return tuple(dict.fromkeys((*suggestions(name), *index.close(name))))[:3]


def _of_table(name: str, index: OptionIndex) -> OptionFacts:
    own, about = rows_by_name()[name], names()[name]
    row = own[0].process or own[0]  # what is good for processes is what is good to know
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
        description=about.about or _sentence(option.description),
        xlators=tuple(dict.fromkeys(row.xlator for row in own)),
        op_versions=(about.op_version,),
        deprecated=option.deprecated,
        level=option.level,
        volumes=about.only,
        needs=about.needs or about.wants,
        settable=not about.pool,
        source=f"GlusterFS {index.version}: {paths}" if paths else _TABLE,
    )


def _of_library(native: Native, index: OptionIndex) -> OptionFacts:
    option = native.option
    prefix = native.name.removesuffix(option.keys[0])
    return OptionFacts(
        name=native.name,
        aliases=tuple(sorted(prefix + key for key in option.keys[1:])),
        type=option.type,
        low=option.lowest,
        high=option.highest,
        values=option.values,
        default=option.default,
        description=_sentence(option.description),
        xlators=native.library.types,
        op_versions=option.op_versions,
        deprecated=option.deprecated,
        level=option.level,
        needs=_own_xlator(native),
        settable=may_be_set(native),
        source=f"GlusterFS {index.version}: {native.library.path}",
    )


def _own_xlator(native: Native) -> str:
    """Return the option that puts an xlator into bricks that no graph has by itself."""
    own = [name.removeprefix(_OWN_TYPE) for name in native.library.types if name.startswith(_OWN_TYPE)]
    return OWN_XLATOR + own[0] if own else ""


def _library_option(row: OptionRow, index: OptionIndex) -> Native | None:
    """Return what a library says of a row; connections take options of the transport besides their own."""
    keys = [key for key in (row.key, row.name, row.name.partition(".")[2]) if key]
    return index.find(row.xlator, *keys) or (index.find(_TRANSPORT, row.key) if row.key else None)


def _aliases(name: str, own: tuple[OptionRow, ...]) -> tuple[str, ...]:
    """Return the names that set the same keys of the same xlators: others of the table, the xlators' own."""
    places = {(row.xlator, row.key, row.rule) for row in own if row.key}
    table = {r.name for r in rows() if r.name != name and (r.xlator, r.key, r.rule) in places}
    natives = {f"{row.xlator.rpartition('/')[2]}.{row.key}" for row in own if row.key}
    return tuple(sorted(table | {native for native in natives - {name} if canonical(native) == name}))


def _sentence(description: str | None) -> str:
    return " ".join((description or "").split())
