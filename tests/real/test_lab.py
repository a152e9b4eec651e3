"""The lab itself: real etcd, namespaces and XFS; the agents are stand-ins that only sleep."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from reconciler.adapters.processes import identify
from reconciler.errors import EnvironmentProblem, UsageError
from reconciler.lab import control, processes
from reconciler.lab.layout import LabLayout
from reconciler.lab.leftovers import traces
from reconciler.lab.record import children, load
from reconciler.ports.brick import RunningProcess
from tests.labs import eventually, lab

pytestmark = pytest.mark.real
SLEEPER = ("/bin/sh", "-c", "exec sleep 1000", "stand-in")


def test_a_lab_runs_all_its_parts_and_leaves_nothing() -> None:
    with contextlib.ExitStack() as held:
        with lab(nodes=2, agent=SLEEPER) as it:
            eventually(lambda: set(control.status(it.root).values()) == {"running"})
            mounts = it.run("cat", "/proc/self/mounts").stdout
            assert mounts.count(f"{it.root}/gs") == 2
            assert f"{it.root}/" not in Path("/proc/self/mounts").read_text()
            running = [*children(LabLayout(it.root)).values()]
            space = held.enter_context(control.holding_namespace(it.root))
            kinds = {text.split()[0] for text in traces(it.root, space)}
            assert kinds == {"process", "loop"}, "its mounts are in a namespace that we do not see"
            assert any("etcd" in text for text in traces(it.root))
        assert not it.root.exists()
        assert traces(it.root, space) == ()
        assert not any(processes.alive(process) for process in running)
        assert str(it.root) not in "".join(
            p.read_text() for p in Path("/sys/block").glob("loop*/loop/backing_file")
        )


def test_a_killed_agent_comes_back_and_a_stopped_one_does_not() -> None:
    with lab(nodes=1, agent=SLEEPER) as it:
        layout = LabLayout(it.root)
        eventually(lambda: "agent-1" in children(layout))
        first = children(layout)["agent-1"]
        it.kill("agent:1")
        eventually(lambda: children(layout).get("agent-1", first) != first)
        control.stop(it.root, "agent:1")
        time.sleep(1.5)
        assert control.status(it.root)["agent-1"] == "stopped"
        control.start(it.root, "agent:1")
        eventually(lambda: control.status(it.root)["agent-1"] == "running")


def test_a_second_up_is_refused_and_harms_nothing() -> None:
    with lab(nodes=1, agent=SLEEPER) as it:
        with pytest.raises(EnvironmentProblem, match="runs there already"):
            control.up(it.root, netns=True)
        assert control.status(it.root)["supervisor"] == "running"


def test_down_cleans_up_after_the_supervisor_was_killed() -> None:
    with lab(nodes=1, agent=SLEEPER) as it:
        eventually(lambda: "agent-1" in children(LabLayout(it.root)))
        orphans = [*children(LabLayout(it.root)).values()]
        supervisor = load(it.root).supervisor
        assert supervisor is not None
        processes.send(supervisor, signal.SIGKILL)
    assert not any(processes.alive(orphan) for orphan in orphans)


def test_a_directory_with_content_of_others_is_not_touched(tmp_path: Path) -> None:
    root = Path("/run") / f"gsl-{os.getpid()}"
    root.mkdir()
    try:
        (root / "precious").write_text("x")
        with pytest.raises(EnvironmentProblem, match="not empty"):
            control.up(root, netns=True)
        assert (root / "precious").read_text() == "x"
    finally:
        (root / "precious").unlink()
        root.rmdir()


def test_an_unknown_target_is_a_usage_error() -> None:
    with lab(nodes=1, agent=SLEEPER) as it, pytest.raises(UsageError):
        control.stop(it.root, "agent:9")


def test_a_reused_pid_is_not_signalled() -> None:
    me = identify(os.getpid())
    assert me is not None
    processes.send(RunningProcess(me.pid, me.start_time - 1), signal.SIGKILL)


def test_no_later_namespace_is_taken_for_one_that_was_held() -> None:
    words = ["unshare", "--mount", "sleep", "60"]
    with subprocess.Popen(words) as first:
        eventually(lambda: namespace_differs(first.pid))
        with processes.holding_namespace_of(identify(first.pid)) as space:
            first.kill()
            first.wait()
            with subprocess.Popen(words) as second:
                eventually(lambda: namespace_differs(second.pid))
                assert processes.namespace_of(second.pid) != space
                second.kill()


def namespace_differs(pid: int) -> bool:
    return processes.namespace_of(pid) not in ("", processes.namespace_of(os.getpid()))
