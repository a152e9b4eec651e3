"""What the brick and daemon steps and the supervisors need of a node: disks, processes, sockets. No code.

Paths are plain strings here. Everything raises StepError, with the path or process and what was found, and
nothing else; a bug is an assertion.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from reconciler.model.configured import BrickRecord, VolumeRecord
from reconciler.model.fields import Json
from reconciler.model.ids import BrickUuid, ClusterId, NodeId, VolumeId
from reconciler.model.observed import PathProbe
from reconciler.plan.step import Args
from reconciler.ports.node import Checked, Footprint

Terminate = Callable[[str, str], None]
"""Ask the process behind a control socket (first argument) to end its brick at a path (second argument).

Raises a ReconcilerError when it does not answer in a few seconds (glusterfs brick operation TERMINATE).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrickIdentity:
    """Whose brick a directory is; written inside it, so that it travels with the data.

    `node` is where the brick was prepared, for messages: the brick's UUID alone says which brick it is.
    """

    brick: BrickUuid
    volume: VolumeId
    cluster: ClusterId
    node: NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class BrickSight:
    """What stands at a configured brick's path now.

    Attributes:
        problem: why the brick must not be served from here, naming path and finding; empty if it may.
        volume_id, identity: what the directory carries (volume id, brick UUID); empty if absent.
        heal_pending: files that need heal by the index; None if it cannot be read.
    """

    problem: str = ""
    volume_id: str = ""
    identity: str = ""
    mount: str = ""
    fs_uuid: str = ""
    size_bytes: int = 0
    free_bytes: int = 0
    heal_pending: int | None = None


class BrickFiles(Protocol):
    """The directories of this node's bricks."""

    def probe(self, path: str) -> PathProbe:
        """Tell what stands at `path`. Reads only; never raises (see `PathProbe.problem`)."""
        ...

    def inspect(self, volume: VolumeRecord, brick: BrickRecord, *, known: bool) -> Checked:
        """Tell how much of the brick's preparation is there, and the before-image that `unprepare` needs.

        A `known` brick was configured before: without its own stamps it is refused, never stamped anew.
        """
        ...

    def prepare(self, volume: VolumeRecord, brick: BrickRecord, before: Args) -> None:
        """Make and stamp the directory; goes on after a half-done earlier call."""
        ...

    def unprepare(self, volume: VolumeRecord, brick: BrickRecord, before: Args) -> None:
        """Go back to `before`; refuses, with nothing changed, when the brick holds anything of users'."""
        ...

    def footprint(self, volume: VolumeRecord, brick: BrickRecord) -> Footprint:
        """Tell what `prepare` and `unprepare` may change. Reads nothing."""
        ...

    def verify(self, volume: VolumeRecord, brick: BrickRecord) -> None:
        """Raise StepError unless this directory is that brick, on its own filesystem."""
        ...

    def look(self, volume: VolumeRecord, brick: BrickRecord) -> BrickSight:
        """Tell what stands at the brick's path. Reads only; never raises."""
        ...


@dataclass(frozen=True, slots=True)
class RunningProcess:
    """A process for ever: a pid is reused, a pid with its start time (clock ticks since boot) is not."""

    pid: int
    start_time: int


class Launch(Protocol):
    """A program that was started and is putting itself into the background."""

    def ended(self) -> int | None:
        """Return the exit code of the starting process, or None while it has not ended."""
        ...

    def abandon(self) -> None:
        """Kill the starting process if it has not ended. Its background process, if any, is another one."""
        ...


class Processes(Protocol):
    """Processes of this machine. `words` are arguments that must stand in a process' command line."""

    def spawn(self, argv: Sequence[str], log: str) -> Launch:
        """Start a program, detached from the agent; what it prints is appended to `log`."""
        ...

    def lock_holder(self, pidfile: str) -> RunningProcess | None:
        """Return the live process that holds the lock of a pidfile; the file's text does not count."""
        ...

    def find(self, words: Sequence[str]) -> tuple[RunningProcess, ...]:
        """Return the GlusterFS processes with these arguments, in sequence, that see the same mounts."""
        ...

    def alive(self, process: RunningProcess) -> bool:
        """Return true while exactly this process runs; a zombie does not."""
        ...

    def carries(self, process: RunningProcess, words: Sequence[str]) -> bool:
        """Return true if the process is alive and its arguments contain `words` in sequence."""
        ...

    def send(self, process: RunningProcess, number: int, words: Sequence[str]) -> None:
        """Signal exactly this process; nothing happens when it has ended, StepError if it is another one."""
        ...

    def wait_end(self, process: RunningProcess, timeout_s: float) -> bool:
        """Wait for the process to end; return false if it has not after `timeout_s` seconds."""
        ...

    def claim(self, lockfile: str) -> AbstractContextManager[None]:
        """Hold an exclusive lock against every other process; StepError (retryable) if one has it."""
        ...

    def log_end(self, log: str) -> int:
        """Return the present size of a log in bytes; 0 if there is none."""
        ...

    def complaints(self, log: str, after: int) -> str:
        """Return the last few errors that a GlusterFS process logged after byte `after`, in one line."""
        ...


class Ports(Protocol):
    """TCP ports of this machine."""

    def port_holder(self, address: str, port: int) -> str:
        """Say who keeps a port from being listened on at `address` (empty: any); empty if it is free.

        Raises StepError if `address` is not one of this machine.
        """
        ...

    def listening(self, address: str, port: int) -> bool:
        """Return true if something accepts connections there."""
        ...


class BrickRunner(Protocol):
    """Bricks as processes, for the steps. Calls may take seconds; all are idempotent and thread-safe."""

    def running(self, volume: VolumeRecord, brick: BrickRecord) -> bool:
        """Return true if our process of this brick is alive; StepError if somebody else's serves it."""
        ...

    def start(self, volume: VolumeRecord, brick: BrickRecord) -> RunningProcess:
        """Have the brick run, signed in and listening. A directory that is not that brick is refused."""
        ...

    def stop(self, volume: VolumeRecord, brick: BrickRecord) -> None:
        """Have no process of ours on the brick; it stays stopped until `start`, or the next boot."""
        ...

    def noted(self, brick: BrickRecord) -> Json:
        """Return what is noted, durably, of how the brick's process ended or began; for a before-image."""
        ...

    def note_again(self, brick: BrickRecord, noted: Json) -> None:
        """Note exactly this again: whether the agent may start the brick by itself depends on it."""
        ...

    def footprint(self, volume: VolumeRecord, brick: BrickRecord) -> Footprint:
        """Tell what `start`, `stop` and `note_again` may change. Reads nothing."""
        ...


class DaemonRunner(Protocol):
    """A volume's service daemon as a process, for the steps. All calls are idempotent and thread-safe."""

    def running(self, volume: VolumeRecord) -> bool:
        """Return true if the daemon's process is alive."""
        ...

    def start(self, volume: VolumeRecord) -> RunningProcess:
        """Have the daemon run, with its graph up."""
        ...

    def stop(self, volume: VolumeRecord) -> None:
        """Have no process of it, until `start` or the next start of the agent."""
        ...

    def footprint(self, volume: VolumeRecord) -> Footprint:
        """Tell what `start` and `stop` may change. Reads nothing."""
        ...
