"""The lab's record, `lab.json`: enough to enter the lab and to end it, also after a crash or a reboot."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

from reconciler.errors import EnvironmentProblem, UsageError
from reconciler.lab.layout import LabLayout, NodeLayout
from reconciler.lab.namespace import Inside
from reconciler.lab.processes import alive
from reconciler.ports.brick import RunningProcess

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LabRecord:
    """What was started. Later processes are recorded before they do anything that outlives them.

    Attributes:
        nodes: how many nodes there are.
        endpoint: etcd's client addresses, ``host:port`` separated by commas; empty while the lab comes up.
        commands: what the supervisor runs, by name (``etcd`` or ``etcd-1``, ``agent-1``).
    """

    nodes: int
    endpoint: str = ""
    commands: dict[str, list[str]] = field(default_factory=dict)
    keeper: RunningProcess | None = None
    supervisor: RunningProcess | None = None

    @property
    def endpoints(self) -> list[str]:
        """Return the client address of each of etcd's members."""
        return self.endpoint.split(",")

    @property
    def inside(self) -> Inside:
        """Return the lab's namespaces; the machine's own if it has none, or none any more."""
        return Inside(self.keeper if alive(self.keeper) else None)

    def members(self, layout: LabLayout) -> list[NodeLayout]:
        """Return all nodes."""
        return [layout.node(number) for number in range(1, self.nodes + 1)]

    def member(self, layout: LabLayout, number: int) -> NodeLayout:
        """Return one node; raises UsageError if the lab has no such node."""
        if not 1 <= number <= self.nodes:
            raise UsageError(f"no node {number}: this lab has nodes 1 to {self.nodes}")
        return layout.node(number)

    def saying(self, name: str, command: list[str]) -> LabRecord:
        """Return the record with another command for the part `name`."""
        return replace(self, commands={**self.commands, name: command})

    def save(self, layout: LabLayout) -> None:
        """Write the record in one rename."""
        value = {
            "version": VERSION,
            "nodes": self.nodes,
            "endpoint": self.endpoint,
            "commands": self.commands,
            "keeper": stored(self.keeper),
            "supervisor": stored(self.supervisor),
        }
        layout.fresh_record.write_text(json.dumps(value, indent=1), encoding="utf-8")
        layout.fresh_record.replace(layout.record)


def load(root: Path) -> LabRecord:
    """Return the record of the lab at `root`.

    Raises:
        EnvironmentProblem: there is no lab, or its record is damaged.
    """
    path = LabLayout(root).record
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        return LabRecord(
            nodes=value["nodes"],
            endpoint=value["endpoint"],
            commands=value["commands"],
            keeper=loaded(value["keeper"]),
            supervisor=loaded(value["supervisor"]),
        )
    except (FileNotFoundError, NotADirectoryError):
        raise EnvironmentProblem(f"no lab at {root}", hint="gluster-state lab up") from None
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise EnvironmentProblem(f"{path} is not the record of a lab: {error!r}") from error


def stored(process: RunningProcess | None) -> dict[str, int] | None:
    """Return a process as it is written into a file."""
    return None if process is None else {"pid": process.pid, "started": process.start_time}


def loaded(value: dict[str, int] | None) -> RunningProcess | None:
    """Return a process as it was written into a file."""
    return None if value is None else RunningProcess(value["pid"], value["started"])


def children(layout: LabLayout) -> dict[str, RunningProcess]:
    """Return the recorded processes that run now, by name: etcd, agents, and what `lab break` started."""
    found = {}
    for file in sorted(layout.processes.glob("*.json")):
        process = loaded(json.loads(file.read_text(encoding="utf-8")))
        if process is not None and alive(process):
            found[file.stem] = process
    return found


def note_child(layout: LabLayout, name: str, process: RunningProcess) -> None:
    """Record a process under `name`, in one rename."""
    fresh = layout.processes / f".{name}"
    fresh.write_text(json.dumps(stored(process)), encoding="utf-8")
    fresh.replace(layout.processes / f"{name}.json")
