"""The executor's picture of its keys: what is newer wins, in whatever order listings and changes arrive."""

from __future__ import annotations

from reconciler.agent.executor import Executor
from reconciler.agent.messages import Heard, KeepPhase, Listed
from reconciler.model import keys
from reconciler.model.codec import encode
from reconciler.model.ids import ClusterId, NodeId, TxnId
from reconciler.ports.store import Change, Snapshot
from reconciler.txn.record import Barrier, Phase

CLUSTER, NODE = ClusterId("c"), NodeId("n")
BARRIER = Barrier(txn=TxnId("t-1"), phase=Phase(7, 1))


def test_a_listing_does_not_take_back_what_was_heard_after_it() -> None:
    """A turn to rollback waited forever: its barrier request came between the listing and its delivery."""
    executor = Executor(CLUSTER, NODE, "instance")
    key = keys.barrier_request(CLUSTER, NODE)
    asked = Change(key=key, value=encode(BARRIER), create_revision=12, mod_revision=12)
    executor._waiting = True  # it listed again after a lost race, and waits a moment
    executor.handle(Heard((asked,)))
    executor.handle(Listed(Snapshot(revision=11, entries=())))
    executor._waiting = False
    (effect,) = executor.handle(Heard(()))
    assert isinstance(effect, KeepPhase)
    assert effect.barrier.phase == BARRIER.phase


def test_a_listing_replaces_what_is_older() -> None:
    executor = Executor(CLUSTER, NODE, "instance")
    key = keys.barrier_request(CLUSTER, NODE)
    executor._waiting = True
    executor.handle(Heard((Change(key=key, value=encode(BARRIER), create_revision=3, mod_revision=3),)))
    executor.handle(Listed(Snapshot(revision=11, entries=())))
    executor._waiting = False
    assert executor.handle(Heard(())) == []
