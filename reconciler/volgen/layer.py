"""The form of the tables that graphs are made of: layers in order, top first.

A graph's table is the one place that says where an xlator stands. Whether it is there, and with which
options, a layer asks of the site it is built for: the volume, the brick, the node. What one layer cannot say
(the clients and replicas at the bottom, any number of debugging xlators) is a `Part` there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from reconciler.volgen.graph import Draft
    from reconciler.volgen.settings import VolumeSettings

#: the site; a layer that asks for less fits into more tables
S_contra = TypeVar("S_contra", contravariant=True)
T = TypeVar("T")


class _WithSettings(Protocol):
    @property
    def settings(self) -> VolumeSettings:
        """Return the options that count at this site."""
        ...


def always(_: object) -> bool:
    """Return true: the layer is there in every graph of its kind."""
    return True


def nothing(_: object) -> Mapping[str, str]:
    """Return no options."""
    return {}


def unnamed(_: object) -> str:
    """Return no name: the xlator is called after volume and type."""
    return ""


@dataclass(frozen=True, slots=True)
class Switched:
    """A condition: the layer is there while a volume option is on."""

    option: str

    def __call__(self, site: _WithSettings) -> bool:
        """Return whether it is on."""
        return site.settings.is_on(self.option)


@dataclass(frozen=True, slots=True)
class Layer(Generic[S_contra]):
    """One xlator. It stands on whatever nothing uses yet, as a rule the layer below it.

    Attributes:
        type: such as ``features/shard``.
        options: those it has by itself; a volume's options are set later.
        wanted: whether the graph has it.
        name: what it is called; empty for ``VOL-`` and the end of its type.
    """

    type: str
    options: Callable[[S_contra], Mapping[str, str]] = nothing
    wanted: Callable[[S_contra], bool] = always
    name: Callable[[S_contra], str] = unnamed

    def put(self, draft: Draft, site: S_contra) -> None:
        """Add it to a graph that wants it."""
        if self.wanted(site):
            draft.stack(self.type, self.options(site), name=self.name(site))


@dataclass(frozen=True, slots=True)
class Part(Generic[S_contra]):
    """Whatever `put` adds at this place."""

    put: Callable[[Draft, S_contra], None]


def switches(layers: Iterable[Layer[Any] | Part[Any]]) -> dict[str, tuple[str, ...]]:
    """Return the options that bring xlators, by type; a type that is also there without one is left out."""
    conditions: dict[str, set[object]] = {}
    for layer in layers:
        if isinstance(layer, Layer):
            conditions.setdefault(layer.type, set()).add(layer.wanted)
    return {
        xlator: tuple(sorted(condition.option for condition in found if isinstance(condition, Switched)))
        for xlator, found in conditions.items()
        if all(isinstance(condition, Switched) for condition in found)
    }


def stack(table: Iterable[Layer[T] | Part[T]], draft: Draft, site: T) -> None:
    """Add the layers of a table, the bottom one first."""
    for layer in reversed(tuple(table)):
        layer.put(draft, site)
