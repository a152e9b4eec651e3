"""The safety invariants that the simulation checks, by their numbers in the protocol's specification.

`INVARIANTS` says of each where it is looked at and when. `must` is how a check speaks: it counts that it was
made (a check that is never reached proves nothing) and raises `Violation` with the number.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum


class When(Enum):
    """How often an invariant is looked at."""

    EVENT = "after every event"
    CALL = "at every call and effect"
    END = "at the end of every run"
    FAULT = "a fault that is drawn: everything else holds under it"


@dataclass(frozen=True, slots=True)
class Invariant:
    """One that is checked: what it says, where, when."""

    says: str
    where: str
    when: When


INVARIANTS: dict[int, Invariant] = {
    1: Invariant("one active phase", "journal.JournalReader._head", When.EVENT),
    2: Invariant("no unguarded mutation", "connection.Client.commit", When.CALL),
    3: Invariant(
        "no effect without a claim in the current phase", "journal.JournalReader._current", When.EVENT
    ),
    4: Invariant("phases only grow on a node", "world.World._may_begin", When.CALL),
    5: Invariant("barrier before the first act", "journal.JournalReader._behind_barrier", When.EVENT),
    6: Invariant("direction guard", "world.World._may_do", When.CALL),
    7: Invariant("no effect after the end", "world.World._not_over", When.CALL),
    8: Invariant("a lease is a liveness device only", "cases.clocks_of", When.FAULT),
    9: Invariant("force-unlock is an ordinary takeover", "simulation.Simulation._unlock", When.FAULT),
    10: Invariant("journal before effect", "world.World._may_begin", When.CALL),
    11: Invariant("the plan is frozen", "journal.JournalReader._chunk", When.EVENT),
    12: Invariant("self-contained resume", "engines.Engine.kill", When.FAULT),
    13: Invariant("before-images", "world.World._may_begin", When.CALL),
    14: Invariant("records move along the declared graph", "journal.JournalReader._record", When.EVENT),
    15: Invariant("terminal means terminal", "journal.JournalReader._ended", When.EVENT),
    16: Invariant("bounded records", "journal.JournalReader.take", When.EVENT),
    17: Invariant("at most once effective", "runs.happened", When.END),
    18: Invariant("a crash inside a step is covered", "world.World.finish", When.FAULT),
    20: Invariant("a timeout is no failure", "journal.JournalReader._record", When.EVENT),
    21: Invariant("pivot order", "journal.JournalReader._head", When.EVENT),
    22: Invariant("undo is total or stops", "runs.nothing", When.END),
    24: Invariant(
        "a brick with a foreign identity is never used", "machine.ModelBrickFiles.prepare", When.CALL
    ),
    26: Invariant("no recursive deletion", "hosts.HostWorld.look", When.CALL),
    34: Invariant("clients see a volume only when its bricks run", "world.World._may_do", When.CALL),
    36: Invariant("a process is ours before we signal it", "machine.ModelProcesses.send", When.CALL),
    37: Invariant("at most one server process per brick", "machine.Machine.begin", When.CALL),
    38: Invariant("a stale plan does not begin", "journal.JournalReader._begun", When.EVENT),
    39: Invariant(
        "observed revisions are monotonic, nothing skipped", "connection.Telling.__call__", When.CALL
    ),
    50: Invariant("ends within bounded time once faults stop", "cases.settled", When.END),
    51: Invariant("a dead node is named and holds up nobody else", "cases.explained", When.END),
    52: Invariant("stuck is always leavable", "cases.settled", When.END),
}

#: How often each was looked at in this process.
CHECKED: Counter[int] = Counter()


class Violation(AssertionError):
    """An invariant does not hold."""

    def __init__(self, number: int, facts: str) -> None:
        super().__init__(f"invariant {number} ({INVARIANTS[number].says}): {facts}")
        self.number = number


def must(number: int, holds: object, *facts: object) -> None:
    """Note that an invariant was looked at; raise Violation unless it holds. `facts` become its text."""
    CHECKED[number] += 1
    if not holds:
        raise Violation(number, " ".join(str(fact) for fact in facts))
