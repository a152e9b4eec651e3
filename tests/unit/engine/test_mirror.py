"""The engine's picture of the store."""

from __future__ import annotations

from reconciler.engine.mirror import Mirror
from reconciler.model import keys
from reconciler.model.codec import encode
from reconciler.ports.store import Change, Entry, Snapshot
from reconciler.txn.record import HeadState
from tests.txn_samples import CLUSTER, TXN, A, Journal

LIVE = keys.live(CLUSTER, A)


def change(key: str, value: str | None, revision: int) -> Change:
    """Return a change."""
    return Change(key=key, value=value, create_revision=revision if value else 0, mod_revision=revision)


def test_a_watch_that_lags_behind_a_listing_brings_nothing_back() -> None:
    mirror = Mirror(CLUSTER)
    mirror.load(Snapshot(revision=10, entries=()))
    assert not mirror.take([change(LIVE, "agent", 8)], 8), "it was deleted at 9, the listing has seen that"
    assert not mirror.live(A)
    assert mirror.take([change(LIVE, "agent", 11)], 11)
    assert mirror.live(A)
    assert mirror.revision == 11


def test_facts_and_questions_are_left_out() -> None:
    fact = keys.node_fact(CLUSTER, A)
    mirror = Mirror(CLUSTER)
    mirror.load(
        Snapshot(revision=3, entries=(Entry(key=fact, value="x", create_revision=2, mod_revision=2),))
    )
    assert not mirror.take([change(fact, "y", 4)], 4)
    assert mirror.entries == {}


def test_a_record_is_read_anew_when_it_changes() -> None:
    journal = Journal()
    mirror = Mirror(CLUSTER)
    mirror.load(journal.store.read_prefix(keys.cluster_prefix(CLUSTER)))
    first = mirror.head(TXN)
    assert first == journal.head
    assert mirror.head(TXN) is first
    journal.write_head(HeadState.PAUSED, journal.phase)
    entry = journal.store.read(keys.head(CLUSTER, TXN))
    assert entry is not None
    mirror.take([change(entry.key, encode(journal.head), entry.mod_revision)], entry.mod_revision)
    assert mirror.head(TXN) == journal.head != first
