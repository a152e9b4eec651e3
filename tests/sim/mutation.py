"""How long each mutant lives under random schedules: `make mutants`.

Prints, for each, how many schedules it survived and what it died of, the median, and the first death as a
minimised test. A mutant that no schedule can tell from the product has to have a named test (`Mutant.by`).
"""

from __future__ import annotations

import statistics
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import pytest

from tests.sim.cases import drawn, play
from tests.sim.hurry import hurry
from tests.sim.mutants import MUTANTS
from tests.sim.shrinking import TELLS, sign

MOST = 5000  #: schedules that a mutant may live through


@dataclass(frozen=True, slots=True)
class Death:
    """When a mutant died (0: it did not), and of what."""

    schedules: int
    sign: str
    text: str


def death_of(number: int, most: int = MOST, first: int = 0) -> Death:
    """Play schedules under a mutant until one fails."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        hurry(monkeypatch)
        MUTANTS[number].apply(monkeypatch)
        for count in range(1, most + 1):
            try:
                play(drawn(first + count - 1))
            except TELLS as exc:
                return Death(count, sign(exc), " ".join(str(exc).split())[:110])
            except Exception as exc:  # noqa: BLE001  a mutant that does not even run is no kill
                return Death(0, "broken", repr(exc))
    return Death(0, "", "survived")


def main(most: int = MOST) -> int:
    """Print the table; return 1 if a mutant has neither died nor a named test."""
    lived: list[float] = []
    missing = 0
    with ProcessPoolExecutor(2) as pool:
        for mutant, death in zip(
            MUTANTS, pool.map(death_of, range(len(MUTANTS)), [most] * len(MUTANTS)), strict=True
        ):
            lived.append(death.schedules or float("inf"))
            missing += not death.schedules and not mutant.by
            shown = str(death.schedules or f">{most}")
            print(
                f"{shown:>6}  {mutant.title:56} {mutant.by or '-':50} {death.sign}: {death.text}", flush=True
            )
    print(f"{len(MUTANTS)} mutants; median {statistics.median(lived):g} schedules; without a kill: {missing}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(*(int(word) for word in sys.argv[1:])))
