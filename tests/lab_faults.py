"""What tests of faults ask of a lab: declarations, pictures of all there is, applies to be killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.adapters.brick_directory import VOLUME_ID
from reconciler.lab import control, processes
from reconciler.lab.layout import LabLayout, NodeLayout
from reconciler.lab.record import load
from reconciler.model import keys
from reconciler.model.ids import ClusterId
from tests.disks import entry, tree
from tests.labs import Lab, cluster, eventually

Volume = dict[str, Any]
_IDENTITY = ".glusterfs/gluster-state.json"


# ---------------------------------------------------------------- declaring


def node(it: Lab, number: int) -> NodeLayout:
    """Return where a node keeps what."""
    return LabLayout(it.root).node(number)


def volume(it: Lab, name: str, *numbers: int, **more: Any) -> Volume:
    """Return a volume with one brick on each of some nodes (all three unless said otherwise).

    It is a replica 3 unless `more` names a type.
    """
    shape = {"type": "replicate", "replica": 3} if "type" not in more else {}
    paths = [f"gs{n}:{node(it, n).bricks}/{name}/b0" for n in numbers or (1, 2, 3)]
    return {"name": name, "bricks": paths, **shape, **more}


def single(it: Lab, name: str, number: int, **more: Any) -> Volume:
    """Return a volume of one brick on one node."""
    accepted = [{"code": "GS204", "reason": "a test"}]
    return volume(it, name, number, type="distribute", acknowledge=accepted, **more)


def declare(it: Lab, *volumes: Volume, **spec: Any) -> Path:
    """Write a declaration of the lab's cluster with these volumes; return the file."""
    folder = it.root / "work"
    folder.mkdir(exist_ok=True)
    count = load(it.root).nodes
    peers = [{"name": f"gs{n}", "address": f"127.0.1.{n}"} for n in range(1, count + 1)]
    body = {
        "apiVersion": "gluster-state.io/v1",
        "kind": "Cluster",
        "metadata": {"name": control.CLUSTER},
        "spec": {"unprotectDelay": "1s", "peers": peers, "volumes": list(volumes), **spec},
    }
    path = folder / "cluster.yaml"
    path.write_text(json.dumps(body, indent=1), encoding="utf-8")
    return path


def gone(name: str, volume_id: str) -> Volume:
    """Return the tombstone of a volume."""
    return {"name": name, "state": "absent", "data": "retain", "confirm": volume_id}


@contextlib.contextmanager
def with_base() -> Iterator[Lab]:
    """Yield a cluster that has the volume `base`."""
    with cluster() as made:
        declare(made, volume(made, "base"))
        code, text = apply(made)
        assert code == 0, text
        yield made


# ---------------------------------------------------------------- ports


@contextlib.contextmanager
def port_held(it: Lab, number: int, port: int) -> Iterator[int]:
    """Hold a port of a node during the block; yields the process's id."""
    words = [sys.executable, "-m", "reconciler.lab.squatter", f"127.0.1.{number}", str(port)]
    holder = subprocess.Popen([*control.inside(it.root), *words], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert [holder.stdout.readline() for _ in range(2)] == ["trying\n", "holding\n"]
        yield holder.pid
    finally:
        holder.kill()
        holder.communicate()


def planned_port(it: Lab, file: str, *, name: str = "") -> int:
    """Return the port that a saved plan gives the new brick (of a volume, if there are more) on node 2."""
    bricks = [
        change["after"]
        for change in answer(it, "show", file)["changes"]
        if isinstance(change["after"], dict) and "port" in change["after"]
    ]
    parts = {"gs2", name} - {""}
    return next(int(brick["port"]) for brick in bricks if parts <= set(brick["path"].split("/")))


# ---------------------------------------------------------------- commands


def plan(it: Lab, *words: str) -> tuple[int, str]:
    """Plan the declaration; return exit code and output."""
    return command(it, "plan", "-f", str(it.root / "work" / "cluster.yaml"), *words)


def apply(it: Lab, *words: str) -> tuple[int, str]:
    """Apply the declaration without asking; return exit code and output."""
    return command(it, "apply", "--yes", "-f", str(it.root / "work" / "cluster.yaml"), *words)


def command(it: Lab, *words: str) -> tuple[int, str]:
    """Run gluster-state inside the lab; return exit code and output with every run of blanks as one.

    Messages are wrapped to the width of a terminal, which is no part of what they say.
    """
    done = it.cli(*words)
    return done.returncode, " ".join(f"{done.stdout} {done.stderr}".split())


def answer(it: Lab, *words: str) -> Any:
    """Return a command's JSON, whatever its exit code."""
    return json.loads(it.cli(*words, "-o", "json").stdout)


def status_of(it: Lab, name: str) -> Mapping[str, Any]:
    """Return a volume's status."""
    return next(v for v in answer(it, "status")["volumes"] if v["name"] == name)


def all_up(it: Lab) -> bool:
    """Return true if every configured brick runs and every expected daemon does."""
    volumes = answer(it, "status")["volumes"]
    bricks = all(b["state"] == "running" for v in volumes for b in v["bricks"])
    return bricks and all(d["pid"] for v in volumes for d in v["daemons"] if d["expected"])


def transactions(it: Lab) -> dict[str, str]:
    """Return the state of every transaction by id, newest first."""
    return {t["txn"]: t["state"] for t in answer(it, "txn", "list")}


def newest(it: Lab) -> tuple[str, str]:
    """Return id and state of the newest transaction."""
    return next(iter(transactions(it).items()))


# ---------------------------------------------------------------- before and after


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Everything an apply could change.

    Attributes:
        files: what is on the disks of the nodes, by path: mode, content, extended attributes. Of a running
            brick, whose content is its own, only the volume id and the identity file.
        config: configuration and secrets in etcd, by key.
        processes: bricks and daemons, by pid.
    """

    files: Mapping[str, tuple[object, ...]]
    config: Mapping[str, str]
    processes: Mapping[int, tuple[str, ...]]


def world(it: Lab) -> World:
    """Return a picture of the lab."""
    record = load(it.root)
    everything = {p.pid: processes.arguments(p.pid) for p in processes.gluster_below(it.root)}
    # Clients are the test's own; one may still be ending after its mount has gone.
    found = {pid: words for pid, words in everything.items() if "fuse" not in words}
    running = [w[w.index("--brick-name") + 1] for w in found.values() if "--brick-name" in w]
    files: dict[str, tuple[object, ...]] = {}
    for member in record.members(LabLayout(it.root)):
        seen = record.inside.seen(member.bricks)
        inside = {b: record.inside.seen(Path(b)) for b in running if b.startswith(f"{member.bricks}/")}
        for path, what in tree(seen, frozenset(inside.values())).items():
            files[f"{member.bricks}/{path}"] = what
        for brick, place in inside.items():  # clients may be writing to it
            attributes = entry(place)[2]
            assert isinstance(attributes, dict)
            files[brick] = (attributes.get(VOLUME_ID),)
            files[f"{brick}/{_IDENTITY}"] = entry(place / _IDENTITY)
    return World(files=files, config=configuration(it), processes=found)


def configuration(it: Lab) -> dict[str, str]:
    """Return configuration and secrets as they are in etcd, by key."""
    cluster = ClusterId(answer(it, "status")["cluster_id"])
    found: dict[str, str] = {}
    for prefix in (keys.config_prefix(cluster), keys.secrets_prefix(cluster)):
        words = ["--endpoints", load(it.root).endpoint, "get", "--prefix", prefix]
        done = it.run("env", "ETCDCTL_API=3", "etcdctl", *words)
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        found |= dict(zip(lines[::2], lines[1::2], strict=True))
    return found


def assert_nothing_unknown(it: Lab) -> None:
    """Fail if a brick runs, or a brick's directory stands, of which the configuration does not know."""
    known = {b["path"] for v in answer(it, "status")["volumes"] for b in v["bricks"]}
    running = {
        words[words.index("--brick-name") + 1]
        for words in map(processes.arguments, (p.pid for p in processes.gluster_below(it.root)))
        if "--brick-name" in words
    }
    assert running <= known, f"bricks run that nobody knows: {running - known}"
    record, recorded = load(it.root), " ".join(configuration(it).values())  # with the volumes retained
    for member in record.members(LabLayout(it.root)):
        for place in record.inside.seen(member.bricks).glob("*/*"):
            path = f"{member.bricks}/{place.parent.name}/{place.name}"
            assert f'"{path}"' in recorded, f"{path} was left behind"


# ---------------------------------------------------------------- applies to be killed


class Applying:
    """An apply under way, read event by event."""

    def __init__(self, it: Lab, *words: str) -> None:
        self._errors = (it.root / "work" / "apply.err").open("w+", encoding="utf-8")
        self._process = subprocess.Popen(
            [*control.inside(it.root), sys.executable, "-m", "reconciler", *words, "-o", "ndjson"],
            env={**os.environ, **control.environment(it.root)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self.ended: dict[str, Any] | None = None

    @property
    def pid(self) -> int:
        """Return the process's id: nsenter and env become the program itself."""
        return self._process.pid

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield progress events as they come, until the end."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said = json.loads(line)
            if said.get("type") == "progress":
                yield said["value"]
            elif said.get("type") == "result":
                self.ended = said["value"]

    def after(self, count: int, kind: str = "done") -> None:
        """Wait until `count` events of a kind have been told; fails if the apply ends before."""
        seen = 0
        for event in self.events():
            seen += event["kind"] == kind
            if seen == count:
                return
        raise AssertionError(f"the apply ended after {seen} events {kind!r}: {self.ended} {self.errors()}")

    def send(self, number: signal.Signals) -> None:
        """Signal it."""
        self._process.send_signal(number)

    def wait(self, seconds: float = 60) -> int:
        """Read what is left; return the exit code (negative: the signal that killed it)."""
        for _ in self.events():
            pass
        return self._process.wait(seconds)

    def errors(self) -> str:
        """Return what it has written to standard error."""
        return Path(self._errors.name).read_text(encoding="utf-8")

    def close(self) -> None:
        """Kill it if it still runs."""
        self._process.kill()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._errors.close()


@contextlib.contextmanager
def applying(it: Lab, *words: str, file: str = "") -> Iterator[Applying]:
    """Yield an apply of the declaration, or of a saved plan, just started; it is dead afterwards."""
    given = [file] if file else ["--yes", "-f", str(it.root / "work" / "cluster.yaml")]
    started = Applying(it, "apply", *given, *words)
    try:
        yield started
    finally:
        started.close()


def settled(it: Lab, seconds: float = 40) -> dict[str, str]:
    """Wait until no transaction is open; return all by id, newest first."""

    def ended() -> bool:
        return set(transactions(it).values()) <= {"committed", "rolled-back", "partly-committed"}

    eventually(ended, "every transaction has come to its end", seconds)
    return transactions(it)
