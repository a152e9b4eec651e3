"""Which crashes there are, and which forty of them a seed draws."""

from __future__ import annotations

import datetime as dt
import os
import random
from dataclasses import dataclass

from reconciler.failpoints import POINTS, Stage, Where
from tests.crash.promises import Promise, Victim, promise

OFTEN = {  #: hits that a run of the plan under test has at least, in one process; others have one
    "engine.dispatch": 7,  # what is ready together is commanded together
    "engine.result.seen": 20,
    "engine.perform": 2,
    "engine.undo-dispatch": 3,
    "agent.command.seen": 6,
    "agent.claim": 6,
    "agent.do": 6,
    "agent.report": 6,
}
CI = 40


@dataclass(frozen=True, slots=True)
class Case:
    """`victim` dies when a process has come to `point` for the `hit`-th time."""

    point: str
    victim: Victim
    hit: int
    agent: int  #: which agent dies, if it is not the one at the point

    def __str__(self) -> str:
        return f"{self.point}@{self.hit}-{self.victim.value}"

    @property
    def promised(self) -> Promise:
        found = promise(self.point, self.victim)
        assert found is not None
        return found

    @property
    def by_steward(self) -> bool:
        """Return true if it is a steward that comes to the point: the apply has died before."""
        steward = POINTS[self.point].where is Where.STEWARD or self.point.startswith("engine.takeover")
        return steward or self.victim is Victim.STEWARD

    @property
    def back(self) -> bool:
        """Return true if a step of the plan has to fail."""
        return POINTS[self.point].stage in (Stage.BACKWARD, Stage.PARTLY)

    @property
    def in_parts(self) -> bool:
        """Return true if what does not fail is to be committed: a plan of several parts."""
        return POINTS[self.point].stage is Stage.PARTLY

    @property
    def at_agent(self) -> bool:
        return POINTS[self.point].where is Where.AGENT

    @property
    def suicide(self) -> bool:
        """Return true if the process at the point is the victim."""
        at = Victim.AGENT if self.at_agent else Victim.STEWARD if self.by_steward else Victim.APPLIER
        return at is self.victim


def most_hits(name: str) -> int:
    """Return at which hit of a point a case may be, at most."""
    return OFTEN.get(name.removesuffix(".before").removesuffix(".after"), 1)


def every(seed: int) -> list[Case]:
    """Return every point with every victim; the seed draws at which hit, and which agent."""
    draw = random.Random(seed)
    cases = []
    for name in POINTS:
        for victim in Victim:
            hit, agent = draw.randint(1, most_hits(name)), draw.randint(1, 3)
            if promise(name, victim) is not None:
                hit = min(hit, 2) if victim is Victim.STEWARD else hit
                cases.append(Case(name, victim, hit, agent))
    return cases


def seed() -> int:
    """Return the seed of this run: the day's, unless GLUSTER_STATE_CRASH_SEED says another."""
    today = dt.datetime.now(dt.UTC).date().toordinal()
    return int(os.environ.get("GLUSTER_STATE_CRASH_SEED", today))


def chosen() -> list[Case]:
    """Return the cases of this run: forty, or all if GLUSTER_STATE_CRASH is ``all``."""
    cases = every(seed())
    if os.environ.get("GLUSTER_STATE_CRASH") == "all":
        return cases
    return random.Random(seed()).sample(cases, CI)
