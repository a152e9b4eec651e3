"""A lab of their own for tests: in a network and mount namespace, always taken down."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler.adapters.processes import identify
from reconciler.lab import control, processes
from reconciler.lab.layout import LabLayout
from reconciler.lab.tour import Tour, UntrueClaim
from reconciler.ports.brick import RunningProcess

Value = Mapping[str, object]

#: by name: bricks of one subvolume, and what a declaration says of such a volume
SHAPES: Mapping[str, tuple[int, Value]] = {
    "distribute": (1, {"type": "distribute", "acknowledge": [{"code": "GS204", "reason": "a test"}]}),
    "replica 2": (
        2,
        {"type": "replicate", "replica": 2, "acknowledge": [{"code": "GS205", "reason": "a test"}]},
    ),
    "replica 3": (3, {"type": "replicate", "replica": 3}),
    "arbiter": (3, {"type": "replicate", "replica": 3, "arbiter": 1}),
    "disperse": (3, {"type": "disperse", "data": 2, "redundancy": 1}),
}


def eventually(check: Callable[[], object], what: str = "it", seconds: float = 30) -> None:
    """Wait until `check` is true; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, f"{what} did not come about within {seconds:g} s"
        time.sleep(0.1)


@dataclass(frozen=True, slots=True)
class Lab:
    """A running lab at `root`."""

    root: Path

    @property
    def tour(self) -> Tour:
        """Return what looks at volumes, mounts them and writes to them."""
        return Tour(self.root)

    # ------------------------------------------------------------ commands

    def run(self, *command: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a command inside the lab with its variables; never raises for a non-zero exit."""
        words = [*control.inside(self.root), *command]
        variables = {**os.environ, **control.environment(self.root)}
        return subprocess.run(
            words, env=variables, capture_output=True, text=True, timeout=timeout, check=False
        )

    def cli(self, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run gluster-state with `arguments` inside the lab."""
        return self.run(sys.executable, "-m", "reconciler", *arguments, timeout=timeout)

    def plan(self, *flags: str) -> subprocess.CompletedProcess[str]:
        """Plan what is declared."""
        return self.cli("plan", "-f", str(self.declaration), *flags)

    def apply(self, *flags: str) -> str:
        """Apply what is declared, which must succeed; return what was printed."""
        done = self.cli("apply", "-f", str(self.declaration), "--yes", *flags)
        assert done.returncode == 0, (
            f"apply exits {done.returncode}: {done.stdout[-800:]}{done.stderr[-800:]}"
        )
        return done.stdout

    def converged(self) -> bool:
        """Return true if the cluster is as declared, by its own word."""
        return self.plan("--detailed-exitcode").returncode == 0 and self.cli("drift").returncode == 0

    def assert_nothing_to_do(self) -> None:
        """Fail unless the plan of what is declared is empty."""
        done = self.plan("--detailed-exitcode")
        assert (done.returncode, "No changes." in done.stdout) == (0, True), done.stdout + done.stderr

    # ------------------------------------------------------------ declaring

    @property
    def declaration(self) -> Path:
        """Return the file that `declare` writes."""
        return LabLayout(self.root).declaration

    def volume(self, name: str, shape: str, subvolumes: int = 1, **more: object) -> Value:
        """Return the declaration of a volume; its bricks go round the nodes."""
        width, fields = SHAPES[shape]
        nodes = (LabLayout(self.root).node(k % 3 + 1) for k in range(width * subvolumes))
        bricks = [f"{node.peer}:{node.bricks}/{name}/b{k}" for k, node in enumerate(nodes)]
        return {"name": name, **fields, **more, "bricks": bricks}

    def declare(self, *volumes: Value, peers: Sequence[Value] = (), **spec: object) -> None:
        """Declare a cluster of three nodes with these volumes. JSON is YAML."""
        nodes = [LabLayout(self.root).node(n) for n in (1, 2, 3)]
        document = {
            "apiVersion": "gluster-state.io/v1",
            "kind": "Cluster",
            "metadata": {"name": control.CLUSTER},
            "spec": {
                "unprotectDelay": "1s",
                **spec,
                "peers": list(peers) or [{"name": node.peer, "address": node.address} for node in nodes],
                "volumes": list(volumes),
            },
        }
        self.declaration.write_text(json.dumps(document, indent=1), encoding="utf-8")

    # ------------------------------------------------------------ what runs

    def bricks(self) -> dict[str, RunningProcess]:
        """Return the brick processes of the lab by brick path; fails if there are two on one."""
        return self._gluster("brick", lambda words: words[words.index("--brick-name") + 1])

    def daemons(self) -> dict[str, RunningProcess]:
        """Return the self-heal daemons by pidfile (one for each node and volume); fails if one is doubled."""
        return self._gluster("selfheal", lambda words: words[words.index("-p") + 1])

    def _gluster(self, kind: str, name_of: Callable[[Sequence[str]], str]) -> dict[str, RunningProcess]:
        found: dict[str, list[RunningProcess]] = {}
        for process, words in processes.every():
            if kind in words and processes.names(words, self.root):
                found.setdefault(name_of(words), []).append(process)
        return {name: _the_one(name, several) for name, several in found.items()}

    def replaced(self, before: Mapping[str, RunningProcess], paths: Iterable[str]) -> bool:
        """Return true if another process than before runs on each of these bricks."""
        now = self.bricks()
        return all(now.get(path, before[path]) != before[path] for path in paths)

    def brick_paths(self, volume: str) -> list[str]:
        """Return where the bricks of a volume are, in order."""
        return [brick["path"] for brick in self.tour.volume(volume)["bricks"]]

    def settled(self, *volumes: str) -> bool:
        """Return true if all nodes report, and nothing of these volumes is down or waits for heal."""
        status = self.tour.status()
        states = [v for v in status["volumes"] if v["name"] in volumes]
        up = all(b["state"] == "running" for v in states for b in v["bricks"])
        healed = all(v["heal_pending"] == 0 for v in states)
        live = all(node["live"] for node in status["nodes"])
        return live and up and healed and not any(self.tour.pending_on_disk(v) for v in volumes)

    def log(self, number: int) -> str:
        """Return what the agent of a node has written."""
        return (LabLayout(self.root).logs / f"agent-{number}.log").read_text(encoding="utf-8")

    # ------------------------------------------------------------ data

    @contextlib.contextmanager
    def mounted(self, volume: str, *, node: int = 1, name: str = "", options: str = "") -> Iterator[Path]:
        """Mount `volume` with the stock client; the path is visible to commands run inside the lab only.

        Args:
            volume: which volume.
            node: the node whose volfile server is asked.
            name: of the mount point, if it is not the volume's.
            options: of the mount, separated by commas.

        Raises:
            UntrueClaim: it cannot be mounted.
        """
        point = self.tour.mount(volume, node=node, point=name, options=options)
        try:
            yield point
        finally:
            self.run("umount", str(point))

    def refuses_mount(self, volume: str, *, node: int) -> bool:
        """Return true if a node does not let the volume be mounted."""
        try:
            with self.mounted(volume, node=node, name="refused"):
                return False
        except UntrueClaim:
            return True

    def readable(self, file: Path, expected: str) -> bool:
        """Return true if a file can be read now; what is read must have the expected sha256."""
        done = self.run("timeout", "10", "sha256sum", str(file))
        assert done.returncode or done.stdout.split()[0] == expected
        return done.returncode == 0

    @contextlib.contextmanager
    def writing(self, *folders: Path, longest_s: float = 25, pause_s: float = 0.02) -> Iterator[None]:
        """Write, read back and verify in mounted folders during the block, without any error.

        Args:
            folders: where, one writer each.
            longest_s: how long one round may take at most; less than network.ping-timeout (42 s), after
                which a client gives a silent brick up.
            pause_s: between two rounds of one writer, if there is only one: many are to leave the machine's
                cores to the cluster.
        """
        writers = {folder: self.tour.writer(folder, pause_s * len(folders)) for folder in folders}
        try:
            for writer in writers.values():
                self.tour.await_first_write(writer)
            yield
            for writer in writers.values():
                writer.terminate()
            for folder, writer in writers.items():
                said = json.loads(writer.communicate(timeout=60)[0])
                assert said["errors"] == [], f"{folder}: {said}"
                assert said["operations"] > 10, f"{folder}: {said}"
                assert said["longest_s"] < longest_s, f"{folder}: {said}"
        finally:
            for writer in writers.values():
                writer.kill()
                writer.wait()
                assert writer.stdout is not None
                writer.stdout.close()

    # ------------------------------------------------------------ faults

    def kill(self, target: str) -> None:
        """SIGKILL ``etcd`` (``etcd:N`` of several members), ``agent:N`` or ``brick:VOL:N``."""
        control.kill(self.root, target)

    def kill_brick(self, path: str) -> None:
        """SIGKILL the process of one brick and wait for its end."""
        processes.kill(self.bricks()[path])

    def stop(self, *parts: str) -> None:
        """End an etcd or agents and keep them down."""
        for part in parts:
            control.stop(self.root, part)

    def start(self, *parts: str) -> None:
        """Let stopped parts run again."""
        for part in parts:
            control.start(self.root, part)


def _the_one(name: str, several: Sequence[RunningProcess]) -> RunningProcess:
    """Return the process of a brick or daemon; one that is starting has a parent of the same name."""
    if len(several) == 1:
        return several[0]
    parents = {identify(parent_of(process.pid)) for process in several}
    final = [process for process in several if process not in parents and processes.alive(process)]
    assert len(final) == 1, f"several processes on {name}: {[process.pid for process in final]}"
    return final[0]


def parent_of(pid: int) -> int:
    """Return the parent of a process, or 0 if that has ended (proc(5), stat)."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


@contextlib.contextmanager
def lab(
    *, nodes: int = 3, etcd_members: int = 1, agent: Sequence[str] = control.DEFAULT_AGENT
) -> Iterator[Lab]:
    """Yield a lab in a random short directory; take it down whatever happens."""
    root = Path("/run") / f"gsl-{secrets.token_hex(4)}"
    control.up(root, nodes=nodes, netns=True, etcd_members=etcd_members, agent=agent)
    try:
        yield Lab(root)
    except BaseException as exc:
        exc.add_note(logs_of(root))
        raise
    finally:
        control.down(root)


@contextlib.contextmanager
def cluster(*, etcd_members: int = 1, agent: Sequence[str] = control.DEFAULT_AGENT) -> Iterator[Lab]:
    """Yield a lab of three nodes whose agents have joined."""
    with lab(etcd_members=etcd_members, agent=agent) as it:
        control.wait_for_agents(it.root)
        yield it


def logs_of(root: Path) -> str:
    """Return the ends of the logs of a lab's parts, for a failing test."""
    return f"the lab at {root}:\n{control.log_ends(root, 15)}"
