"""Bricks and self-heal daemons as real processes: crashes, restarts, adoption, strangers, hung starts."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.adapters import gluster_rpc
from reconciler.adapters.processes import LinuxProcesses, identify
from reconciler.agent.programs import Site
from reconciler.agent.supervisor import brick_program
from reconciler.errors import StepError
from reconciler.model.configured import VolumeRecord
from reconciler.model.observed import BrickState
from reconciler.model.volume import Restart, RestartPolicy, Shape, VolumeType
from reconciler.ports.brick import RunningProcess
from reconciler.ports.node import Checked, Effect
from tests.brick_node import Node, call, kill, local_volume, node
from tests.disks import unmount
from tests.namespaces import in_own_namespaces
from tests.servers import freeze
from tests.volume_samples import NODE

pytestmark = pytest.mark.real

QUICK = Restart(delay_s=0.1)
NEVER = Restart(policy=RestartPolicy.NEVER, delay_s=0.1)


@pytest.fixture
def here() -> Iterator[tuple[Node, Path]]:
    with node() as (it, (mount,)):
        yield it, mount


def running(it: Node, mount: Path, restart: Restart = QUICK) -> tuple[VolumeRecord, int]:
    """Return a volume whose one brick runs and is desired, and the pid of its process."""
    record = it.prepared(local_volume(mount, restart=restart))
    it.desire(record)
    return record, it.bricks.start(record, record.bricks[0]).pid


def ended(pid: int) -> None:
    kill(pid)
    deadline = time.monotonic() + 5
    while identify(pid) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_started_brick_runs_with_its_arguments_and_says_so(here: tuple[Node, Path]) -> None:
    it, mount = here
    record, pid = running(it, mount)
    brick = record.bricks[0]
    fact = it.fact(brick)
    assert (fact.state, fact.pid, fact.port) == (BrickState.RUNNING, pid, brick.port)
    assert fact.start_time == (identify(pid) or RunningProcess(0, 0)).start_time
    assert (fact.volume_id, fact.identity, fact.mount) == (record.volume_id, brick.uuid, str(mount))
    assert fact.heal_pending == 0
    words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    assert words[words.index("--volfile-id") + 1] == f"brick/{brick.uuid}"
    assert it.portmap.port_of(brick.path) == brick.port
    shown = subprocess.run(
        ["ss", "-Hltnp", f"sport = {brick.port}"], capture_output=True, text=True, check=True
    )
    assert f"127.0.0.1:{brick.port}" in shown.stdout
    assert f"pid={pid}," in shown.stdout
    environment = Path(f"/proc/{pid}/environ").read_text().split("\0")
    assert sorted(filter(None, environment)) == ["LANG=C.UTF-8", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"]


def test_a_crashed_brick_is_started_again_after_its_pause(here: tuple[Node, Path]) -> None:
    it, mount = here
    record, pid = running(it, mount, Restart(delay_s=0.5))
    brick = record.bricks[0]
    ended(pid)
    it.bricks.tick()
    crashed = time.monotonic()
    fact = it.fact(brick)
    assert (fact.state, fact.pid, fact.problem) == (
        BrickState.CRASHED,
        0,
        "the brick process ended by itself",
    )
    it.ticks_until(lambda: it.is_up(brick), "restart")
    assert time.monotonic() - crashed > 0.4
    assert it.fact(brick).pid != pid
    assert it.fact(brick).restarts == 1


def test_policy_never_outlives_the_agent_but_not_the_boot(here: tuple[Node, Path]) -> None:
    it, mount = here
    record, pid = running(it, mount, NEVER)
    brick = record.bricks[0]

    def stays_down() -> None:
        until = time.monotonic() + 0.4
        while time.monotonic() < until:
            it.bricks.tick()
            time.sleep(0.02)
        assert it.fact(brick).state is BrickState.CRASHED
        assert not it.bricks.running(record, brick)

    ended(pid)
    stays_down()
    it.restart_agent()
    it.desire(record)
    it.bricks.adopt()
    stays_down()
    it.restart_agent(boot_id="boot-2")
    it.desire(record)
    it.bricks.adopt()
    it.ticks_until(lambda: it.is_up(brick), "start after a boot")


def test_a_crash_while_the_agent_was_down_counts(here: tuple[Node, Path]) -> None:
    it, mount = here
    record, pid = running(it, mount, NEVER)
    it.restart_agent()
    ended(pid)
    it.desire(record)
    it.bricks.adopt()
    it.bricks.tick()
    assert it.fact(record.bricks[0]).state is BrickState.CRASHED
    assert not it.bricks.running(record, record.bricks[0])
    it.do(call("brick.start", record, record.bricks[0]))  # a step may
    assert it.is_up(record.bricks[0])


def test_a_brick_stopped_by_a_step_stays_stopped(here: tuple[Node, Path]) -> None:
    it, mount = here
    record, _ = running(it, mount)
    brick = record.bricks[0]
    it.do(call("brick.stop", record, brick))
    for restarted in (False, True):
        if restarted:
            it.restart_agent()
            it.desire(record)
        for _ in range(10):
            it.bricks.tick()
            time.sleep(0.02)
        assert it.fact(brick).state is BrickState.STOPPED
        assert not it.bricks.running(record, brick)


def test_a_new_agent_adopts_what_runs(here: tuple[Node, Path]) -> None:
    it, mount = here
    record, pid = running(it, mount)
    brick = record.bricks[0]
    it.restart_agent()
    it.desire(record)
    it.bricks.adopt()
    assert it.fact(brick).pid == pid
    assert it.bricks.port_of(brick.path) == brick.port
    assert it.fact(brick).state is BrickState.RUNNING, "it has served all the time"
    it.ticks_until(lambda: it.portmap.signed_in_as(brick.path) is not None, "sign-in with the new agent")
    assert it.is_up(brick)
    assert it.bricks.start(record, brick).pid == pid
    ended(pid)
    it.ticks_until(lambda: it.is_up(brick), "restart by the new agent")


def test_two_agents_at_once_make_one_process(here: tuple[Node, Path]) -> None:
    it, mount = here
    record = it.prepared(local_volume(mount))
    brick = record.bricks[0]
    with it.processes.claim(f"{it.paths.brick_pidfile(brick.uuid)}.lock"):
        with pytest.raises(StepError, match="another agent") as caught:
            it.bricks.start(record, brick)
        assert caught.value.retryable
    assert not it.bricks.running(record, brick)


def test_a_taken_port_is_named_with_its_holder(here: tuple[Node, Path]) -> None:
    it, mount = here
    record = it.prepared(local_volume(mount))
    brick = record.bricks[0]
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", brick.port))
        squatter.listen()
        with pytest.raises(StepError, match=rf"port {brick.port} .*process {os.getpid()}\)"):
            it.bricks.start(record, brick)
    assert not it.bricks.running(record, brick)
    it.bricks.start(record, brick)


def test_a_wrong_disk_is_refused_until_the_right_one_is_back(here: tuple[Node, Path]) -> None:
    it, mount = here
    record, pid = running(it, mount)
    brick = record.bricks[0]
    ended(pid)
    it.bricks.tick()
    unmount(mount)
    it.ticks_until(lambda: it.fact(brick).state is BrickState.REFUSED, "refusal")
    assert "not mounted" in it.fact(brick).problem
    assert list(mount.iterdir()) == []
    subprocess.run(["mount", "-o", "loop", it.root / "disk0.img", mount], check=True)
    it.ticks_until(lambda: it.is_up(brick), "start on the right disk")


def test_a_stranger_serving_the_brick_is_left_alone_and_blocks_the_start(here: tuple[Node, Path]) -> None:
    it, mount = here
    record = it.prepared(local_volume(mount))
    brick = record.bricks[0]
    ours = brick_program(Site(node=NODE, paths=it.paths), record, brick)
    pidfile = it.paths.run / "by-hand.pid"
    by_hand = tuple(str(pidfile) if word == ours.pidfile else word for word in ours.argv)
    assert subprocess.run(by_hand, check=False).returncode == 0
    pid = int(pidfile.read_text())
    said = f"already served by process {pid}"
    with pytest.raises(StepError, match=said):
        it.bricks.start(record, brick)
    for kind in ("brick.start", "brick.stop"):
        with pytest.raises(StepError, match=said):
            it.check(call(kind, record, brick))
    it.undo(call("brick.start", record, brick), Checked(effect=Effect.ABSENT, before={"running": False}))
    assert identify(pid) is not None


def test_a_stale_pidfile_hurts_nobody(here: tuple[Node, Path]) -> None:
    it, mount = here
    record = it.prepared(local_volume(mount))
    brick = record.bricks[0]
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        it.paths.brick_pidfile(brick.uuid).write_text(f"{stranger.pid}\n")
        it.bricks.stop(record, brick)
        process = it.bricks.start(record, brick)
        assert process.pid != stranger.pid
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_pidfile_locked_by_a_stranger_is_an_error_not_a_victim(here: tuple[Node, Path]) -> None:
    it, mount = here
    record = it.prepared(local_volume(mount))
    pidfile = it.paths.brick_pidfile(record.bricks[0].uuid)
    stranger = subprocess.Popen([sys.executable, "-c", LOCKING, str(pidfile)], stdout=subprocess.PIPE)
    try:
        assert stranger.stdout is not None
        stranger.stdout.readline()
        for act in (it.bricks.start, it.bricks.stop):
            with pytest.raises(StepError, match=f"locked by process {stranger.pid}"):
                act(record, record.bricks[0])
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.communicate()


def test_a_hung_brick_is_killed_when_it_does_not_stop(here: tuple[Node, Path]) -> None:
    it, mount = here
    it.stop_s = 0.5
    it.restart_agent()
    record, pid = running(it, mount)
    freeze(pid)
    it.bricks.stop(record, record.bricks[0])
    assert identify(pid) is None


def test_a_brick_that_cannot_build_its_graph_fails_with_what_it_logged(here: tuple[Node, Path]) -> None:
    it, mount = here
    record = it.prepared(local_volume(mount))
    (Path(record.bricks[0].path) / ".glusterfs/indices").write_text("in the way")
    with pytest.raises(StepError, match=r"exit code 1, its graph could not be set up \(.*ind"):
        it.bricks.start(record, record.bricks[0])
    assert not it.bricks.running(record, record.bricks[0])


def test_a_volume_nobody_serves_fails_by_name(here: tuple[Node, Path]) -> None:
    it, mount = here
    record = local_volume(mount)
    it.do(call("brick.prepare", record, record.bricks[0]))
    with pytest.raises(StepError, match="exit code 2, the agent has no volfile"):
        it.bricks.start(record, record.bricks[0])


LOCKING = """\
import fcntl, sys, time
file = open(sys.argv[1], "a")
fcntl.lockf(file, fcntl.LOCK_EX)
print("locked", flush=True)
time.sleep(60)
"""
STUB = """\
#!{python}
import fcntl, os, sys, time
log, how = sys.argv[-1], open({how!r}).read()
pidfile = sys.argv[sys.argv.index("-p") + 1]
if how == "exit":
    sys.exit(3)
if os.fork() == 0:
    file = open(pidfile, "w")
    fcntl.lockf(file, fcntl.LOCK_EX)
    time.sleep(60)
if how == "hang":
    time.sleep(60)
time.sleep(0.1)
"""


@pytest.mark.parametrize(
    ("how", "said"),
    [("exit", "exit code 3"), ("hang", "did not come up in time"), ("mute", "does not listen and sign in")],
)
def test_a_start_that_fails_or_hangs_leaves_no_process(how: str, said: str) -> None:
    with node(ready_s=0.8, processes=LinuxProcesses(["stub"])) as (it, (mount,)):
        stub = it.root / "stub"
        (it.root / "how").write_text(how)
        stub.write_text(textwrap.dedent(STUB.format(python=sys.executable, how=str(it.root / "how"))))
        stub.chmod(0o755)
        it.glusterfsd = str(stub)
        it.restart_agent()
        record = it.prepared(local_volume(mount))
        with pytest.raises(StepError, match=said):
            it.bricks.start(record, record.bricks[0])
        assert it.processes.find(("--brick-name", record.bricks[0].path)) == ()
        assert it.fact(record.bricks[0]).state is BrickState.CRASHED


# ---------------------------------------------------------------- self-heal daemons

DISPERSE = Shape(type=VolumeType.DISPERSE, data=2, redundancy=1)


@pytest.mark.parametrize("kind", ["replicate", "disperse"])
def test_a_self_heal_daemon_lives_and_heals(kind: str) -> None:
    def body() -> None:
        with node(port=24007) as (it, (mount,)):
            live_of_a_daemon(it, mount, kind)

    in_own_namespaces(body)  # daemons ask for the bricks' ports on 24007, and nowhere else


def live_of_a_daemon(it: Node, mount: Path, kind: str) -> None:
    record = local_volume(mount, count=3, replica=3)
    if kind == "disperse":
        record = replace(record, shape=DISPERSE)
    it.prepared(record)
    for brick in record.bricks:
        it.bricks.start(record, brick)
    start = call("shd.start", record)
    checked = it.do(start)
    it.undo(start, checked)
    it.undo(start, checked)
    assert not it.daemons.running(record)
    it.do(start)
    it.do(start)
    it.daemons.desire([record])
    pid = it.daemons.pids()[record.volume_id]
    wait_until_it_heals(it, record, f"home-{kind}-0")
    it.restart_agent()
    it.daemons.desire([record])
    it.daemons.adopt()
    assert it.daemons.pids()[record.volume_id] == pid
    ended(pid)
    it.ticks_until(lambda: it.daemons.pids().get(record.volume_id, pid) != pid, "daemon's restart")
    stop = call("shd.stop", record)
    stopped = it.do(stop)
    it.daemons.tick()
    assert not it.daemons.running(record)
    it.undo(stop, stopped)
    assert it.daemons.running(record)


def wait_until_it_heals(it: Node, record: VolumeRecord, cluster: str) -> None:
    path = it.paths.daemon_socket("shd", record.volume_id)
    deadline = time.monotonic() + 15
    said: object = ""
    while "Started self-heal" not in str(said):
        assert time.monotonic() < deadline, said
        time.sleep(0.1)
        try:
            said = gluster_rpc.shd_heal_index(path, [cluster])
        except StepError as error:  # until it is connected
            said = error.message
