"""The journal, read write by write: what must hold of each at the moment it is made."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field

from reconciler.engine.journal import read_guards
from reconciler.errors import JournalError
from reconciler.model import keys
from reconciler.model.ids import NodeId, StepId
from reconciler.model.keys import parts_below
from reconciler.plan.step import Plan
from reconciler.ports.store import MAX_OPS, MAX_VALUE_BYTES, Change, Changes, ModifiedAt
from reconciler.txn.machine import ALLOWED
from reconciler.txn.record import Barrier, Command, Head, HeadState, Mark, Phase, StepRecord
from reconciler.txn.state import PER_NODE
from tests.sim.invariants import must
from tests.sim.scenarios import CLUSTER
from tests.sim.world import World, decoded

ENDED = (HeadState.COMMITTED, HeadState.ROLLED_BACK, HeadState.PARTLY)
SETTLED = (Mark.DONE, Mark.PASSED)
BYTES_PER_STEP = 2048  #: that a plan of S steps may leave in the journal, apart from the plan itself

#: Every legal change of a transaction's state.
STATES: Mapping[HeadState | None, frozenset[HeadState]] = {
    None: frozenset({HeadState.RUNNING}),
    HeadState.RUNNING: frozenset(HeadState) - {HeadState.ROLLED_BACK, HeadState.PARTLY},
    HeadState.ROLLING_BACK: frozenset(HeadState) - {HeadState.RUNNING, HeadState.COMMITTED},
    HeadState.PAUSED: frozenset({HeadState.RUNNING, HeadState.ROLLING_BACK, HeadState.STUCK}),
    HeadState.STUCK: frozenset({HeadState.RUNNING, HeadState.ROLLING_BACK, HeadState.STUCK}),
    HeadState.COMMITTED: frozenset(),
    HeadState.ROLLED_BACK: frozenset(),
    HeadState.PARTLY: frozenset(),
}


@dataclass(slots=True)
class JournalReader:
    """The journal as it was when a write came.

    Args:
        plan: what is carried out.
        world: the nodes; knows which effects have failed.
        revisions: the revision of each key of the store's beginning.
    """

    plan: Plan
    world: World
    revisions: dict[str, int]
    lock: int = 0  #: the epoch; 0 if nobody holds it
    heads: dict[str, Head] = field(default_factory=dict)
    chunks: dict[str, str] = field(default_factory=dict)
    records: dict[str, StepRecord] = field(default_factory=dict)
    barriers: dict[str, Phase] = field(default_factory=dict)
    commanded: set[str] = field(default_factory=set)  #: nodes
    commands: dict[str, Command] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)

    def take(self, batch: Changes, *, trusted: bool = False) -> None:
        """Check a commit unless it is to be trusted, then let it count."""
        if not trusted:
            self._check_all(batch)
        for change in batch.changes:
            with suppress(JournalError) if trusted else nullcontext():
                self._note(change)
            self.revisions[change.key] = change.mod_revision if change.value is not None else 0
        if not trusted:
            self._bounded()
            for node in {node_of(change.key) for change in batch.changes if kind_of(change.key) == "cmd"}:
                self._bounded_on_node(node)

    def _check_all(self, batch: Changes) -> None:
        must(16, len(batch.changes) <= MAX_OPS, "a commit of", len(batch.changes))
        for change in batch.changes:
            size = len(change.value or "")
            must(16, size <= MAX_VALUE_BYTES, change.key, "has", size)
            self._check(change)

    @property
    def head(self) -> Head | None:
        """Return the head of the only transaction."""
        return next(iter(self.heads.values()), None)

    # ------------------------------------------------------------ a write before it counts

    def _check(self, change: Change) -> None:
        if change.value is None:
            return
        match kind_of(change.key):
            case "head":
                self._head(decoded(Head, change.value))
            case "plan":
                self._chunk(change)
            case "cmd":
                command = decoded(Command, change.value)
                self._current(command.phase, "a command")
                self._behind_barrier(change.key, command.phase)
            case "barrier-request":
                self._current(decoded(Barrier, change.value).phase, "a request")
            case "barrier":
                phase = decoded(Barrier, change.value).phase
                must(4, phase > self.barriers.get(change.key, Phase(0, 0)), "a barrier went back to", phase)
                kept = self.world.phase(NodeId(node_of(change.key)))
                must(4, kept >= phase, "acknowledged", phase, "with", kept, "on the disk")
            case "step":
                self._record(change.key, decoded(StepRecord, change.value))

    def _head(self, head: Head) -> None:
        before = self.heads.get(head.txn)
        must(14, head.state in STATES[before.state if before else None], before, "->", head)
        must(2, head.phase.epoch == self.lock, "a head of", head.phase, "under lock", self.lock)
        others = [h.txn for h in self.heads.values() if h.txn != head.txn and h.state not in ENDED]
        must(1, not others, head.txn, "beside", others)
        if before is None:
            self._begun()
            return
        must(1, head.phase >= before.phase, before.phase, "->", head.phase)
        must(11, (head.plan_digest, head.chunks) == (before.plan_digest, before.chunks), "another plan")
        if head.phase.undoing:
            self._may_roll_back()
        if head.state in ENDED:
            self._ended(head.state)

    def _begun(self) -> None:
        """The plan's read set holds at the moment in which the plan begins."""
        for guard in read_guards(CLUSTER, self.plan):
            assert isinstance(guard, ModifiedAt)
            must(38, self.revisions.get(guard.key, 0) == guard.revision, guard.key, "has moved on")

    def _past(self) -> set[int]:
        """Return the parts past their point of no return."""
        return {s.part for s in self.plan.steps if s.irrevocable and self._begun_step(s.step_id)}

    def _may_roll_back(self) -> None:
        """A part past its point of no return is at its end, and there is another one to roll back."""
        past = self._past()
        for step in self.plan.steps:
            if step.part in past:
                mark = self._mark(step.step_id)
                must(21, mark in SETTLED, "rolled back past the pivot of part", step.part, step.step_id, mark)
        must(21, past != {s.part for s in self.plan.steps}, "a rollback of nothing")

    def _ended(self, state: HeadState) -> None:
        parts = {s.part for s in self.plan.steps}
        kept = parts if state is HeadState.COMMITTED else self._past()
        below = {self.plan.steps[n - 1].part for s in self.plan.steps if s.part in kept for n in s.needs}
        kept |= below  # the cluster's own part, under a part that committed
        must(15, bool(kept) is (state is not HeadState.ROLLED_BACK), state, "with parts", kept)
        for step in self.plan.steps:
            mark = self._mark(step.step_id)
            if step.part in kept:
                must(15, mark in SETTLED, "committed with step", step.step_id, mark)
                must(15, mark is not Mark.PASSED or step.dispensable, "passed over step", step.step_id)
            elif step.part or not kept or mark is not Mark.DONE:
                settled = mark in (None, Mark.REFUSED, Mark.UNDONE, Mark.PASSED)
                settled = settled or (mark is Mark.DONE and not step.undo)
                must(15, settled, "rolled back with step", step.step_id, mark)
        must(15, not self.world.at_work, "ended with an effect under way:", self.world.at_work)

    def _chunk(self, change: Change) -> None:
        must(11, change.key not in self.chunks, "a chunk of the plan was written twice")

    def _record(self, key: str, record: StepRecord) -> None:
        before = self.records.get(key)
        must(14, record.mark in ALLOWED[before.mark if before else None], before, "->", record)
        if before is not None:
            must(14, record.phase >= before.phase, before, "->", record)
            must(13, before.mark is Mark.REFUSED or record.before == before.before, before, "->", record)
        if record.mark.in_flight or record.mark in (Mark.REFUSED, Mark.PASSED) or "/txn/" in key:
            self._current(record.phase, f"{record.mark.value} of step {record.step}")
        if record.mark in (Mark.FAILED, Mark.UNDO_FAILED):
            must(
                20,
                (record.step, record.mark) in self.world.failed,
                "called failed without having failed",
                record,
            )

    def _behind_barrier(self, key: str, phase: Phase) -> None:
        """No command before the node said that nothing older goes on there."""
        node = node_of(key)
        in_doubt = any(
            r.mark.in_flight and r.phase < phase for k, r in self.records.items() if node_of(k) == node
        )
        if in_doubt or (phase.undoing and node in self.commanded):
            answered = self.barriers.get(f"{keys.cluster_prefix(CLUSTER)}node/{node}/barrier", Phase(0, 0))
            must(5, answered >= phase, "a command of", phase, "to a node at barrier", answered)

    def _current(self, phase: Phase, what: str) -> None:
        """Claims, commands and requests count in one phase only, and never without the lock."""
        must(2, phase.epoch == self.lock, what, "of", phase, "under lock", self.lock)
        head = self.head
        must(3, head is not None and head.state.active, what, "while", head)
        assert head is not None
        must(3, phase == head.phase, what, "of", phase, "in", head.phase)

    def _bounded_on_node(self, node: str) -> None:
        """Few commands wait for a node at once: whoever gives one knows of the others, or of more."""
        given = {key: command for key, command in self.commands.items() if node_of(key) == node}
        newest = max(command.phase for command in given.values())
        waiting = [
            key
            for key, command in given.items()
            if command.phase == newest and not self._answered(key, command)
        ]
        must(16, len(waiting) <= PER_NODE, "commands under way on one node:", len(waiting))

    def _answered(self, key: str, command: Command) -> bool:
        record = self.records.get(key.replace("/cmd/", "/step/"))
        if record is None or record.mark.in_flight:
            return False
        settled = (Mark.UNDONE,) if command.phase.undoing else SETTLED
        return record.mark in settled or (record.phase, record.attempt) == (command.phase, command.attempt)

    def _bounded(self) -> None:
        bound = len(self.plan.steps) * BYTES_PER_STEP
        must(16, sum(self.sizes.values()) <= bound, "the journal is over", bound)

    # ------------------------------------------------------------ what counts

    def _note(self, change: Change) -> None:
        kind = kind_of(change.key)
        if kind == "lock":
            self.lock = change.create_revision
        if change.value is None:
            return
        match kind:
            case "head":
                head = decoded(Head, change.value)
                self.heads[head.txn] = head
            case "plan":
                self.chunks[change.key] = change.value
            case "cmd":
                self.commanded.add(node_of(change.key))
                self.commands[change.key] = decoded(Command, change.value)
            case "barrier":
                self.barriers[change.key] = decoded(Barrier, change.value).phase
            case "step":
                self.records[change.key] = decoded(StepRecord, change.value)
        if kind in ("cmd", "step"):
            self.sizes[change.key] = len(change.value)

    def _mark(self, step: StepId) -> Mark | None:
        return next((r.mark for r in self.records.values() if r.step == step), None)

    def _begun_step(self, step: StepId) -> bool:
        return self._mark(step) not in (None, Mark.REFUSED)


def node_of(key: str) -> str:
    """Return the node in a key, or an empty text."""
    parts = parts_below(keys.cluster_prefix(CLUSTER), key)
    return parts[1] if parts[0] == "node" else ""


def kind_of(key: str) -> str:
    """Return what a key of the cluster holds, or an empty text for what the protocol has no rule for."""
    parts = parts_below(keys.cluster_prefix(CLUSTER), key)
    if parts[0] in ("node", "txn"):
        return parts[2]
    return "lock" if parts == ("lock",) else ""
