"""What runs on a node: the code behind a step kind, and the clock. Protocols and their values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from reconciler.model.configured import Secret, VolumeRecord
from reconciler.plan.step import Args, Step


class Effect(Enum):
    """How much of a step's effect is already there."""

    ABSENT = "absent"
    PARTIAL = "partial"
    PRESENT = "present"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A step with what it needs on the node.

    Attributes:
        volume: the record after the plan; previous: the record before it (None: the volume is new).
        secret: credentials of the volume, if its node may know them.
        txn: the transaction, for messages and marks.
    """

    step: Step
    txn: str
    volume: VolumeRecord | None = None
    previous: VolumeRecord | None = None
    secret: Secret | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The answer of `check`: how much is there, and the before-image that `undo` will be given.

    `before` is written to the journal with the claim, before any effect: it must say everything that
    `undo` has to restore ("absent" included) and hold no secret. At most 16 KiB of plain JSON.
    """

    effect: Effect
    before: Args = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """All that a step may change on its node, by `do` or by `undo`. What is not named here is left alone.

    `undo` restores all of it but `traces`. Names and numbers come from the step and its records alone, so
    that anybody who has the plan can say what a step may have touched.

    Attributes:
        directories: made, or removed while empty; the brick's own is the last.
        inside: paths below which only entries of GlusterFS and of ours are made and removed, never users'.
        attributes: extended attributes of the last of `directories`; a final ``*``: all that begin so.
        processes: for each process that is started or signalled, the arguments it is known by.
        ports: what these listen on, as ``HOST:PORT``.
        memory: files of the agent's own state, by their LocalFiles name.
        traces: what a process, its start, or a crash leaves behind: nobody concludes anything from its being
            there, and it may be gone afterwards.
    """

    directories: tuple[str, ...] = ()
    inside: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    processes: tuple[tuple[str, ...], ...] = ()
    ports: tuple[str, ...] = ()
    memory: tuple[str, ...] = ()
    traces: tuple[str, ...] = ()


class Action(Protocol):
    """The code behind one step kind, on the node. All three are idempotent and raise StepError.

    The laws (tests check them for every kind against the real adapters): ``do`` twice is ``do``;
    ``undo`` twice is ``undo``; ``undo`` after ``do`` restores what the step may touch; ``undo`` of a
    step that never ran changes nothing; a crash anywhere in between changes none of this.
    """

    def footprint(self, call: Call) -> Footprint:
        """Tell what the step may change, without looking at the node.

        Raises StepError if the records do not hold what the step is about.
        """
        ...

    def check(self, call: Call) -> Checked:
        """Look, without changing anything.

        Raises StepError to refuse the step before any effect (foreign brick, wrong filesystem).
        """
        ...

    def do(self, call: Call, before: Args) -> Args:
        """Bring the effect about, also after a half-done earlier `do`. Returns facts worth recording."""
        ...

    def undo(self, call: Call, before: Args) -> None:
        """Restore exactly `before`, also after a half-done `do`, and nothing else."""
        ...


class Clock(Protocol):
    """Time, so that the core can be tested without waiting."""

    def now(self) -> int:
        """Return the wall-clock second since the epoch, for people and records.

        No decision compares it with another machine's clock.
        """
        ...

    def monotonic(self) -> float:
        """Return seconds that only go forward on this machine."""
        ...
