"""A real cluster whose processes can be made to die at a point, with a client at work, and its journal."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reconciler.adapters.processes import identify
from reconciler.failpoints import VARIABLE
from reconciler.lab import control
from reconciler.lab.layout import LabLayout
from reconciler.lab.record import children, load
from tests.crash.waits import NOTHING, Waits, waits
from tests.lab_faults import Applying, Volume, apply, declare, volume
from tests.labs import Lab, eventually, lab

WRITER_PAUSE_S = 0.1  #: what a crash does to a client lasts longer; three labs share the cores


@dataclass(frozen=True, slots=True)
class Written:
    """One change of a key: when it was heard of (monotonic), its revision, key and value.

    Of a head, and of an agent's sign of life, also how long processes had waited to run by then.
    """

    at: float
    revision: int
    key: str
    value: dict[str, Any] | None
    waits: Waits = NOTHING


class Journal:
    """Everything that is written in a lab's etcd, as it is written; survives a restart of etcd."""

    def __init__(self, it: Lab) -> None:
        self.written: list[Written] = []
        self._root = it.root
        words = ["etcdctl", "--endpoints", load(it.root).endpoint, "watch", "--prefix", "/", "-w", "json"]
        self._process = subprocess.Popen(
            [*control.inside(it.root), "env", "ETCDCTL_API=3", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._thread = threading.Thread(target=self._read, name="journal")
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            now = time.monotonic()
            for event in json.loads(line).get("Events") or ():
                entry = event["kv"]
                key = base64.b64decode(entry["key"]).decode()
                text = base64.b64decode(entry.get("value", ""))
                try:
                    value = json.loads(text) if text else None
                except ValueError:
                    value = {"text": text.decode(errors="replace")}
                revision = entry["mod_revision"]
                until = self.waits() if key.endswith(("/head", "/live")) else NOTHING
                self.written.append(
                    Written(now, revision, key, value if isinstance(value, dict) else {}, until)
                )

    def waits(self) -> Waits:
        """Return how long the processes at work have waited to run so far."""
        return waits(self._root, self._process.pid)

    def of(self, txn: str) -> list[Written]:
        """Return what was written for a transaction, in its order."""
        return [w for w in list(self.written) if f"/{txn}/" in w.key]

    def heads(self, txn: str) -> list[Written]:
        """Return the heads of a transaction, in their order."""
        return [w for w in self.of(txn) if w.key.endswith("/head") and w.value]

    def close(self) -> None:
        self._process.kill()
        self._process.wait(10)
        self._thread.join(10)
        assert self._process.stdout is not None
        self._process.stdout.close()


@dataclass(slots=True)
class Arming:
    """The file by which processes are made to fail, once."""

    path: Path

    def arm(self, text: str) -> None:
        fresh = self.path.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(self.path)

    def fired(self) -> int:
        """Return the process that has come to the point, or 0."""
        found = self._taken()
        return int(found[0].suffix[1:]) if found else 0

    def fired_at(self) -> float:
        """Return when it came there, as time.monotonic()."""
        return time.monotonic() - (time.time() - self._taken()[0].stat().st_ctime)

    def _taken(self) -> list[Path]:
        return [p for p in self.path.parent.glob(f"{self.path.name}.*") if p.suffix[1:].isdigit()]

    def disarm(self) -> None:
        for file in self.path.parent.glob(f"{self.path.name}*"):
            file.unlink()


@dataclass(slots=True)
class Scene:
    """The cluster: volume `base` is mounted and written to; every case adds one more volume."""

    it: Lab
    nodes: Arming
    applier: Arming
    journal: Journal
    declared: list[Volume] = field(default_factory=list)
    number: int = 0

    def next_plan(self, *, in_parts: bool = False) -> str:
        """Declare a new replica 3 and another option of `base`; return the file with the plan.

        Each of the two volumes is a part of its own only if that is said.
        """
        self.number += 1
        base = volume(self.it, "base", options={"network.ping-timeout": str(20 + self.number)})
        declare(self.it, base, *self.declared, volume(self.it, f"v{self.number}"))
        file = str(self.it.root / "work" / f"{self.number}.plan")
        mode = f"--rollback={'change' if in_parts else 'all'}"
        words = ("plan", mode, "-f", str(self.it.root / "work" / "cluster.yaml"), "--out", file)
        done = self.it.cli(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        return file

    def committed(self) -> None:
        """Note that the last plan's volume is there."""
        self.declared.append(volume(self.it, f"v{self.number}"))

    @contextlib.contextmanager
    def applying(self, file: str, points: str = "") -> Iterator[Applying]:
        """Yield an apply that fails at `points`, or as `applier` is armed; it is dead afterwards."""
        os.environ[VARIABLE] = points or f"@{self.applier.path}"
        try:
            started = Applying(self.it, "apply", file)
        finally:
            del os.environ[VARIABLE]
        try:
            yield started
        finally:
            started.close()

    def agent(self, number: int) -> int:
        """Return the pid of a node's agent."""
        return children(LabLayout(self.it.root))[f"agent-{number}"].pid

    def kill_etcd(self) -> None:
        """SIGKILL etcd and wait until another one answers."""
        before = children(LabLayout(self.it.root))["etcd"]
        control.kill(self.it.root, "etcd")

        def back() -> bool:
            now = children(LabLayout(self.it.root)).get("etcd")
            return now not in (None, before) and self.it.cli("status").returncode == 0

        eventually(back, "etcd is back", 120)


@contextlib.contextmanager
def scene(folder: Path) -> Iterator[Scene]:
    """Yield a cluster with a client at work; any error that the client has seen fails at the end."""
    nodes, applier = Arming(folder / "nodes"), Arming(folder / "applier")
    agent = ("env", f"{VARIABLE}=@{nodes.path}", *control.DEFAULT_AGENT)
    with lab(agent=agent) as it:
        control.wait_for_agents(it.root, 60)
        declare(it, volume(it, "base"))
        code, text = apply(it)
        assert code == 0, text
        journal = Journal(it)
        try:
            with it.mounted("base") as point, it.writing(point, pause_s=WRITER_PAUSE_S):
                yield Scene(it, nodes, applier, journal)
        finally:
            journal.close()


def transaction(file: str) -> str:
    """Return the transaction that a plan would be run by."""
    plan: Mapping[str, Any] = json.loads(Path(file).read_text())
    return "t-" + str(plan["plan_id"] if "plan_id" in plan else plan["id"]).removeprefix("p-")


def stopped(pid: int) -> bool:
    """Return true once a process is stopped as a whole."""
    states = [t / "stat" for t in Path(f"/proc/{pid}/task").iterdir()]
    return all(s.read_text().rpartition(")")[2].split()[0] in "TZX" for s in states)


def ended(pid: int) -> bool:
    """Return true once a process is gone, or a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return identify(pid) is None
