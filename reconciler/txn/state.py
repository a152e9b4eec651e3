"""What is known of a transaction, and where its parts stand. Pure values: records in, judgements out.

A *part* is what stands or falls together: a volume's steps, or the cluster's own (part 0). A part comes to
its end by its point of no return; from there on it can only go forward, and is never undone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.model.cluster import Rollback
from reconciler.model.ids import Address, NodeId, StepId
from reconciler.plan.step import Step
from reconciler.txn.record import Head, Mark, Phase, StepRecord

PARALLEL = 96  #: commands under way at once: what some 24 nodes are busy with
PER_NODE = 4  #: of them on one node, which executes one after the other: the next is there when one ends


@dataclass(frozen=True, slots=True)
class Part:
    """The steps of one part, in order."""

    number: int
    steps: tuple[Step, ...]

    @property
    def address(self) -> Address:
        """Return the volume it is about, or ``cluster``. Steps are about it, its bricks and its daemons."""
        if not self.number:
            return Address("cluster")
        return Address("volume/" + self.steps[-1].address.split("/")[1])


def parts_of(steps: tuple[Step, ...]) -> tuple[Part, ...]:
    """Return the parts of a plan, by number."""
    found: dict[int, list[Step]] = {}
    for step in steps:
        found.setdefault(step.part, []).append(step)
    return tuple(Part(number, tuple(found[number])) for number in sorted(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class TxnState:
    """What is known of a transaction.

    Attributes:
        records: by step; a step without a record was never claimed.
        dispatched: phase and attempt of the newest command given for a step.
        barriers: highest phase each node has acknowledged.
        dead: nodes whose agent has been gone for so long that waiting for it makes no sense.
        stopping: the user asked to stop; nothing new begins.
        rollback: what the plan says about a step that fails for good.
        orphaned: the applying process has gone, and the plan says to roll back then.
        parallel: how many commands may be under way at once.
    """

    steps: tuple[Step, ...]
    head: Head
    records: Mapping[StepId, StepRecord] = field(default_factory=dict)
    dispatched: Mapping[StepId, tuple[Phase, int]] = field(default_factory=dict)
    barriers: Mapping[NodeId, Phase] = field(default_factory=dict)
    dead: frozenset[NodeId] = frozenset()
    stopping: bool = False
    rollback: Rollback = Rollback.CHANGE
    orphaned: bool = False
    parallel: int = PARALLEL

    def mark(self, step: Step) -> Mark | None:
        """Return where a step stands."""
        record = self.records.get(step.step_id)
        return record.mark if record else None

    def settled(self, step: Step) -> bool:
        """Return true if nothing of the step is left to do."""
        return self.mark(step) in (Mark.DONE, Mark.PASSED)

    def settled_backward(self, step: Step) -> bool:
        """Return true if nothing of the step is left to undo."""
        mark = self.mark(step)
        if mark in (None, Mark.REFUSED, Mark.UNDONE, Mark.PASSED):
            return True
        return mark is Mark.DONE and not step.undo

    def complete(self, part: Part) -> bool:
        """Return true if nothing of a part is left to do."""
        return all(self.settled(s) for s in part.steps)

    def past_pivot(self, part: Part) -> bool:
        """Return true once a step that cannot be undone has been claimed: there is only forward for it."""
        return any(s.irrevocable and self.mark(s) not in (None, Mark.REFUSED) for s in part.steps)

    def kept(self) -> frozenset[int]:
        """Return the parts that a rollback leaves alone: those past their point of no return.

        The cluster's own part stays, complete as it is, under any of them. In a rollback this changes no
        more: nothing irrevocable is claimed then, and part 0 is the engine's own, never in doubt.
        """
        parts = parts_of(self.steps)
        past = frozenset(p.number for p in parts if self.past_pivot(p))
        below = frozenset(p.number for p in parts if past and not p.number and self.complete(p))
        return past | below
