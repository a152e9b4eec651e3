"""Our graphs against volfiles of volumes that were made by hand on a real glusterd 10.3.

They have what the random cases have not: snapshots, a gfproxy, TLS, every kind of cache, a thin arbiter, and
the daemons that a node has for all of its volumes (``node_volfiles``).
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from reconciler.volgen.graph import Graph
from reconciler.volgen.registry import View, entries
from reconciler.volgen.render import all_graphs
from reconciler.volgen.text import parse, write
from tests.golden.volgen.oracle_case import load_case
from tests.volume_samples import SLOTS

CASES = sorted((Path(__file__).parent / "services").glob("*.json"))
each_case = pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)


def recorded(path: Path) -> dict[str, str]:
    """Return glusterd's files: the volume's and the node's."""
    raw = json.loads(path.read_text("utf-8"))
    return {**raw["volfiles"], **raw.get("node_volfiles", {})}


def view(path: Path) -> View:
    case = load_case(path)
    raw = json.loads(path.read_text("utf-8"))
    volume = dataclasses.replace(case.volume, thin_arbiter=raw.get("thin_arbiter", ""))
    return View(volume=volume, secret=case.secret, slots=SLOTS, host=case.host)


def rendered(path: Path) -> dict[str, Graph]:
    seen = view(path)
    return dict(all_graphs(seen.volume, slots=SLOTS, secret=seen.secret, host=seen.host, others=()))


def test_there_is_a_case_of_each_kind() -> None:
    assert [path.stem for path in CASES] == ["o3", "rep2", "rep3", "ta"]


@each_case
def test_every_recorded_graph_is_ours(path: Path) -> None:
    ours = rendered(path)
    theirs = recorded(path)
    # The thin arbiter's own graph is its administrator's, and no glusterd writes it.
    assert set(ours) - {"thin-arbiter.vol"} == set(theirs)
    for name, text in theirs.items():
        assert [(x.name, x.type, dict(x.options), x.subvolumes) for x in ours[name]] == [
            (x.name, x.type, dict(x.options), x.subvolumes) for x in parse(text)
        ], name


@each_case
def test_every_option_line_of_glusterd_is_a_line_of_ours(path: Path) -> None:
    ours = rendered(path)
    for name, text in recorded(path).items():
        assert sorted(write(ours[name], verbatim=True).splitlines()) == sorted(text.splitlines()), name


@each_case
def test_each_entry_gives_the_graph_that_stands_in_its_file(path: Path) -> None:
    ours, seen = rendered(path), view(path)
    for entry in entries(SLOTS):
        for one in entry.views(seen) if entry.exists(seen) else ():
            assert entry.build(one) == ours.pop(entry.file_name(one))
    assert ours == {}
