"""Names writes for the failpoints around them: by their values, so that what decides knows nothing of it."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler import failpoints
from reconciler.model.codec import decode
from reconciler.ports.store import Commit, Put
from reconciler.txn.record import Command, Head, HeadState, Mark, StepRecord

_ENDS = {HeadState.COMMITTED: "engine.commit", HeadState.ROLLED_BACK: "engine.rolled-back"}


@dataclass(slots=True)
class Writes:
    """The writes of one engine, in their order: a first head of a later attempt is a takeover."""

    began: bool = False

    def hit(self, commit: Commit, when: str) -> None:
        """Hit the point before or after a write, if there is one for its kind.

        Args:
            commit: what is written.
            when: ``before`` or ``after``.
        """
        if failpoints.armed() and (name := self._name(commit)):
            failpoints.hit(f"{name}.{when}")
            self.began = self.began or (when == "after" and name == "engine.takeover")

    def _name(self, commit: Commit) -> str:
        put = next((op for op in commit.then if isinstance(op, Put)), None)
        if put is None:
            return ""
        parts = put.key.split("/")
        if parts[-1] == "head":
            return self._of_head(decode(Head, put.value))
        if parts[-1] == "barrier-request":
            return "engine.barrier"
        if "cmd" in parts:
            return "engine.undo-dispatch" if decode(Command, put.value).phase.undoing else "engine.dispatch"
        if "step" in parts:
            undone = decode(StepRecord, put.value).mark is Mark.UNDONE
            return "engine.undo-perform" if undone else "engine.perform"
        return ""

    def _of_head(self, head: Head) -> str:
        if head.state.active:
            return "engine.takeover" if head.attempts > 1 and not self.began else "engine.turn"
        return _ENDS.get(head.state, "")


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
