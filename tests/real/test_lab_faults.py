"""The lab's own edges, for real: ports of others, interruptions, faults made on purpose, the demo's end."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.lab import control, disks, faults, processes
from reconciler.lab.layout import LabLayout
from reconciler.lab.leftovers import traces
from reconciler.lab.record import children, load
from tests.lab_faults import all_up, apply, command, declare, node, status_of, volume
from tests.labs import Lab, cluster, eventually, lab
from tests.namespaces import in_own_namespaces

pytestmark = pytest.mark.real
SLEEPER = ("/bin/sh", "-c", "exec sleep 1000", "stand-in")
CLI = (sys.executable, "-m", "reconciler")


@contextlib.contextmanager
def somewhere() -> Iterator[Path]:
    """Yield a directory for a lab that does not exist yet; nothing of it may be there afterwards."""
    root = Path("/run") / f"gsl-{secrets.token_hex(4)}"
    try:
        yield root
    finally:
        if LabLayout(root).record.exists():
            control.down(root)


def remains(root: Path) -> list[str]:
    """Return what is left of a lab: processes, mounts, loop devices, its directory."""
    return [*traces(root), *([str(root)] if root.exists() else [])]


# ---------------------------------------------------------------- somebody else's port


def test_a_busy_volfile_port_is_named_with_its_process_and_the_way_out() -> None:
    def body() -> None:
        with somewhere() as root, socket.socket() as other:
            other.bind(("127.0.1.2", 24007))
            other.listen()
            done = subprocess.run(
                [*CLI, "lab", "up", "--dir", root], capture_output=True, text=True, check=False
            )
            assert done.returncode == 69, done.stderr
            for told in ("127.0.1.2:24007", str(os.getpid()), "--netns"):
                assert told in done.stderr, f"{told!r} is not in {done.stderr}"
            assert not root.exists()

    in_own_namespaces(body)


# ---------------------------------------------------------------- interruptions


@pytest.mark.parametrize("after_s", [0.3, 0.8, 1.6, 2.4])
def test_an_interrupted_up_leaves_nothing(after_s: float) -> None:
    with somewhere() as root:
        started = subprocess.Popen(
            [*CLI, "lab", "up", "--netns", "--nodes", "20", "--dir", root],
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        time.sleep(after_s)
        os.killpg(started.pid, signal.SIGINT)
        _, said = started.communicate(timeout=60)
        assert started.returncode in (130, -2), said
        assert remains(root) == []


def test_down_may_be_called_again() -> None:
    with lab(nodes=1, agent=SLEEPER) as it:
        control.down(it.root)
        assert remains(it.root) == []
        done = subprocess.run(
            [*CLI, "lab", "down", "--dir", it.root], capture_output=True, text=True, check=False
        )
        assert (done.returncode, "no lab at" in done.stderr) == (69, True), done.stderr
        control.up(it.root, nodes=1, netns=True, agent=SLEEPER)


@pytest.mark.parametrize("lines", [4, 9, 20, 40])
def test_an_interrupted_demo_leaves_nothing(lines: int) -> None:
    demo = subprocess.Popen(
        [sys.executable, "-m", "reconciler.lab.demo"],
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said: list[str] = []
    try:
        assert demo.stdout is not None
        for line in demo.stdout:
            said.append(line)
            if len(said) == lines:
                os.killpg(demo.pid, signal.SIGINT)  # as a terminal does: every process of the command
        code = demo.wait(120)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(demo.pid, signal.SIGTERM)
        demo.communicate()
    root = Path(next(word for line in said for word in line.split() if "/run/gs-demo-" in word).rstrip("."))
    assert code == 130, "".join(said[-20:])
    assert remains(root) == [], "".join(said[-20:])


# ---------------------------------------------------------------- faults made on purpose


def test_a_taken_port_is_named_and_given_back() -> None:
    with cluster() as it:
        declare(it, volume(it, "v", restart={"policy": "onCrash", "delay": "1s"}))
        code, text = apply(it)
        assert code == 0, text
        address, pid = faults.take_port(it.root, "v", 1)
        assert address == f"127.0.1.1:{status_port(it)}"
        eventually(lambda: str(pid) in command(it, "drift")[1], "drift names the process")
        code, text = command(it, "drift")
        assert (code, address.partition(":")[2] in text) == (2, True), text
        assert command(it, "status")[1].count("running") == 2
        holder = next(p for p in children(LabLayout(it.root)).values() if p.pid == pid)
        processes.end(holder, 5)
        eventually(lambda: all_up(it), "the brick is back", 60)
        rebooted(it)


def status_port(it: Lab) -> int:
    """Return the port of the second brick: all nodes use the same one."""
    return int(status_of(it, "v")["bricks"][1]["port"])


def rebooted(it: Lab) -> None:
    """Reboot one node: everything on it is new, nothing on the others is."""

    def pids() -> dict[str, int]:
        return {b["peer"]: b["pid"] for b in status_of(it, "v")["bricks"]}

    before = pids()
    faults.reboot(it.root, [2])
    eventually(lambda: pids()["gs2"] not in (0, before["gs2"]), "its brick has another process", 60)
    eventually(lambda: all_up(it), "everything runs again", 60)
    after = pids()
    assert {peer for peer in after if after[peer] != before[peer]} == {"gs2"}
    assert node(it, 2).bricks in disks.mounted_below(it.root, load(it.root).inside)
    eventually(lambda: command(it, "drift")[0] == 0, "no drift")
