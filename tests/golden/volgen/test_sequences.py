"""Volumes whose bricks and options a real glusterd 10.3 changed step by step, and our graphs after each step.

Recorded by ``tests/glusterd_cases.py``. glusterd hands out the highest id that is there plus one, so an id
comes back after the brick with the highest one left; we never hand one out twice. The graphs here
are those of the ids that glusterd gave.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.glusterd_cases import differences
from tests.golden.volgen.oracle_case import load_sequence

SEQUENCES = sorted((Path(__file__).parent / "sequences").glob("*.json"))


def test_the_sequences_change_volumes_in_every_way() -> None:
    commands = [command.split() for path in SEQUENCES for command, _ in load_sequence(path)]
    words = {command[0] for command in commands}
    assert words >= {
        "create",
        "add-brick",
        "remove-brick",
        "replace-brick",
        "set",
        "reset",
        "quota",
        "bitrot",
    }
    ends = {command[-1] for command in commands if command[0] == "remove-brick"}
    assert ends >= {"start", "stop", "commit", "force"}


@pytest.mark.parametrize("path", SEQUENCES, ids=lambda p: p.stem)
def test_after_every_step_the_graphs_are_those_of_glusterd(path: Path) -> None:
    for command, case in load_sequence(path):
        assert differences(case) == [], command
