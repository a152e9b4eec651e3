"""Pauses between restarts, the start policy, marks and argument vectors: decisions without processes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.agent.daemons import shd_program
from reconciler.agent.paths import NodePaths
from reconciler.agent.programs import Pauses, Site
from reconciler.agent.run_marks import RunMarks, RunState, may_start
from reconciler.agent.supervisor import brick_program
from reconciler.model.ids import BrickUuid
from reconciler.model.volume import RestartPolicy
from tests.volume_samples import NODE, MemoryFiles, volume

SITE = Site(node=NODE, paths=NodePaths(state=Path("/s"), run=Path("/r"), log=Path("/l")))
BRICK = BrickUuid("aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee")


def test_pauses_double_up_to_a_minute_and_start_over_when_it_ran_well() -> None:
    pauses = Pauses(3.0)
    assert [pauses.failed(100.0) for _ in range(7)] == [3, 6, 12, 24, 48, 60, 60]
    assert pauses.due == 160.0
    pauses.settled()
    assert pauses.due == 0.0
    assert pauses.failed(0.0) == 3.0
    assert [Pauses(90.0).failed(0.0), Pauses(90.0).failed(0.0)] == [90.0, 90.0]


@pytest.mark.parametrize("policy", RestartPolicy)
def test_the_agent_starts_what_is_not_started_yet_and_what_crashed_by_policy(policy: RestartPolicy) -> None:
    assert may_start(None, policy)
    assert may_start(RunState.CRASHED, policy) is (policy is RestartPolicy.ON_CRASH)
    assert not may_start(RunState.STOPPED, policy)


def test_a_mark_counts_in_its_boot_only_and_damage_is_no_mark() -> None:
    files = MemoryFiles()
    marks = RunMarks(files, "boot-1")
    assert marks.read(BRICK) is None
    marks.write(BRICK, RunState.CRASHED, since=7, problem="it ended")
    found = RunMarks(files, "boot-1").read(BRICK)
    assert found is not None
    assert (found.state, found.since, found.problem) == (RunState.CRASHED, 7, "it ended")
    assert RunMarks(files, "boot-2").read(BRICK) is None
    name = next(iter(files.files))
    for damaged in ("{", "{}", '{"boot_id":1,"state":"crashed"}'):
        files.files[name] = damaged
        assert marks.read(BRICK) is None


def test_a_brick_gets_exactly_these_arguments() -> None:
    record = volume()
    brick = record.bricks[0]
    run = f"/r/b-{brick.uuid}"
    assert brick_program(SITE, record, brick).argv == (
        "/usr/sbin/glusterfsd",
        *("-s", "/r/agent.sock", "--volfile-server-transport", "unix", "--volfile-id", f"brick/{brick.uuid}"),
        *("--brick-name", "/bricks/home/b0", "--brick-port", "61000"),
        *("--xlator-option", "home-server.listen-port=61000"),
        *("--xlator-option", f"*-posix.glusterd-uuid={NODE}"),
        *("--process-name", "brick", "-p", f"{run}.pid", "-S", f"/r/b-{brick.uuid[:13]}.s"),
        *("-l", "/l/brick-home-bricks-home-b0.log"),
    )
    bound = brick_program(replace(SITE, bind=True), record, brick).argv
    assert "home-server.transport.socket.bind-address=10.0.0.11" in bound


def test_a_self_heal_daemon_gets_exactly_these_arguments() -> None:
    record = volume()
    assert shd_program(SITE, record).argv == (
        "/usr/sbin/glusterfs",
        *("-s", "/r/agent.sock", "--volfile-server-transport", "unix", "--volfile-id", "shd/home"),
        *("-p", f"/r/shd-{record.volume_id}.pid", "-l", "/l/shd-home.log"),
        *("-S", f"/r/shd-{record.volume_id[:13]}.s"),
        *(
            "--xlator-option",
            f"*replicate*.node-uuid={NODE}",
            "--process-name",
            "selfheal",
            "--client-pid=-6",
        ),
    )
