"""The agent's executor, event by event: what it does about every answer, and what it never does."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from reconciler.agent import messages as msg
from reconciler.agent.bounds import IMAGE as IMAGE_BYTES
from reconciler.agent.bounds import SAID
from reconciler.agent.executor import Executor
from reconciler.engine.journal import frozen_plan
from reconciler.errors import JournalError
from reconciler.model import keys
from reconciler.model.codec import decode, encode
from reconciler.model.ids import StepId
from reconciler.ports.node import Checked
from reconciler.ports.node import Effect as There
from reconciler.ports.store import Changes, Committed, WatchEnded
from reconciler.txn.record import Barrier, HeadState, Mark, Phase, StepRecord
from tests.txn_samples import CLUSTER, TXN, A, Journal

KEY = keys.node_step(CLUSTER, A, TXN, StepId(1))
IMAGE = {"was": "empty"}


@dataclass(slots=True)
class Bench:
    """An executor with its store; every effect waits until it is asked for."""

    journal: Journal
    executor: Executor
    effects: list[msg.Effect] = field(default_factory=list)
    heard: list[msg.Event] = field(default_factory=list)

    def send(self, event: msg.Event) -> list[msg.Effect]:
        """Hand an event over, and what the watch has brought before it."""
        waiting, self.heard = self.heard, []
        for one in (*waiting, event):
            self.effects += self.executor.handle(one)
        return self.effects

    def take(self) -> msg.Effect:
        """Return the one effect that is waiting."""
        for one in self.heard:
            self.effects += self.executor.handle(one)
        self.heard = []
        (effect,) = self.effects
        self.effects = []
        return effect

    def look(self) -> list[msg.Effect]:
        """Let the watch bring what it has; return what waits then."""
        return self.send(msg.Heard(()))

    def context(self, **more: object) -> list[msg.Effect]:
        """Answer a ReadContext."""
        assert isinstance(self.take(), msg.ReadContext)
        entry, lock = (self.journal.store.read(k) for k in (keys.head(CLUSTER, TXN), keys.lock(CLUSTER)))
        assert entry is not None
        head = self.journal.head
        plan = frozen_plan(self.journal.store, CLUSTER, head)
        answer = {"plan": plan, "problem": "", **more}
        epoch = lock.create_revision if lock else 0
        return self.send(msg.Context(head, entry.mod_revision, epoch, **answer))  # type: ignore[arg-type]

    def checked(self) -> list[msg.Effect]:
        """Answer a check with the before-image."""
        assert isinstance(self.take(), msg.Check)
        return self.send(msg.Looked(Checked(effect=There.ABSENT, before=IMAGE)))

    def store(self, *, answer: bool = True, happens: bool = True) -> Committed | None:
        """Perform the write that waits, or lose it or its answer."""
        effect = self.take()
        assert isinstance(effect, msg.StoreIt)
        done = self.journal.store.commit(effect.commit) if happens else None
        self.send(msg.Stored(done if answer else None))
        return done

    def relist(self) -> None:
        """After a lost answer: list again, wait, and go on."""
        kinds = [type(e) for e in self.effects]
        assert kinds == [msg.Relist, msg.Wait]
        self.effects = []
        self.send(msg.Listed(self.journal.store.read_prefix(keys.node_prefix(CLUSTER, A))))
        assert self.effects == [], "it waits first"
        self.send(msg.Again())

    def record(self) -> StepRecord | None:
        """Return the record of step 1."""
        entry = self.journal.store.read(KEY)
        return decode(StepRecord, entry.value) if entry else None


def bench(journal: Journal | None = None, *, phase: Phase | None = None) -> Bench:
    """Return an executor that has listed its keys and follows them."""
    journal = journal or Journal()
    made = Bench(journal, Executor(CLUSTER, A, "agent-1", phase=phase or Phase(0, 0)))
    prefix = keys.node_prefix(CLUSTER, A)
    snapshot = journal.store.read_prefix(prefix)

    def sink(item: Changes | WatchEnded) -> None:
        assert isinstance(item, Changes)
        made.heard.append(msg.Heard(item.changes))

    journal.store.watch(prefix, snapshot.revision, sink)
    made.send(msg.Listed(snapshot))
    return made


def mark(made: Bench) -> Mark | None:
    """Return the mark of step 1."""
    record = made.record()
    return record.mark if record else None


def claimed() -> Bench:
    """Return a bench whose step 1 is claimed and running."""
    made = bench()
    made.journal.command(1, made.journal.phase)
    made.context()
    made.checked()
    made.store()
    return made


# ---------------------------------------------------------------- one command


def test_a_command_is_checked_claimed_done_and_reported_in_this_order() -> None:
    made = bench()
    made.journal.command(1, made.journal.phase)
    made.context()
    made.checked()
    assert mark(made) is None, "the check writes nothing"
    made.store()
    record = made.record()
    assert record is not None
    assert (record.mark, record.before, record.instance) == (Mark.CLAIMED, IMAGE, "agent-1")
    run = made.take()
    assert isinstance(run, msg.Run)
    assert (run.step.step_id, run.before, run.undo) == (1, IMAGE, False)
    made.send(msg.Ran({"pid": 7}))
    made.store()
    record = made.record()
    assert record is not None
    assert (record.mark, record.before, record.result) == (Mark.DONE, IMAGE, {"pid": 7})
    assert made.look() == []
    assert not made.executor.busy


def test_a_check_that_says_no_is_recorded_and_nothing_is_run() -> None:
    made = bench()
    made.journal.command(1, made.journal.phase)
    made.context()
    made.take()
    made.send(msg.Looked(msg.Failure("foreign brick", "look", retryable=True)))
    made.store()
    record = made.record()
    assert record is not None
    assert (record.mark, record.error, record.retryable) == (Mark.REFUSED, "foreign brick", True)
    assert made.look() == []


def test_a_step_that_fails_keeps_its_before_image() -> None:
    made = claimed()
    made.take()
    made.send(msg.Ran(msg.Failure("no", "", retryable=False)))
    made.store()
    record = made.record()
    assert record is not None
    assert (record.mark, record.before, record.error) == (Mark.FAILED, IMAGE, "no")


def test_a_before_image_that_does_not_fit_into_the_journal_refuses_the_step() -> None:
    made = bench()
    made.journal.command(1, made.journal.phase)
    made.context()
    assert isinstance(made.take(), msg.Check)
    made.send(msg.Looked(Checked(effect=There.ABSENT, before={"names": "x" * IMAGE_BYTES})))
    made.store()
    record = made.record()
    assert record is not None
    assert (record.mark, record.before) == (Mark.REFUSED, {})
    assert f"at most {IMAGE_BYTES} are kept" in record.error
    assert made.look() == [], "nothing is run"


def test_what_a_step_says_is_cut_to_what_the_journal_takes() -> None:
    made = claimed()
    made.take()
    made.send(msg.Ran({"log": "x" * IMAGE_BYTES}))
    made.store()
    record = made.record()
    assert record is not None
    assert (record.mark, record.result) == (Mark.FAILED, {})
    made = claimed()
    made.take()
    made.send(msg.Ran(msg.Failure("e" * 300_000, "h" * 300_000, retryable=False)))
    made.store()
    record = made.record()
    assert record is not None
    assert (record.error, record.hint) == ("e" * SAID, "h" * SAID)


def test_an_undo_is_given_the_before_image_of_the_claim_and_not_checked() -> None:
    journal = Journal()
    journal.write_record(1, Mark.DONE, journal.phase, before=IMAGE)
    back = Phase(journal.epoch, 1)
    journal.write_head(HeadState.ROLLING_BACK, back)
    made = bench(journal)
    journal.command(1, back)
    made.context()
    made.store()
    assert mark(made) is Mark.UNDO_CLAIMED
    run = made.take()
    assert isinstance(run, msg.Run)
    assert (run.undo, run.before) == (True, IMAGE)
    made.send(msg.Ran(msg.Failure("busy", "", retryable=True)))
    made.store()
    assert mark(made) is Mark.UNDO_FAILED


@pytest.mark.parametrize("before", [None, Mark.REFUSED])
def test_an_undo_of_what_never_began_does_nothing(before: Mark | None) -> None:
    journal = Journal()
    if before:
        journal.write_record(1, before, journal.phase)
    back = Phase(journal.epoch, 1)
    journal.write_head(HeadState.ROLLING_BACK, back)
    made = bench(journal)
    journal.command(1, back)
    assert made.look() != []
    assert made.context() == []
    assert mark(made) is before


def test_a_retry_keeps_the_first_before_image_and_a_refused_step_is_checked_anew() -> None:
    journal = Journal()
    journal.write_record(1, Mark.FAILED, journal.phase, before=IMAGE, retryable=True)
    made = bench(journal)
    journal.command(1, journal.phase, attempt=2)
    made.context()
    made.store()
    record = made.record()
    assert record is not None
    assert (record.mark, record.attempt, record.before) == (Mark.CLAIMED, 2, IMAGE)
    refused = Journal()
    refused.write_record(1, Mark.REFUSED, refused.phase)
    made = bench(refused)
    refused.command(1, refused.phase, attempt=2)
    made.context()
    assert isinstance(made.take(), msg.Check)


# ---------------------------------------------------------------- lost answers and lost races


def test_a_claim_whose_answer_is_lost_but_that_happened_is_carried_on() -> None:
    made = bench()
    made.journal.command(1, made.journal.phase)
    made.context()
    made.checked()
    made.store(answer=False)
    made.relist()
    made.context()
    made.store()  # the same claim again: the record says who runs it
    run = made.take()
    assert isinstance(run, msg.Run)
    assert run.before == IMAGE


def test_a_claim_that_did_not_happen_begins_with_a_new_look() -> None:
    made = bench()
    made.journal.command(1, made.journal.phase)
    made.context()
    made.checked()
    made.store(answer=False, happens=False)
    assert mark(made) is None
    made.relist()
    made.context()
    assert isinstance(made.take(), msg.Check)


def test_a_report_whose_answer_is_lost_but_that_happened_ends_it() -> None:
    made = claimed()
    made.take()
    made.send(msg.Ran({}))
    made.store(answer=False)
    made.relist()
    assert made.effects == []
    assert mark(made) is Mark.DONE


def test_a_report_that_did_not_happen_is_brought_about_by_running_again() -> None:
    made = claimed()
    made.take()
    made.send(msg.Ran({}))
    made.store(answer=False, happens=False)
    made.relist()
    made.context()
    made.store()
    assert isinstance(made.take(), msg.Run)


def test_a_claim_loses_against_a_turn_a_takeover_and_another_command() -> None:
    def turn(journal: Journal) -> None:
        journal.write_head(HeadState.ROLLING_BACK, Phase(journal.epoch, 1))

    def lock(journal: Journal) -> None:
        journal.lock("second")

    def command(journal: Journal) -> None:
        journal.command(1, journal.phase, attempt=2)

    for meanwhile in (turn, lock, command):
        made = bench()
        made.journal.command(1, made.journal.phase)
        made.context()
        made.checked()
        meanwhile(made.journal)
        done = made.store()
        assert done is not None
        assert not done.succeeded, meanwhile.__name__
        assert mark(made) is None


# ---------------------------------------------------------------- fencing


def test_a_command_below_the_durable_phase_is_not_looked_at() -> None:
    # As after etcd was restored from an older backup: head and lock fit, this node knows better.
    journal = Journal()
    made = bench(journal, phase=Phase(journal.epoch, 1))
    journal.command(1, journal.phase)
    assert made.look() == []


def test_a_command_that_does_not_fit_head_or_lock_is_set_aside_until_it_changes() -> None:
    journal = Journal()
    made = bench(journal)
    journal.command(1, journal.phase)
    later = Phase(journal.lock("second"), 0)
    assert made.context() == [], "nobody of that epoch holds the lock"
    assert made.look() == []
    journal.write_head(HeadState.RUNNING, later)
    journal.command(1, later)
    made.context()
    assert isinstance(made.take(), msg.Check)


def test_a_command_of_another_plan_is_set_aside() -> None:
    journal = Journal()
    command = journal.command(1, journal.phase)
    other = replace(command, plan_digest="sha256:0")
    journal.put(keys.command(CLUSTER, A, TXN, StepId(1)), encode(other))
    made = bench(journal)
    assert made.context() == []
    assert mark(made) is None


@pytest.mark.parametrize("at_rest", [HeadState.PAUSED, HeadState.STUCK, HeadState.COMMITTED])
def test_nothing_begins_in_a_transaction_at_rest(at_rest: HeadState) -> None:
    journal = Journal()
    journal.write_head(at_rest, journal.phase)
    made = bench(journal)
    journal.command(1, journal.phase)
    made.look()
    assert made.context() == []


def test_an_answered_command_is_not_executed_again() -> None:
    journal = Journal()
    journal.write_record(1, Mark.DONE, journal.phase)
    journal.command(1, journal.phase)
    assert bench(journal).look() == []


def test_a_late_report_of_an_older_phase_leaves_nothing_to_do() -> None:
    journal = Journal()
    old, journal.phase = journal.phase, Phase(journal.lock("second"), 0)
    journal.write_head(HeadState.RUNNING, journal.phase)
    journal.write_record(1, Mark.CLAIMED, old, before=IMAGE)
    made = bench(journal)
    journal.command(1, journal.phase)
    made.look()
    journal.write_record(1, Mark.DONE, old, before=IMAGE)  # arrives while the context is read
    assert made.context() == []
    assert mark(made) is Mark.DONE


def test_a_barrier_is_kept_on_the_disk_then_acknowledged_and_comes_before_commands() -> None:
    journal = Journal()
    made = bench(journal)
    asked = Barrier(txn=TXN, phase=journal.phase)
    journal.command(1, journal.phase)
    journal.put(keys.barrier_request(CLUSTER, A), encode(asked))
    # The command came first on the watch; its context is being read: nothing older is going on yet.
    made.context()
    made.checked()
    assert made.executor.busy
    made.store()
    made.take()
    made.send(msg.Ran({}))
    assert journal.store.read(keys.barrier(CLUSTER, A)) is None, "not with a step under way"
    made.store()
    keep = made.take()
    assert isinstance(keep, msg.KeepPhase)
    made.send(msg.PhaseKept(keep.barrier))
    made.store()
    entry = journal.store.read(keys.barrier(CLUSTER, A))
    assert entry is not None
    assert decode(Barrier, entry.value) == Barrier(txn=TXN, phase=journal.phase, instance="agent-1")
    assert made.look() == [], "acknowledged once"
    assert made.executor.phase == journal.phase


def test_an_acknowledgement_whose_answer_is_lost_is_looked_up() -> None:
    for happens in (True, False):
        journal = Journal()
        made = bench(journal)
        journal.put(keys.barrier_request(CLUSTER, A), encode(Barrier(txn=TXN, phase=journal.phase)))
        keep = made.take()
        assert isinstance(keep, msg.KeepPhase)
        made.send(msg.PhaseKept(keep.barrier))
        made.store(answer=False, happens=happens)
        made.relist()
        assert [type(e) for e in made.effects] == ([] if happens else [msg.KeepPhase])


# ---------------------------------------------------------------- after a restart


@pytest.mark.parametrize("undo", [False, True])
def test_an_open_claim_is_carried_on_with_its_before_image(undo: bool) -> None:
    journal = Journal()
    phase = Phase(journal.epoch, int(undo))
    journal.write_head(HeadState.ROLLING_BACK if undo else HeadState.RUNNING, phase)
    journal.write_record(1, Mark.UNDO_CLAIMED if undo else Mark.CLAIMED, phase, before=IMAGE, instance="old")
    journal.command(1, phase)
    made = bench(journal)
    made.context()
    made.store()
    record = made.record()
    assert record is not None
    assert record.instance == "agent-1"
    run = made.take()
    assert isinstance(run, msg.Run)
    assert (run.undo, run.before) == (undo, IMAGE)


# ---------------------------------------------------------------- what is not guessed at


def test_a_plan_that_cannot_be_read_refuses_the_step() -> None:
    made = bench()
    made.journal.command(1, made.journal.phase)
    made.context(plan=None, problem="altered")
    made.store()
    record = made.record()
    assert record is not None
    assert (record.mark, record.error, record.retryable) == (Mark.REFUSED, "altered", False)


def test_a_plan_that_cannot_be_read_any_more_fails_the_undo_without_running_it() -> None:
    journal = Journal()
    journal.write_record(1, Mark.DONE, journal.phase, before=IMAGE)
    back = Phase(journal.epoch, 1)
    journal.write_head(HeadState.ROLLING_BACK, back)
    made = bench(journal)
    journal.command(1, back)
    made.context(plan=None, problem="altered")
    made.store()
    made.store()
    assert mark(made) is Mark.UNDO_FAILED


def test_a_configuration_that_has_not_arrived_is_waited_for() -> None:
    made = bench()
    made.journal.command(1, made.journal.phase)
    made.context(problem="generation 3 has not arrived")
    made.relist()
    assert isinstance(made.take(), msg.ReadContext)


def test_a_record_that_cannot_be_read_stops_its_command_only() -> None:
    journal = Journal()
    journal.put(KEY, '{"kind":"StepRecord","v":99}')
    journal.command(1, journal.phase)
    journal.command(3, journal.phase)
    made = bench(journal)
    effect = made.take()
    assert isinstance(effect, msg.ReadContext)
    assert effect.command.step == 3


def test_an_illegal_change_of_a_record_is_never_written() -> None:
    journal = Journal()
    journal.write_record(1, Mark.UNDONE, Phase(1, 1))
    made = bench(journal)
    journal.command(1, journal.phase)
    with pytest.raises(JournalError, match="cannot go from undone to claimed"):
        made.context()
