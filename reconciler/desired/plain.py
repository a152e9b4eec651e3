"""The tree as the plain values that the JSON Schema describes, and paths between the two.

Option values become their source text here, whatever YAML would make of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from reconciler.desired.scalars import ScalarError, resolve
from reconciler.desired.suggest import shown
from reconciler.desired.tree import Document, ListNode, MapNode, Node, ScalarNode
from reconciler.diagnostics import Diagnostic, Severity

Path: TypeAlias = tuple[str | int, ...]
Plain: TypeAlias = bool | int | float | str | list["Plain"] | dict[str, "Plain"] | None


@dataclass(slots=True)
class Checked:
    """The findings about one document, and which of its nodes have something wrong inside."""

    kind: str = ""
    findings: list[Diagnostic] = field(default_factory=list)
    broken: set[int] = field(default_factory=set)

    def sound(self, node: Node) -> bool:
        """Return true if nothing inside `node` was found wrong."""
        return id(node) not in self.broken

    def mark(self, document: Document, path: Path) -> None:
        """Remember that something is wrong at `path`."""
        self.broken |= {id(node) for node in ancestry(document.root, path)}


def convert(document: Document, checked: Checked) -> Plain:
    """Return the values of a document; numbers that mean nothing certain are recorded in `checked`."""
    return _Converter(document, checked).convert(document.root, ())


def show(path: Path) -> str:
    """Return a path as people write it: ``spec.volumes[1].replica``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{shown(part)}" if text else shown(part)
    return text


class _Converter:
    """Converts the tree to the values that the schema describes; reports numbers of no certain meaning."""

    def __init__(self, document: Document, checked: Checked) -> None:
        self._document = document
        self._checked = checked

    def convert(self, node: Node, path: Path, *, options: bool = False) -> Plain:
        """Return the value of `node`. With `options` it is a mapping whose values are taken as written."""
        if isinstance(node, MapNode):
            plain: dict[str, Plain] = {}
            for key, (_, value) in node.entries.items():
                below = (*path, key)
                if key.startswith("x-"):
                    continue  # nobody's business but the writer's
                if options:
                    plain[key] = self._option(value, below)
                else:
                    plain[key] = self.convert(value, below, options=key == "options")
            return plain
        if isinstance(node, ListNode):
            return [self.convert(item, (*path, i)) for i, item in enumerate(node.items)]
        return self._scalar(node, path)

    def _option(self, node: Node, path: Path) -> Plain:
        """Return an option's value: the source text, whatever YAML would make of it."""
        if isinstance(node, ScalarNode):
            return None if node.plain and node.text in {"", "~"} else node.text
        return self.convert(node, path)

    def _scalar(self, node: ScalarNode, path: Path) -> Plain:
        if not node.plain:
            return node.text
        try:
            return resolve(node.text)
        except ScalarError as exc:
            self._checked.findings.append(
                Diagnostic(
                    severity=Severity.ERROR,
                    summary=f"{subject(path)}: {exc.summary}",
                    span=self._document.span(node),
                    hint=exc.hint,
                    path=show(path),
                )
            )
            self._checked.mark(self._document, path)
            return node.text


def ancestry(root: Node, path: Path) -> Iterator[Node]:
    """Yield the nodes from the root to the one at `path`, as far as they exist."""
    node: Node | None = root
    for part in (*path, None):
        if node is None:
            return
        yield node
        if isinstance(node, MapNode) and isinstance(part, str):
            node = node.get(part)
        elif isinstance(node, ListNode) and isinstance(part, int):
            node = node.items[part]
        else:
            return


def node_at(document: Document, path: Path) -> Node:
    """Return the deepest existing node on the way to `path`."""
    *_, node = ancestry(document.root, path)
    return node


def subject(path: Path) -> str:
    """Return the last name on a path, with its index: ``bricks[2]``."""
    names = [i for i, part in enumerate(path) if isinstance(part, str)]
    return show(path[names[-1] :]) if names else "document"
