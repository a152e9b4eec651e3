"""Cases that failed once, of the product or of a mutant, minimised and pasted as they were printed."""

from __future__ import annotations

from tests.sim.cases import Case, play
from tests.sim.faults import Mishap, Point
from tests.sim.schedules import order

__all__ = ["Case", "Mishap", "Point", "order", "play"]  # what a pasted case is written with


def test_an_engine_does_not_compare_the_head() -> None:
    # invariant 3, if an engine does not compare the head
    play(
        Case(
            plan="parts-none",
            mishaps=(
                Mishap(at=273, what="cut", who="agent3", seconds=12.0),
                Mishap(at=308, what="lag", who="applier", seconds=60.0),
                Mishap(at=98, what="cut", who="agent3", seconds=9.5),
            ),
        )
    )


def test_an_engine_does_not_compare_what_it_overwrites() -> None:
    # invariant 14, if an engine does not compare what it overwrites
    play(
        Case(
            plan="one",
            picks=order("applier"),
            points=(Point(who="steward", number=5, what="late", later=3, seconds=5.0),),
            mishaps=(
                Mishap(at=57, what="lag", who="agent3", seconds=31.0),
                Mishap(at=45, what="lease", who="applier", seconds=3.0),
            ),
            rivals=1,
        )
    )


def test_a_takeover_goes_forward_again() -> None:
    # JournalError, if a takeover goes forward again
    play(
        Case(
            plan="delete",
            mishaps=(Mishap(at=249, what="unlock", who="", seconds=31.0),),
            trouble=((9, "half", 1, False),),
        )
    )


def test_a_lost_answer_to_the_beginning_is_a_no() -> None:
    # AssertionError, if a lost answer to the beginning is a no
    play(
        Case(
            plan="option",
            points=(Point(who="applier", number=3, what="unheard", later=15, seconds=0.0),),
        )
    )


def test_the_head_is_put_over_another() -> None:
    # invariant 14, if the head is put over another
    play(
        Case(
            plan="delete",
            points=(
                Point(who="applier", number=14, what="after", later=15, seconds=30.0),
                Point(who="applier", number=3, what="late", later=60, seconds=0.7),
            ),
            trouble=((9, "refuse", 2, False),),
        )
    )
