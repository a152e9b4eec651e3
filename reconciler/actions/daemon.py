"""The steps about a volume's self-heal daemon on one node: start and stop its process."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from reconciler.errors import StepError
from reconciler.ports.node import Action, Checked, Effect, Footprint

if TYPE_CHECKING:
    from reconciler.model.configured import VolumeRecord
    from reconciler.plan.step import Args
    from reconciler.ports.brick import DaemonRunner
    from reconciler.ports.node import Call


START = "shd.start"
STOP = "shd.stop"


def daemon_actions(runner: DaemonRunner) -> Mapping[str, Action]:
    """Return the actions of this module by step kind."""
    return MappingProxyType({START: StartShd(runner), STOP: StopShd(runner)})


class StartShd:
    """``shd.start``: have the daemon run."""

    def __init__(self, runner: DaemonRunner) -> None:
        self._runner = runner

    def footprint(self, call: Call) -> Footprint:
        """The process; its log, pidfile and socket are traces."""
        return self._runner.footprint(_volume(call))

    def check(self, call: Call) -> Checked:
        """Tell whether it runs."""
        running = self._runner.running(_volume(call))
        return Checked(effect=Effect.PRESENT if running else Effect.ABSENT, before={"running": running})

    def do(self, call: Call, before: Args) -> Args:  # noqa: ARG002 - the protocol's signature
        """Start it and wait for its graph. After a crash the running one is kept."""
        return {"pid": self._runner.start(_volume(call)).pid}

    def undo(self, call: Call, before: Args) -> None:
        """Have it run or not run, as before."""
        _restore(self._runner, _volume(call), before)


class StopShd:
    """``shd.stop``: have no process of the daemon."""

    def __init__(self, runner: DaemonRunner) -> None:
        self._runner = runner

    def footprint(self, call: Call) -> Footprint:
        """The process; its log, pidfile and socket are traces."""
        return self._runner.footprint(_volume(call))

    def check(self, call: Call) -> Checked:
        """Tell whether it runs. Never PRESENT: that it must not be restarted has to be noted, too."""
        running = self._runner.running(_volume(call))
        return Checked(effect=Effect.ABSENT if running else Effect.PARTIAL, before={"running": running})

    def do(self, call: Call, before: Args) -> Args:  # noqa: ARG002 - the protocol's signature
        """End its process. Done even if it does not run: it must not be restarted either."""
        self._runner.stop(_volume(call))
        return {}

    def undo(self, call: Call, before: Args) -> None:
        """Have it run or not run, as before."""
        _restore(self._runner, _volume(call), before)


def _restore(runner: DaemonRunner, volume: VolumeRecord, before: Args) -> None:
    if before["running"]:
        runner.start(volume)
    else:
        runner.stop(volume)


def _volume(call: Call) -> VolumeRecord:
    """Return the record the daemon runs with: name and id, which no plan changes."""
    volume = call.volume or call.previous
    if volume is None:
        raise StepError(f"step {call.step.step_id} ({call.step.kind}) names no volume")
    return volume
