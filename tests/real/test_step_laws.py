"""What undo restores beside the obvious: notes of a process, credentials, an earlier attempt's stamps."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.agent.run_marks import RunState
from reconciler.model.ids import NodeId
from reconciler.ports.node import Call
from tests.brick_node import Node, call, local_volume, node
from tests.disks import tree
from tests.volume_samples import SECRET

pytestmark = pytest.mark.real


@pytest.fixture
def here() -> Iterator[tuple[Node, Path]]:
    with node() as (it, (mount,)):
        yield it, mount


@pytest.mark.parametrize("noted", [None, RunState.CRASHED, RunState.STOPPED])
@pytest.mark.parametrize("kind", ["brick.start", "brick.stop"])
def test_whether_the_agent_may_start_a_brick_is_restored(
    here: tuple[Node, Path], noted: RunState | None, kind: str
) -> None:
    it, mount = here
    record = it.prepared(local_volume(mount))
    brick = record.bricks[0]
    marks = it.bricks._shell.marks
    if noted is not None:
        marks.write(brick.uuid, noted, since=12, problem="why")
    before = tree(it.paths.state)
    step = call(kind, record, brick)
    checked = it.do(step)
    assert set(tree(it.paths.state)) - set(before) <= {"bricks", *it.actions[kind].footprint(step).memory}
    it.restart_agent()
    it.undo(step, checked)
    it.undo(step, checked)
    after = tree(it.paths.state)
    after.pop("bricks", None)
    before.pop("bricks", None)
    assert after == before
    assert not it.bricks.running(record, brick)


def test_a_new_volumes_credentials_go_with_what_was_staged(here: tuple[Node, Path]) -> None:
    it, mount = here
    record = local_volume(mount)
    step = replace(call("volume.stage", record), secret=SECRET)
    _stage_and_back(it, step, {f"staged/{record.volume_id}", f"secrets/{record.volume_id}"})


def test_credentials_stay_while_the_committed_volume_needs_them(here: tuple[Node, Path]) -> None:
    it, mount = here
    record = local_volume(mount)
    it.commit(record)
    after = replace(record, generation=2)
    step = replace(call("volume.stage", after), previous=record, secret=SECRET)
    _stage_and_back(it, step, {f"staged/{record.volume_id}"})


def test_credentials_go_where_only_the_staged_volume_has_a_brick(here: tuple[Node, Path]) -> None:
    it, mount = here
    after = replace(local_volume(mount), generation=2)
    elsewhere = NodeId("00000000-0000-4000-8000-000000000009")
    record = replace(after, generation=1, bricks=tuple(replace(b, node_id=elsewhere) for b in after.bricks))
    it.commit(record)
    step = replace(call("volume.stage", after), previous=record, secret=SECRET)
    _stage_and_back(it, step, {f"staged/{record.volume_id}", f"secrets/{record.volume_id}"})


def _stage_and_back(it: Node, step: Call, made: set[str]) -> None:
    """Do and undo a `volume.stage`, with a restart of the agent between; every file but `made` stays."""
    before = _files(it)
    checked = it.check(step)
    it.actions["volume.stage"].do(step, checked.before)
    done = _files(it)
    assert set(done) - set(before) == made
    assert made <= set(it.actions["volume.stage"].footprint(step).memory)
    it.restart_agent()
    for _ in range(2):
        it.actions["volume.stage"].undo(step, checked.before)
        assert _files(it) == before


def _files(it: Node) -> dict[str, tuple[object, ...]]:
    return {name: what for name, what in tree(it.paths.state).items() if (it.paths.state / name).is_file()}


def test_a_brick_that_ran_over_an_earlier_attempts_identity_is_given_back(here: tuple[Node, Path]) -> None:
    it, mount = here
    record = local_volume(mount)
    brick = record.bricks[0]
    prepare, start = call("brick.prepare", record, brick), call("brick.start", record, brick)
    first = it.do(prepare)
    shutil.copytree(f"{brick.path}/.glusterfs", it.root / "kept")
    it.undo(prepare, first)
    shutil.copytree(it.root / "kept", f"{brick.path}/.glusterfs")  # killed before the volume id was stamped
    before = tree(mount)
    prepared = it.do(prepare)
    it.commit(record)
    started = it.do(start)
    it.undo(start, started)
    it.undo(prepare, prepared)
    assert tree(mount) == before
