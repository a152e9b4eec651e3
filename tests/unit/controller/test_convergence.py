"""After a commit: whether the cluster shows it is looked at, and never makes the commit unsaid."""

from __future__ import annotations

import pytest

from reconciler.adapters.clock import SystemClock
from reconciler.adapters.memory_store import MemoryStore
from reconciler.controller import convergence
from reconciler.controller.session import ClusterSession
from reconciler.errors import StoreError, StoreRestored, StoreUnavailable
from reconciler.feature import Registry
from reconciler.model.report import ApplyResult, Outcome
from reconciler.ports.store import Snapshot
from reconciler.txn.record import Head, HeadState
from tests.txn_samples import CLUSTER, PLAN, TXN, Journal, head


class Failing(MemoryStore):
    """A client whose listings fail as often as said, or for ever (-1)."""

    def __init__(self, shared: MemoryStore, error: StoreError, times: int) -> None:
        super().__init__(shared=shared._data)
        self.error, self.times = error, times

    def read_prefix(self, prefix: str) -> Snapshot:
        if self.times:
            self.times -= 1
            raise self.error
        return super().read_prefix(prefix)


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convergence, "CONVERGE_S", 0.3)
    monkeypatch.setattr(convergence, "AGAIN_S", 0.01)


def result(journal: Journal, end: Head | None, error: StoreError, times: int = -1) -> ApplyResult:
    store = Failing(journal.store, error, times)
    session = ClusterSession(store, (CLUSTER, "prod"), SystemClock(), 0.0, Registry(()).slots())
    return session._result(PLAN, TXN, end, 2.5)


@pytest.mark.parametrize("error", [StoreUnavailable("etcd is away"), StoreRestored("an older etcd")])
def test_a_commit_is_said_though_nothing_can_be_seen_afterwards(error: StoreError) -> None:
    journal = Journal()
    end = result(journal, head(journal.phase, HeadState.COMMITTED), error)
    assert (end.outcome, end.exit_code, end.txn, end.converged) == (Outcome.COMMITTED, 12, TXN, None)
    assert error.message in end.message
    assert "could not be seen" in end.message
    assert "gluster-state drift" in end.message
    assert end.seconds == 2.5


def test_a_store_that_comes_back_is_asked_again() -> None:
    journal = Journal()
    error = StoreUnavailable("etcd is away")
    end = result(journal, head(journal.phase, HeadState.COMMITTED), error, times=4)
    assert (end.exit_code, end.converged, end.message) == (0, True, "Cluster prod is as declared.")


def test_a_lost_lock_is_said_though_it_cannot_be_seen_what_became_of_the_transaction() -> None:
    end = result(Journal(), None, StoreUnavailable("etcd is away"))
    assert (end.outcome, end.exit_code) == (Outcome.HANDED_OVER, 7)
    assert "another process" in end.message
