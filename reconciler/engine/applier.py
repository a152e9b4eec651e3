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
from reconciler.engine.telling import Telling
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
    PassOver,
    Perform,
    Turn,
    check_transition,
    next_moves,
)
from reconciler.txn.record import Barrier, Command, Head, HeadState, Mark, Phase, StepRecord
from reconciler.txn.state import PARALLEL, TxnState

GONE_AFTER_S = 45.0  #: an agent without a lease for this long is not waited for
TOGETHER = 90  #: keys written in one commit; leaves room under MAX_OPS for the guards of lock and head


class Applier:
    """Drives one transaction in one epoch."""

    def __init__(  # noqa: PLR0913  what it works on, by name, and one bound
        self,
        cluster: ClusterId,
        txn: TxnId,
        plan: Plan,
        *,
        epoch: int,
        holder: str,
        secret: Callable[[], Secret],
        parallel: int = PARALLEL,
    ) -> None:
        """Make an engine for a transaction whose head is written in our epoch.

        Args:
            cluster: the cluster's id.
            txn: the transaction.
            plan: the plan, already checked against the head's digest.
            epoch: create-revision of the lock that we hold.
            holder: who we are, for people.
            secret: makes new brick credentials.
            parallel: how many commands may be under way at once.
        """
        self._parallel = parallel
        self._txn, self._plan, self._epoch, self._holder, self._secret = txn, plan, epoch, holder, secret
        self._mirror = Mirror(cluster)
        self._cluster = cluster
        self._pending: dict[str, int] = {}  # written keys: 0 = no answer yet, else the revision to wait for
        self._written: dict[str, tuple[str, ...]] = {}  #: by tag of a write under way: its keys in _pending
        self._tried: set[StepId] = set()  #: store steps that we have written, seen or not
        self._stopping = self._ended = False
        self._now, self._wall = 0.0, 0
        self._gone_since: dict[NodeId, float] = {}
        self._telling = Telling(len(plan.steps), self._mirror.live)

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
                    for key in self._written.pop(tag, ()):
                        self._pending.pop(key, None)
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
                self._written.clear()
            case Changes(revision=revision, changes=changes):
                self._mirror.take(changes, revision)
            case Answered(tag=tag, committed=committed) if committed is not None:
                self._pending.update(dict.fromkeys(self._written.pop(tag, ()), committed.revision))

    # ------------------------------------------------------------ deciding

    def _decide(self) -> list[Effect]:
        head = self._mirror.head(self._txn)
        if head is None:
            raise JournalError(f"transaction {self._txn} has no head")
        if not head.state.active:
            return self._over(head)
        if self._mirror.epoch() != self._epoch or head.phase.epoch != self._epoch:
            return self._end(None)  # the lock was lost: another engine has the transaction, or will have
        try:
            return self._go_on(self._state(head))
        except JournalError as exc:  # a record that cannot be is never guessed at
            return self._write_head(replace(head, state=HeadState.STUCK, reason=exc.message))

    def _over(self, head: Head) -> list[Effect]:
        if head.phase.epoch != self._epoch:
            return self._end(None)  # somebody else has brought it there: our lock was lost
        with suppress(JournalError):
            return [*self._telling.news(self._state(head), self._now), *self._end(head)]
        return self._end(head)

    def _at_rest(self) -> Head | None:
        """Return the head if we have brought the transaction to an end, else None."""
        head = self._mirror.head(self._txn)
        ours = head is not None and head.phase.epoch == self._epoch
        return head if head and ours and not head.state.active else None

    def _go_on(self, state: TxnState) -> list[Effect]:
        effects = self._telling.news(state, self._now)
        moves = next_moves(state)
        puts: list[Put] = []  # of independent steps: written together
        for move in moves:
            match move:
                case Dispatch(step=step, attempt=attempt):
                    puts.append(self._command(state, step, attempt))
                case PassOver(step=step):
                    puts.append(self._passed_over(state, step))
                case _:
                    effects += self._make(state, move)
        effects += self._write_together(puts)
        barriers = [m.node for m in moves if isinstance(m, AskBarrier)]
        return effects + self._telling.waiting(state, barriers, self._now)

    def _state(self, head: Head) -> TxnState:
        return self._mirror.state(
            self._plan, head, dead=self._dead(), stopping=self._stopping, parallel=self._parallel
        )

    def _dead(self) -> frozenset[NodeId]:
        """Return nodes whose agents have been gone for long, by our own clock since our first look."""
        nodes = {s.node for s in self._plan.steps if s.node is not None}
        for node in nodes:
            if self._mirror.live(node):
                self._gone_since.pop(node, None)
            else:
                self._gone_since.setdefault(node, self._now)
        return frozenset(n for n, since in self._gone_since.items() if self._now - since > GONE_AFTER_S)

    def _turn(self, state: TxnState, reason: str) -> list[Effect]:
        told = Tell(ProgressEvent(kind=ProgressKind.ROLLING_BACK, text=reason))
        turned = replace(state.head, state=HeadState.ROLLING_BACK, phase=Phase(self._epoch, 1), reason=reason)
        written = self._write_head(turned, self._unclaimed(state))
        return [told, *written] if written else []

    def _make(self, state: TxnState, move: AskBarrier | Perform | Turn | Finish) -> list[Effect]:
        match move:
            case Turn(reason=reason):
                return self._turn(state, reason)
            case Finish(state=end, reason=reason):
                if self._pending:
                    return []  # a command of ours that we do not see yet may be claimed any time
                return self._write_head(replace(state.head, state=end, reason=reason or state.head.reason))
            case AskBarrier(node=node):
                key = keys.barrier_request(self._cluster, node)
                value = encode(Barrier(txn=self._txn, phase=state.head.phase))
                entry = self._mirror.entries.get(key)
                return [] if entry and entry.value == value else self._write(key, (Put(key, value),))
            case Perform(step=step):
                return self._perform(state, step)

    def _command(self, state: TxnState, step: Step, attempt: int) -> Put:
        assert step.node is not None
        key = keys.command(self._cluster, step.node, self._txn, step.step_id)
        command = Command(
            txn=self._txn,
            step=step.step_id,
            phase=state.head.phase,
            attempt=attempt,
            plan_digest=state.head.plan_digest,
        )
        return Put(key, encode(command))

    def _passed_over(self, state: TxnState, step: Step) -> Put:
        """Return the record of a step that is left out. Its key was free, so nothing claims it any more."""
        record = StepRecord(step=step.step_id, mark=Mark.PASSED, phase=state.head.phase, at=self._wall)
        check_transition(step.step_id, state.mark(step), record.mark)
        return Put(self._mirror.step_key(self._txn, step), encode(record))

    def _unclaimed(self, state: TxnState) -> list[Compare]:
        """Return guards that no step behind a point of no return has been claimed meanwhile.

        Only one that was commanded, or that we have written ourselves without having seen it, can have been:
        whatever a former engine sends does not get past the lock.
        """
        at_large = [
            s
            for s in state.steps
            if s.irrevocable
            and state.mark(s) in (None, Mark.REFUSED)
            and (s.step_id in state.dispatched or s.step_id in self._tried)
        ]
        keys_of = (self._mirror.step_key(self._txn, s) for s in at_large)
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
        self._tried.add(step.step_id)
        key = self._mirror.step_key(self._txn, step)
        return self._write(key, (Put(key, encode(record)), *operations))

    def _lacks(self, op: Operation) -> bool:
        entry = self._mirror.entries.get(op.key)
        return (entry is None or entry.value != op.value) if isinstance(op, Put) else entry is not None

    # ------------------------------------------------------------ writing

    def _write_head(self, head: Head, also: Iterable[Compare] = ()) -> list[Effect]:
        key = keys.head(self._cluster, self._txn)
        return self._write(key, (Put(key, encode(replace(head, updated_at=self._wall))),), also)

    def _write_together(self, puts: list[Put]) -> list[Effect]:
        """Write what is ready together, in few commits. Each key is compared; one that moved stops all.

        A command or a record that passes a step over takes some 300 bytes: a commit stays far below 1 MiB.
        """
        free = [put for put in puts if put.key not in self._pending]
        batches = [tuple(free[i : i + TOGETHER]) for i in range(0, len(free), TOGETHER)]
        effects: list[Effect] = []
        for batch in batches:
            effects += self._write(batch[0].key, batch)
            self._written[batch[0].key] = tuple(put.key for put in batch)
            self._pending.update((put.key, 0) for put in batch)
        return effects

    def _write(
        self, tag: str, operations: tuple[Operation, ...], also: Iterable[Compare] = ()
    ) -> list[Effect]:
        """Return the guarded write, unless one of the same key is still under way."""
        if tag in self._pending:
            return []
        self._pending[tag] = 0
        self._written[tag] = (tag,)
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
