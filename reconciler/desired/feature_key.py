"""What the loader asks of a feature: a key under a volume, and what it means.

`reconciler.feature.Feature` has all of it; this floor knows no feature by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol, TypeAlias

from reconciler.desired.collect import Fields
from reconciler.desired.scalars import duration_s
from reconciler.diagnostics import Diagnostic
from reconciler.model.cluster import VolumeSpec

Reader: TypeAlias = Callable[[Fields], Mapping[str, str]]
"""The mapping under the key, found right by the schema -> volume options."""

Rule: TypeAlias = Callable[[VolumeSpec, Fields], Iterable[Diagnostic]]
"""The volume with its effective options, and the mapping under the key -> what is wrong, with positions."""


class FeatureKey(Protocol):
    """One feature as the declaration sees it."""

    @property
    def name(self) -> str:
        """Return the feature's name, which is its key under a volume."""
        ...

    @property
    def schema(self) -> Mapping[str, object]:
        """Return the JSON Schema of what stands under the key: description, properties, required."""
        ...

    @property
    def options(self) -> tuple[str, ...]:
        """Return every volume option that the key may set; they are the feature's while the key is there."""
        ...

    @property
    def read(self) -> Reader:
        """Return the function from the key's mapping to the volume options that it says."""
        ...

    @property
    def implies(self) -> Reader:
        """Return the function to the options that go with them where nothing in the declaration says more."""
        ...

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Return the rules that the schema cannot express."""
        ...

    def own_name(self, option: str) -> str:
        """Return the feature's name for an option as somebody wrote it; empty if it is none of its own."""
        ...

    def agree(self, one: str, other: str) -> bool:
        """Return whether two values of an option mean the same to GlusterFS."""
        ...


def switch(section: Fields, key: str) -> str:
    """Return what GlusterFS calls a truth value."""
    return "on" if section.truth(key) else "off"


def seconds(section: Fields, key: str) -> str:
    """Return a duration in seconds, as GlusterFS reads times; empty if the key is absent."""
    text = section.text(key)
    return f"{duration_s(text):.0f}" if text else ""


def seconds_fit(section: Fields, key: str, lowest: int, highest: int) -> Iterator[Diagnostic]:
    """Find a duration that is not in whole seconds or out of range (both ends are inside)."""
    text = section.text(key)
    if not text:
        return
    found = duration_s(text)
    if found != int(found) or not lowest <= found <= highest:
        place = section.place(key)
        yield place.error(f"{key} must be from {lowest}s to {highest}s in whole seconds, found {text}")
