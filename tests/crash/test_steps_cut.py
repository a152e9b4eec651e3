"""Each step of a node, killed at its n-th system call, or with that call failing: the laws hold all the same.

GLUSTER_STATE_CRASH=all tries every call; otherwise GLUSTER_STATE_CRASH_SEED draws worlds and some calls.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.brick_node import node
from tests.crash.cases import seed
from tests.laws.clocks import StoppedClock
from tests.laws.cut import CHANGING, FAILING, FAULTS, Victims, cuts
from tests.laws.cutting import WITH_PROCESSES, Cutting, cutting, failing_set, log_of
from tests.laws.worlds import WORLDS, Ground

ALL = os.environ.get("GLUSTER_STATE_CRASH") == "all"
pytestmark = [pytest.mark.crash, pytest.mark.timeout(3600 if ALL else 300)]
KINDS = pytest.mark.parametrize("kind", sorted(WORLDS))
WAYS = pytest.mark.parametrize("undo", [False, True], ids=["do", "undo"])


@contextmanager
def _world(kind: str, folder: Path, *, undo: bool) -> Iterator[tuple[Cutting, random.Random]]:
    print(f"GLUSTER_STATE_CRASH_SEED={seed()}")
    draw = random.Random(f"{seed()} {kind} {folder.name}")
    with node(disk_count=2, clock=StoppedClock()) as (it, mounts), Victims(log_of(folder)) as victims:
        yield cutting(Ground(it, mounts, draw), kind, victims, undo=undo), draw


@KINDS
@WAYS
def test_a_step_that_is_killed_is_done_again_or_undone(kind: str, undo: bool, tmp_path: Path) -> None:
    with _world(kind, tmp_path, undo=undo) as (step, draw):
        found = cuts(CHANGING, step.calls(CHANGING, undo=undo))
        tried = found if ALL else [draw.choice(found)]
        died = sum(step.killed(cut, undo=undo) for cut in tried)
        print(f"{kind} {'undo' if undo else 'do'}: killed at {died} of {len(found)} calls")
        assert died


@KINDS
@WAYS
def test_a_call_that_fails_is_told_and_undone(kind: str, undo: bool, tmp_path: Path) -> None:
    calls = failing_set(kind)
    with _world(kind, tmp_path, undo=undo) as (step, draw):
        made = step.calls(calls, undo=undo)[:-1]  # the last is the answer
        tried = [cut for fault in FAULTS for cut in cuts(calls, made, fault)]
        if not ALL:
            tried = draw.sample(tried, min(1, len(tried)))
        elif kind in WITH_PROCESSES:
            opened = cuts(FAILING, step.calls(FAILING, undo=undo)[:-1], draw.choice(FAULTS))
            tried += draw.sample(opened, min(24, len(opened)))
        told = [step.failed(cut, undo=undo).error for cut in tried]
        print(f"{kind} {'undo' if undo else 'do'}: {sum(map(bool, told))} of {len(told)} failures told")
