"""Which ended transactions go, in which order their keys do, and that a crash on the way does no harm."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from reconciler.adapters.clock import SystemClock
from reconciler.adapters.memory_store import MemoryStore
from reconciler.controller.removal import remove_ended
from reconciler.controller.steward import Steward
from reconciler.controller.transactions import summaries, transaction
from reconciler.engine.journal import begin, frozen_plan, heads
from reconciler.engine.retention import KEEP, SLACK, node_keys, superfluous
from reconciler.errors import OutcomeUnknown, StalePlan
from reconciler.model import keys
from reconciler.model.codec import encode
from reconciler.model.ids import StepId, TxnId
from reconciler.ports.store import MAX_OPS, Commit, Committed, Put, Snapshot
from reconciler.txn.record import HeadState, Mark
from tests.txn_samples import CLUSTER, PLAN, TXN, A, B, Journal, head

HEAD = keys.head(CLUSTER, TXN)


class Dying(MemoryStore):
    """A client that is gone before or after its n-th commit."""

    def __init__(self, shared: MemoryStore, last: int, *, after: bool) -> None:
        super().__init__(shared=shared._data)
        self.left, self.after = last, after

    def commit(self, commit: Commit) -> Committed:
        self.left -= 1
        if self.left > 0:
            return super().commit(commit)
        if self.left == 0 and self.after:
            super().commit(commit)
        raise OutcomeUnknown("gone")


def ended(many: int = 3, state: HeadState = HeadState.COMMITTED) -> Journal:
    """Return the sample transaction, ended, with keys of `many` steps at each of two nodes."""
    journal = Journal()
    for number in range(1, many + 1):
        for on in (A, B):
            journal.put(keys.command(CLUSTER, on, TXN, StepId(number)), "a command")
            journal.put(keys.node_step(CLUSTER, on, TXN, StepId(number)), "a record")
    journal.put(keys.engine_step(CLUSTER, TXN, StepId(many + 1)), "a record")
    journal.write_head(state, journal.phase)
    return journal


def at_nodes(store: MemoryStore) -> tuple[str, ...]:
    return node_keys(CLUSTER, store.read_prefix(keys.nodes_prefix(CLUSTER)).entries).get(TXN, ())


def left(store: MemoryStore) -> set[str]:
    """Return all keys that name the transaction."""
    return {e.key for e in store.read_prefix("").entries if TXN in e.key.split("/")}


def test_the_newest_stay_and_the_oldest_go_first() -> None:
    every = [(n, TxnId(f"t-{n}")) for n in range(1, KEEP + SLACK + 1)]
    assert superfluous(every) == ()
    every.append((KEEP + SLACK + 1, TxnId("t-new")))
    assert superfluous(reversed(every)) == tuple(TxnId(f"t-{n}") for n in range(1, SLACK + 2))


def test_everything_of_a_transaction_goes_and_nothing_else() -> None:
    journal = ended()
    other = keys.node_step(CLUSTER, A, TxnId("t-other"), StepId(1))
    for key in (other, keys.live(CLUSTER, A), keys.barrier(CLUSTER, A), keys.head(CLUSTER, TxnId("t-other"))):
        journal.put(key, "stays")
    stays = {e.key for e in journal.store.read_prefix("").entries} - left(journal.store)
    assert remove_ended(journal.store, CLUSTER, TXN, at_nodes(journal.store))
    assert {e.key for e in journal.store.read_prefix("").entries} == stays


@pytest.mark.parametrize("state", [s for s in HeadState if not s.terminal])
def test_an_open_one_is_left_alone(state: HeadState) -> None:
    journal = ended(state=state)
    before = left(journal.store)
    assert not remove_ended(journal.store, CLUSTER, TXN, at_nodes(journal.store))
    assert left(journal.store) == before


def test_a_head_that_changes_meanwhile_ends_it() -> None:
    journal = ended()

    class Racing(MemoryStore):
        def commit(self, commit: Commit) -> Committed:
            journal.write_head(HeadState.RUNNING, journal.phase)
            return super().commit(commit)

    before = left(journal.store)
    racing = Racing(shared=journal.store._data)
    assert not remove_ended(racing, CLUSTER, TXN, at_nodes(journal.store))
    assert left(journal.store) == before


def commits_of(do: Callable[[MemoryStore], object], store: MemoryStore) -> list[Commit]:
    made: list[Commit] = []

    class Noting(MemoryStore):
        def commit(self, commit: Commit) -> Committed:
            made.append(commit)
            return super().commit(commit)

    do(Noting(shared=store._data))
    return made


def test_no_command_is_ever_there_without_its_record_and_the_plan_goes_with_the_head() -> None:
    journal = ended(80)
    names = at_nodes(journal.store)
    made = commits_of(lambda s: remove_ended(s, CLUSTER, TXN, names), journal.store)
    order = [operation.key for commit in made for operation in commit.then]
    kinds = [key.split("/")[5] for key in order if "/node/" in key]
    assert kinds == ["cmd"] * 160 + ["step"] * 160
    assert {o.key for o in made[-1].then} == {HEAD, keys.plan_chunk(CLUSTER, TXN, 0)}
    assert [len(c.then) <= MAX_OPS for c in made] == [True] * 5
    assert len(set(order)) == len(order)


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_at_every_commit_is_finished_by_doing_it_again(after: bool) -> None:
    for last in range(1, 20):
        journal = ended(80)
        whole = journal.store
        dying = Dying(whole, last, after=after)
        try:
            done = remove_ended(dying, CLUSTER, TXN, at_nodes(whole))
        except OutcomeUnknown:
            done = False
        if done:
            break
        listing = whole.read_prefix(keys.cluster_prefix(CLUSTER))
        found = heads(listing, CLUSTER)
        if found:  # listed as it ended, its plan readable, and the plan is not taken a second time
            assert [s.state for s in summaries(found)] == ["committed"]
            assert frozen_plan(whole, CLUSTER, found[0]) == PLAN
            with pytest.raises(StalePlan, match="was applied before"):
                begin(whole, CLUSTER, PLAN, head(journal.phase), journal.epoch)
        else:
            assert left(whole) == set(), "without a head nothing of it may be left"
        remove_ended(whole, CLUSTER, TXN, at_nodes(whole))
        assert left(whole) == set()
    assert last == 6


def test_a_half_removed_transaction_can_be_shown() -> None:
    journal = Journal()
    for number in (1, 2, 3):
        journal.command(number, journal.phase)
        journal.write_record(number, Mark.DONE, journal.phase)
    journal.write_head(HeadState.COMMITTED, journal.phase)
    for key in at_nodes(journal.store)[:4]:
        journal.delete(key)
    listing = journal.store.read_prefix(keys.cluster_prefix(CLUSTER))
    shown = transaction(TXN, listing, CLUSTER, lambda h: frozen_plan(journal.store, CLUSTER, h))
    assert (shown.state, len(shown.steps)) == ("committed", 4)


# ---------------------------------------------------------------- the steward does it


def history(many: int) -> MemoryStore:
    """Return a store with many ended transactions and nobody at work; the oldest is the sample."""
    journal = ended()
    journal.delete(keys.lock(CLUSTER))
    for number in range(1, many):
        txn = TxnId(f"t-{number:03}")
        made = replace(journal.head, txn=txn, started_at=0)
        journal.put(keys.plan_chunk(CLUSTER, txn, 0), "a plan")
        journal.put(keys.node_step(CLUSTER, A, txn, StepId(1)), "a record")
        journal.put(keys.head(CLUSTER, txn), encode(made))
    return journal.store


def steward(store: MemoryStore, stop: threading.Event | None = None) -> Steward:
    return Steward(store, CLUSTER, SystemClock(), stop or threading.Event())


def kept(store: MemoryStore) -> int:
    return len(heads(store.read_prefix(keys.all_txns_prefix(CLUSTER)), CLUSTER))


def test_an_idle_steward_removes_the_oldest() -> None:
    store = history(KEEP + SLACK)
    assert steward(store).look_once() is None
    assert kept(store) == KEEP + SLACK
    store.commit(Commit(when=(), then=(Put(keys.head(CLUSTER, TxnId("t-x")), _sample(store)),)))
    assert steward(store).look_once() is None
    assert kept(store) == KEEP
    assert left(store) == set()
    assert len(store.read_prefix(keys.node_steps_prefix(CLUSTER, A)).entries) == KEEP - 1


def _sample(store: MemoryStore) -> str:
    found = heads(store.read_prefix(keys.all_txns_prefix(CLUSTER)), CLUSTER)
    return encode(replace(found[0], txn=TxnId("t-x")))


def test_it_leaves_them_while_somebody_holds_the_lock_or_it_is_to_stop() -> None:
    store = history(KEEP + SLACK + 1)
    stop = threading.Event()
    stop.set()
    steward(store, stop).look_once()
    assert kept(store) == KEEP + SLACK + 1
    store.commit(Commit(when=(), then=(Put(keys.lock(CLUSTER), "held"),)))
    listed: list[str] = []

    class Noting(MemoryStore):
        def read_prefix(self, prefix: str) -> Snapshot:
            listed.append(prefix)
            return super().read_prefix(prefix)

    steward(Noting(shared=store._data)).look_once()
    assert keys.nodes_prefix(CLUSTER) not in listed, "it would be listed at every tick of an apply"
    assert kept(store) == KEEP + SLACK + 1


def test_two_stewards_at_once_do_it_once() -> None:
    store = history(KEEP + SLACK + 1)
    threads = [threading.Thread(target=steward(store.another()).look_once) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10.0)
    assert kept(store) == KEEP
    assert left(store) == set()
