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
from reconciler.model.volume import RestartPolicy

if TYPE_CHECKING:
    from reconciler.model.fields import Json
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
        mark = self._any(brick)
        return mark if mark is not None and mark.boot_id == self._boot_id else None

    def write(self, brick: BrickUuid, state: RunState, *, since: int, problem: str = "") -> None:
        """Replace the mark; durable when this returns. Raises StepError if the disk refuses."""
        self._put(brick, RunMark(boot_id=self._boot_id, state=state, since=since, problem=problem))

    def noted(self, brick: BrickUuid) -> Json:
        """Return the mark there is, of whichever boot, as plain JSON for `note_again`; None: there is none.

        Raises StepError if the disk refuses.
        """
        mark = self._any(brick)
        return None if mark is None else codec.to_json(mark)

    def note_again(self, brick: BrickUuid, noted: Json) -> None:
        """Put a mark back that `noted` returned, durably. Raises StepError if the disk refuses."""
        try:
            if noted is None:
                self._files.remove(mark_file(brick))
            else:
                self._put(brick, codec.from_json(RunMark, noted))
        except (EnvironmentProblem, JournalError) as exc:
            raise StepError(exc.message, hint=exc.hint) from exc

    def _any(self, brick: BrickUuid) -> RunMark | None:
        try:
            text = self._files.read(mark_file(brick))
            return codec.from_json(RunMark, codec.parse(text)) if text is not None else None
        except JournalError:
            return None
        except EnvironmentProblem as exc:
            raise StepError(exc.message, hint=exc.hint) from exc

    def _put(self, brick: BrickUuid, mark: RunMark) -> None:
        try:
            self._files.write(mark_file(brick), codec.canonical(codec.to_json(mark)))
        except EnvironmentProblem as exc:
            raise StepError(exc.message, hint=exc.hint) from exc


def mark_file(brick: BrickUuid) -> str:
    """Return the name of the file that keeps a brick's mark."""
    return f"bricks/{brick}.json"


def may_start(mark: RunState | None, policy: RestartPolicy) -> bool:
    """Return whether a dead brick that should run may be started by the agent on its own.

    Args:
        mark: what this boot's mark says; None: it was not started since the machine came up.
        policy: the volume's.
    """
    match mark:
        case None | RunState.STARTED:
            return True  # never started in this boot; STARTED turns into CRASHED before anybody asks
        case RunState.CRASHED:
            return policy is RestartPolicy.ON_CRASH
        case RunState.STOPPED:
            return False  # a step stopped it, and only a step starts it again
