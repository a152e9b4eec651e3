"""Names writes for the failpoints around them: by their values, so that what decides knows nothing of it."""

from __future__ import annotations

from reconciler import failpoints
from reconciler.model.codec import decode
from reconciler.ports.store import Commit, Put
from reconciler.txn.record import Command, Head, HeadState, Mark, StepRecord

_HEADS = {
    HeadState.ROLLING_BACK: "engine.turn",
    HeadState.COMMITTED: "engine.commit",
    HeadState.ROLLED_BACK: "engine.rolled-back",
    HeadState.PARTLY: "engine.partly-committed",
}


def hit_write(commit: Commit, when: str) -> None:
    """Hit the point ``before`` or ``after`` a write of an engine, if there is one for its kind."""
    if failpoints.armed() and (name := _of_write(commit)):
        failpoints.hit(f"{name}.{when}")


def _of_write(commit: Commit) -> str:
    put = next((op for op in commit.then if isinstance(op, Put)), None)
    if put is None:
        return ""
    parts = put.key.split("/")
    if parts[-1] == "head":
        return _HEADS.get(decode(Head, put.value).state, "")
    if parts[-1] == "barrier-request":
        return "engine.barrier"
    if "cmd" in parts:
        return "engine.undo-dispatch" if decode(Command, put.value).phase.undoing else "engine.dispatch"
    if "step" in parts:
        undone = decode(StepRecord, put.value).mark is Mark.UNDONE
        return "engine.undo-perform" if undone else "engine.perform"
    return ""


def hit_record(commit: Commit, when: str) -> None:
    """Hit the point ``before`` or ``after`` a write of an agent's executor, if there is one for its kind."""
    if not failpoints.armed():
        return
    put = next(op for op in commit.then if isinstance(op, Put))
    of_barrier = put.key.rpartition("/")[2] == "barrier"
    name = "agent.barrier" if of_barrier else _RECORDS.get(decode(StepRecord, put.value).mark, "")
    if name:
        failpoints.hit(f"{name}.{when}")


_RECORDS = {
    Mark.CLAIMED: "agent.claim",
    Mark.DONE: "agent.report",
    Mark.FAILED: "agent.report",
    Mark.UNDO_CLAIMED: "agent.undo-claim",
    Mark.UNDONE: "agent.undo-report",
}
