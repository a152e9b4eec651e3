"""Knowing processes again and signalling exactly them; no GlusterFS involved."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.adapters.processes import LinuxProcesses, identify
from reconciler.errors import StepError
from reconciler.ports.brick import RunningProcess

PROGRAM = "glusterfsd"
LOCKING = """
import fcntl, sys, time
file = open(sys.argv[2], "a+")
fcntl.lockf(file, fcntl.LOCK_EX)
print("locked", flush=True)
time.sleep(60)
"""
THREADS = """
import threading, time
for _ in range(300):
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
print("up", flush=True)
time.sleep(60)
"""
SHOWING = """
import os
print(os.getsid(0) == os.getpid(), os.getcwd(), sorted(os.environ), os.listdir("/proc/self/fd"))
"""


@pytest.fixture
def processes() -> LinuxProcesses:
    return LinuxProcesses()


@pytest.fixture
def brick(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process called glusterfsd that holds the lock of ``pid`` and has ``--brick-name /b`` as arguments."""
    script = tmp_path / PROGRAM
    script.write_text(LOCKING)
    child = subprocess.Popen(
        [sys.executable, script, "-p", tmp_path / "pid", "--brick-name", "/b"], stdout=subprocess.PIPE
    )
    # argv[2] of the script is the pidfile
    assert child.stdout is not None
    assert child.stdout.readline() == b"locked\n"
    yield child
    child.kill()
    child.communicate()


def known(child: subprocess.Popen[bytes]) -> RunningProcess:
    found = identify(child.pid)
    assert found is not None
    return found


def test_the_lock_tells_the_holder_whatever_the_file_says(
    processes: LinuxProcesses, brick: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    pidfile = tmp_path / "pid"
    pidfile.write_text("1\n")
    assert processes.lock_holder(str(pidfile)) == known(brick)
    brick.kill()
    brick.wait()
    assert processes.lock_holder(str(pidfile)) is None
    assert processes.lock_holder(str(tmp_path / "absent")) is None
    (tmp_path / "link").symlink_to("pid")
    with pytest.raises(StepError, match="cannot be examined"):
        processes.lock_holder(str(tmp_path / "link"))


def test_arguments_must_stand_in_sequence(processes: LinuxProcesses, brick: subprocess.Popen[bytes]) -> None:
    found = known(brick)
    assert processes.carries(found, ("--brick-name", "/b"))
    assert not processes.carries(found, ("--brick-name", "/b2"))
    assert not processes.carries(found, ("/b", "--brick-name"))
    assert found in processes.find(("--brick-name", "/b"))
    assert LinuxProcesses(["other"]).find(("--brick-name", "/b")) == ()


def test_only_exactly_that_process_is_signalled(
    processes: LinuxProcesses, brick: subprocess.Popen[bytes]
) -> None:
    found = known(brick)
    earlier = replace(found, start_time=found.start_time - 1)  # the pid was another's before
    processes.send(earlier, signal.SIGKILL, ("--brick-name", "/b"))
    assert not processes.alive(earlier)
    assert processes.wait_end(earlier, 0)
    with pytest.raises(StepError, match="left alone"):
        processes.send(found, signal.SIGKILL, ("--brick-name", "/c"))
    assert not processes.wait_end(found, 0.05)
    assert processes.alive(found)
    processes.send(found, signal.SIGKILL, ("--brick-name", "/b"))
    assert processes.wait_end(found, 5)
    assert not processes.alive(found), "a zombie counts as alive"
    brick.wait()
    processes.send(found, signal.SIGKILL, ("--brick-name", "/b"))


def test_a_process_has_ended_when_its_last_thread_has(processes: LinuxProcesses) -> None:
    """Its first thread may be gone long before: the others still hold its files, locks and ports."""
    for _ in range(5):
        with subprocess.Popen([sys.executable, "-c", THREADS], stdout=subprocess.PIPE) as program:
            assert program.stdout is not None
            assert program.stdout.readline() == b"up\n"
            found = identify(program.pid)
            assert found is not None
            program.kill()
            while processes.alive(found):
                pass
            assert processes.wait_end(found, 10)
            assert len(list(Path(f"/proc/{program.pid}/task").iterdir())) == 1


def test_a_started_program_inherits_nothing(processes: LinuxProcesses, tmp_path: Path) -> None:
    log = tmp_path / "log"
    os.environ["CANARY"] = "secret"
    inherited = os.open("/", os.O_RDONLY)
    os.set_inheritable(inherited, True)
    try:
        launch = processes.spawn([sys.executable, "-c", SHOWING], str(log))
        while launch.ended() is None:
            time.sleep(0.01)
    finally:
        os.close(inherited)
        del os.environ["CANARY"]
    text = log.read_text()
    assert text.startswith("True / ")
    assert "CANARY" not in text
    assert "['0', '1', '2', '3']" in text  # 3: the listing itself
    with pytest.raises(StepError, match="cannot be started"):
        processes.spawn([str(tmp_path / "nothing")], str(log))


def test_an_abandoned_start_is_gone(processes: LinuxProcesses, tmp_path: Path) -> None:
    launch = processes.spawn(["/bin/sleep", "60"], str(tmp_path / "log"))
    assert launch.ended() is None
    launch.abandon()
    assert launch.ended() == -signal.SIGKILL
    launch.abandon()


def test_a_lock_is_held_against_others_until_it_is_left(processes: LinuxProcesses, tmp_path: Path) -> None:
    lockfile = str(tmp_path / "lock")
    with processes.claim(lockfile):
        with pytest.raises(StepError, match="locked"), processes.claim(lockfile):
            pass
    with processes.claim(lockfile):
        pass


def test_errors_are_found_in_a_log_after_a_place(processes: LinuxProcesses, tmp_path: Path) -> None:
    log = tmp_path / "log"
    line = "[2026-01-01 00:00:00.0 +0000] {} [MSGID: 1] [file.c:1:fn] 0-home-index: {}\n"
    log.write_text(line.format("E", "old"))
    after = processes.log_end(str(log))
    with log.open("a") as file:
        for level, text in (
            ("I", "fine"),
            ("E", "one"),
            ("C", "two"),
            ("E", "two"),
            ("E", "three"),
            ("E", "three"),
        ):
            file.write(line.format(level, text))
    assert processes.complaints(str(log), after) == "0-home-index: two; 0-home-index: three"
    assert processes.complaints(str(tmp_path / "absent"), 0) == ""
