"""docs/step-kinds.md, made from the registry: ``python -m tests.laws.step_kinds`` writes the tables.

A kind's words are the docstrings of the code behind it, so that they are said once.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from reconciler.actions.registry import node_actions
from reconciler.engine.store_steps import STORE_STEPS
from reconciler.ports.node import Action
from tests.generated import between

DOCUMENT = Path(__file__).parents[2] / "docs" / "step-kinds.md"
BEGIN, END = "<!-- written by tests.laws.step_kinds: begin -->", "<!-- end -->"
NODE_LAWS = ("tests/real/test_step_laws_random.py", "tests/crash/test_steps_cut.py")
STORE_LAWS = ("tests/contract/test_store_step_laws.py",)


def node_kinds() -> Mapping[str, Action]:
    """Return the actions of a node that is not there, for their kinds and their words."""
    nothing = cast("Any", None)
    return node_actions(nothing, nothing, nothing, nothing)


def tables() -> str:
    """Return both tables."""
    return "\n".join(_rows())


def _rows() -> Iterator[str]:
    yield from ("### On a node", "", "| kind | do | undo | footprint |", "|---|---|---|---|")
    for kind, action in sorted(node_kinds().items()):
        yield _row(kind, _said(action.do), _said(action.undo), _said(action.footprint))
    yield from ("", f"Laws: {_places(NODE_LAWS)}.", "", "### In the store", "")
    yield from ("| kind | do | undo | keys | point of no return |", "|---|---|---|---|---|")
    for kind, step in sorted(STORE_STEPS.items()):
        pivot = "yes" if step.irrevocable else ""
        yield _row(kind, _said(step.do), _said(step.undo), _said(step.footprint), pivot)
    yield from ("", f"Laws: {_places(STORE_LAWS)}.")


def _row(kind: str, *cells: str) -> str:
    return f"| {' | '.join((f'`{kind}`', *cells))} |"


def _places(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _said(method: object) -> str:
    """Return the first paragraph of a method's docstring in one line."""
    text = inspect.getdoc(cast("Any", method)) or ""
    return " ".join(text.partition("\n\n")[0].split()).replace("|", r"\|").replace("``", "`")


def with_tables(text: str) -> str:
    """Return a document with the present tables between its marks."""
    return between(text, BEGIN, END, tables())


if __name__ == "__main__":
    DOCUMENT.write_text(with_tables(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
