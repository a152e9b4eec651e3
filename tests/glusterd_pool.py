"""A pool of real glusterds of 10.3 on this machine, for recording what it makes of volumes.

Three glusterds, each in network and mount namespaces of its own (10.77.0.1 to .3), joined by a bridge in one
more network namespace. All live in one process namespace: when its first process ends, the kernel ends
every glusterd and brick with it, and mounts, links and files (a tmpfs) are gone. The machine sees nothing.

glusterd itself is part of ``glusterfs-common``; the packages ``glusterfs-server`` (volume groups) and
``glusterfs-cli`` are fetched and unpacked, never installed.
"""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

HOSTS = ("10.77.0.1", "10.77.0.2", "10.77.0.3")
BRICKS = "/srv"  #: where bricks may lie inside a node: on its tmpfs
STATE = "/var/lib/glusterd"

_KEEPER = r"""
set -e
base=$1 packages=$2
mount -t tmpfs tmpfs "$base"
ip link set lo up
ip link add br0 type bridge
ip link set br0 up
mkdir "$base/bin"
ln -s /usr/sbin/glusterfsd "$base/bin/glusterd"
ln -s "$packages/usr/sbin/gluster" "$base/bin/gluster"
for ((i = 1; i <= $3; i++)); do
    unshare --net --mount --propagation private sleep infinity &
    node=$!
    until [ "$(readlink /proc/$node/ns/net)" != "$(readlink /proc/$$/ns/net)" ] &&
          [ "$(cat /proc/$node/comm)" = sleep ]; do sleep 0.02; done
    ip link add v$i type veth peer name eth0 netns $node
    ip link set v$i master br0 up
    nsenter -t $node -n ip link set lo up
    nsenter -t $node -n ip link set eth0 up
    nsenter -t $node -n ip addr add 10.77.0.$i/24 dev eth0
    mkdir -p "$base/$i"/{lib,log/glusterfs/bricks,run/gluster,srv}
    cp -r "$packages/var/lib/glusterd" "$base/$i/lib/glusterd"
    rm -r "$base/$i/lib/glusterd/hooks"
    for place in lib:/var/lib log:/var/log run:/run srv:/srv; do
        nsenter -t $node -m mount --bind "$base/$i/${place%%:*}" "${place#*:}"
    done
    echo $node > "$base/$i/pid"
done
echo ready
cat  # until the test ends, however it ends: then this process ends, and with it the namespace
"""


class PoolProblem(Exception):
    """The pool did not come up, or a command of it failed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the CLI said."""

    ok: bool
    text: str


class Pool:
    """The pool; use it in a ``with`` statement.

    Args:
        base: an empty directory of the caller's; the pool's files lie there, unseen from outside.
        nodes: how many glusterds, at most three.
        packages: where ``glusterfs-server`` and ``glusterfs-cli`` were unpacked.
    """

    def __init__(self, base: Path, packages: Path, *, nodes: int = 3) -> None:
        self._base, self._packages, self.hosts = base, packages, HOSTS[:nodes]
        self._nodes: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        words = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        words += ["--propagation", "private", "bash", "-c", _KEEPER, "keeper", str(self._base)]
        words += [str(self._packages), str(len(self.hosts))]
        self._keeper = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End everything: the first process of the namespace takes the others with it."""
        self._keeper.kill()
        self._keeper.wait()
        for pipe in (self._keeper.stdin, self._keeper.stdout):
            assert pipe is not None
            pipe.close()

    def run(self, node: int, *words: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a command on a node (0 to 2) and return how it ended."""
        return subprocess.run(
            [*self._enter, "nsenter", "-t", self._nodes[node], "-n", "-m", "--", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def gluster(self, *words: str, timeout: float = 120) -> Answer:
        """Run the CLI on the first node."""
        done = self.run(0, f"{self._base}/bin/gluster", "--mode=script", *words, timeout=timeout)
        return Answer(done.returncode == 0, (done.stdout + done.stderr).strip())

    def must(self, *words: str) -> str:
        """Run the CLI on the first node; raise PoolProblem if it refuses."""
        answer = self.gluster(*words)
        if not answer.ok:
            raise PoolProblem(f"gluster {' '.join(words)}: {answer.text}")
        return answer.text

    def make_folder(self, folder: str) -> None:
        """Make a folder below `BRICKS` on every node, for bricks to be created in."""
        for node in range(1, len(self.hosts) + 1):
            inside = Path(f"/proc/{self._first}/root{self._base}/{node}/srv") / Path(folder).relative_to(
                BRICKS
            )
            inside.mkdir(parents=True)

    def files(self, folder: str, node: int = 0) -> dict[str, str]:
        """Return the files below a folder of a node by their path in it, with their text."""
        place = Path(f"/proc/{self._first}/root{self._base}/{node + 1}/lib") / Path(folder).relative_to(
            "/var/lib"
        )
        return {str(p.relative_to(place)): p.read_text() for p in sorted(place.rglob("*")) if p.is_file()}

    def _start(self) -> None:
        assert self._keeper.stdout is not None
        if self._keeper.stdout.readline() != "ready\n":
            raise PoolProblem("the namespaces could not be made")
        children = Path(f"/proc/{self._keeper.pid}/task/{self._keeper.pid}/children").read_text().split()
        self._first = children[0]
        self._enter = ("nsenter", "-t", self._first, "-n", "-m", "-p", "--")
        self._nodes = tuple(
            Path(f"/proc/{self._first}/root{self._base}/{i}/pid").read_text().strip()
            for i in range(1, len(self.hosts) + 1)
        )
        volfile = self._packages / "etc/glusterfs/glusterd.vol"
        for node in range(len(self.hosts)):
            done = self.run(node, f"{self._base}/bin/glusterd", "-f", str(volfile), "--log-level=WARNING")
            if done.returncode != 0:
                raise PoolProblem(f"glusterd {node}: {done.stderr}")
        self._wait(lambda: self.gluster("pool", "list").ok, "an answer of glusterd")
        for host in self.hosts[1:]:
            self._wait(lambda host=host: self.gluster("peer", "probe", host).ok, f"peer {host}")  # type: ignore[misc]
        self._wait(
            lambda: all(
                self.run(n, f"{self._base}/bin/gluster", "pool", "list").stdout.count("Connected")
                == len(self.hosts)
                for n in range(len(self.hosts))
            ),
            "all peers",
        )

    @staticmethod
    def _wait(done: object, what: str) -> None:
        deadline = time.monotonic() + 60
        while not done():  # type: ignore[operator]
            if time.monotonic() > deadline:
                raise PoolProblem(f"no {what} in a minute")
            time.sleep(0.2)
