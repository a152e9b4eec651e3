"""Volumes that a real glusterd 10.3 changed step by step, each step declared: what ``volfile --was`` gives.

What glusterd had after a command is one declaration, the ones before it are the earlier ones. Ids follow from
the row of declarations alone. They are those of glusterd, except where it hands one out again.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.root import run
from reconciler.volgen.graph import Graph
from reconciler.volgen.text import parse
from tests.glusterd_cases import differences
from tests.golden.cli.oracle_declarations import stored
from tests.golden.volgen.oracle_case import load_sequence
from tests.golden.volgen.test_sequences import SEQUENCES

#: volume and directory, and a number that glusterd gives again -> the number never used that we give
GIVEN_AGAIN = {
    ("copies/b9", 5): 6,
    ("leaving/b4", 2): 4,
    ("leaving/b5", 3): 5,
    ("spread/b4", 3): 4,
    ("spread/b0", 3): 5,
}


def _numbers(raw: dict[str, Any]) -> dict[int, int]:
    """Return our numbers of a volume's bricks by those of glusterd."""
    found = {}
    for brick, name in zip(raw["bricks"], raw["brick_ids"], strict=True):
        number = int(name.rpartition("-")[2])
        found[number] = GIVEN_AGAIN.get((brick.partition(":/srv/")[2], number), number)
    return found


def _with_our_ids(raw: dict[str, Any]) -> dict[str, Any]:
    """Return a step with our ids in glusterd's volfiles and in the list of bricks."""
    prefix, numbers = f"{raw['name']}-client-", _numbers(raw)

    def renamed(found: re.Match[str]) -> str:
        # A file that glusterd leaves behind has bricks that are gone.
        return prefix + str(numbers.get(int(found[1]), found[1]))

    ours: dict[str, Any] = json.loads(re.sub(rf"\b{prefix}(\d+)", renamed, json.dumps(raw)))
    return ours


def _not_declared(raw: dict[str, Any]) -> set[str]:
    """Return the keys of xlators in which the graphs of a step differ from those of its declaration.

    A declaration says nothing of what is under way.
    """
    return {"decommissioned-bricks"} if raw["decommissioned"] else set()


def _ids(graph: Graph) -> dict[tuple[str, str], str]:
    clients = graph.of_type("protocol/client")
    return {(x.options["remote-host"], x.options["remote-subvolume"]): x.name for x in clients}


@pytest.mark.parametrize("path", SEQUENCES, ids=lambda path: path.stem)
def test_each_step_declared_gives_the_ids_and_graphs_of_glusterd(path: Path, tmp_path: Path) -> None:
    was: list[str] = []
    for number, (command, step) in enumerate(load_sequence(path)):
        raw, source, out = _with_our_ids(step), tmp_path / f"{number}.yaml", tmp_path / f"out{number}"
        source.write_text(stored(raw))
        words = ["volfile", "-f", str(source), raw["name"], *was, "--graph", "all", "--out", str(out)]
        assert run([*words, "--node", raw["node"]]) == 0, command
        was += ["--was", str(source)]
        ours = {file.name: parse(file.read_text()) for file in out.iterdir()}
        bricks = [tuple(brick.split(":", 1)) for brick in raw["bricks"]]
        assert _ids(ours[f"{raw['name']}.tcp-fuse.vol"]) == dict(zip(bricks, raw["brick_ids"], strict=True))
        keys = {line.partition(": ")[2].split()[1].rstrip(":") for line in differences(raw, ours)}
        assert keys == _not_declared(raw), command


@pytest.mark.parametrize("again", GIVEN_AGAIN, ids=str)
def test_an_id_differs_only_where_glusterd_gave_it_to_another_brick_before(again: tuple[str, int]) -> None:
    brick, number = again
    name = brick.partition("/")[0]
    (path,) = (path for path in SEQUENCES if load_sequence(path)[0][1]["name"] == name)
    holders: dict[int, set[str]] = {}
    for _, step in load_sequence(path):
        for place, brick_id in zip(step["bricks"], step["brick_ids"], strict=True):
            holders.setdefault(int(brick_id.rpartition("-")[2]), set()).add(place.partition(":/srv/")[2])
    assert holders[number] > {brick}
