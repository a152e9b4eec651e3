"""What the loader asks of a feature: a key under a volume, and what it means.

`reconciler.feature.Feature` has all of it; this floor knows no feature by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, TypeAlias

from reconciler.desired.collect import Fields
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
        """Return the function from the key's mapping to volume options."""
        ...

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Return the rules that the schema cannot express."""
        ...
