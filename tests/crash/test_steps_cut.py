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
from tests.laws.clocks import READY_S, StoppedClock
from tests.laws.cut import CHANGING, FAILING, FAULTS, Victims, cuts
from tests.laws.cutting import Cutting, cutting
from tests.laws.worlds import WORLDS, Ground

MOST_OPENED = 60
ALL = os.environ.get("GLUSTER_STATE_CRASH") == "all"
pytestmark = [pytest.mark.crash, pytest.mark.timeout(3600 if ALL else 300)]
KINDS = pytest.mark.parametrize("kind", sorted(WORLDS))
WAYS = pytest.mark.parametrize("undo", [False, True], ids=["do", "undo"])


@contextmanager
def _world(kind: str, folder: Path, *, undo: bool) -> Iterator[tuple[Cutting, random.Random]]:
    print(f"GLUSTER_STATE_CRASH_SEED={seed()}")
    draw = random.Random(f"{seed()} {kind} {undo}")
    patient = node(disk_count=2, clock=StoppedClock(), ready_s=READY_S)
    with patient as (it, mounts), Victims(folder / "calls") as victims:
        yield cutting(Ground(it, mounts, draw), kind, victims, undo=undo), draw


@KINDS
@WAYS
def test_a_step_that_is_killed_is_done_again_or_undone(kind: str, undo: bool, tmp_path: Path) -> None:
    with _world(kind, tmp_path, undo=undo) as (step, draw):
        found = cuts(CHANGING, step.calls(CHANGING, undo=undo))
        died = 0
        for cut in found if ALL else draw.sample(found, len(found)):
            died += step.killed(cut, undo=undo)  # one that waits may not come to a call as late as before
            if died and not ALL:
                break
        print(f"{kind} {'undo' if undo else 'do'}: killed at {died} of {len(found)} calls")
        assert died


@KINDS
@WAYS
def test_a_call_that_fails_is_told_and_undone(kind: str, undo: bool, tmp_path: Path) -> None:
    with _world(kind, tmp_path, undo=undo) as (step, draw):
        made = step.calls(FAILING, undo=undo)[:-1]  # the last is the answer
        tried = [cut for fault in FAULTS for cut in cuts(FAILING, made, fault)]
        # Whoever looks for a process opens hundreds of files of /proc, never as many as before.
        opened = [cut for cut in tried if cut.name == "openat"]
        kept = draw.sample(opened, min(MOST_OPENED, len(opened)))
        tried = [cut for cut in tried if cut.name != "openat"] + kept
        if not ALL:
            tried = draw.sample(tried, min(1, len(tried)))
        told = [step.failed(cut, undo=undo).error for cut in tried]
        print(f"{kind} {'undo' if undo else 'do'}: {sum(map(bool, told))} of {len(told)} failures told")
