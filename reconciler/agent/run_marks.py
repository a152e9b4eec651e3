"""What a node remembers about its bricks' processes beyond the life of its agent.

A brick that is found dead by a new agent has crashed if this node had started it since it booted, and is
merely not started yet after a boot. With restart policy ``never`` that is the difference between leaving
it alone and starting it. So every mark carries the boot it was made in and counts only during that one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from reconciler.errors import EnvironmentProblem, JournalError, StepError
from reconciler.model import codec

if TYPE_CHECKING:
    from reconciler.model.ids import BrickUuid
    from reconciler.ports.local import LocalFiles


class RunState(Enum):
    """What a mark says."""

    STARTED = "started"  #: meant to run; if it does not, it has crashed
    CRASHED = "crashed"  #: seen to have ended by itself
    STOPPED = "stopped"  #: ended by a step


@dataclass(frozen=True, slots=True, kw_only=True)
class RunMark:
    """One brick's mark. `since` is the wall-clock second of the change, for people."""

    boot_id: str
    state: RunState
    since: int = 0
    problem: str = ""


class RunMarks:
    """The marks of this boot, one file per brick under ``bricks/``."""

    def __init__(self, files: LocalFiles, boot_id: str) -> None:
        self._files = files
        self._boot_id = boot_id

    def read(self, brick: BrickUuid) -> RunMark | None:
        """Return the mark made during this boot, or None; a damaged file is no mark.

        Raises StepError if the disk refuses.
        """
        try:
            text = self._files.read(_name(brick))
            mark = codec.from_json(RunMark, codec.parse(text)) if text is not None else None
        except JournalError:
            return None
        except EnvironmentProblem as exc:
            raise StepError(exc.message, hint=exc.hint) from exc
        return mark if mark is not None and mark.boot_id == self._boot_id else None

    def write(self, brick: BrickUuid, state: RunState, *, since: int, problem: str = "") -> None:
        """Replace the mark; durable when this returns. Raises StepError if the disk refuses."""
        mark = RunMark(boot_id=self._boot_id, state=state, since=since, problem=problem)
        try:
            self._files.write(_name(brick), codec.canonical(codec.to_json(mark)))
        except EnvironmentProblem as exc:
            raise StepError(exc.message, hint=exc.hint) from exc


def _name(brick: BrickUuid) -> str:
    return f"bricks/{brick}.json"
