"""The nodes as a world of cells: what fake actions do to it, and what must hold each time they do.

A step changes one cell of its node, in two halves, so that a crash in the middle leaves something that is
neither before nor after. The world knows the journal and checks the protocol at both ends of every effect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

from reconciler.errors import StepError
from reconciler.model import keys
from reconciler.model.codec import decode
from reconciler.model.ids import ClusterId, NodeId, StepId, TxnId
from reconciler.plan.step import Args, Plan, Step, StepClass
from reconciler.ports.node import Checked, Effect
from reconciler.ports.store import Entry
from reconciler.txn.record import Command, Head, HeadState, Mark, StepRecord

T = TypeVar("T")
Cells = dict[str, object]
Entries = Callable[[], Mapping[str, Entry]]

RUNS, STAMPED = "runs", "stamped"


def cell_of(step: Step) -> str | None:
    """Return the cell that a step changes; None for one that only looks."""
    kind = step.kind.partition(".")[2]
    match step.kind.partition(".")[0], kind:
        case "brick", "inspect":
            return None
        case "brick", "prepare":
            return f"dir/{step.args['brick']}"
        case "brick", _:
            return f"brick/{step.args['brick']}"
        case "shd", _:
            return f"shd/{step.node}/{step.volume}"
        case "volume", _:
            return f"serve/{step.node}/{step.volume}"
    raise AssertionError(f"the world knows no step of kind {step.kind}")


def target_of(step: Step, plan: Plan) -> object:
    """Return what the step leaves in its cell."""
    match step.kind:
        case "brick.prepare":
            return STAMPED
        case "brick.start" | "shd.start":
            return RUNS
        case "brick.stop" | "shd.stop":
            return None
        case "volume.unpublish":
            return "nothing"
    assert step.volume is not None
    generation = plan.volumes[step.volume].generation
    return [generation, "staged" if step.kind == "volume.publish" else "committed"]


def put(cells: Cells, cell: str, value: object) -> None:
    """Set a cell; None empties it."""
    if value is None:
        cells.pop(cell, None)
    else:
        cells[cell] = value


def after_all(plan: Plan, before: Cells) -> Cells:
    """Return the world after every step of a plan was done in order."""
    cells = dict(before)
    for step in plan.steps:
        if step.node is not None and (cell := cell_of(step)) is not None:
            put(cells, cell, target_of(step, plan))
    return cells


@dataclass(slots=True)
class Trouble:
    """How a step misbehaves. `times` counts down; a step without trouble left behaves.

    `what`: ``refuse`` (its check says no), ``do`` (nothing done), ``half`` (done by half), ``undo``.
    """

    what: str
    times: int = 1_000_000
    retryable: bool = False

    def strikes(self, what: str) -> bool:
        """Return true if it is time to fail."""
        if self.what != what or self.times <= 0:
            return False
        self.times -= 1
        return True


@dataclass(slots=True)
class World:
    """All nodes. `entries` looks into the store past every fault."""

    cluster: ClusterId
    txn: TxnId
    plan: Plan
    cells: Cells
    entries: Entries
    trouble: dict[StepId, Trouble] = field(default_factory=dict)
    at_work: dict[NodeId, Step] = field(default_factory=dict)
    turned: set[NodeId] = field(default_factory=set)  #: nodes on which an undo began
    effective: set[StepId] = field(default_factory=set)  #: begun and not wholly undone
    log: list[tuple[StepId, str]] = field(default_factory=list)

    # ------------------------------------------------------------ the fake actions

    def check(self, step: Step) -> Checked:
        """Take the before-image."""
        trouble = self.trouble.get(step.step_id)
        if trouble and trouble.strikes("refuse"):
            raise StepError("refused", retryable=trouble.retryable)
        cell = cell_of(step)
        return Checked(effect=Effect.ABSENT, before={"was": self.cells.get(cell)} if cell else {})

    def begin(self, step: Step, before: Args, *, undo: bool) -> None:
        """The first half of an effect."""
        assert step.node is not None
        self._may_begin(step, before, undo=undo)
        self.at_work[step.node] = step
        self.log.append((step.step_id, "undo" if undo else "do"))
        trouble = self.trouble.get(step.step_id)
        if trouble and trouble.strikes("undo" if undo else "do"):
            del self.at_work[step.node]
            raise StepError("failed", retryable=trouble.retryable)
        if undo:
            self.turned.add(step.node)
        self.effective.add(step.step_id)
        if (cell := cell_of(step)) is not None:
            self.cells[cell] = f"half of step {step.step_id}"

    def finish(self, step: Step, before: Args, *, undo: bool) -> None:
        """The second half."""
        assert step.node is not None
        assert self.at_work.pop(step.node) is step
        self._not_over(step)
        trouble = self.trouble.get(step.step_id)
        if not undo and trouble and trouble.strikes("half"):
            raise StepError("failed half-way", retryable=trouble.retryable)
        if (cell := cell_of(step)) is not None:
            put(self.cells, cell, before["was"] if undo else target_of(step, self.plan))
        if undo:
            self.effective.discard(step.step_id)

    def died(self, node: NodeId) -> None:
        """The node's agent was killed; what it was about to do stays half done."""
        self.at_work.pop(node, None)

    # ------------------------------------------------------------ what must hold

    def _may_begin(self, step: Step, before: Args, *, undo: bool) -> None:
        assert step.node is not None
        where = f"{'undo' if undo else 'do'} of step {step.step_id}"
        assert step.node not in self.at_work, f"{where}: two effects at once on one node"
        self._not_over(step)
        record = self.record(step)
        wanted = Mark.UNDO_CLAIMED if undo else Mark.CLAIMED
        assert record is not None, f"{where}: nothing in the journal"
        assert record.mark is wanted, f"{where}: the journal says {record.mark}"
        assert record.before == before, f"{where}: with another before-image than the journal's"
        if undo:
            for other in self.plan.steps:
                assert step.step_id not in self.needs(other) or other.step_id not in self.effective, (
                    f"{where} before that of step {other.step_id}, which needs it"
                )
            return
        assert step.node not in self.turned, f"{where} after an undo on the same node"
        for need in self.needs(step):
            done = self.record(self.plan.steps[need - 1])
            assert done is not None, f"{where}: step {need}, which it needs, was not done"
            assert done.mark is Mark.DONE, f"{where}: step {need}, which it needs, is {done.mark}"
        if step.step_class is not StepClass.COMPENSATABLE:
            return
        for node, undoing in self._undo_commands():
            assert node != step.node or undoing.phase > record.phase, where

    def _not_over(self, step: Step) -> None:
        head = self.head()
        ended = (HeadState.COMMITTED, HeadState.ROLLED_BACK)
        assert head is not None, f"step {step.step_id}: without a transaction"
        assert head.state not in ended, f"step {step.step_id}: after the end"

    def needs(self, step: Step) -> set[StepId]:
        """Return all steps that must be done before a step, near and far."""
        found: set[StepId] = set()
        open_ids = list(step.needs)
        while open_ids:
            need = open_ids.pop()
            if need not in found:
                found.add(need)
                open_ids += self.plan.steps[need - 1].needs
        return found

    # ------------------------------------------------------------ the journal

    def head(self) -> Head | None:
        """Return the head as it is in the store."""
        entry = self.entries().get(keys.head(self.cluster, self.txn))
        return decoded(Head, entry.value) if entry else None

    def record(self, step: Step) -> StepRecord | None:
        """Return a step's record as it is in the store."""
        if step.node is None:
            key = keys.engine_step(self.cluster, self.txn, step.step_id)
        else:
            key = keys.node_step(self.cluster, step.node, self.txn, step.step_id)
        entry = self.entries().get(key)
        return decoded(StepRecord, entry.value) if entry else None

    def _undo_commands(self) -> list[tuple[NodeId, Command]]:
        found = []
        for step in self.plan.steps:
            if step.node is None:
                continue
            entry = self.entries().get(keys.command(self.cluster, step.node, self.txn, step.step_id))
            if entry and (command := decoded(Command, entry.value)).phase.undoing:
                found.append((step.node, command))
        return found


@lru_cache(maxsize=16384)
def decoded(cls: type[T], text: str) -> T:
    """Return the record stored as `text`: `decode`, once for each text."""
    return decode(cls, text)
