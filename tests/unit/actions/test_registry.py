"""Every kind of step has what a kind must have: worlds for its laws, words, a row in the document."""

from __future__ import annotations

import inspect

import pytest

from reconciler.engine.store_steps import STORE_STEPS
from tests.laws.step_kinds import DOCUMENT, node_kinds, with_tables
from tests.laws.store_worlds import STORE_WORLDS
from tests.laws.worlds import WORLDS


def test_every_kind_has_worlds_for_its_laws_and_every_world_a_kind() -> None:
    assert WORLDS.keys() == node_kinds().keys()
    assert STORE_WORLDS.keys() == STORE_STEPS.keys()
    assert not WORLDS.keys() & STORE_WORLDS.keys()


@pytest.mark.parametrize("kind", [*WORLDS, *STORE_WORLDS])
def test_every_kind_says_in_words_what_it_does(kind: str) -> None:
    code = {**node_kinds(), **STORE_STEPS}[kind]
    for name in ("do", "undo", "footprint"):
        own = vars(type(code))[name]
        assert inspect.getdoc(own), f"{kind}: {name} says nothing"


def test_the_document_is_that_of_the_registry() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert with_tables(text) == text, "python -m tests.laws.step_kinds"
