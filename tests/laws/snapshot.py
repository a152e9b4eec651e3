"""The whole of a node as it is now, and what of a change a footprint does not account for.

Nothing is left out that a step could touch: every file below the node's disks and its own directories (kind,
mode, owner, content, extended attributes), every GlusterFS process of the node, its ports, its volume table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from reconciler.agent.serving import Held
from reconciler.model.ids import VolumeId
from reconciler.ports.brick import RunningProcess
from reconciler.ports.node import Footprint
from tests.brick_node import Node
from tests.disks import tree

Entry = tuple[object, ...]
Words = tuple[str, ...]
OF_USERS = "/of-a-user-"  #: in the path of everything that no step may touch in any way


@dataclass(frozen=True)
class Snapshot:
    """A node at one moment. `files` by absolute path; `users`: what users put there, by path."""

    files: Mapping[str, Entry]
    processes: Mapping[RunningProcess, Words]
    ports: frozenset[int]
    held: Mapping[VolumeId, Held]
    served: Mapping[VolumeId, str]


@dataclass(frozen=True)
class Scope:
    """Where a snapshot looks: a node and the mount points of its disks."""

    it: Node
    mounts: Sequence[Path]

    def look(self) -> Snapshot:
        """Return the node as it is now."""
        paths = self.it.paths
        files = {
            str(root / name) if name != "." else str(root): entry
            for root in (*self.mounts, paths.state, paths.run, paths.log)
            for name, entry in tree(root).items()
        }
        held = self.it.table.volumes()
        processes = self.it.gluster_processes()
        bricks = [
            words[words.index("--brick-name") + 1] for words in processes.values() if "--brick-name" in words
        ]
        return Snapshot(
            files=dict(_settled(files, str(paths.log), bricks)),
            processes=processes,
            ports=frozenset(port for process in processes for port in _listening(process.pid)),
            # Which credentials are in memory is no promise: a restarted agent has those on its disk.
            held={v: replace(item, secret=None) for v, item in held.items()},
            served={v: self.it.table.client_digest(v) for v in held},
        )

    def outside(self, footprint: Footprint, before: Snapshot, after: Snapshot) -> list[str]:
        """Return what changed and is not in the footprint: confinement is that there is nothing."""
        return self._strange(footprint, before, after, restored=False)

    def unlike(self, footprint: Footprint, before: Snapshot, after: Snapshot) -> list[str]:
        """Return what is not as it was before, the traces of the footprint apart."""
        return self._strange(footprint, before, after, restored=True)

    def _strange(
        self, footprint: Footprint, before: Snapshot, after: Snapshot, *, restored: bool
    ) -> list[str]:
        allowed = _Allowed(footprint, self.it.paths.state, restored=restored)
        names = {*before.files, *after.files}
        found = [
            f"{name}: {str(before.files.get(name))[:300]} -> {str(after.files.get(name))[:300]}"
            for name in sorted(names)
            if not allowed.file(name, before.files.get(name), after.files.get(name))
        ]
        found += allowed.processes(before.processes, after.processes)
        ports = {int(port.rpartition(":")[2]) for port in footprint.ports} if not restored else set()
        found += [f"port {port}" for port in sorted((before.ports ^ after.ports) - ports)]
        if restored or not footprint.memory:
            found += [
                f"table {v}: {was} -> {now}"
                for was, now, v in _different(before.held, after.held)
                + _different(before.served, after.served)
            ]
        else:
            own = {name.partition("/")[2] for name in footprint.memory}
            found += [f"table {v}" for _, _, v in _different(before.held, after.held) if v not in own]
        return found


@dataclass(frozen=True)
class _Allowed:
    """A footprint as a judge; with `restored` only its traces may differ."""

    footprint: Footprint
    state: Path
    restored: bool

    def file(self, name: str, before: Entry | None, after: Entry | None) -> bool:
        if OF_USERS in name and before and after:
            return _without_trusted(before) == _without_trusted(after)
        if before == after or (self._trace(name) and OF_USERS not in name):
            return True
        if self.restored:
            return False
        own = self.footprint
        if any(_below(name, place) for place in own.inside):
            return True
        if name in {str(self.state / memory) for memory in own.memory}:
            return True
        if name not in own.directories:
            return False
        if before is None or after is None:
            return True
        return name == own.directories[-1] and self._attributes_only(before, after)

    def _trace(self, name: str) -> bool:
        kept = [self.state / memory for memory in self.footprint.memory]
        # LocalFiles never removes a folder, nor reads what a crash in the middle of a write has left.
        traces = {str(p) for file in kept for p in (file.parent, file.with_name(f".{file.name}.new"))}
        return name in traces or any(_below(name, trace) for trace in self.footprint.traces)

    def _attributes_only(self, before: Entry, after: Entry) -> bool:
        """Return whether two entries differ in extended attributes of the footprint at most."""
        was, now = before[2], after[2]
        assert isinstance(was, dict)
        assert isinstance(now, dict)
        differ = {a for a in {*was, *now} if was.get(a) != now.get(a)}
        patterns = self.footprint.attributes
        named = all(
            any(a.startswith(p[:-1]) if p.endswith("*") else a == p for p in patterns) for a in differ
        )
        return (*before[:2], *before[3:]) == (*after[:2], *after[3:]) and named

    def processes(
        self, before: Mapping[RunningProcess, Words], after: Mapping[RunningProcess, Words]
    ) -> list[str]:
        """Return processes that came or went and are none of the footprint's.

        Restored is one that runs again, whatever its pid is now; and not two of them.
        """
        known = self.footprint.processes
        found = [
            f"process {process.pid}: {' '.join(words)}"
            for process, words in {**before, **after}.items()
            if (process in before) != (process in after) and not any(_carries(words, own) for own in known)
        ]
        for own in known if self.restored else ():
            counts = [sum(_carries(words, own) for words in side.values()) for side in (before, after)]
            if counts[0] != counts[1]:
                found.append(f"{counts[1]} processes {own}, {counts[0]} before")
        return found


def _different(
    before: Mapping[VolumeId, object], after: Mapping[VolumeId, object]
) -> list[tuple[object, object, VolumeId]]:
    names = sorted({*before, *after})
    return [(before.get(v), after.get(v), v) for v in names if before.get(v) != after.get(v)]


def _settled(files: Mapping[str, Entry], logs: str, bricks: Sequence[str]) -> Iterator[tuple[str, Entry]]:
    """Yield files as far as they stay as they are while nobody does anything.

    Processes log, and a running brick goes on writing into its hidden directories and attributes; what users
    have in it stays.
    """
    for name, entry in files.items():
        brick = next((path for path in bricks if _below(name, path)), None)
        if _below(name, logs):
            yield name, (entry[0],)
        elif brick is None:
            yield name, entry
        elif name == brick or OF_USERS in name:
            yield name, _without_trusted(entry)


def _without_trusted(entry: Entry) -> Entry:
    attributes = entry[2]
    assert isinstance(attributes, dict)
    users = {name: value for name, value in attributes.items() if not name.startswith("trusted.")}
    return (*entry[:2], users, *entry[3:])


def _listening(pid: int) -> set[int]:
    """Return the TCP ports that a process listens on (proc(5): net/tcp, state 0A; fd, by inode)."""
    ports = {}
    with suppress(OSError):  # it has just ended
        for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                ports[f"socket:[{fields[9]}]"] = int(fields[1].rpartition(":")[2], 16)
        return {ports[to] for fd in Path(f"/proc/{pid}/fd").iterdir() if (to := _target(fd)) in ports}
    return set()


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


def _below(name: str, place: str) -> bool:
    return name == place or name.startswith(f"{place}/")


def _carries(words: Words, wanted: Words) -> bool:
    return any(words[at : at + len(wanted)] == wanted for at in range(len(words) - len(wanted) + 1))
