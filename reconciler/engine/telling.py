"""What an engine tells about a transaction: each step as it changes, and what is waited for. Pure.

It compares what is known now with what it has told; it never decides anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import inf

from reconciler.engine.messages import Effect, Tell
from reconciler.model.ids import NodeId, StepId
from reconciler.model.report import ProgressEvent, ProgressKind
from reconciler.plan.step import Step
from reconciler.txn.machine import waiting_for
from reconciler.txn.record import Mark, StepRecord
from reconciler.txn.state import TxnState

TELL_EVERY_S = 10.0  #: how often a long step says that it still goes on
SOON_S = 2.0  #: a store that does not answer for less than this is not worth a word


class Telling:
    """Remembers what was told. `now` is always the engine's own clock."""

    def __init__(self, total: int, live: Callable[[NodeId], bool]) -> None:
        """Make one for a plan of `total` steps; `live` says whether a node's agent holds its lease."""
        self._total, self._live = total, live
        self._told: dict[StepId, tuple[Mark | None, int]] = {}
        self._since: dict[StepId, float] = {}
        self._last_told = self._now = 0.0

    def news(self, state: TxnState, now: float) -> list[Effect]:
        """Return what changed about the steps since the last look, in step order."""
        self._now = now
        news: list[Effect] = []
        outstanding = {s.step_id for s in waiting_for(state)}
        for step in state.steps:
            record = state.records.get(step.step_id)
            seen = (
                (record.mark, record.attempt) if record else (None, 1 if step.step_id in outstanding else 0)
            )
            if self._told.get(step.step_id, (None, 0)) == seen:
                continue
            self._told[step.step_id] = seen
            kind = _KINDS.get(seen[0]) if seen[0] else ProgressKind.STARTED
            if kind in (ProgressKind.STARTED, ProgressKind.UNDO_STARTED):
                if step.step_id in self._since and seen[0] is Mark.CLAIMED:
                    continue
                self._since[step.step_id] = self._now
            if kind is not None:
                news.append(Tell(self._event(step, kind, record)))
        return news

    def waiting(self, state: TxnState, barriers: list[NodeId], now: float) -> list[Effect]:
        """Say, every now and then, what is waited for: `barriers` are the nodes asked to confirm a phase."""
        self._now = now
        if self._now - self._last_told < TELL_EVERY_S:
            return []
        self._last_told = self._now
        told: list[Effect] = []
        for node in barriers:
            peer = next(s.peer for s in state.steps if s.node == node)
            text = f"{peer} has to confirm that nothing of before goes on there"
            told.append(Tell(ProgressEvent(kind=ProgressKind.WAITING, peer=peer, text=text)))
        for step in waiting_for(state):
            assert step.node is not None
            why = "" if self._live(step.node) else f"the agent on {step.peer} does not answer"
            event = self._event(step, ProgressKind.WAITING, None)
            if event.seconds >= TELL_EVERY_S or why:
                told.append(Tell(replace(event, text=why)))
        return told

    def _event(self, step: Step, kind: ProgressKind, record: StepRecord | None) -> ProgressEvent:
        text = record.error if record and record.mark in (Mark.REFUSED, Mark.FAILED, Mark.UNDO_FAILED) else ""
        if text and record and record.hint:
            text = f"{text} ({record.hint})"
        if kind is ProgressKind.PASSED:
            text = f"the agent on {step.peer} is gone; it takes this from the configuration when it is back"
        return ProgressEvent(
            kind=kind,
            step=step.step_id,
            total=self._total,
            op=step.kind,
            address=step.address,
            title=step.title,
            peer=step.peer,
            text=text,
            seconds=round(self._now - self._since.get(step.step_id, self._now), 3),
        )


class Trouble:
    """When to speak of the store: at its first failure that lasts, then every now and then while it does."""

    def __init__(self) -> None:
        self._began = self._failed = self._told = -inf

    def due(self, now: float, *, failed: bool) -> bool:
        """Return whether it is time to; `failed` if a call has just failed, else it is only suspected."""
        if failed:
            if now - self._failed > TELL_EVERY_S:
                self._began = now
            self._failed = now
        if now - self._told < TELL_EVERY_S or (failed and now - self._began < SOON_S):
            return False
        self._told = now
        return True


_KINDS = {
    Mark.CLAIMED: ProgressKind.STARTED,
    Mark.DONE: ProgressKind.DONE,
    Mark.REFUSED: ProgressKind.FAILED,
    Mark.FAILED: ProgressKind.FAILED,
    Mark.UNDO_CLAIMED: ProgressKind.UNDO_STARTED,
    Mark.UNDONE: ProgressKind.UNDONE,
    Mark.UNDO_FAILED: ProgressKind.UNDO_FAILED,
    Mark.PASSED: ProgressKind.PASSED,
}
