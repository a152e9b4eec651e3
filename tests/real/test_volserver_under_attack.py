"""An agent in a real lab while strangers do their worst to its port 24007: clients notice nothing."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.lab import control
from reconciler.lab.layout import LabLayout
from reconciler.lab.record import children
from tests.labs import Lab, lab
from tests.strangers import IDLE

pytestmark = pytest.mark.real

ATTACK_S = 90  #: at most; it is ended with the block
PROMPT_S = 1.0  #: how soon a client must have its answer
GROWTH_MIB = 160  #: what strangers may make an agent take: 64 MiB of unread replies, buffers, Python's own

CLUSTER = """\
apiVersion: gluster-state.io/v1
kind: Cluster
metadata: {{name: quickstart}}
spec:
  peers: [{{name: gs1, address: 127.0.1.1}}]
  volumes:
    - name: keep
      type: distribute
      bricks: ["gs1:{root}/gs1/bricks/keep/b0"]
      acknowledge: [{{code: GS204, reason: test}}]
"""

# A client in the lab's namespace: volfile and brick's port, again and again; prints the longest wait of each.
CLIENT = """\
import socket, sys, time
from reconciler.adapters import gluster_rpc
from reconciler.wire import programs, rpc
host, path, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
body = programs.PortRequest(brick=path).encode()
question = rpc.Call(xid=7, program=programs.Program.PORTMAP, version=1, procedure=1, body=body)

def port():
    with socket.create_connection((host, 24007), 10) as connection:
        connection.sendall(rpc.frame(question.encode()))
        reader = rpc.RecordReader(65536)
        while (record := reader.next_record()) is None:
            reader.feed(connection.recv(65536) or sys.exit("closed"))
        return programs.PortReply.decode(rpc.decode_message(record).body).port

def volfile():
    return gluster_rpc.fetch_spec(host, 24007, "/keep", timeout_s=10)

worst, asked, end = [0.0, 0.0], 0, time.monotonic() + seconds
while time.monotonic() < end:
    for index, ask in enumerate((volfile, port)):
        begun = time.monotonic()
        assert ask()
        worst[index] = max(worst[index], time.monotonic() - begun)
    asked += 1
    time.sleep(0.02)
print(*worst, asked)
"""


def test_clients_are_served_promptly_and_memory_stays_bounded(tmp_path: Path) -> None:
    with lab(nodes=1) as running:
        control.wait_for_agents(running.root)
        declaration = tmp_path / "cluster.yaml"
        declaration.write_text(CLUSTER.format(root=running.root))
        done = running.cli("apply", "-f", str(declaration), "--yes")
        assert done.returncode == 0, done.stderr
        before = _memory_mib(running, "VmRSS")
        with running.mounted("keep") as early, _attacked(running):
            brick = f"{running.root}/gs1/bricks/keep/b0"
            client = running.run(sys.executable, "-c", CLIENT, "127.0.1.1", brick, "10")
            assert client.returncode == 0, client.stderr
            getspec_s, portmap_s, asked = (float(word) for word in client.stdout.split())
            assert asked >= 5
            assert getspec_s < PROMPT_S
            assert portmap_s < PROMPT_S
            assert running.run("sh", "-c", f"umount {early} && mkdir -p {early}").returncode == 0
            begun = time.monotonic()
            mount = running.run("mount", "-t", "glusterfs", "127.0.1.1:/keep", str(early))
            assert mount.returncode == 0, mount.stderr
            assert running.run("sh", "-c", f"echo written > {early}/file").returncode == 0
            assert time.monotonic() - begun < 5
        assert _memory_mib(running, "VmHWM") - before < GROWTH_MIB
        assert control.status(running.root)["agent-1"] == "running"


@contextlib.contextmanager
def _attacked(running: Lab) -> Iterator[None]:
    """Let strangers at the agent for the block."""
    words = [*control.inside(running.root), sys.executable, "-m", "tests.strangers"]
    attack = subprocess.Popen(
        [*words, "127.0.1.1", "24007", str(ATTACK_S)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert attack.stdout is not None
        assert attack.stdout.readline() == "begun\n"
        yield
        assert attack.poll() is None, f"{IDLE} idle connections and more were to last"
    finally:
        attack.kill()
        attack.communicate()


def _memory_mib(running: Lab, field: str) -> int:
    """Return a figure of the agent's memory from proc(5): VmRSS now, VmHWM the most so far."""
    agent = children(LabLayout(running.root))["agent-1"]
    for line in Path(f"/proc/{agent.pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) // 1024
    raise AssertionError(f"no {field}")
