"""Summaries of transactions, read from a journal."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.controller.transactions import transaction
from reconciler.model import keys
from reconciler.model.codec import encode
from reconciler.model.ids import ClusterId, TxnId
from reconciler.ports.store import Entry, Snapshot
from reconciler.txn.record import Head, HeadState, Mark, Phase, StepRecord
from tests.plan_samples import CREATE

CLUSTER = ClusterId(CREATE.cluster_id)
TXN = TxnId("t-1")
#: The first step only looks: it has nothing to undo and stays done in a rollback.
PLAN = replace(CREATE, steps=(replace(CREATE.steps[0], undo=""), *CREATE.steps[1:]))


def _journal(state: HeadState, direction: int, *marks: Mark | None) -> Snapshot:
    phase = Phase(9, direction)
    head = Head(txn=TXN, state=state, phase=phase, plan_id="p-1", plan_digest="d", chunks=1, started_at=1,
                holder="ann")  # fmt: skip
    values = {keys.head(CLUSTER, TXN): encode(head)}
    for step, mark in zip(PLAN.steps, marks, strict=True):
        if mark is None:
            continue
        record = encode(StepRecord(step=step.step_id, mark=mark, phase=phase))
        key = keys.engine_step(CLUSTER, TXN, step.step_id)
        if step.node is not None:
            key = keys.node_step(CLUSTER, step.node, TXN, step.step_id)
        values[key] = record
    entries = (Entry(key=k, value=v, create_revision=1, mod_revision=1) for k, v in sorted(values.items()))
    return Snapshot(revision=20, entries=tuple(entries))


@pytest.mark.parametrize(
    ("state", "direction", "marks", "done"),
    [
        (HeadState.ROLLED_BACK, 1, (Mark.DONE, Mark.UNDONE, Mark.REFUSED, None), 4),
        (HeadState.STUCK, 1, (Mark.DONE, Mark.UNDO_FAILED, Mark.UNDONE, None), 3),
        (HeadState.RUNNING, 0, (Mark.DONE, Mark.CLAIMED, None, None), 1),
        (HeadState.COMMITTED, 0, (Mark.DONE, Mark.DONE, Mark.DONE, Mark.DONE), 4),
    ],
)
def test_a_step_counts_when_nothing_is_left_to_do_about_it(
    state: HeadState, direction: int, marks: tuple[Mark | None, ...], done: int
) -> None:
    found = transaction(TXN, _journal(state, direction, *marks), CLUSTER, lambda _: PLAN)
    assert (found.done, found.total) == (done, 4)
    assert [step.mark for step in found.steps] == [mark.value if mark else "" for mark in marks]
