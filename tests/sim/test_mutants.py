"""With any safeguard of the protocol taken away, a named test fails."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial

import pytest

from tests.sim import test_crashes as crashes
from tests.sim import test_damage as damage
from tests.sim import test_parts as parts
from tests.sim import test_regressions as regressions
from tests.sim.cases import drawn, play
from tests.sim.mutants import MUTANTS, Mutant
from tests.sim.shrinking import TELLS, as_test, minimised


def named(name: str) -> Callable[[], object]:
    """Return a test by its name, or the case of a seed: ``seed 17``."""
    if name.startswith("seed "):
        return partial(play, drawn(int(name.removeprefix("seed "))))
    place, colon, name_there = name.partition(":")
    modules = (importlib.import_module(place),) if colon else (crashes, damage, regressions, parts)
    for module in modules:
        found: Callable[[], object] | None = getattr(module, name_there or name, None)
        if found is not None:
            return found
    raise AssertionError(f"no test is called {name}")


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_mutant_is_killed_by_the_test_that_it_names(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant.apply(monkeypatch)
    try:
        named(mutant.by)()
    except (*TELLS, ValueError):  # a ValueError is an answer that a test unpacks and that is not there
        return
    pytest.fail(f"{mutant.by} passes although {mutant.title}")


@pytest.mark.parametrize("name", sorted({m.by for m in MUTANTS if m.by.startswith("seed ")}))
def test_the_seeds_that_kill_pass_on_the_product(name: str) -> None:
    named(name)()


def test_a_failing_seed_is_minimised_and_printed_as_a_test_that_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mutant = next(m for m in MUTANTS if m.title == "no barrier at the turn")
    with monkeypatch.context() as broken:
        mutant.apply(broken)
        whole = drawn(2)
        small, _ = minimised(whole)
        assert len(small.points) + len(small.mishaps) + len(small.trouble) <= 2, small
        assert isinstance(small.picks, tuple)
        assert len(small.picks) <= 40
        printed: dict[str, Callable[[], None]] = {}
        source = as_test(small, "test_pasted", "whatever")
        exec(f"from tests.sim.test_regressions import *\n{source}", printed)  # type: ignore[arg-type]  # a namespace
        with pytest.raises(AssertionError, match="invariant 5"):
            printed["test_pasted"]()
    printed["test_pasted"]()
