"""Make a failing case small, and print it as a test that can be pasted into test_regressions.py.

Delta debugging (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", 2002: ddmin):
first over the faults, then over the order, as long as the same thing goes wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from reconciler.errors import ReconcilerError
from tests.sim.cases import Case, drawn, play
from tests.sim.invariants import Violation
from tests.sim.schedules import order_text

T = TypeVar("T")

#: How a run tells that something is wrong.
TELLS = (AssertionError, ReconcilerError)
MAX_PLAYS = 600  #: of one minimisation
LISTS = ("points", "mishaps", "trouble", "clocks", "rolls_back")


def failure_of(case: Case) -> Exception | None:
    """Return what goes wrong when a case is played."""
    try:
        play(case)
    except TELLS as exc:
        return exc
    return None


def sign(failure: Exception | None) -> str:
    """Return what makes two failures the same: the invariant, or the kind of error."""
    if isinstance(failure, Violation):
        return f"invariant {failure.number}"
    return type(failure).__name__ if failure else ""


class _Spent(Exception):
    """The minimisation has played enough."""


def minimised(case: Case) -> tuple[Case, Exception]:
    """Return a small case that fails as `case` does, with its failure."""
    first = failure_of(case)
    assert first is not None, "the case does not fail"
    wanted, plays = sign(first), 0
    best, shown = replace(case, picks=getattr(first, "picked", ()) or case.picks), first

    def fails(tried: Case) -> bool:
        nonlocal best, shown, plays
        plays += 1
        if plays > MAX_PLAYS:
            raise _Spent
        failure = failure_of(tried)
        if failure is None or sign(failure) != wanted:
            return False
        best, shown = tried, failure
        return True

    try:
        if not fails(best):  # an order that was picked at random can be played back
            best = case
        _shrink(best, fails, lambda: best)
    except _Spent:
        pass
    return best, shown


def _shrink(case: Case, fails: Callable[[Case], bool], best: Callable[[], Case]) -> None:
    size = -1
    while size != _size(best()):
        size = _size(best())
        fails(replace(best(), picks=()))
        fails(replace(best(), rivals=0))
        for name in LISTS:
            fewer = ddmin(
                getattr(best(), name), lambda kept, name=name: fails(replace(best(), **{name: kept}))
            )
            assert getattr(best(), name) == fewer
        if isinstance(best().picks, tuple):
            ddmin(best().picks, lambda kept: fails(replace(best(), picks=kept)))  # type: ignore[arg-type]  # a tuple


def _size(case: Case) -> int:
    picks = len(case.picks) if isinstance(case.picks, tuple) else 1_000_000
    return picks + case.rivals + sum(len(getattr(case, name)) for name in LISTS)


def ddmin(items: Sequence[T], fails: Callable[[tuple[T, ...]], bool]) -> tuple[T, ...]:
    """Return items of which none can be left out without `fails` turning false. `fails(items)` is true."""
    kept = tuple(items)
    if kept and fails(()):
        return ()
    parts = 2
    while len(kept) >= 2:
        length = -(-len(kept) // parts)
        for start in range(0, len(kept), length):
            rest = (*kept[:start], *kept[start + length :])
            if fails(rest):
                kept, parts = rest, max(parts - 1, 2)
                break
        else:
            if parts >= len(kept):
                break
            parts = min(len(kept), parts * 2)
    return kept


def as_test(case: Case, name: str, why: str) -> str:
    """Return a case as the source of a test."""
    fields = [f"plan={case.plan!r}"]
    if case.picks:
        fields.append(
            f"picks=order({order_text(case.picks)!r})"
            if isinstance(case.picks, tuple)
            else f"picks={case.picks}"
        )
    fields += [
        f"{name}={value!r}" for name in (*LISTS, "rivals", "on_hosts") if (value := getattr(case, name))
    ]
    inside = "".join(f"            {field},\n" for field in fields)
    return f"def {name}() -> None:\n    # {why}\n    play(\n        Case(\n{inside}        )\n    )\n"


def report(seed: int, failure: Exception) -> str:
    """Return what to print of a failing seed: the small case as a test, and what was seen first."""
    small, shown = minimised(drawn(seed))
    text = as_test(small, f"test_seed_{seed}", " ".join(str(shown).split())[:300])
    return f"seed {seed}: {failure}\n\nPaste this into tests/sim/test_regressions.py:\n\n{text}"
