"""A named mutation of the product, and how it is put in the product's place.

A mutation replaces a text inside one function's source, which must be there exactly once: so a list of them
cannot outlive what it is about.
"""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest


@dataclass(frozen=True, slots=True)
class Mutant:
    """One mutation: in `owner`'s function `name`, `old` becomes `new`."""

    title: str
    owner: Any
    name: str
    old: str
    new: str
    by: str  #: the named test that kills it: of this folder, ``module:name`` of another, or ``seed N``

    def __str__(self) -> str:
        return self.title.replace(" ", "-")

    def apply(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put the mutated function in the place of the real one, until the test ends."""
        real: Callable[..., Any] = inspect.unwrap(getattr(self.owner, self.name))
        source = textwrap.dedent(inspect.getsource(real))
        assert source.count(self.old) == 1, f"{self.title}: {source.count(self.old)} times in {self.name}"
        scope: dict[str, Any] = {}
        module = sys.modules[real.__module__]
        exec(compile(source.replace(self.old, self.new), f"<{self.title}>", "exec"), vars(module), scope)
        monkeypatch.setattr(self.owner, self.name, scope[self.name])
        for other in list(sys.modules.values()):  # those that have imported it by name
            if getattr(other, self.name, None) is real:
                monkeypatch.setattr(other, self.name, scope[self.name])
