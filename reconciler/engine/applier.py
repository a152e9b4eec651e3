"""The engine: a sans-I/O machine that drives one transaction to its end.

`handle(event) -> effects`. It decides from what the store says (mirror), never from the order of events;
events only say "look again". Every write is guarded: the lock must still have our epoch, the head must be
the one we saw, the key the one we saw. A write whose answer got lost is settled by reading again; should it
arrive late, its guard has failed by then.

Architecture invariant: nothing here opens a connection, reads a clock or starts a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace

from reconciler.engine.messages import (
    Answered,
    Effect,
    End,
    Event,
    Loaded,
    LockGone,
    Reload,
    StopAsked,
    Tell,
    Tick,
    Write,
)
from reconciler.engine.mirror import Mirror
from reconciler.engine.store_steps import effect_of, undo_of
from reconciler.errors import JournalError
from reconciler.model import keys
from reconciler.model.codec import encode
from reconciler.model.configured import Secret
from reconciler.model.ids import ClusterId, NodeId, StepId, TxnId
from reconciler.model.report import ProgressEvent, ProgressKind
from reconciler.plan.step import Plan, Step
from reconciler.ports.store import (
    Changes,
    Commit,
    Compare,
    CreatedAt,
    ModifiedAt,
    Operation,
    Put,
)
from reconciler.txn.machine import (
    AskBarrier,
    Dispatch,
    Finish,
    Move,
    Perform,
    Turn,
    TxnState,
    check_transition,
    next_moves,
    waiting_for,
)
from reconciler.txn.record import Barrier, Command, Head, HeadState, Mark, Phase, StepRecord

GONE_AFTER_S = 45.0  #: an agent without a lease for this long is not waited for
TELL_EVERY_S = 10.0  #: how often a long step says that it still goes on
MAX_TAKEOVERS = 3  #: a transaction taken up more often than this is paused for a human


class Applier:
    """Drives one transaction in one epoch."""

    def __init__(
        self,
        cluster: ClusterId,
        txn: TxnId,
        plan: Plan,
        *,
        epoch: int,
        holder: str,
        secret: Callable[[], Secret],
    ) -> None:
        """Make an engine for a transaction whose head exists.

        Args:
            cluster: the cluster's id.
            txn: the transaction.
            plan: the plan, already checked against the head's digest.
            epoch: create-revision of the lock that we hold.
            holder: who we are, for people.
            secret: makes new brick credentials.
        """
        self._txn, self._plan, self._epoch, self._holder, self._secret = txn, plan, epoch, holder, secret
        self._mirror = Mirror(cluster)
        self._cluster = cluster
        self._pending: dict[str, int] = {}  # written keys: 0 = no answer yet, else the revision to wait for
        self._stopping = self._ended = False
        self._now, self._wall = 0.0, 0
        self._gone_since: dict[NodeId, float] = {}
        self._told: dict[StepId, tuple[Mark | None, int]] = {}
        self._since: dict[StepId, float] = {}
        self._last_told = 0.0

    def handle(self, *events: Event) -> list[Effect]:
        """Take events in their order, and return what to do after the last of them, in order.

        Deciding costs as much as the plan is long, so whoever has several events gives them together.
        """
        if self._ended:
            return []
        uncertain = False
        for event in events:
            match event:
                case LockGone():
                    return self._end(self._at_rest())
                case Answered(tag=tag, committed=committed) if committed is None or not committed.succeeded:
                    self._pending.pop(tag, None)
                    uncertain = True
                case _:
                    self._take(event)
        if uncertain:
            return [Reload()]
        self._settle_pending()
        return self._decide() if self._mirror.entries else []

    def _take(self, event: Event) -> None:
        match event:
            case StopAsked():
                self._stopping = True
            case Tick(monotonic=now, wall=wall):
                self._now, self._wall = now, wall
            case Loaded(snapshot=snapshot):
                self._mirror.load(snapshot)
                self._pending.clear()
            case Changes(revision=revision, changes=changes):
                self._mirror.take(changes, revision)
            case Answered(tag=tag, committed=committed) if committed is not None:
                self._pending[tag] = committed.revision

    # ------------------------------------------------------------ deciding

    def _decide(self) -> list[Effect]:
        head = self._mirror.head(self._txn)
        if head is None:
            raise JournalError(f"transaction {self._txn} has no head")
        if not head.state.active:
            return self._over(head)
        if self._mirror.epoch() != self._epoch:
            return self._end(None)
        if head.phase.epoch != self._epoch:
            return self._take_over(head)
        try:
            return self._go_on(self._state(head))
        except JournalError as exc:  # a record that cannot be is never guessed at
            return self._write_head(replace(head, state=HeadState.STUCK, reason=exc.message))

    def _over(self, head: Head) -> list[Effect]:
        if head.phase.epoch != self._epoch:
            return self._end(None)  # somebody else has brought it there: our lock was lost
        with suppress(JournalError):
            return [*self._news(self._state(head)), *self._end(head)]
        return self._end(head)

    def _at_rest(self) -> Head | None:
        """Return the head if we have brought the transaction to an end, else None."""
        head = self._mirror.head(self._txn)
        ours = head is not None and head.phase.epoch == self._epoch
        return head if head and ours and not head.state.active else None

    def _go_on(self, state: TxnState) -> list[Effect]:
        effects = self._news(state)
        moves = next_moves(state)
        for move in moves:
            effects += self._make(state, move)
        return effects + self._waiting(state, [m.node for m in moves if isinstance(m, AskBarrier)])

    def _state(self, head: Head) -> TxnState:
        return self._mirror.state(self._plan, head, dead=self._dead(), stopping=self._stopping)

    def _dead(self) -> frozenset[NodeId]:
        """Return nodes whose agents have been gone for long, by our own clock since our first look."""
        nodes = {s.node for s in self._plan.steps if s.node is not None}
        for node in nodes:
            if self._mirror.live(node):
                self._gone_since.pop(node, None)
            else:
                self._gone_since.setdefault(node, self._now)
        return frozenset(n for n, since in self._gone_since.items() if self._now - since > GONE_AFTER_S)

    def _take_over(self, head: Head) -> list[Effect]:
        if head.phase.epoch > self._epoch:
            return self._end(None)
        phase = Phase(self._epoch, head.phase.direction)
        taken = replace(head, phase=phase, holder=self._holder, attempts=head.attempts + 1)
        if taken.attempts > MAX_TAKEOVERS:
            reason = f"taken up {MAX_TAKEOVERS} times without coming to an end"
            taken = replace(taken, state=HeadState.PAUSED, reason=reason)
        return self._write_head(taken)

    def _make(self, state: TxnState, move: Move) -> list[Effect]:
        match move:
            case Turn(reason=reason):
                told = Tell(ProgressEvent(kind=ProgressKind.ROLLING_BACK, text=reason))
                turned = replace(
                    state.head, state=HeadState.ROLLING_BACK, phase=Phase(self._epoch, 1), reason=reason
                )
                written = self._write_head(turned, self._unclaimed(state))
                return [told, *written] if written else []
            case Finish(state=end, reason=reason):
                if self._pending:
                    return []  # a command of ours that we do not see yet may be claimed any time
                return self._write_head(replace(state.head, state=end, reason=reason or state.head.reason))
            case AskBarrier(node=node):
                key = keys.barrier_request(self._cluster, node)
                value = encode(Barrier(txn=self._txn, phase=state.head.phase))
                entry = self._mirror.entries.get(key)
                return [] if entry and entry.value == value else self._write(key, (Put(key, value),))
            case Dispatch(step=step, attempt=attempt):
                return self._command(state, step, attempt)
            case Perform(step=step):
                return self._perform(state, step)

    def _command(self, state: TxnState, step: Step, attempt: int) -> list[Effect]:
        assert step.node is not None
        key = keys.command(self._cluster, step.node, self._txn, step.step_id)
        if key in self._pending:
            return []
        command = Command(
            txn=self._txn,
            step=step.step_id,
            phase=state.head.phase,
            attempt=attempt,
            plan_digest=state.head.plan_digest,
        )
        return self._write(key, (Put(key, encode(command)),))

    def _unclaimed(self, state: TxnState) -> list[Compare]:
        """Return guards that no step behind the point of no return has been claimed meanwhile.

        Only one that is ready can have been commanded.
        """
        done = {s.step_id for s in state.steps if state.mark(s) is Mark.DONE}
        ready = [s for s in state.steps if s.irrevocable and done.issuperset(s.needs)]
        keys_of = (self._mirror.step_key(self._txn, s) for s in ready)
        return [ModifiedAt(key, self._mirror.modified(key)) for key in keys_of]

    def _perform(self, state: TxnState, step: Step) -> list[Effect]:
        known = state.records.get(step.step_id)
        if state.head.phase.undoing:
            assert known is not None
            record = replace(known, mark=Mark.UNDONE, phase=state.head.phase, at=self._wall)
            return self._write_step(step, known, record, undo_of(step, self._plan, known.before))
        at = known.at if known else self._wall
        effect = effect_of(step, self._plan, self._mirror.entries, now=at, secret=self._secret)
        record = StepRecord(
            step=step.step_id,
            mark=Mark.DONE,
            phase=state.head.phase,
            before=known.before if known else effect.before,
            at=at,
        )
        if effect.early and known is None:
            # What takes several commits is claimed before the first of them.
            return self._write_step(step, known, replace(record, mark=Mark.CLAIMED), ())
        for batch in effect.early:
            if any(self._lacks(op) for op in batch):  # earlier batches first, one at a time
                return self._write(batch[0].key, batch)
        return self._write_step(step, known, record, effect.operations)

    def _write_step(
        self, step: Step, known: StepRecord | None, record: StepRecord, operations: tuple[Operation, ...]
    ) -> list[Effect]:
        check_transition(step.step_id, known.mark if known else None, record.mark)
        key = self._mirror.step_key(self._txn, step)
        return self._write(key, (Put(key, encode(record)), *operations))

    def _lacks(self, op: Operation) -> bool:
        entry = self._mirror.entries.get(op.key)
        return (entry is None or entry.value != op.value) if isinstance(op, Put) else entry is not None

    # ------------------------------------------------------------ writing

    def _write_head(self, head: Head, also: Iterable[Compare] = ()) -> list[Effect]:
        key = keys.head(self._cluster, self._txn)
        return self._write(key, (Put(key, encode(replace(head, updated_at=self._wall))),), also)

    def _write(
        self, tag: str, operations: tuple[Operation, ...], also: Iterable[Compare] = ()
    ) -> list[Effect]:
        """Return the guarded write, unless one of the same key is still under way."""
        if tag in self._pending:
            return []
        self._pending[tag] = 0
        head_key = keys.head(self._cluster, self._txn)
        guards: list[Compare] = [
            CreatedAt(keys.lock(self._cluster), self._epoch),
            ModifiedAt(head_key, self._mirror.modified(head_key)),
            *also,
        ]
        guards += [
            ModifiedAt(op.key, self._mirror.modified(op.key)) for op in operations if op.key != head_key
        ]
        return [Write(tag, Commit(when=tuple(guards), then=operations))]

    def _settle_pending(self) -> None:
        """Forget writes whose effect the mirror shows."""
        for key, revision in list(self._pending.items()):
            if revision and (self._mirror.modified(key) >= revision or self._mirror.revision >= revision):
                del self._pending[key]

    def _end(self, head: Head | None) -> list[Effect]:
        self._ended = True
        return [End(head)]

    # ------------------------------------------------------------ telling

    def _news(self, state: TxnState) -> list[Effect]:
        """Return what changed about the steps since the last look, in step order."""
        news: list[Effect] = []
        outstanding = {s.step_id for s in waiting_for(state)}
        for step in state.steps:
            record = state.records.get(step.step_id)
            seen = (
                (record.mark, record.attempt) if record else (None, 1 if step.step_id in outstanding else 0)
            )
            if self._told.get(step.step_id, (None, 0)) == seen:
                continue
            self._told[step.step_id] = seen
            kind = _KINDS.get(seen[0]) if seen[0] else ProgressKind.STARTED
            if kind in (ProgressKind.STARTED, ProgressKind.UNDO_STARTED):
                if step.step_id in self._since and seen[0] is Mark.CLAIMED:
                    continue
                self._since[step.step_id] = self._now
            if kind is not None:
                news.append(Tell(self._event(step, kind, record)))
        return news

    def _waiting(self, state: TxnState, barriers: list[NodeId]) -> list[Effect]:
        """Say, every now and then, what is waited for: `barriers` are the nodes asked to confirm a phase."""
        if self._now - self._last_told < TELL_EVERY_S:
            return []
        self._last_told = self._now
        told: list[Effect] = []
        for node in barriers:
            peer = next(s.peer for s in state.steps if s.node == node)
            text = f"{peer} has to confirm that nothing of before goes on there"
            told.append(Tell(ProgressEvent(kind=ProgressKind.WAITING, peer=peer, text=text)))
        for step in waiting_for(state):
            assert step.node is not None
            why = "" if self._mirror.live(step.node) else f"the agent on {step.peer} does not answer"
            event = self._event(step, ProgressKind.WAITING, None)
            if event.seconds >= TELL_EVERY_S or why:
                told.append(Tell(replace(event, text=why)))
        return told

    def _event(self, step: Step, kind: ProgressKind, record: StepRecord | None) -> ProgressEvent:
        text = record.error if record and record.mark in (Mark.REFUSED, Mark.FAILED, Mark.UNDO_FAILED) else ""
        if text and record and record.hint:
            text = f"{text} ({record.hint})"
        return ProgressEvent(
            kind=kind,
            step=step.step_id,
            total=len(self._plan.steps),
            op=step.kind,
            address=step.address,
            title=step.title,
            peer=step.peer,
            text=text,
            seconds=round(self._now - self._since.get(step.step_id, self._now), 3),
        )


_KINDS = {
    Mark.CLAIMED: ProgressKind.STARTED,
    Mark.DONE: ProgressKind.DONE,
    Mark.REFUSED: ProgressKind.FAILED,
    Mark.FAILED: ProgressKind.FAILED,
    Mark.UNDO_CLAIMED: ProgressKind.UNDO_STARTED,
    Mark.UNDONE: ProgressKind.UNDONE,
    Mark.UNDO_FAILED: ProgressKind.UNDO_FAILED,
}
