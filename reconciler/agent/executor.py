"""The agent's side of a transaction: a sans-I/O machine that executes one command at a time.

`handle(event) -> effects`. The journal comes before the effect: a step's before-image is taken by its
check and written with the claim, in a commit that compares the lock's epoch, the head and the command; only
then does the effect begin. After a restart an own unfinished claim is carried on, never forgotten.

Fencing (reliability 1.1): nothing begins below the durable phase, and a phase is acknowledged only when
nothing older is going on.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum

from reconciler.agent.bounds import SAID, within_bounds
from reconciler.agent.messages import (
    Again,
    Check,
    Context,
    Effect,
    Event,
    Failure,
    Heard,
    KeepPhase,
    Listed,
    Looked,
    PhaseKept,
    Ran,
    ReadContext,
    Relist,
    Run,
    Stored,
    StoreIt,
    Wait,
)
from reconciler.errors import JournalError
from reconciler.model import keys
from reconciler.model.codec import decode, encode
from reconciler.model.ids import ClusterId, NodeId
from reconciler.plan.step import Args, Step
from reconciler.ports.node import Checked
from reconciler.ports.store import (
    Change,
    Commit,
    Committed,
    CreatedAt,
    Entry,
    ModifiedAt,
    Put,
)
from reconciler.txn.machine import check_transition
from reconciler.txn.record import Barrier, Command, HeadState, Mark, Phase, StepRecord

RETRY_S = 0.5  #: pause after the store gave no answer


class _Stage(Enum):
    READING = "reading"
    CHECKING = "checking"
    CLAIMING = "claiming"
    RUNNING = "running"
    REPORTING = "reporting"


@dataclass(slots=True)
class _Job:
    """The command being executed."""

    command: Command
    command_revision: int
    stage: _Stage = _Stage.READING
    context: Context | None = None
    step: Step | None = None
    known: StepRecord | None = None
    record: StepRecord | None = None  #: the record being written, or the claim the effect runs under
    revision: int = 0  #: of the step's key, as last seen


@dataclass(slots=True)
class Executor:
    """Executes the commands of one node, one at a time, oldest transaction first."""

    cluster: ClusterId
    node: NodeId
    instance: str
    phase: Phase = field(default_factory=lambda: Phase(0, 0))
    _entries: dict[str, Entry] = field(default_factory=dict)
    _job: _Job | None = None
    _acknowledging: Barrier | None = None
    _waiting: bool = False
    _dropped: dict[str, int] = field(default_factory=dict)  #: commands set aside, by key: their revision
    _listing: bool = False  #: a listing is on its way
    _gone: dict[str, int] = field(default_factory=dict)  #: keys removed meanwhile, and when

    def handle(self, event: Event) -> list[Effect]:
        """Take one event and return what to do about it."""
        match event:
            case Listed(snapshot=snapshot):
                # A change may have been heard while the listing was on its way: it is newer and stays.
                newer = {k: e for k, e in self._entries.items() if e.mod_revision > snapshot.revision}
                gone = {k for k, revision in self._gone.items() if revision > snapshot.revision}
                self._entries = {**{e.key: e for e in snapshot.entries if e.key not in gone}, **newer}
                self._dropped = {k: r for k, r in self._dropped.items() if k in self._entries}
                self._listing, self._gone = False, {}
            case Heard(changes=changes):
                self._take(changes)
            case Again():
                self._waiting = False
            case PhaseKept(barrier=barrier):
                self.phase = max(self.phase, barrier.phase)
                return self._acknowledge(barrier)
            case Context():
                return self._read(event)
            case Looked(answer=answer):
                return self._looked(answer)
            case Ran(answer=answer):
                return self._ran(answer)
            case Stored(committed=committed):
                return self._stored(committed)
        return self._next()

    @property
    def busy(self) -> bool:
        """Return true while a command is being executed."""
        return self._job is not None

    # ------------------------------------------------------------ choosing

    def _take(self, changes: tuple[Change, ...]) -> None:
        for change in changes:
            known = self._entries.get(change.key)
            if known and known.mod_revision > change.mod_revision:
                continue
            if change.value is None:
                self._entries.pop(change.key, None)
                self._dropped.pop(change.key, None)
                if self._listing:
                    self._gone[change.key] = change.mod_revision
            else:
                self._entries[change.key] = change.as_entry()

    def _next(self) -> list[Effect]:
        """Begin the next thing if nothing is going on: a barrier first, then a command."""
        if self._job or self._acknowledging or self._waiting:
            return []
        asked = self._entries.get(keys.barrier_request(self.cluster, self.node))
        if asked:
            request = decode(Barrier, asked.value)
            answered = self._entries.get(keys.barrier(self.cluster, self.node))
            if answered is None or decode(Barrier, answered.value).phase < request.phase:
                self._acknowledging = replace(request, instance=self.instance)
                return [KeepPhase(self._acknowledging)]
        prefix = keys.commands_prefix(self.cluster, self.node)
        for key in sorted(k for k in self._entries if k.startswith(prefix)):
            entry = self._entries[key]
            if self._dropped.get(key) == entry.mod_revision:
                continue
            try:
                command = decode(Command, entry.value)
                wanted = self._wanted(command)
            except JournalError:  # never guessed at; the engine sees the same and stops
                self._dropped[key] = entry.mod_revision
                continue
            if wanted:
                self._job = _Job(command=command, command_revision=entry.mod_revision)
                return [ReadContext(command)]
        return []

    def _wanted(self, command: Command) -> bool:
        """Return true if the command is not answered and not fenced off."""
        if command.phase < self.phase:
            return False
        record = self._record_of(command)
        if record is None:
            return True
        if record.mark is (Mark.UNDONE if command.phase.undoing else Mark.DONE):
            return False  # a report of an older phase, thought lost, has arrived after all
        if (record.phase, record.attempt) != (command.phase, command.attempt):
            return record.phase <= command.phase
        return record.mark.in_flight

    def _record_of(self, command: Command) -> StepRecord | None:
        entry = self._entries.get(keys.node_step(self.cluster, self.node, command.txn, command.step))
        return decode(StepRecord, entry.value) if entry else None

    def _drop(self) -> list[Effect]:
        """Set the present command aside until its key changes."""
        assert self._job is not None
        command = self._job.command
        key = keys.command(self.cluster, self.node, command.txn, command.step)
        self._dropped[key] = self._job.command_revision
        self._job = None
        return self._next()

    def _again(self) -> list[Effect]:
        """Start the present command over after a pause, from a fresh listing."""
        self._job, self._waiting, self._listing = None, True, True
        return [Relist(), Wait(RETRY_S)]

    # ------------------------------------------------------------ one command

    def _read(self, context: Context) -> list[Effect]:
        job = self._job
        assert job is not None
        command, head = job.command, context.head
        current = (
            head is not None
            and head.state in (HeadState.RUNNING, HeadState.ROLLING_BACK)
            and head.phase == command.phase
            and head.plan_digest == command.plan_digest
            and context.epoch == command.phase.epoch
        )
        if not current or not self._wanted(command):
            return self._drop()
        if context.plan is None:
            return self._look(context)
        if context.problem:
            return self._again()
        job.step = next((s for s in context.plan.steps if s.step_id == command.step), None)
        if job.step is None or job.step.node != self.node:
            return self._drop()
        return self._look(context)

    def _look(self, context: Context) -> list[Effect]:
        """Claim again what was claimed before; else have the step checked, and refuse it without a plan."""
        job = self._job
        assert job is not None
        command = job.command
        job.known = self._record_of(command)
        entry = self._entries.get(keys.node_step(self.cluster, self.node, command.txn, command.step))
        job.context, job.revision = context, entry.mod_revision if entry else 0
        if job.known is not None and job.known.mark is not Mark.REFUSED:
            return self._claim(job.known.before)  # claimed before: the first before-image counts
        if command.phase.undoing:
            return self._drop()  # never claimed: there is nothing to undo
        if context.plan is None:
            return self._looked(_no_plan(context))
        assert job.step is not None
        job.stage = _Stage.CHECKING
        return [Check(job.step, context.plan, command.txn)]

    def _looked(self, answer: Checked | Failure) -> list[Effect]:
        job = self._job
        assert job is not None
        checked = answer if isinstance(answer, Failure) else within_bounds("before-image", answer.before)
        if isinstance(checked, Failure):
            job.stage = _Stage.REPORTING
            return self._write(Mark.REFUSED, failure=checked, guarded=True)
        return self._claim(checked)

    def _claim(self, before: Args) -> list[Effect]:
        job = self._job
        assert job is not None
        job.stage = _Stage.CLAIMING
        mark = Mark.UNDO_CLAIMED if job.command.phase.undoing else Mark.CLAIMED
        return self._write(mark, before=before, guarded=True)

    def _run(self) -> list[Effect]:
        job = self._job
        assert job is not None
        assert job.context is not None
        assert job.record is not None
        if job.context.plan is None:
            return self._ran(_no_plan(job.context))
        assert job.step is not None
        job.stage = _Stage.RUNNING
        undo = job.command.phase.undoing
        return [Run(job.step, job.context.plan, job.command.txn, job.record.before, undo)]

    def _ran(self, answer: Args | Failure) -> list[Effect]:
        job = self._job
        assert job is not None
        job.stage = _Stage.REPORTING
        undo = job.command.phase.undoing
        result = answer if isinstance(answer, Failure) else within_bounds("result", answer)
        if isinstance(result, Failure):
            return self._write(Mark.UNDO_FAILED if undo else Mark.FAILED, failure=result)
        return self._write(Mark.UNDONE if undo else Mark.DONE, result=result)

    # ------------------------------------------------------------ the record

    def _write(
        self,
        mark: Mark,
        *,
        before: Args | None = None,
        result: Args | None = None,
        failure: Failure | None = None,
        guarded: bool = False,
    ) -> list[Effect]:
        """Write the step's record: a claim compares lock, head and command, a report only its claim."""
        job = self._job
        assert job is not None
        base = job.record or job.known
        check_transition(job.command.step, base.mark if base else None, mark)
        record = StepRecord(
            step=job.command.step,
            mark=mark,
            phase=job.command.phase,
            attempt=job.command.attempt,
            before=before if before is not None else (base.before if base else {}),
            result=result if result is not None else (base.result if base else {}),
            error=failure.error[:SAID] if failure else "",
            hint=failure.hint[:SAID] if failure else "",
            retryable=failure.retryable if failure else False,
            instance=self.instance,
        )
        job.record = record
        return [self._commit(record, guarded=guarded)]

    def _commit(self, record: StepRecord, *, guarded: bool) -> StoreIt:
        job = self._job
        assert job is not None
        txn, step = job.command.txn, job.command.step
        key = keys.node_step(self.cluster, self.node, txn, step)
        guards: list[CreatedAt | ModifiedAt] = [ModifiedAt(key, job.revision)]
        if guarded:
            assert job.context is not None
            guards += [
                CreatedAt(keys.lock(self.cluster), job.command.phase.epoch),
                ModifiedAt(keys.head(self.cluster, txn), job.context.head_revision),
                ModifiedAt(keys.command(self.cluster, self.node, txn, step), job.command_revision),
            ]
        return StoreIt(Commit(when=tuple(guards), then=(Put(key, encode(record)),)))

    def _stored(self, committed: Committed | None) -> list[Effect]:
        if self._acknowledging:
            done, self._acknowledging = self._acknowledging, None
            if committed is None or not committed.succeeded:
                self._waiting = self._listing = True
                return [Relist(), Wait(RETRY_S)]
            self._note(keys.barrier(self.cluster, self.node), encode(done), committed.revision)
            return self._next()
        job = self._job
        assert job is not None
        assert job.record is not None
        if committed is None or not committed.succeeded:
            # Lost answer or lost race. A claim that did happen is found again in the listing and carried
            # on; an effect that ran but could not be reported is run again, which is harmless.
            return self._again()
        job.revision = committed.revision
        key = keys.node_step(self.cluster, self.node, job.command.txn, job.command.step)
        self._note(key, encode(job.record), committed.revision)
        if job.stage is _Stage.CLAIMING:
            return self._run()
        self._job = None
        return self._next()

    def _note(self, key: str, value: str, revision: int) -> None:
        """Take our own write without waiting for the watch."""
        known = self._entries.get(key)
        if known is None or known.mod_revision < revision:
            created = known.create_revision if known else revision
            self._entries[key] = Entry(key=key, value=value, create_revision=created, mod_revision=revision)

    def _acknowledge(self, barrier: Barrier) -> list[Effect]:
        key = keys.barrier(self.cluster, self.node)
        entry = self._entries.get(key)
        guard = ModifiedAt(key, entry.mod_revision if entry else 0)
        return [StoreIt(Commit(when=(guard,), then=(Put(key, encode(barrier)),)))]


def _no_plan(context: Context) -> Failure:
    """Return the answer to a command whose plan cannot be read or is not the one the head names."""
    return Failure(context.problem, "Nothing is done by a plan that was altered.", retryable=False)
