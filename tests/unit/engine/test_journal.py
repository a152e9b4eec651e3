"""Beginning, opening again and reading back, with answers that get lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from reconciler.adapters.memory_store import MemoryStore
from reconciler.engine.frozen import packed
from reconciler.engine.journal import (
    CERTAIN_TRIES,
    MAX_TAKEOVERS,
    begin,
    frozen_plan,
    heads,
    open_heads,
    reopen,
    stop_for_good,
    take_over,
    txn_of,
)
from reconciler.errors import JournalError, OutcomeUnknown, StalePlan
from reconciler.model import keys
from reconciler.model.codec import decode, encode
from reconciler.model.ids import Address, PeerName
from reconciler.plan.document import canonical_text
from reconciler.plan.step import ReadKey
from reconciler.ports.store import MAX_OPS, Commit, Committed, Delete, Entry, Put
from reconciler.txn.record import Head, HeadState, Phase
from tests.plan_samples import CREATE
from tests.txn_samples import CLUSTER, PLAN, TXN, Journal, head

HEAD = keys.head(CLUSTER, TXN)
CHUNK = keys.plan_chunk(CLUSTER, TXN, 0)


class Scripted:
    """A store that does something of its own at some commits, counted from 1."""

    def __init__(self, store: MemoryStore, script: dict[int, Callable[[Commit], Committed]]) -> None:
        self._store, self._script, self.commits = store, script, 0

    def read(self, key: str) -> Entry | None:
        return self._store.read(key)

    def commit(self, commit: Commit) -> Committed:
        self.commits += 1
        return self._script.get(self.commits, self._store.commit)(commit)


def unsent(_: Commit) -> Committed:
    raise OutcomeUnknown("no answer")


def locked() -> tuple[MemoryStore, int]:
    """Return a store whose lock is held, without a transaction."""
    journal = Journal()
    for key in (HEAD, CHUNK):
        journal.delete(key)
    return journal.store, journal.epoch


def test_a_plan_is_frozen_and_read_back() -> None:
    store, epoch = locked()
    begun = begin(store, CLUSTER, PLAN, head(Phase(epoch, 0)), epoch)
    assert begun.txn == txn_of(PLAN)
    assert frozen_plan(store, CLUSTER, begun) == PLAN
    listed = heads(store.read_prefix(keys.cluster_prefix(CLUSTER)), CLUSTER)
    assert listed == (begun,) == open_heads(listed)
    assert open_heads([replace(begun, state=HeadState.COMMITTED)]) == ()


def test_a_plan_is_used_once() -> None:
    journal = Journal()
    with pytest.raises(StalePlan, match="was applied before"):
        begin(journal.store, CLUSTER, PLAN, head(journal.phase), journal.epoch)


@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("happens", [True, False])
def test_a_lost_answer_is_settled_by_reading(at: int, happens: bool) -> None:
    store, epoch = locked()

    def unheard(commit: Commit) -> Committed:
        store.commit(commit)
        raise OutcomeUnknown("no answer")

    scripted = Scripted(store, {at: unheard if happens else unsent})
    begun = begin(scripted, CLUSTER, PLAN, head(Phase(epoch, 0)), epoch)  # type: ignore[arg-type]
    assert frozen_plan(store, CLUSTER, begun) == PLAN


def test_a_first_try_that_arrives_before_the_second_is_no_refusal() -> None:
    store, epoch = locked()
    late: list[Commit] = []

    def first(commit: Commit) -> Committed:
        late.append(commit)
        raise OutcomeUnknown("no answer")

    def second(commit: Commit) -> Committed:
        assert store.commit(late[0]).succeeded
        return store.commit(commit)

    scripted = Scripted(store, {2: first, 3: second})
    begun = begin(scripted, CLUSTER, PLAN, head(Phase(epoch, 0)), epoch)  # type: ignore[arg-type]
    entry = store.read(HEAD)
    assert entry is not None
    assert decode(Head, entry.value) == begun


def test_a_store_that_never_answers_is_said_so() -> None:
    store, epoch = locked()
    scripted = Scripted(store, dict.fromkeys(range(1, 50), unsent))
    with pytest.raises(OutcomeUnknown):
        begin(scripted, CLUSTER, PLAN, head(Phase(epoch, 0)), epoch)  # type: ignore[arg-type]
    assert scripted.commits == CERTAIN_TRIES


def test_nothing_begins_without_the_lock() -> None:
    store, epoch = locked()
    with pytest.raises(StalePlan, match="somebody else took the lock"):
        begin(store, CLUSTER, PLAN, head(Phase(epoch + 1, 0)), epoch + 1)
    assert store.read(CHUNK) is None
    assert store.read(HEAD) is None


def test_a_chunk_of_another_text_is_never_taken_for_ours() -> None:
    store, epoch = locked()
    store.commit(Commit(when=(), then=(Put(CHUNK, "other"),)))
    with pytest.raises(JournalError, match="another text"):
        begin(store, CLUSTER, PLAN, head(Phase(epoch, 0)), epoch)
    assert store.read(HEAD) is None


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("settings", keys.settings(CLUSTER)),
        (
            "peer/gs1",
            keys.peer(CLUSTER, CREATE.volumes and next(iter(CREATE.volumes.values())).bricks[0].peer),
        ),
        ("volume/home", keys.volume(CLUSTER, next(iter(CREATE.volumes)))),
    ],
)
def test_a_plan_made_from_something_that_changed_is_stale(address: str, key: str) -> None:
    store, epoch = locked()
    made = replace(CREATE, read_set=(ReadKey(address=Address(address), mod_revision=0),))
    store.commit(Commit(when=(), then=(Put(key, "changed"),)))
    with pytest.raises(StalePlan, match=address):
        begin(store, CLUSTER, made, replace(head(Phase(epoch, 0)), txn=txn_of(made)), epoch)
    assert store.read(keys.head(CLUSTER, txn_of(made))) is None


def test_a_plan_that_reads_more_than_a_commit_can_compare_is_refused_like_any_other() -> None:
    """The last of 101 objects has changed, and then nothing has."""
    store, epoch = locked()
    peers = [PeerName(f"gs{n:03}") for n in range(MAX_OPS + 1)]
    made = replace(
        CREATE, read_set=tuple(ReadKey(address=Address(f"peer/{p}"), mod_revision=0) for p in peers)
    )
    fresh = replace(head(Phase(epoch, 0)), txn=txn_of(made))
    last = keys.peer(CLUSTER, peers[-1])
    store.commit(Commit(when=(), then=(Put(last, "changed"),)))
    with pytest.raises(StalePlan, match=f"peer/{peers[-1]}"):
        begin(store, CLUSTER, made, fresh, epoch)
    assert store.read(keys.head(CLUSTER, txn_of(made))) is None
    store.commit(Commit(when=(), then=(Delete(last),)))
    assert frozen_plan(store, CLUSTER, begin(store, CLUSTER, made, fresh, epoch)) == made


# ---------------------------------------------------------------- reading back


@pytest.mark.parametrize("step", [1, 97])
def test_every_single_altered_place_of_the_frozen_plan_is_noticed(step: int) -> None:
    journal = Journal()
    text = canonical_text(PLAN)
    (stored,) = packed(text)
    whole = stored if step == 1 else text  # as it is written, and as it was before plans were packed
    for place in range(0, len(whole), step):
        altered = whole[:place] + chr((ord(whole[place]) % 90) + 33) + whole[place + 1 :]
        if altered != whole:
            journal.put(CHUNK, altered)
            with pytest.raises(JournalError):
                frozen_plan(journal.store, CLUSTER, journal.head)
    for cut in (whole[:-1], whole + whole[-1], whole + whole, ""):
        journal.put(CHUNK, cut)
        with pytest.raises(JournalError):
            frozen_plan(journal.store, CLUSTER, journal.head)


def test_a_plan_frozen_before_plans_were_packed_is_still_read() -> None:
    journal = Journal()
    text = canonical_text(PLAN)
    journal.put(CHUNK, text[:1000])
    journal.put(keys.plan_chunk(CLUSTER, TXN, 1), text[1000:])
    assert frozen_plan(journal.store, CLUSTER, replace(journal.head, chunks=2)) == PLAN


def test_another_whole_plan_and_a_missing_chunk_are_noticed() -> None:
    journal = Journal()
    (other,) = packed(canonical_text(CREATE))
    journal.put(CHUNK, other)
    with pytest.raises(JournalError, match="not the one that its head names"):
        frozen_plan(journal.store, CLUSTER, journal.head)
    journal.delete(CHUNK)
    with pytest.raises(JournalError, match="chunk 0 of its plan is missing"):
        frozen_plan(journal.store, CLUSTER, journal.head)


# ---------------------------------------------------------------- opening again, stopping for good


@pytest.mark.parametrize(
    ("state", "direction", "undo", "after", "way"),
    [
        (HeadState.PAUSED, 0, False, HeadState.RUNNING, 0),
        (HeadState.PAUSED, 0, True, HeadState.ROLLING_BACK, 1),
        (HeadState.PAUSED, 1, False, HeadState.ROLLING_BACK, 1),
        (HeadState.STUCK, 1, True, HeadState.ROLLING_BACK, 1),
    ],
)
def test_a_transaction_is_opened_in_a_phase_of_the_new_lock(
    state: HeadState,
    direction: int,
    undo: bool,
    after: HeadState,
    way: int,
) -> None:
    journal = Journal()
    journal.write_head(state, Phase(journal.epoch, direction))
    journal.head = replace(journal.head, attempts=4)
    journal.put(HEAD, encode(journal.head))
    epoch = journal.lock("human")
    opened = reopen(journal.store, CLUSTER, journal.head, epoch, undo=undo)
    assert (opened.state, opened.phase) == (after, Phase(epoch, way))
    assert opened.attempts == 1, "somebody has looked at it: takeovers are counted anew"
    entry = journal.store.read(HEAD)
    assert entry is not None
    assert decode(Head, entry.value) == opened


def test_a_transaction_that_moved_on_is_not_opened() -> None:
    journal = Journal()
    seen = journal.head
    journal.write_head(HeadState.STUCK, journal.phase)
    with pytest.raises(StalePlan, match="has moved on"):
        reopen(journal.store, CLUSTER, seen, journal.epoch, undo=True)
    with pytest.raises(StalePlan, match="has moved on"):
        reopen(journal.store, CLUSTER, journal.head, journal.epoch + 1, undo=True)


@pytest.mark.parametrize(("state", "direction"), [(HeadState.RUNNING, 0), (HeadState.ROLLING_BACK, 1)])
def test_a_takeover_opens_a_new_phase_in_the_same_direction(state: HeadState, direction: int) -> None:
    journal = Journal()
    journal.write_head(state, Phase(journal.epoch, direction))
    epoch = journal.lock("second")
    taken = take_over(journal.store, CLUSTER, journal.head, epoch, "second")
    assert (taken.state, taken.phase, taken.attempts) == (state, Phase(epoch, direction), 2)
    assert taken.holder == "second"
    entry = journal.store.read(HEAD)
    assert entry is not None
    assert decode(Head, entry.value) == taken


def test_a_transaction_taken_up_too_often_is_paused() -> None:
    journal = Journal()
    for attempts in range(2, MAX_TAKEOVERS + 1):
        journal.take_over()
        assert (journal.head.state, journal.head.attempts) == (HeadState.RUNNING, attempts)
    journal.take_over()
    assert journal.head.state is HeadState.PAUSED
    assert f"taken up {MAX_TAKEOVERS} times" in journal.head.reason


def test_whoever_has_lost_the_lock_takes_nothing_over() -> None:
    journal = Journal()
    seen, epoch = journal.head, journal.lock("second")
    journal.take_over()
    with pytest.raises(StalePlan, match="has moved on"):
        take_over(journal.store, CLUSTER, journal.head, epoch, "second")
    with pytest.raises(StalePlan, match="has moved on"):
        take_over(journal.store, CLUSTER, seen, journal.head.phase.epoch, "second")


def test_a_transaction_that_cannot_go_on_is_stuck_with_the_reason() -> None:
    journal = Journal()
    epoch = journal.lock("steward")
    stuck = stop_for_good(journal.store, CLUSTER, journal.head, epoch, "altered")
    assert (stuck.state, stuck.reason, stuck.phase) == (HeadState.STUCK, "altered", Phase(epoch, 0))
    with pytest.raises(StalePlan):
        stop_for_good(journal.store, CLUSTER, journal.head, epoch, "altered")
