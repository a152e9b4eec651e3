"""The executor's picture of its keys: what is newer wins, in whatever order listings and changes arrive."""

from __future__ import annotations

from reconciler.agent.executor import Executor
from reconciler.agent.messages import Again, Context, Heard, KeepPhase, Listed, ReadContext, Stored
from reconciler.model import keys
from reconciler.model.codec import encode
from reconciler.model.ids import ClusterId, NodeId, StepId, TxnId
from reconciler.ports.store import Change, Entry, Snapshot
from reconciler.txn.record import Barrier, Command, Phase

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


def test_a_listing_does_not_bring_back_what_was_removed_after_it() -> None:
    """Old transactions are removed at any time, also while a listing is on its way."""
    executor = Executor(CLUSTER, NODE, "instance")
    key = keys.command(CLUSTER, NODE, TxnId("t-1"), StepId(1))
    command = Command(txn=TxnId("t-1"), step=StepId(1), phase=Phase(7, 0), attempt=1, plan_digest="d")
    listed = Entry(key=key, value=encode(command), create_revision=3, mod_revision=3)
    executor._acknowledging = BARRIER
    executor.handle(Stored(None))  # it lists again
    executor.handle(Heard((Change(key=key, value=None, create_revision=0, mod_revision=12),)))
    executor.handle(Listed(Snapshot(revision=11, entries=(listed,))))
    assert executor.handle(Again()) == []


def test_a_command_of_a_removed_transaction_leaves_nothing_behind() -> None:
    executor = Executor(CLUSTER, NODE, "instance")
    key = keys.command(CLUSTER, NODE, TxnId("t-1"), StepId(1))
    command = Command(txn=TxnId("t-1"), step=StepId(1), phase=Phase(7, 0), attempt=1, plan_digest="d")
    given = Change(key=key, value=encode(command), create_revision=3, mod_revision=3)
    (read,) = executor.handle(Heard((given,)))
    assert isinstance(read, ReadContext)
    removed = Change(key=key, value=None, create_revision=0, mod_revision=4)
    assert executor.handle(Heard((removed,))) == []
    assert executor.handle(Context(None, 0, 0, None, "")) == [], "its head is gone: nothing begins"
    assert not executor.busy
    executor.handle(Listed(Snapshot(revision=5, entries=())))
    assert (executor._entries, executor._dropped) == ({}, {})
