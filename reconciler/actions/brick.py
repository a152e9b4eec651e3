"""The steps about one brick: look, prepare its directory, start and stop its process.

Every step's args hold ``brick``, the brick's UUID; ``known`` is true for a brick that was configured before
the plan: its directory must carry its stamps already and is never stamped anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from reconciler.errors import StepError
from reconciler.ports.node import Action, Checked, Effect, Footprint

if TYPE_CHECKING:
    from reconciler.model.configured import BrickRecord, VolumeRecord
    from reconciler.plan.step import Args
    from reconciler.ports.brick import BrickFiles, BrickRunner
    from reconciler.ports.node import Call


INSPECT = "brick.inspect"
PREPARE = "brick.prepare"
START = "brick.start"
STOP = "brick.stop"


def brick_actions(files: BrickFiles, runner: BrickRunner) -> Mapping[str, Action]:
    """Return the actions of this module by step kind."""
    return MappingProxyType(
        {
            INSPECT: InspectBrick(files),
            PREPARE: PrepareBrick(files, runner),
            START: StartBrick(files, runner),
            STOP: StopBrick(runner),
        }
    )


@dataclass(frozen=True, slots=True)
class _Subject:
    """The brick that a step is about, with its volume as the step sees it."""

    volume: VolumeRecord
    brick: BrickRecord


def _subject(call: Call, *, earlier_first: bool = False) -> _Subject:
    """Return the brick named in the step's args, from the record after the plan or else before it.

    Raises StepError if neither has it.
    """
    wanted = call.step.args.get("brick")
    records = (call.previous, call.volume) if earlier_first else (call.volume, call.previous)
    for volume in records:
        for brick in volume.bricks if volume else ():
            if brick.uuid == wanted:
                assert volume is not None
                return _Subject(volume, brick)
    raise StepError(f"step {call.step.step_id} ({call.step.kind}): no brick {wanted} in the volume's records")


class InspectBrick:
    """``brick.inspect``: refuse an unusable directory before anything is done anywhere. Changes nothing."""

    def __init__(self, files: BrickFiles) -> None:
        self._files = files

    def footprint(self, call: Call) -> Footprint:  # noqa: ARG002 - the protocol's signature
        """Nothing."""
        return Footprint()

    def check(self, call: Call) -> Checked:
        """Raise StepError if the place must not become, or is not, this brick."""
        self._inspect(call)
        return Checked(effect=Effect.ABSENT)

    def do(self, call: Call, before: Args) -> Args:  # noqa: ARG002 - the protocol's signature
        """Look again: what was fine at the claim may have been unmounted since."""
        self._inspect(call)
        return {}

    def undo(self, call: Call, before: Args) -> None:
        """Change nothing, as `do` did not."""

    def _inspect(self, call: Call) -> None:
        subject = _subject(call)
        self._files.inspect(subject.volume, subject.brick, known=_is_known(call))


class PrepareBrick:
    """``brick.prepare``: make the directory and stamp it as this brick."""

    def __init__(self, files: BrickFiles, runner: BrickRunner) -> None:
        self._files = files
        self._runner = runner

    def footprint(self, call: Call) -> Footprint:
        """The directory, those missing above it, and its stamps; nothing for a known brick."""
        subject = _subject(call)
        return Footprint() if _is_known(call) else self._files.footprint(subject.volume, subject.brick)

    def check(self, call: Call) -> Checked:
        """Tell how much is there; StepError for a place that is another's or unusable."""
        subject = _subject(call)
        return self._files.inspect(subject.volume, subject.brick, known=_is_known(call))

    def do(self, call: Call, before: Args) -> Args:
        """Make and stamp what is missing. A crash leaves directories or stamps that the next `do` keeps."""
        subject = _subject(call)
        if _is_known(call):
            self._files.verify(subject.volume, subject.brick)
        else:
            self._files.prepare(subject.volume, subject.brick, before)
        return {"path": subject.brick.path}

    def undo(self, call: Call, before: Args) -> None:
        """Take away exactly what `do` made; StepError if the brick runs or holds anybody's data."""
        subject = _subject(call)
        if _is_known(call):
            return
        if self._runner.running(subject.volume, subject.brick):
            raise StepError(f"{subject.brick.path}: the brick still runs", retryable=True)
        self._files.unprepare(subject.volume, subject.brick, before)


class StartBrick:
    """``brick.start``: have the brick's process run."""

    def __init__(self, files: BrickFiles, runner: BrickRunner) -> None:
        self._files = files
        self._runner = runner

    def footprint(self, call: Call) -> Footprint:
        """The process, its port, and what the node notes of it; what it writes itself is a trace."""
        subject = _subject(call)
        return self._runner.footprint(subject.volume, subject.brick)

    def check(self, call: Call) -> Checked:
        """Tell whether it runs; StepError if the directory is not that brick."""
        subject = _subject(call)
        self._files.verify(subject.volume, subject.brick)
        before = _image(self._runner, subject)
        return Checked(effect=Effect.PRESENT if before["running"] else Effect.ABSENT, before=before)

    def do(self, call: Call, before: Args) -> Args:  # noqa: ARG002 - the protocol's signature
        """Start it and wait until it listens and has signed in. After a crash the running one is kept."""
        subject = _subject(call)
        process = self._runner.start(subject.volume, subject.brick)
        return {"pid": process.pid, "port": subject.brick.port}

    def undo(self, call: Call, before: Args) -> None:
        """Have it run or not run, as before."""
        _restore(self._runner, _subject(call), before)


class StopBrick:
    """``brick.stop``: have no process of the brick."""

    def __init__(self, runner: BrickRunner) -> None:
        self._runner = runner

    def footprint(self, call: Call) -> Footprint:
        """The process, its port, and what the node notes of it; what it writes itself is a trace."""
        subject = _subject(call, earlier_first=True)
        return self._runner.footprint(subject.volume, subject.brick)

    def check(self, call: Call) -> Checked:
        """Tell whether it runs. Never PRESENT: that it must not be restarted has to be noted, too."""
        before = _image(self._runner, _subject(call, earlier_first=True))
        return Checked(effect=Effect.ABSENT if before["running"] else Effect.PARTIAL, before=before)

    def do(self, call: Call, before: Args) -> Args:  # noqa: ARG002 - the protocol's signature
        """End its process. Done even if it does not run: it must not be restarted either."""
        subject = _subject(call, earlier_first=True)
        self._runner.stop(subject.volume, subject.brick)
        return {}

    def undo(self, call: Call, before: Args) -> None:
        """Have it run or not run, as before."""
        _restore(self._runner, _subject(call, earlier_first=True), before)


def _image(runner: BrickRunner, subject: _Subject) -> Args:
    """Return the before-image: whether the brick runs, and what is noted of that.

    The note is restored, too: a brick that had crashed is restarted by the agent, one that a step stopped
    is not.
    """
    return {
        "running": runner.running(subject.volume, subject.brick),
        "noted": runner.noted(subject.brick),
    }


def _restore(runner: BrickRunner, subject: _Subject, before: Args) -> None:
    if before["running"]:
        runner.start(subject.volume, subject.brick)
    else:
        runner.stop(subject.volume, subject.brick)
    if "noted" in before:  # not in before-images of older versions
        runner.note_again(subject.brick, before["noted"])


def _is_known(call: Call) -> bool:
    return call.step.args.get("known") is True
