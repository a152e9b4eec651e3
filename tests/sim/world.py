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
from reconciler.txn.record import Barrier, Command, Head, HeadState, Mark, Phase, StepRecord
from tests.sim.invariants import must

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

    def fresh(self) -> Trouble:
        """Return a copy for another run."""
        return Trouble(self.what, self.times, self.retryable)

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
    failed: set[tuple[StepId, Mark]] = field(default_factory=set)  #: what a node has reason to report
    phases: dict[NodeId, Barrier] = field(default_factory=dict)  #: what nodes have on their disks
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
            self._fail(step, "failed", trouble, undo=undo)
        if undo:
            self.turned.add(step.node)
        self.effective.add(step.step_id)
        self._first_half(step, before, undo=undo)

    def finish(self, step: Step, before: Args, *, undo: bool) -> None:
        """The second half."""
        assert step.node is not None
        assert self.at_work.pop(step.node) is step
        self._not_over(step)
        trouble = self.trouble.get(step.step_id)
        if not undo and trouble and trouble.strikes("half"):
            self._fail(step, "failed half-way", trouble, undo=undo)
        self._second_half(step, before, undo=undo)
        if undo:
            self.effective.discard(step.step_id)

    def _first_half(self, step: Step, before: Args, *, undo: bool) -> None:
        if (cell := cell_of(step)) is not None:
            self.cells[cell] = f"half of step {step.step_id}"

    def _second_half(self, step: Step, before: Args, *, undo: bool) -> None:
        if (cell := cell_of(step)) is not None:
            put(self.cells, cell, before["was"] if undo else target_of(step, self.plan))

    def _fail(self, step: Step, how: str, trouble: Trouble, *, undo: bool) -> None:
        self.failed.add((step.step_id, Mark.UNDO_FAILED if undo else Mark.FAILED))
        raise StepError(how, retryable=trouble.retryable)

    def died(self, node: NodeId) -> None:
        """The node's agent was killed; what it was about to do stays half done."""
        self.at_work.pop(node, None)

    # ------------------------------------------------------------ what must hold

    def _may_begin(self, step: Step, before: Args, *, undo: bool) -> None:
        assert step.node is not None
        where = f"{'undo' if undo else 'do'} of step {step.step_id}"
        must(10, step.node not in self.at_work, where, "two effects at once on one node")
        self._not_over(step)
        record = self.record(step)
        wanted = Mark.UNDO_CLAIMED if undo else Mark.CLAIMED
        must(10, record is not None and record.mark is wanted, where, "with the journal at", record)
        assert record is not None
        must(13, record.before == before, where, "with another before-image than the journal's")
        known = self.phases.get(step.node)
        must(4, known is None or record.phase >= known.phase, where, "in", record.phase, "below", known)
        if undo:
            for other in self.plan.steps:
                resting = step.step_id in self.needs(other) and other.step_id in self.effective
                must(22, not resting, where, "before that of step", other.step_id, "which needs it")
            return
        self._may_do(step, record, where)

    def _may_do(self, step: Step, record: StepRecord, where: str) -> None:
        must(6, step.node not in self.turned, where, "after an undo on the same node")
        for need in self.needs(step):
            done = self.record(self.plan.steps[need - 1])
            ready = done is not None and done.mark in (Mark.DONE, Mark.PASSED)
            must(3, ready, where, "needs step", need, "which is", done)
        if step.kind == "volume.publish":
            starting = [s for s in self.plan.steps if s.kind == "brick.start" and s.volume == step.volume]
            down = [s.step_id for s in starting if self.cells.get(cell_of(s) or "") != RUNS]
            must(34, not down, where, "with bricks down, of steps", down)
        if step.step_class is not StepClass.COMPENSATABLE:
            return
        for node, undoing in self._undo_commands():
            must(6, node != step.node or undoing.phase > record.phase, where, "after", undoing)

    def _not_over(self, step: Step) -> None:
        head = self.head()
        ended = (HeadState.COMMITTED, HeadState.ROLLED_BACK, HeadState.PARTLY)
        must(7, head is not None and head.state not in ended, "effect of step", step.step_id, "with", head)

    def keep(self, node: NodeId, barrier: Barrier) -> bool:
        """Put a phase on a node's disk, as the agent's memory does; return false if it is long past."""
        known = self.phases.get(node)
        if known is None or barrier.phase > known.phase:
            self.phases[node] = barrier
        return known is None or barrier.phase >= known.phase

    def phase(self, node: NodeId) -> Phase:
        """Return what a node's disk holds."""
        known = self.phases.get(node)
        return known.phase if known else Phase(0, 0)

    def needs(self, step: Step) -> frozenset[StepId]:
        """Return all steps that must be done before a step, near and far."""
        return _needs_of(self.plan.steps, step.step_id)

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


_NEEDS: dict[tuple[int, StepId], tuple[object, frozenset[StepId]]] = {}


def _needs_of(steps: tuple[Step, ...], step_id: StepId) -> frozenset[StepId]:
    known = _NEEDS.get((id(steps), step_id))
    if known is not None:
        return known[1]
    found: set[StepId] = set()
    open_ids = list(steps[step_id - 1].needs)
    while open_ids:
        need = open_ids.pop()
        if need not in found:
            found.add(need)
            open_ids += steps[need - 1].needs
    _NEEDS[id(steps), step_id] = (steps, frozenset(found))  # kept with its steps, whose id stays theirs
    return frozenset(found)


@lru_cache(maxsize=16384)
def decoded(cls: type[T], text: str) -> T:
    """Return the record stored as `text`: `decode`, once for each text."""
    return decode(cls, text)
