"""What is reported of the parts of a transaction, and which rollbacks are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.controller.settling import take_up
from reconciler.controller.transactions import part_reports
from reconciler.engine.mirror import Mirror
from reconciler.errors import Blocked
from reconciler.model import keys
from reconciler.model.codec import encode
from reconciler.model.ids import Address
from reconciler.model.report import PartReport, PartState
from reconciler.plan.step import Step, StepClass
from reconciler.txn.record import HeadState, Mark, Phase, StepRecord
from tests.txn_samples import CLUSTER, PLAN, TXN, A, B, Journal, step


def end(number: int, part: int, need: int) -> Step:
    address = Address(f"volume/p{part}")
    return step(number, None, need, undo="", step_class=StepClass.RETRIABLE, part=part, address=address)


TWO = replace(PLAN, steps=(step(1, A, part=1), end(2, 1, 1), step(3, B, part=2), end(4, 2, 3)))


def journal(state: HeadState, *marks: Mark | None, reason: str = "") -> Journal:
    """Return a journal of two parts: a step on a node and a commit each, at these marks."""
    made = Journal(TWO)
    undoing = state in (HeadState.ROLLING_BACK, HeadState.ROLLED_BACK, HeadState.PARTLY)
    made.phase = Phase(made.epoch, int(undoing))
    made.head = replace(made.head, reason=reason)
    made.write_head(state, made.phase)
    for of, mark in zip(TWO.steps, marks, strict=False):
        if mark is not None:
            error = "no" if mark is Mark.REFUSED else ""
            record = StepRecord(step=of.step_id, mark=mark, phase=made.phase, error=error)
            key = keys.engine_step(CLUSTER, TXN, of.step_id)
            if of.node is not None:
                key = keys.node_step(CLUSTER, of.node, TXN, of.step_id)
            made.put(key, encode(record))
    return made


def reports(made: Journal) -> list[tuple[str, PartState, str]]:
    """Return what is reported of each part."""
    mirror = Mirror(CLUSTER)
    mirror.load(made.store.read_prefix(keys.cluster_prefix(CLUSTER)))
    found: tuple[PartReport, ...] = part_reports(mirror.state(TWO, made.head))
    return [(r.address, r.state, r.reason) for r in found]


def test_each_part_is_reported_with_where_it_stands_and_why() -> None:
    done, undone, refusal = Mark.DONE, Mark.UNDONE, Mark.REFUSED
    one, two = "volume/p1", "volume/p2"
    committed, back = PartState.COMMITTED, PartState.ROLLED_BACK
    assert reports(journal(HeadState.RUNNING, done)) == [(one, PartState.OPEN, ""), (two, PartState.OPEN, "")]
    assert reports(journal(HeadState.COMMITTED, done, done, done, done)) == [
        (one, committed, ""),
        (two, committed, ""),
    ]
    why = "volume/p2: the agent on gs2 is gone: do 3; volume/p9: x"
    partly = journal(HeadState.PARTLY, done, done, undone, reason=why)
    assert reports(partly) == [(one, committed, ""), (two, back, "the agent on gs2 is gone: do 3")]
    refused = journal(HeadState.PARTLY, done, done, refusal, reason=why)
    assert reports(refused)[1] == (two, back, "no"), "its own record says it best"
    stuck = journal(HeadState.STUCK, done, done, Mark.FAILED, reason="why")
    stuck.head = replace(stuck.head, phase=Phase(stuck.epoch + 1, 0))
    assert [r[1] for r in reports(stuck)] == [committed, PartState.STUCK]
    assert [r[1] for r in reports(journal(HeadState.ROLLED_BACK, undone))] == [back, back]


@pytest.mark.parametrize(
    ("marks", "says"),
    [
        ((Mark.DONE, Mark.CLAIMED, Mark.DONE), "volume/p1 is past"),
        ((Mark.DONE, Mark.DONE, Mark.DONE, Mark.DONE), "transaction .* is past"),
        ((Mark.DONE, Mark.CLAIMED, Mark.DONE, Mark.CLAIMED), "transaction .* is past"),
    ],
)
def test_a_rollback_is_refused_while_a_part_can_only_go_forward(marks: tuple[Mark, ...], says: str) -> None:
    made = journal(HeadState.PAUSED, *marks)
    with pytest.raises(Blocked, match=says):
        take_up(made.store, CLUSTER, TXN, made.epoch, rollback=True)
    assert take_up(made.store, CLUSTER, TXN, made.epoch, rollback=False) == TWO


def test_what_has_not_committed_can_be_rolled_back_beside_what_has() -> None:
    made = journal(HeadState.STUCK, Mark.DONE, Mark.DONE, Mark.FAILED)
    assert take_up(made.store, CLUSTER, TXN, made.epoch, rollback=True) == TWO
    entry = made.store.read(keys.head(CLUSTER, TXN))
    assert entry is not None
    assert "rolling-back" in entry.value
