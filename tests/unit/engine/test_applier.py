"""The engine, event by event: answers that get lost, races that are lost, takeovers, and what it tells."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from reconciler.engine.applier import GONE_AFTER_S, Applier
from reconciler.engine.journal import reopen
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
from reconciler.model import keys
from reconciler.model.cluster import OnCrash
from reconciler.model.codec import decode, encode
from reconciler.model.configured import Secret
from reconciler.model.ids import StepId
from reconciler.model.report import ProgressKind
from reconciler.ports.store import Changes, ModifiedAt, WatchEnded
from reconciler.txn.machine import Turn
from reconciler.txn.record import Barrier, Command, Head, HeadState, Mark, Phase, StepRecord
from tests.sim.scenarios import CLUSTER as WIDE_CLUSTER
from tests.sim.scenarios import scenario
from tests.txn_samples import CLUSTER, PLAN, TXN, A, B, Journal

HEAD = keys.head(CLUSTER, TXN)


def secret() -> Secret:
    """Return credentials."""
    return Secret(username="u", password="p")


@dataclass(slots=True)
class Bench:
    """An engine with its store. Effects wait until they are asked for."""

    journal: Journal
    applier: Applier
    effects: list[Effect] = field(default_factory=list)
    heard: list[Event] = field(default_factory=list)

    def send(self, *events: Event) -> None:
        """Hand events over."""
        for event in events:
            self.effects += self.applier.handle(event)

    def listen(self) -> None:
        """Hand over what the watch has brought."""
        waiting, self.heard = self.heard, []
        self.send(*waiting)

    def load(self) -> None:
        """Hand over a fresh listing."""
        self.heard = []
        self.send(Loaded(self.journal.store.read_prefix(keys.cluster_prefix(CLUSTER))))

    def writes(self) -> list[Write]:
        """Return the writes that wait, and forget all effects."""
        found = [e for e in self.effects if isinstance(e, Write)]
        self.effects = []
        return found

    def perform(self, *, answer: bool = True, happens: bool = True) -> list[str]:
        """Perform the writes that wait, or lose them or their answers; return their keys."""
        made = self.writes()
        for write in made:
            done = self.journal.store.commit(write.commit) if happens else None
            self.send(Answered(write.tag, done if answer else None))
        return [op.key for w in made for op in w.commit.then if op.key == w.tag or "/cmd/" in op.key]

    def head(self) -> Head:
        """Return the head in the store."""
        entry = self.journal.store.read(HEAD)
        assert entry is not None
        return decode(Head, entry.value)

    def ends(self) -> list[Head | None]:
        """Return how it ended, if it did."""
        return [e.head for e in self.effects if isinstance(e, End)]

    def told(self) -> list[ProgressKind]:
        """Return what it has told."""
        return [e.event.kind for e in self.effects if isinstance(e, Tell)]


def bench(journal: Journal | None = None, *, epoch: int | None = None, live: bool = True) -> Bench:
    """Return an engine that has listed the store and follows it."""
    journal = journal or Journal()
    if live:
        journal.live(A, B)
    applier = Applier(
        CLUSTER,
        TXN,
        journal.plan,
        epoch=epoch or journal.epoch,
        holder="me",
        secret=secret,
    )
    made = Bench(journal, applier)
    made.send(Tick(100.0, 1_800_000_000))
    snapshot = journal.store.read_prefix(keys.cluster_prefix(CLUSTER))

    def sink(item: Changes | WatchEnded) -> None:
        assert isinstance(item, Changes)
        made.heard.append(item)

    journal.store.watch(keys.cluster_prefix(CLUSTER), snapshot.revision, sink)
    made.send(Loaded(snapshot))
    return made


def command_key(number: int) -> str:
    """Return the key of a step's command."""
    on = PLAN.steps[number - 1].node
    assert on is not None
    return keys.command(CLUSTER, on, TXN, StepId(number))


def commanded(made: Bench, number: int) -> Command:
    """Return the command in the store."""
    entry = made.journal.store.read(command_key(number))
    assert entry is not None
    return decode(Command, entry.value)


def done(made: Bench, *numbers: int) -> None:
    """Have nodes report steps as done, and the engine hear of it."""
    for number in numbers:
        made.journal.write_record(number, Mark.DONE, made.head().phase)
    made.listen()


# ---------------------------------------------------------------- from beginning to end


def test_a_transaction_from_the_first_command_to_the_end() -> None:
    made = bench()
    assert made.perform() == [command_key(1), command_key(2)]
    assert commanded(made, 1) == Command(
        txn=TXN,
        step=StepId(1),
        phase=made.journal.phase,
        attempt=1,
        plan_digest=made.journal.head.plan_digest,
    )
    made.listen()
    assert made.writes() == [], "it waits"
    done(made, 1, 2)
    assert made.perform() == [command_key(3)]
    made.listen()
    done(made, 3)
    store_step = keys.engine_step(CLUSTER, TXN, StepId(4))
    assert made.perform() == [store_step]
    assert made.journal.store.read(keys.settings(CLUSTER)) is not None, "in the same commit"
    made.listen()
    assert made.perform() == [HEAD]
    made.listen()
    assert made.head().state is HeadState.COMMITTED
    assert made.ends() == [made.head()]
    made.effects = []
    made.send(Tick(101.0, 2), LockGone())
    assert made.effects == [], "after the end it says nothing"


def test_news_are_told_once_and_in_step_order() -> None:
    made = bench()
    made.perform()
    made.listen()
    made.effects = []
    done(made, 1, 2)
    assert made.told() == [ProgressKind.DONE, ProgressKind.DONE]
    made.perform()
    made.listen()
    made.effects = []
    made.load()
    assert made.told() == []


# ---------------------------------------------------------------- lost answers and races


def test_a_lost_answer_is_settled_by_listing_again() -> None:
    made = bench()
    made.perform(answer=False, happens=False)
    assert made.effects == [Reload()], "both commands are in one commit"
    made.effects = []
    made.load()
    assert made.perform() == [command_key(1), command_key(2)], "they are not there: once more"


def test_a_write_that_happened_without_an_answer_is_not_made_again() -> None:
    made = bench()
    made.perform(answer=False)
    made.effects = []
    made.load()
    assert made.writes() == []


def test_a_write_under_way_is_not_made_twice() -> None:
    made = bench()
    (first,) = made.writes()
    assert [op.key for op in first.commit.then] == [command_key(1), command_key(2)]
    made.send(Tick(100.2, 1))
    assert made.writes() == []


def test_an_answer_to_a_batch_counts_for_all_its_keys() -> None:
    made = bench()
    (first,) = made.writes()
    made.send(Answered(first.tag, None))
    assert made.effects == [Reload()]
    made.effects = []
    made.applier._pending.pop(command_key(1), None)
    assert made.applier._pending == {}


def test_a_lost_race_is_settled_by_listing_again() -> None:
    made = bench()
    (first,) = made.writes()
    made.journal.put(command_key(1), "{}")
    answer = made.journal.store.commit(first.commit)
    assert not answer.succeeded
    made.send(Answered(first.tag, answer))
    assert made.effects == [Reload()]


def test_every_write_compares_lock_head_and_what_it_overwrites() -> None:
    def other_lock(journal: Journal) -> None:
        journal.lock("second")

    def other_head(journal: Journal) -> None:
        journal.write_head(HeadState.PAUSED, journal.phase)

    def other_command(journal: Journal) -> None:
        journal.put(command_key(1), "{}")

    def other_second(journal: Journal) -> None:
        journal.put(command_key(2), "{}")

    for meanwhile in (other_lock, other_head, other_command, other_second):
        made = bench()
        (first,) = made.writes()
        meanwhile(made.journal)
        assert not made.journal.store.commit(first.commit).succeeded, meanwhile.__name__


# ---------------------------------------------------------------- losing the lock, taking over


def test_an_engine_whose_lock_is_gone_ends_without_a_word_about_the_outcome() -> None:
    made = bench()
    made.effects = []
    made.send(LockGone())
    assert made.ends() == [None]
    gone = bench()
    gone.journal.delete(keys.lock(CLUSTER))
    gone.effects = []
    gone.listen()
    assert gone.ends() == [None]


def test_an_end_that_was_written_counts_even_if_the_lock_went_with_the_answer() -> None:
    made = bench()
    made.journal.write_head(HeadState.COMMITTED, made.journal.phase)
    made.journal.delete(keys.lock(CLUSTER))
    made.effects = []
    made.load()
    assert made.ends() == [made.head()]


def test_a_lost_lease_after_the_end_was_seen_does_not_hide_it() -> None:
    made = bench()
    made.journal.write_head(HeadState.COMMITTED, made.journal.phase)
    made.applier._mirror.load(made.journal.store.read_prefix(keys.cluster_prefix(CLUSTER)))
    made.effects = []
    made.send(LockGone())
    assert made.ends() == [made.head()]


def test_an_orphan_turns_before_anything_else_if_its_plan_says_so() -> None:
    for state, turns in ((None, True), (Mark.CLAIMED, False)):
        journal = Journal(replace(PLAN, on_crash=OnCrash.ROLLBACK))
        journal.write_record(1, Mark.DONE, journal.phase)
        if state is not None:
            for number in (2, 3):
                journal.write_record(number, Mark.DONE, journal.phase)
            pivot = StepRecord(step=StepId(4), mark=state, phase=journal.phase)
            journal.put(keys.engine_step(CLUSTER, TXN, StepId(4)), encode(pivot))
        epoch = journal.take_over()
        made = bench(journal, epoch=epoch)
        written = made.perform()
        assert (HEAD in written) is turns
        if turns:
            assert written == [HEAD]
            assert (made.head().phase, made.head().state) == (Phase(epoch, 1), HeadState.ROLLING_BACK)
            assert "has gone" in made.head().reason


def test_whoever_resumes_an_orphan_by_hand_goes_forward() -> None:
    journal = Journal(replace(PLAN, on_crash=OnCrash.ROLLBACK))
    epoch = journal.lock("second")
    reopen(journal.store, CLUSTER, journal.head, epoch, undo=False)
    made = bench(journal, epoch=epoch)
    assert made.perform() == [command_key(1), command_key(2)]


def test_a_step_that_is_dispensable_is_passed_over_when_its_node_is_gone_and_nothing_claims_it_then() -> None:
    first, second, third, last = PLAN.steps
    steps = (replace(first, dispensable=True), second, replace(third, node=B), last)
    journal = Journal(replace(PLAN, steps=steps))
    journal.live(B)
    made = bench(journal, live=False)
    made.perform()
    made.listen()
    made.send(Tick(101.0 + GONE_AFTER_S, 1_800_000_046))
    key = keys.node_step(CLUSTER, A, TXN, StepId(1))
    (write,) = made.writes()
    assert ModifiedAt(key, 0) in write.commit.when, "had it been claimed, this would not be written"
    assert made.journal.store.commit(write.commit).succeeded
    made.listen()
    entry = made.journal.store.read(key)
    assert entry is not None
    assert decode(StepRecord, entry.value).mark is Mark.PASSED
    assert ProgressKind.PASSED in made.told()


@pytest.mark.parametrize("epochs_later", [-1, 1000])
def test_an_engine_drives_no_transaction_of_another_epoch(epochs_later: int) -> None:
    journal = Journal()
    journal.write_head(HeadState.RUNNING, Phase(journal.epoch + epochs_later, 0))
    made = bench(journal)
    assert (made.ends(), made.writes()) == ([None], [])


def test_a_claim_of_the_former_phase_is_behind_a_barrier() -> None:
    journal = Journal()
    journal.command(1, journal.phase)
    journal.write_record(1, Mark.CLAIMED, journal.phase)
    made = bench(journal, epoch=journal.take_over())
    request = keys.barrier_request(CLUSTER, A)
    assert sorted(made.perform()) == sorted([request, command_key(2)])
    made.listen()
    assert made.writes() == []
    made.journal.put(keys.barrier(CLUSTER, A), encode(Barrier(txn=TXN, phase=made.head().phase)))
    made.listen()
    assert made.perform() == [command_key(1)]


# ---------------------------------------------------------------- turning back, stopping


def test_a_failure_turns_and_the_reason_is_told_and_kept() -> None:
    made = bench()
    made.perform()
    made.listen()
    made.effects = []
    made.journal.write_record(1, Mark.FAILED, made.journal.phase, error="disk full")
    made.listen()
    assert ProgressKind.ROLLING_BACK in made.told()
    made.perform()
    assert made.head().state is HeadState.ROLLING_BACK
    assert made.head().phase == Phase(made.journal.epoch, 1)
    assert "disk full" in made.head().reason


def test_a_stop_is_not_written_while_a_command_is_on_its_way() -> None:
    made = bench()
    made.perform()  # answered, but the watch has not shown the commands yet
    made.send(StopAsked())
    assert made.writes() == []
    made.listen()
    assert made.writes() == [], "they are out there: it waits for the nodes"
    done(made, 1, 2)
    assert made.perform() == [HEAD]
    assert made.head().state is HeadState.PAUSED


def test_a_node_is_given_up_by_our_own_clock_since_our_first_look() -> None:
    made = bench(live=False)
    made.perform()
    made.listen()
    made.send(Tick(100.0 + GONE_AFTER_S, 1))
    assert made.writes() == []
    made.journal.live(B)
    made.listen()
    made.send(Tick(100.1 + GONE_AFTER_S, 1))
    assert made.perform() == [HEAD]
    assert "the agent on gs1 is gone" in made.head().reason


def test_a_node_that_comes_back_in_time_is_waited_for_anew() -> None:
    made = bench(live=False)
    made.perform()
    for second, there in ((130.0, True), (131.0, False), (101.0 + GONE_AFTER_S, False)):
        for node in (A, B):
            if there:
                made.journal.live(node)
            else:
                made.journal.delete(keys.live(CLUSTER, node))
        made.send(Tick(second, 1))
        made.listen()
    assert made.writes() == [], "gone since second 131, not since the first look"
    made.send(Tick(131.1 + GONE_AFTER_S, 1))
    assert made.perform() == [HEAD]


# ---------------------------------------------------------------- what is not guessed at


def test_a_record_that_cannot_be_makes_the_transaction_stuck() -> None:
    for text in (
        '{"kind":"StepRecord","v":99}',
        encode(StepRecord(step=StepId(9), mark=Mark.DONE, phase=Phase(1, 0))),
    ):
        made = bench()
        made.perform()
        made.listen()
        made.journal.put(keys.node_step(CLUSTER, A, TXN, StepId(1)), text)
        made.listen()
        assert made.perform() == [HEAD]
        assert made.head().state is HeadState.STUCK
        made.effects = []
        made.listen()
        assert made.ends() == [made.head()]


# ---------------------------------------------------------------- store steps of several commits


@pytest.mark.parametrize("name", ["wide", "wide-delete"])
def test_several_commits_go_on_although_the_clock_does(name: str) -> None:
    # Each commit comes in another second: what it writes must not move with them.
    given = scenario(name)
    journal = Journal()
    given.store(journal.store)
    head = replace(journal.head, plan_digest="x")
    journal.put(HEAD, encode(head))
    applier = Applier(
        WIDE_CLUSTER,
        TXN,
        given.plan,
        epoch=journal.epoch,
        holder="me",
        secret=secret,
    )
    made = Bench(journal, applier)
    for second in range(20):
        made.send(Tick(float(second), 1_800_000_000 + second))
        made.load()
        if made.ends():
            break
        made.perform()
    assert made.head().state is HeadState.COMMITTED
    assert second < 10


def test_a_turn_compares_that_nothing_behind_the_point_of_no_return_was_claimed() -> None:
    made = bench()
    made.perform()
    made.listen()
    state = made.applier._state(made.head())
    assert made.applier._unclaimed(state) == []
    done(made, 1, 2, 3)
    (compare,) = made.applier._unclaimed(made.applier._state(made.head()))
    assert compare == ModifiedAt(keys.engine_step(CLUSTER, TXN, StepId(4)), 0)
    made.effects = made.applier._make(made.applier._state(made.head()), Turn("no"))
    (turn,) = made.writes()
    assert compare in turn.commit.when
