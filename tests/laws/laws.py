"""The laws of a step, tried in one world: what `ports.node.Action` promises, and confinement."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from reconciler.errors import StepError
from reconciler.ports.node import Call, Checked, Footprint
from tests.laws.snapshot import Snapshot
from tests.laws.worlds import Ground

NO_TRACES = Footprint()
PATIENCE_S = 60.0


@dataclass
class Trial:
    """A step in a world of its own, with what was there before anything of it."""

    at: Ground
    step: Call
    before: Snapshot
    checked: Checked
    footprint: Footprint

    @property
    def changes(self) -> bool:
        """Return whether there is anything that the step may change."""
        return self.footprint != Footprint()

    def do(self) -> None:
        """Do the step as an agent that has its command: again while it says that this helps."""
        patiently(lambda: self.at.it.actions[self.step.step.kind].do(self.step, self.checked.before))

    def undo(self) -> None:
        """Undo the step in the same way."""
        patiently(lambda: self.at.it.actions[self.step.step.kind].undo(self.step, self.checked.before))

    def confined(self, what: str, since: Snapshot | None = None) -> Snapshot:
        """Assert that nothing but the footprint has changed, and return the node as it is."""
        now = self.at.scope.look()
        strange = self.at.scope.outside(self.footprint, since or self.before, now)
        assert not strange, f"{what}: outside the footprint: {strange}"
        return now

    def as_before(self, what: str) -> None:
        """Assert that the node is as it was before the step, the traces apart."""
        now = self.confined(what)
        strange = self.at.scope.unlike(self.footprint, self.before, now)
        assert not strange, f"{what}: not as before: {strange}"

    def same(self, one: Snapshot, what: str) -> None:
        """Assert that doing something again has changed nothing at all but traces."""
        traces = replace(NO_TRACES, traces=self.footprint.traces, memory=self.footprint.memory)
        strange = self.at.scope.unlike(traces, one, self.at.scope.look())
        assert not strange, f"{what}: {strange}"


def tried(at: Ground, step: Call) -> Trial | None:
    """Check a step; None if it is refused. Either way nothing must have changed."""
    before = at.scope.look()
    footprint = at.it.actions[step.step.kind].footprint(step)
    try:
        checked: Checked | None = at.it.check(step)
    except StepError:
        checked = None
    strange = at.scope.unlike(NO_TRACES, before, at.scope.look())
    assert not strange, f"the check changed something: {strange}"
    return Trial(at, step, before, checked, footprint) if checked is not None else None


def hold(at: Ground, step: Call) -> bool:
    """Try every law; return false if the step was refused in this world."""
    trial = tried(at, step)
    if trial is None:
        return False
    trial.undo()
    trial.as_before("undo of a step that never ran")
    trial.do()
    done = trial.confined("do")
    trial.do()
    trial.same(done, "do twice is not do")
    if at.chance():
        at.it.restart_agent()
        trial.do()
        trial.same(done, "do by the next agent is not do")
    trial.undo()
    trial.as_before("undo")
    undone = at.scope.look()
    trial.undo()
    trial.same(undone, "undo twice is not undo")
    if at.chance():
        at.it.restart_agent()
        trial.as_before("undo, seen by the next agent")
        trial.undo()
        trial.same(undone, "undo by the next agent is not undo")
    return True


def patiently(act: object) -> None:
    """Call again while a StepError says that this helps, as the engine does."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            act()  # type: ignore[operator]
        except StepError as exc:
            if not exc.retryable or time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return
