"""The tree that YAML text becomes: scalars, lists and mappings that know where they stand. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from reconciler.diagnostics import SourceSpan

_COLUMN_BITS = 24  # more than the longest file has bytes
_COLUMN_MASK = (1 << _COLUMN_BITS) - 1


@dataclass(slots=True, eq=False)
class ScalarNode:
    """A scalar. `text` is the source text of a plain scalar, else the value. `start`, `end`: packed marks."""

    text: str
    plain: bool
    start: int
    end: int


@dataclass(slots=True, eq=False)
class ListNode:
    """A sequence."""

    items: list[Node]
    start: int


@dataclass(slots=True, eq=False)
class MapNode:
    """A mapping: key text -> (key, value), in the order of the file."""

    entries: dict[str, tuple[ScalarNode, Node]]
    start: int

    def get(self, key: str) -> Node | None:
        """Return the value of `key`, or None."""
        entry = self.entries.get(key)
        return entry[1] if entry else None


Node: TypeAlias = ScalarNode | ListNode | MapNode


@dataclass(slots=True, eq=False)
class Document:
    """One YAML document of a file."""

    file: str
    root: Node

    def span(self, node: Node) -> SourceSpan:
        """Return the position of a node; a collection is pointed at by its first character."""
        return span_of(self.file, node.start, node.end if isinstance(node, ScalarNode) else node.start)


def pack(line: int, column: int) -> int:
    """Return a position (0-based) as one number: a large file has a million of them."""
    return line << _COLUMN_BITS | min(column, _COLUMN_MASK)


def span_of(file: str, start: int, end: int) -> SourceSpan:
    """Return the span between two packed marks (0-based inside, 1-based outside)."""
    return SourceSpan(
        file=file,
        line=(start >> _COLUMN_BITS) + 1,
        column=(start & _COLUMN_MASK) + 1,
        end_line=(end >> _COLUMN_BITS) + 1,
        end_column=(end & _COLUMN_MASK) + 1,
    )
