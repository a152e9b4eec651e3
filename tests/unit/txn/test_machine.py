from reconciler.model.ids import Address, StepId, TxnId
from reconciler.plan.step import Step
from reconciler.txn.machine import Finish, Perform, TxnState, next_moves
from reconciler.txn.record import Head, HeadState, Mark, Phase, StepRecord


def _state(*marks: Mark) -> TxnState:
    steps = tuple(
        Step(
            step_id=StepId(i),
            kind="x",
            address=Address("a"),
            title="t",
            undo="u",
            needs=(StepId(i - 1),) * (i > 1),
        )
        for i in (1, 2)
    )
    phase = Phase(5, 0)
    head = Head(txn=TxnId("t"), state=HeadState.RUNNING, phase=phase, plan_id="p", plan_digest="d", chunks=1,
                started_at=0, holder="h")  # fmt: skip
    records = {StepId(i): StepRecord(step=StepId(i), mark=m, phase=phase) for i, m in enumerate(marks, 1)}
    return TxnState(steps=steps, head=head, records=records)


def test_a_step_waits_for_what_it_needs() -> None:
    assert next_moves(_state()) == (Perform(_state().steps[0]),)
    assert next_moves(_state(Mark.DONE)) == (Perform(_state().steps[1]),)


def test_all_steps_done_is_committed() -> None:
    assert next_moves(_state(Mark.DONE, Mark.DONE)) == (Finish(HeadState.COMMITTED),)
