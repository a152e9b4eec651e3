"""A volume graph as a value: xlators, their options and their edges.

Architecture invariant: no rule of GlusterFS about *which* xlators a volume needs lives here, only what
makes a graph a graph.

Source: glusterfs 10.3 libglusterfs/src/graph.y (a volfile names each xlator before its first use, and the
last one is the top).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from reconciler.errors import VolfileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Topology = tuple[tuple[str, str, tuple[str, ...]], ...]
"""Name, type and subvolumes of each xlator, in order: what a running process cannot change in place."""


@dataclass(frozen=True, slots=True)
class Xlator:
    """One translator. `options` is read-only and sorted by key; `subvolumes` are in order, first child first."""  # noqa: E501

    name: str
    type: str
    options: Mapping[str, str] = field(default_factory=dict)
    subvolumes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", MappingProxyType(dict(sorted(self.options.items()))))

    def __hash__(self) -> int:
        return hash((self.name, self.type, tuple(self.options.items()), self.subvolumes))


@dataclass(frozen=True, slots=True)
class Graph:
    """Xlators in volfile order: bottom first, the top last.

    Raises:
        VolfileError: no xlator at all, a name used twice, a subvolume that is not defined before its use,
            or an xlator other than the last that nothing uses.
    """

    xlators: tuple[Xlator, ...]

    def __post_init__(self) -> None:
        if not self.xlators:
            raise VolfileError("a graph needs at least one xlator")
        seen: set[str] = set()
        used: set[str] = set()
        for xlator in self.xlators:
            if xlator.name in seen:
                raise VolfileError(f"two xlators are called {xlator.name!r}")
            for child in xlator.subvolumes:
                if child not in seen:
                    raise VolfileError(f"{xlator.name!r} uses {child!r}, which is not defined before it")
            seen.add(xlator.name)
            used.update(xlator.subvolumes)
        loose = [x.name for x in self.xlators[:-1] if x.name not in used]
        if loose:
            raise VolfileError(f"nothing uses the xlator {loose[0]!r}, and it is not the top")

    def __iter__(self) -> Iterator[Xlator]:
        return iter(self.xlators)

    @property
    def top(self) -> Xlator:
        """Return the xlator that requests enter first."""
        return self.xlators[-1]

    @property
    def topology(self) -> Topology:
        """Return names, types and edges without options.

        A process reconfigures itself in place when its new volfile has the same topology; a client
        switches graphs when it differs, and a brick keeps its old graph.
        """
        return tuple((x.name, x.type, x.subvolumes) for x in self.xlators)

    def find(self, name: str) -> Xlator | None:
        """Return the xlator called `name`, or None."""
        return next((x for x in self.xlators if x.name == name), None)

    def of_type(self, xlator_type: str) -> tuple[Xlator, ...]:
        """Return the xlators of a type such as ``protocol/client``, in order."""
        return tuple(x for x in self.xlators if x.type == xlator_type)


class Draft:
    """A graph under construction, grown from the bottom upwards. Never leaves volgen."""

    def __init__(self, volume: str) -> None:
        self.volume = volume
        self._parts: list[_Part] = []
        self._by_type: dict[str, list[_Part]] = {}
        self._names: set[str] = set()
        self._loose: dict[str, None] = {}

    def add(
        self, name: str, xlator_type: str, options: Mapping[str, str], subvolumes: Iterable[str] = ()
    ) -> str:
        """Add an xlator with explicit children and return its name."""
        part = _Part(name, xlator_type, dict(options), tuple(subvolumes))
        self._parts.append(part)
        self._by_type.setdefault(xlator_type, []).append(part)
        self._names.add(name)
        for child in part.subvolumes:
            self._loose.pop(child, None)
        self._loose[name] = None
        return name

    def stack(self, xlator_type: str, options: Mapping[str, str] | None = None, *, name: str = "") -> str:
        """Put an xlator on what nothing uses yet; without `name` it is called after volume and type."""
        return self.add(name or self.name_of(xlator_type), xlator_type, options or {}, self.loose)

    def name_of(self, xlator_type: str) -> str:
        """Return the name that a type gets in this volume, such as ``home-io-threads``."""
        return f"{self.volume}-{xlator_type.rpartition('/')[2]}"

    def holds(self, name: str) -> bool:
        """Return true if an xlator of this name was added."""
        return name in self._names

    @property
    def loose(self) -> tuple[str, ...]:
        """Return the names of the xlators that nothing uses yet, in the order they were added."""
        return tuple(self._loose)

    @property
    def types(self) -> frozenset[str]:
        """Return the types of the xlators added so far."""
        return frozenset(self._by_type)

    def set(self, xlator_type: str, key: str, value: str) -> None:
        """Set an option on every xlator of a type, replacing an earlier value."""
        for part in self._by_type.get(xlator_type, ()):
            part.options[key] = value

    def take(self, other: Draft) -> None:
        """Add a whole graph ahead of what is here: it comes first in the file, its top last among the loose.

        This is how glusterd joins the graphs of several volumes (glusterfs 10.3 glusterd-volgen.c:
        volgen_graph_merge_sub, with libglusterfs/src/graph-print.c, which prints from the end).
        """
        self._parts[:0] = other._parts
        for xlator_type, parts in other._by_type.items():
            self._by_type.setdefault(xlator_type, []).extend(parts)
        self._names |= other._names
        self._loose |= other._loose

    def option(self, name: str, key: str, value: str) -> None:
        """Set an option on one xlator, by its name."""
        next(part for part in reversed(self._parts) if part.name == name).options[key] = value

    def graph(self) -> Graph:
        """Return the finished graph.

        Raises:
            VolfileError: see `Graph`.
        """
        return Graph(tuple(Xlator(p.name, p.type, p.options, p.subvolumes) for p in self._parts))


@dataclass(slots=True)
class _Part:
    name: str
    type: str
    options: dict[str, str]
    subvolumes: tuple[str, ...]
