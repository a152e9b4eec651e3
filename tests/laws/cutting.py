"""What must follow when a step is cut off or a call of it fails: the same as if that had never been."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.laws.cut import CHANGING, Acted, Cut, Victims
from tests.laws.laws import Trial, tried
from tests.laws.snapshot import Snapshot
from tests.laws.worlds import WORLDS, Ground


@dataclass
class Cutting:
    """A step in a world, done and undone as often as it takes; between two rounds all is as before it."""

    trial: Trial
    victims: Victims
    done: Snapshot = field(init=False)

    def __post_init__(self) -> None:
        self.trial.do()
        self.done = self.trial.confined("do")
        self._back("undo")

    def calls(self, calls: tuple[str, ...], *, undo: bool) -> tuple[str, ...]:
        """Return the calls of a set that doing or undoing the step makes; the last one is the answer."""
        if undo:
            self.trial.do()
        made = self._act(Cut(calls), undo=undo).calls
        self._back("undo after an undisturbed agent")
        return made

    def killed(self, cut: Cut, *, undo: bool) -> bool:
        """Kill the agent at a call and try what may follow; return whether it came to that call."""
        what = f"{'undo' if undo else 'do'}, {cut}"
        if undo:
            self.trial.do()
        first = self._act(cut, undo=undo)
        self.trial.confined(what)
        if not undo:
            self.trial.do()
            self._is_done(f"{what}, done again")
            self._back(f"{what}, done again and undone")
            self._act(cut, undo=False)
        self._back(f"{what}, then undone")
        return first.killed

    def failed(self, cut: Cut, *, undo: bool) -> Acted:
        """Let a call fail and try what may follow."""
        what = f"{'undo' if undo else 'do'}, {cut}"
        if undo:
            self.trial.do()
        acted = self._act(cut, undo=undo)
        assert not acted.bug, f"{what}: {acted.bug}"
        self.trial.confined(what)
        if acted.error:
            assert acted.kind == "StepError", f"{what}: {acted.kind}: {acted.error}"
        elif undo:
            self.trial.as_before(f"{what}, and undone in spite of it")
        else:
            self._is_done(f"{what}, and done in spite of it")
        self._back(f"{what}, then undone")
        return acted

    def _act(self, cut: Cut, *, undo: bool) -> Acted:
        return self.victims.act(
            self.trial.at.it, self.trial.step, self.trial.checked.before, undo=undo, cut=cut
        )

    def _is_done(self, what: str) -> None:
        strange = self.trial.at.scope.unlike(self.trial.footprint, self.done, self.trial.confined(what))
        assert not strange, f"{what}: not as after one do: {strange}"

    def _back(self, what: str) -> None:
        self.trial.undo()
        self.trial.as_before(what)


def cutting(ground: Ground, kind: str, victims: Victims, *, undo: bool) -> Cutting:
    """Return a step of a kind in a world that takes it, and where it has something to do."""
    while True:
        trial = tried(ground, WORLDS[kind](ground))
        if trial is not None:
            step = Cutting(trial, victims)
            # The one call of a step with nothing to do is its answer.
            if not trial.changes or len(step.calls(CHANGING, undo=undo)) > 1:
                return step
