"""A node's machine as a model: brick directories, processes, small files, behind the ports that actions use.

Every change goes through `Machine.change`, which can stop the caller before any of them: what was changed so
far stays, as when an agent is killed between two system calls. What a place may be used for is decided by the
product's own rules (`reconciler.adapters.brick_rules`); tests/contract holds the model to the real adapters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from reconciler.adapters.brick_rules import Found, filesystem_problem, foreign, unusable
from reconciler.adapters.mounts import Mount
from reconciler.agent.portmap import SignIn
from reconciler.errors import StepError
from reconciler.model.configured import BrickRecord, VolumeRecord
from reconciler.model.ids import ClusterId, NodeId, PeerName
from reconciler.model.observed import PathProbe
from reconciler.plan.step import Args
from reconciler.ports.brick import BrickIdentity, BrickSight, RunningProcess
from reconciler.ports.node import Checked, Effect
from tests.sim.invariants import must
from tests.volume_samples import MemoryFiles


class Cut(BaseException):
    """The caller is stopped before a change."""


@dataclass(slots=True)
class Directory:
    """A directory. `entries` are names that are neither directories of the model nor our stamps."""

    hidden: bool = False
    used: bool = False  #: glusterfsd has put its own things into ``.glusterfs``
    identity: BrickIdentity | None = None
    volume_id: str = ""
    entries: tuple[str, ...] = ()


@dataclass(slots=True)
class Machine:
    """What outlives an agent. `left` is how many changes may still be made before a Cut."""

    mount: Mount
    fs_uuid: str
    tree: dict[str, Directory] = field(default_factory=dict)
    running: dict[int, tuple[str, ...]] = field(default_factory=dict)  #: arguments by pid
    files: ModelFiles = field(init=False)
    left: int | None = None
    _pid: int = 100

    def __post_init__(self) -> None:
        self.files = ModelFiles(self)

    def change(self, apply: Callable[[], object]) -> None:
        """Make a change, unless the caller is to be stopped before it."""
        if self.left == 0:
            raise Cut
        if self.left is not None:
            self.left -= 1
        apply()

    @contextmanager
    def cut_after(self, changes: int | None) -> Iterator[None]:
        """Stop whoever makes more than so many changes inside."""
        self.left = changes
        try:
            yield
        finally:
            self.left = None

    def with_words(self, words: Sequence[str]) -> tuple[int, ...]:
        """Return the pids of processes with these arguments, in sequence."""
        return tuple(pid for pid, argv in sorted(self.running.items()) if _contains(argv, words))

    def begin(self, argv: Sequence[str]) -> int:
        """Have a process run. One for a brick is the only one."""
        if "--brick-name" in argv:
            words = ("--brick-name", argv[argv.index("--brick-name") + 1])
            must(37, not self.with_words(words), "a second process of", words)
        self._pid += 1
        self.running[self._pid] = tuple(argv)
        return self._pid


class ModelFiles(MemoryFiles):
    """LocalFiles whose every change is one of the machine's."""

    def __init__(self, machine: Machine) -> None:
        super().__init__()
        self._machine = machine

    def write(self, name: str, text: str) -> None:
        self._machine.change(lambda: super(ModelFiles, self).write(name, text))

    def remove(self, name: str) -> None:
        if name in self.files:
            self._machine.change(lambda: super(ModelFiles, self).remove(name))

    def set_aside(self, name: str) -> str:
        if name in self.files:
            self._machine.change(lambda: super(ModelFiles, self).set_aside(name))
        return f"{name}.bad"


class ModelBrickFiles:
    """BrickFiles on a machine."""

    def __init__(self, machine: Machine, cluster: ClusterId, node: NodeId, peer: PeerName) -> None:
        self._machine, self._cluster, self._node, self._peer = machine, cluster, node, peer

    def probe(self, path: str) -> PathProbe:
        there = path in self._machine.tree
        return PathProbe(peer=self._peer, path=path, kind="directory" if there else "absent")

    def look(self, volume: VolumeRecord, brick: BrickRecord) -> BrickSight:
        found = self._found(brick.path)
        problem = foreign(volume, brick, found, self._cluster, known=True)
        return BrickSight(problem=problem, volume_id=found.volume_id, identity=found.identity_uuid)

    def verify(self, volume: VolumeRecord, brick: BrickRecord) -> None:
        self.inspect(volume, brick, known=True)

    def inspect(self, volume: VolumeRecord, brick: BrickRecord, *, known: bool) -> Checked:
        found = self._found(brick.path)
        problem = filesystem_problem(brick, self._machine.mount, self._machine.fs_uuid)
        problem = problem or foreign(volume, brick, found, self._cluster, known=known)
        if not problem and not known:
            problem = unusable(brick, found, "")
        if problem:
            raise StepError(problem)
        return found.checked()

    def prepare(self, volume: VolumeRecord, brick: BrickRecord, before: Args) -> None:
        if self.inspect(volume, brick, known=False).effect is Effect.PRESENT:
            return
        machine = self._machine
        for path in self._found(brick.path).missing:
            machine.change(lambda path=path: machine.tree.setdefault(path, Directory()))  # type: ignore[misc]  # bound now
        place = machine.tree[brick.path]
        if not place.hidden:
            machine.change(lambda: setattr(place, "hidden", True))
        identity = BrickIdentity(
            brick=brick.uuid, volume=volume.volume_id, cluster=self._cluster, node=self._node
        )
        must(24, place.identity in (None, identity), brick.path, "has", place.identity)
        must(24, place.volume_id in ("", volume.volume_id), brick.path, "belongs to", place.volume_id)
        if place.identity is None:
            machine.change(lambda: setattr(place, "identity", identity))
        machine.change(lambda: setattr(place, "volume_id", volume.volume_id))

    def unprepare(self, volume: VolumeRecord, brick: BrickRecord, before: Args) -> None:
        if before["volume_id"] and before["identity"]:
            return
        machine, place = self._machine, self._machine.tree.get(brick.path)
        if place is not None:
            if foreign(volume, brick, self._found(brick.path), self._cluster, known=False):
                return
            self._unstamp(place, before)
        made = before["made"]
        assert isinstance(made, list)
        for number, path in enumerate(reversed([str(one) for one in made])):
            if path in machine.tree:
                inside = [p for p in machine.tree if PurePosixPath(p).parent == PurePosixPath(path)]
                if inside and number > 0:
                    return
                must(26, not inside and machine.tree[path] == Directory(), path, "is removed and not empty")
                machine.change(lambda path=path: machine.tree.pop(path))  # type: ignore[misc]  # bound now

    def _unstamp(self, place: Directory, before: Args) -> None:
        change = self._machine.change
        if place.entries:
            raise StepError("the brick holds files")
        if place.used and not before["hidden_used"]:
            change(lambda: setattr(place, "used", False))
        if place.identity and not before["identity"]:
            change(lambda: setattr(place, "identity", None))
        if place.hidden and not before["hidden"]:
            change(lambda: setattr(place, "hidden", False))
        if place.volume_id and not before["volume_id"]:
            change(lambda: setattr(place, "volume_id", ""))

    def _found(self, path: str) -> Found:
        mount, tree = self._machine.mount, self._machine.tree
        place = tree.get(path)
        if place is None:
            chain = [PurePosixPath(path), *PurePosixPath(path).parents]
            below = [str(p) for p in chain if p.is_relative_to(mount.point) and str(p) != mount.point]
            return Found(mount=mount, missing=tuple(p for p in reversed(below) if p not in tree))
        return Found(
            mount=mount,
            entries=place.entries,
            hidden=place.hidden,
            hidden_used=place.used,  # our identity file alone is no use
            volume_id=place.volume_id,
            identity=place.identity,
            attributes=("trusted.glusterfs.volume-id",) if place.volume_id else (),
        )


@dataclass(frozen=True, slots=True)
class Begun:
    """A Launch of a program that was in the background at once."""

    def ended(self) -> int | None:
        return 0

    def abandon(self) -> None:
        """It has ended."""


class ModelProcesses:
    """Processes of a machine; a process begins and ends in one change."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def spawn(self, argv: Sequence[str], log: str) -> Begun:
        self._machine.change(lambda: self._machine.begin(argv))
        if "--brick-name" in argv:
            path = argv[argv.index("--brick-name") + 1]
            self._machine.tree[path].used = True  # what glusterfsd makes by itself
        return Begun()

    def lock_holder(self, pidfile: str) -> RunningProcess | None:
        return next(iter(self.find(("-p", pidfile))), None)

    def find(self, words: Sequence[str]) -> tuple[RunningProcess, ...]:
        return tuple(RunningProcess(pid, pid) for pid in self._machine.with_words(words))

    def alive(self, process: RunningProcess) -> bool:
        return process.pid in self._machine.running

    def carries(self, process: RunningProcess, words: Sequence[str]) -> bool:
        return process.pid in self._machine.with_words(words)

    def send(self, process: RunningProcess, number: int, words: Sequence[str]) -> None:
        if process.pid in self._machine.running:
            must(36, self.carries(process, words), "a signal", number, "to", process, "which is not", words)
            self._machine.change(lambda: self._machine.running.pop(process.pid))

    def wait_end(self, process: RunningProcess, timeout_s: float) -> bool:
        return not self.alive(process)

    @contextmanager
    def claim(self, lockfile: str) -> Iterator[None]:
        yield

    def log_end(self, log: str) -> int:
        return 0

    def complaints(self, log: str, after: int) -> str:
        return ""


class ModelPorts:
    """Ports of a machine: a brick's process listens from its start on."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def port_holder(self, address: str, port: int) -> str:
        found = self._machine.with_words(("--brick-port", str(port)))
        return f"process {found[0]}" if found else ""

    def listening(self, address: str, port: int) -> bool:
        return bool(self._machine.with_words(("--brick-port", str(port))))


def signed_in_as(machine: Machine, path: str) -> SignIn | None:
    """Return what the process of a brick says of itself."""
    for pid in machine.with_words(("--brick-name", path)):
        argv = machine.running[pid]
        return SignIn(int(argv[argv.index("--brick-port") + 1]), pid)
    return None


def _contains(argv: Sequence[str], words: Sequence[str]) -> bool:
    ends = range(len(argv) - len(words) + 1)
    return any(tuple(argv[at : at + len(words)]) == tuple(words) for at in ends)
