"""Journal records -> what `txn` shows: where each step stands, and how far the transaction is."""

from __future__ import annotations

import pytest

from reconciler.adapters.memory_store import MemoryStore
from reconciler.controller.transactions import open_head, summaries, transaction
from reconciler.engine.journal import heads
from reconciler.errors import UsageError
from reconciler.model import keys
from reconciler.model.codec import encode
from reconciler.model.ids import ClusterId, StepId, TxnId
from reconciler.model.report import TxnSummary
from reconciler.plan.step import Plan
from reconciler.ports.store import Commit, Put, Snapshot
from reconciler.txn.record import Head, HeadState, Mark, Phase, StepRecord
from tests.plan_world import CLUSTER, World
from tests.unit.desired.declarations import REP3, cluster, desired

TXN = TxnId("t-1")


def head(state: HeadState, txn: TxnId = TXN, *, at: int = 5) -> Head:
    undoing = state in (HeadState.ROLLING_BACK, HeadState.ROLLED_BACK)
    return Head(
        txn=txn,
        state=state,
        phase=Phase(7, int(undoing)),
        plan_id="p-1",
        plan_digest="sha256:0",
        chunks=1,
        started_at=at,
        holder="me",
        updated_at=at + 1,
        attempts=2,
        reason="why",
        summary="what",
    )


def snapshot(plan: Plan, state: HeadState, marks: dict[int, Mark]) -> Snapshot:
    """Return a store with one transaction whose steps stand at `marks` by number."""
    store = MemoryStore()
    puts = [Put(keys.head(CLUSTER, TXN), encode(head(state)))]
    for step in plan.steps:
        if step.step_id in marks:
            record = StepRecord(
                step=step.step_id,
                mark=marks[step.step_id],
                phase=Phase(7, 0),
                attempt=3,
                error="no",
                hint="so",
            )
            key = keys.engine_step(CLUSTER, TXN, step.step_id)
            if step.node is not None:
                key = keys.node_step(CLUSTER, step.node, TXN, step.step_id)
            puts.append(Put(key, encode(record)))
    for put in puts:
        assert store.commit(Commit(when=(), then=(put,))).succeeded
    found = store.read_prefix(keys.cluster_prefix(CLUSTER))
    store.close()
    return found


PLAN = World().plan(desired(cluster(REP3)))
EVERYTHING = {int(s.step_id): Mark.DONE for s in PLAN.steps}
UNDONE = {int(s.step_id): Mark.UNDONE if s.undo else Mark.DONE for s in PLAN.steps if s.undo or s.node}


def shown(state: HeadState, marks: dict[int, Mark]) -> TxnSummary:
    return transaction(TXN, snapshot(PLAN, state, marks), CLUSTER, lambda _: PLAN)


def test_each_step_is_shown_as_its_record_has_it() -> None:
    found = shown(HeadState.RUNNING, {1: Mark.DONE, 5: Mark.FAILED})
    assert [s.mark for s in found.steps[:6]] == ["done", "", "", "", "failed", ""]
    fifth = found.steps[4]
    assert (fifth.attempt, fifth.error, fifth.hint, fifth.op) == (3, "no", "so", PLAN.steps[4].kind)
    assert (found.state, found.holder, found.attempts, found.reason) == ("running", "me", 2, "why")
    assert (found.done, found.total) == (1, len(PLAN.steps))


def test_a_committed_transaction_has_all_its_steps_done() -> None:
    found = shown(HeadState.COMMITTED, EVERYTHING)
    assert found.done == found.total == len(PLAN.steps)


def test_a_rolled_back_transaction_has_all_its_steps_where_they_should_be() -> None:
    assert Mark.DONE in UNDONE.values()  # inspections changed nothing: they stay done
    found = shown(HeadState.ROLLED_BACK, UNDONE)
    assert found.done == found.total


@pytest.mark.parametrize(
    ("mark", "stands"),
    [(Mark.DONE, 0), (Mark.UNDO_CLAIMED, 0), (Mark.UNDO_FAILED, 0), (Mark.UNDONE, 1), (Mark.REFUSED, 1)],
)
def test_in_a_rollback_a_step_with_an_undo_counts_once_it_is_undone(mark: Mark, stands: int) -> None:
    with_undo = next(int(s.step_id) for s in PLAN.steps if s.undo)
    found = shown(HeadState.ROLLING_BACK, {with_undo: mark})
    assert found.done == len(PLAN.steps) - 1 + stands


@pytest.mark.parametrize("mark", [Mark.CLAIMED, Mark.REFUSED, Mark.FAILED])
def test_on_the_way_forward_only_what_is_done_counts(mark: Mark) -> None:
    assert shown(HeadState.RUNNING, {1: mark}).done == 0


def test_an_unknown_transaction_is_a_usage_error() -> None:
    found = snapshot(PLAN, HeadState.RUNNING, {})
    with pytest.raises(UsageError, match="there is no transaction t-9") as caught:
        transaction(TxnId("t-9"), found, CLUSTER, lambda _: PLAN)
    assert "txn list" in caught.value.hint


def test_only_an_open_transaction_can_be_settled() -> None:
    known = [
        head(HeadState.PAUSED),
        head(HeadState.COMMITTED, TxnId("t-2")),
        head(HeadState.STUCK, TxnId("t-3")),
    ]
    assert open_head(known, TXN) is known[0]
    assert open_head(known, TxnId("t-3")) is known[2]
    with pytest.raises(UsageError, match="t-2 has ended: committed"):
        open_head(known, TxnId("t-2"))
    with pytest.raises(UsageError, match="no transaction t-9"):
        open_head(known, TxnId("t-9"))


def test_summaries_name_the_transactions_without_their_steps() -> None:
    found = summaries(heads(snapshot(PLAN, HeadState.RUNNING, EVERYTHING), ClusterId(CLUSTER)))
    assert [(s.txn, s.summary, s.steps) for s in found] == [(TXN, "what", ())]
    assert StepId(1) in {s.step_id for s in PLAN.steps}
