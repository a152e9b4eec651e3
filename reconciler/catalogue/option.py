"""Options of GlusterFS's libraries as values: what one library knows, and a catalogue of a whole version.

Every xlator, transport and authentication library describes the options it reads in a table inside its
``.so`` file. These types hold what the tables say, independent of the version's memory layout.

Source: glusterfs 10.3 libglusterfs/src/glusterfs/options.h (volume_option_t), xlator.h (gf_category_t).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

FORMAT = 1  #: version of a catalogue's text


class OptionType(Enum):
    """What an option's value is. The order is that of GlusterFS's numbers, 0 to 15."""

    ANY = "any"
    TEXT = "text"
    INT = "int"
    SIZE = "size"
    PERCENT = "percent"
    PERCENT_OR_SIZE = "percent-or-size"
    BOOL = "bool"
    XLATOR = "xlator"
    PATH = "path"
    TIME = "time"
    NUMBER = "number"
    ADDRESS = "address"
    ADDRESS_LIST = "address-list"
    PRIORITY_LIST = "priority-list"
    SIZE_LIST = "size-list"
    CLIENT_ADDRESS = "client-address"


class Bounds(Enum):
    """Which end of a range counts. A range of 0 to 0 under BOTH is none."""

    BOTH = "both"
    LOWEST = "min"
    HIGHEST = "max"


class Level(Enum):
    """How much an administrator should know before touching the option."""

    ADVANCED = "advanced"
    BASIC = "basic"
    EXPERIMENTAL = "experimental"
    DEPRECATED = "deprecated"


class Category(Enum):
    """How well GlusterFS's developers stand behind an option or a library."""

    UNCLASSIFIED = "unclassified"
    EXPERIMENTAL = "experimental"
    TECH_PREVIEW = "tech-preview"
    MAINTAINED = "maintained"
    DEPRECATED = "deprecated"
    OBSOLETE = "obsolete"
    EXAMPLE = "example"


class Flag(Enum):
    """What may be done with an option. The order is that of GlusterFS's bits, from the lowest."""

    SETTABLE = "settable"
    CLIENT = "client"
    GLOBAL = "global"
    FORCE = "force"
    NEVER_RESET = "never-reset"
    DOCUMENTED = "documented"
    RANGE = "range"


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryOption:
    """One option. `keys` holds its name in volfiles first, then its aliases.

    Attributes:
        keys: at least one.
        type: what the value is.
        minimum: lowest value, if `bounds` says that it counts.
        maximum: highest value, if `bounds` says that it counts; None is infinity.
        bounds: which of the two count.
        values: the allowed values, if there are any; may hold patterns such as ``*.*``.
        default: None if the library has none; may hold a placeholder such as ``{{ brick.path }}``.
        description: for people; None if there is none.
        op_versions: cluster versions from which on the option exists, newest first.
        deprecated: cluster versions from which on it should not be used, newest first.
        flags: what may be done with it, in the order of `Flag`.
        tags: words to find it by.
        setkey: the key to write instead of the first one; may hold placeholders.
        level: how much one should know before touching it.
        category: how well it is supported.
    """

    keys: tuple[str, ...]
    type: OptionType
    minimum: float = 0.0
    maximum: float | None = 0.0
    bounds: Bounds = Bounds.BOTH
    values: tuple[str, ...] = ()
    default: str | None = None
    description: str | None = None
    op_versions: tuple[int, ...] = ()
    deprecated: tuple[int, ...] = ()
    flags: tuple[Flag, ...] = ()
    tags: tuple[str, ...] = ()
    setkey: str | None = None
    level: Level = Level.ADVANCED
    category: Category = Category.UNCLASSIFIED

    @property
    def settable(self) -> bool:
        """Return whether GlusterFS means administrators to set it."""
        return Flag.SETTABLE in self.flags

    @property
    def lowest(self) -> float | None:
        """Return the lowest allowed number, or None."""
        return self.minimum if self._ranged and self.bounds is not Bounds.HIGHEST else None

    @property
    def highest(self) -> float | None:
        """Return the highest allowed number, or None."""
        return self.maximum if self._ranged and self.bounds is not Bounds.LOWEST else None

    @property
    def _ranged(self) -> bool:
        # Source: libglusterfs/src/options.c: xlator_option_validate_int and its siblings.
        return self.bounds is not Bounds.BOTH or (self.minimum, self.maximum) != (0.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """One library and its options, in the order of its table.

    Attributes:
        path: below the folder of its version, without ``.so``, such as ``xlator/cluster/afr``.
        links: other paths that lead to the same file, such as ``xlator/cluster/replicate``, sorted.
        identifier: what it calls itself (``replicate``); empty where it does not say.
        op_versions: cluster versions from which on it exists.
        category: how well it is supported.
        options: its table.
    """

    path: str
    links: tuple[str, ...] = ()
    identifier: str = ""
    op_versions: tuple[int, ...] = ()
    category: Category = Category.UNCLASSIFIED
    options: tuple[LibraryOption, ...] = ()

    @property
    def types(self) -> tuple[str, ...]:
        """Return the types under which volfiles name this xlator; none for other libraries."""
        return tuple(
            path.removeprefix("xlator/") for path in (self.path, *self.links) if path.startswith("xlator/")
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """All libraries of one version of GlusterFS, sorted by path."""

    format: int = FORMAT
    version: str
    libraries: tuple[Library, ...]
