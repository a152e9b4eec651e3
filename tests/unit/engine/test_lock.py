"""Taking the lock, with answers that get lost."""

from __future__ import annotations

import pytest

from reconciler.adapters.memory_store import MemoryStore
from reconciler.engine import lock as module
from reconciler.engine.lock import acquire, holder_of
from reconciler.errors import LockHeld, OutcomeUnknown, StoreUnavailable
from reconciler.model import keys
from reconciler.ports.store import Commit, Committed
from reconciler.txn.record import LockRecord
from tests.txn_samples import CLUSTER

KEY = keys.lock(CLUSTER)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_S", 0.0)


class Silent(MemoryStore):
    """Gives no answer to the first commit, which happens, does not, or cannot be sent."""

    what = "unheard"
    done = False

    def commit(self, commit: Commit) -> Committed:
        if self.done:
            return super().commit(commit)
        self.done = True
        if self.what == "down":
            raise StoreUnavailable("down")
        if self.what == "unheard":
            super().commit(commit)
        raise OutcomeUnknown("no answer")


def take(store: MemoryStore, who: str = "me", *, timeout_s: float = 0.0, **more: object) -> module.Lock:
    """Take the lock."""
    record = LockRecord(holder=who, op_id=who, since=1, purpose="apply p-1")
    return acquire(store, CLUSTER, record, timeout_s=timeout_s, on_lost=lambda: None, **more)  # type: ignore[arg-type]


def test_the_epoch_is_the_keys_create_revision_and_leaving_gives_it_back() -> None:
    store = MemoryStore()
    with take(store) as held:
        entry = store.read(KEY)
        assert entry is not None
        assert held.epoch == entry.create_revision
        holder = holder_of(store, CLUSTER)
        assert holder is not None
        assert holder.holder == "me"
    assert holder_of(store, CLUSTER) is None
    with take(store) as again:
        assert again.epoch > held.epoch


def test_a_held_lock_is_told_and_not_waited_for_longer_than_asked() -> None:
    store = MemoryStore()
    told: list[str] = []
    with take(store, "first"), pytest.raises(LockHeld, match=r"locked by first \(apply p-1\)"):
        take(store, "second", timeout_s=0.05, waiting=lambda record: told.append(record.holder))
    assert told == ["first"]
    assert not store._data.grants, "neither keeps a lease"


@pytest.mark.parametrize("what", ["unheard", "unsent"])
def test_a_lost_answer_is_settled_by_reading(what: str) -> None:
    store = Silent()
    store.what = what
    with take(store, timeout_s=1.0) as held:
        entry = store.read(KEY)
        assert entry is not None
        assert held.epoch == entry.create_revision


def test_a_store_that_fails_leaves_no_lease_behind() -> None:
    store = Silent()
    store.what = "down"
    with pytest.raises(StoreUnavailable):
        take(store)
    assert not store._data.grants


def test_an_attempt_that_was_given_up_cannot_take_the_lock_later() -> None:
    store = Silent()
    store.what = "unsent"
    with pytest.raises(LockHeld, match="somebody who comes and goes"):
        take(store)
    assert not store._data.grants, "its write would name a lease that is gone"
