"""The steward between transactions: what it knows from its watches, and that knowing costs nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from reconciler.adapters.clock import SystemClock
from reconciler.adapters.memory_store import MemoryStore
from reconciler.controller import steward as module
from reconciler.controller.outlook import Outlook
from reconciler.controller.steward import Steward
from reconciler.errors import JournalError, StoreRestored, StoreUnavailable
from reconciler.model import keys
from reconciler.model.codec import decode, encode
from reconciler.model.ids import PeerName, TxnId
from reconciler.model.observed import Doubt
from reconciler.ports.store import Change, Commit, Committed, Entry, Put, Snapshot, WatchEnded
from reconciler.txn.record import Head, HeadState, LockRecord, Phase
from tests.plan_samples import node
from tests.txn_samples import CLUSTER, TXN, Journal, head

HEAD, LOCK = keys.head(CLUSTER, TXN), keys.lock(CLUSTER)


class Counting(MemoryStore):
    """A client that counts what is asked of it."""

    def __init__(self, shared: MemoryStore) -> None:
        super().__init__(shared=shared._data)
        self.asked: list[str] = []

    def read(self, key: str) -> Entry | None:
        self.asked.append(f"read {key}")
        return super().read(key)

    def read_prefix(self, prefix: str) -> Snapshot:
        self.asked.append(f"list {prefix}")
        return super().read_prefix(prefix)

    def commit(self, commit: Commit) -> Committed:
        self.asked.append("commit")
        return super().commit(commit)


@contextmanager
def running(store: MemoryStore) -> Iterator[Counting]:
    """Run a steward beside the test; yield its client, once it watches."""
    client, stop = Counting(store), threading.Event()
    thread = threading.Thread(target=Steward(client, CLUSTER, SystemClock(), stop).run)
    thread.start()
    try:
        eventually(lambda: len(client._watches) >= 2)
        yield client
    finally:
        stop.set()
        thread.join(10.0)
        ended = not thread.is_alive()
        client.close()
    assert ended, "the steward does not stop"


def eventually(happens: Callable[[], bool], within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not happens():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.01)


def state_of(journal: Journal) -> HeadState:
    entry = journal.store.read(HEAD)
    assert entry is not None
    return decode(Head, entry.value).state


def orphaned(journal: Journal) -> bool:
    """Tell whether a steward has not put the altered plan's transaction aside yet."""
    return state_of(journal) is HeadState.RUNNING


@pytest.fixture
def journal(monkeypatch: pytest.MonkeyPatch) -> Journal:
    """Return a running transaction whose plan was altered: whoever takes it over writes STUCK, at once."""
    monkeypatch.setattr(module, "TICK_S", 0.02)
    monkeypatch.setattr(module, "AGAIN_S", 0.05)
    made = Journal()
    made.put(keys.plan_chunk(CLUSTER, TXN, 0), "altered")
    return made


def unlock(journal: Journal) -> None:
    journal.delete(LOCK)


def test_an_idle_steward_asks_the_store_nothing(journal: Journal) -> None:
    journal.write_head(HeadState.COMMITTED, journal.phase)
    unlock(journal)
    with running(journal.store) as client:
        listed = [f"list {keys.all_txns_prefix(CLUSTER)}", f"list {LOCK}"]
        time.sleep(0.5)  # 25 ticks
        assert client.asked == listed


def test_nor_while_somebody_drives_a_transaction(journal: Journal) -> None:
    with running(journal.store) as client:
        before = list(client.asked)
        for number in range(5):
            journal.put(keys.engine_step(CLUSTER, TXN, number), "a record")
            time.sleep(0.05)
        assert client.asked == before


def test_an_orphan_is_taken_over_as_soon_as_its_lock_goes(journal: Journal) -> None:
    with running(journal.store):
        time.sleep(0.1)
        assert orphaned(journal), "somebody drives it"
        unlock(journal)
        eventually(lambda: not orphaned(journal), within_s=2.0)
    assert state_of(journal) is HeadState.STUCK


def test_an_orphan_from_before_the_start_is_taken_over(journal: Journal) -> None:
    unlock(journal)
    with running(journal.store):
        eventually(lambda: not orphaned(journal), within_s=2.0)


def test_an_orphan_is_left_alone_while_a_node_doubts_the_store(journal: Journal) -> None:
    journal.put(keys.doubt(CLUSTER, node(1)), encode(Doubt(peer=PeerName("gs1"), reason="it is older")))
    unlock(journal)
    stop = threading.Event()
    steward = Steward(journal.store, CLUSTER, SystemClock(), stop)
    given_up = threading.Timer(5.0, stop.set)
    given_up.start()
    with pytest.raises(StoreRestored, match="gs1 says: it is older"):
        steward.run()
    given_up.cancel()
    assert orphaned(journal)
    assert journal.store.read(LOCK) is None
    journal.delete(keys.doubt(CLUSTER, node(1)))
    with pytest.raises(JournalError):  # the plan was altered: taken over, and put aside
        steward.look_once()
    assert not orphaned(journal)


def test_an_orphan_is_not_missed_when_a_watch_ends(journal: Journal) -> None:
    with running(journal.store) as client:
        cut_off = list(client._watches)
        for watch in cut_off:  # what happens from here on, these two never hear of
            journal.store._data.watches.remove(watch)
        unlock(journal)
        time.sleep(0.2)
        assert orphaned(journal)
        cut_off[0].offer(WatchEnded(reason="compacted", compacted=1))
        eventually(lambda: not orphaned(journal), within_s=2.0)


def test_store_trouble_only_delays_it(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(journal.store) as client:

        def down(_: str) -> Entry | None:
            client.asked.append("in vain")
            raise StoreUnavailable("down")

        with monkeypatch.context() as patch:
            patch.setattr(client, "read", down)
            unlock(journal)
            eventually(lambda: client.asked.count("in vain") > 2)
            assert orphaned(journal)
        eventually(lambda: not orphaned(journal), within_s=2.0)


def test_an_apply_that_ends_is_not_taken_for_an_orphan(journal: Journal) -> None:
    """The watch of the lock may be ahead of the one of the transactions."""
    client = Counting(journal.store)
    steward = Steward(client, CLUSTER, SystemClock(), threading.Event())
    steward.look()
    journal.write_head(HeadState.COMMITTED, journal.phase)
    unlock(journal)
    steward._outlook.take([Change(key=LOCK, value=None, create_revision=0, mod_revision=10_000)])
    assert steward.orphan() is not None
    assert steward._act() is None
    assert "commit" not in client.asked
    assert steward.orphan() is None


def test_an_apply_that_begins_is_not_taken_for_an_orphan(journal: Journal) -> None:
    client = Counting(journal.store)
    steward = Steward(client, CLUSTER, SystemClock(), threading.Event())
    unlock(journal)
    steward.look()
    lease = journal.store.lease(10).lease_id
    value = encode(LockRecord(holder="me", op_id="me", since=1))
    journal.store.commit(Commit(when=(), then=(Put(LOCK, value, lease),)))
    assert steward.orphan() is not None
    assert steward._act() is None
    assert "commit" not in client.asked
    assert steward.orphan() is None


# ---------------------------------------------------------------- the outlook


def put(key: str, value: str, revision: int) -> Change:
    return Change(key=key, value=value, create_revision=1, mod_revision=revision)


def gone(key: str, revision: int) -> Change:
    return Change(key=key, value=None, create_revision=0, mod_revision=revision)


def outlook() -> Outlook:
    made = Outlook(CLUSTER)
    made.load(Snapshot(revision=5, entries=()), None, 5)
    return made


def test_only_heads_are_kept() -> None:
    seen = outlook()
    seen.take([put(keys.plan_chunk(CLUSTER, TXN, 0), "x" * 1000, 6), put(HEAD, encode(head(Phase(1, 0))), 7)])
    seen.take([put(keys.engine_step(CLUSTER, TXN, 1), "x" * 1000, 8)])
    assert list(seen.known) == [TXN]
    assert seen.known[TXN].modified == 7
    seen.take([gone(keys.plan_chunk(CLUSTER, TXN, 0), 9)])
    assert list(seen.known) == [TXN]
    seen.take([gone(HEAD, 10)])
    assert seen.known == {}


def test_what_was_read_is_not_taken_back_by_a_watch_that_lags() -> None:
    seen = outlook()
    running_head, ended = head(Phase(1, 0)), head(Phase(1, 0), HeadState.COMMITTED)
    seen.take_read(HEAD, Entry(key=HEAD, value=encode(ended), create_revision=6, mod_revision=9))
    seen.take([put(HEAD, encode(running_head), 6)])
    assert seen.orphan() is None
    seen.take([put(LOCK, "held", 8), gone(LOCK, 9)])
    seen.take_read(LOCK, Entry(key=LOCK, value="held", create_revision=8, mod_revision=8))
    assert not seen.locked, "else it would wait for a deletion that has been told already"


def test_the_lock_keeps_an_active_transaction_from_being_an_orphan() -> None:
    seen = outlook()
    seen.take([put(HEAD, encode(head(Phase(1, 0))), 6)])
    assert seen.orphan() is not None
    seen.take([put(LOCK, "held", 7)])
    assert (seen.orphan(), seen.active()) == (None, head(Phase(1, 0)))
    seen.take([gone(LOCK, 8)])
    assert seen.orphan() is not None


def test_a_head_that_cannot_be_read_keeps_no_other_waiting(caplog: pytest.LogCaptureFixture) -> None:
    seen = outlook()
    other = TxnId("t-other")
    seen.take([put(keys.head(CLUSTER, other), "{", 6), put(HEAD, encode(head(Phase(1, 0))), 7)])
    assert seen.orphan() == head(Phase(1, 0))
    assert other not in seen.known
    assert len(caplog.records) == 1


def test_the_newest_of_several_goes_first() -> None:
    seen = outlook()
    later = replace(head(Phase(1, 0)), txn=TxnId("t-later"), started_at=2)
    seen.take([put(keys.head(CLUSTER, later.txn), encode(later), 6), put(HEAD, encode(head(Phase(1, 0))), 7)])
    assert seen.orphan() == later
