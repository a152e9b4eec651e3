"""The one list of graphs: what is in it, what features add to it, and that a new graph is one entry."""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.root import run
from reconciler.errors import EnvironmentProblem
from reconciler.feature import Feature, Registry
from reconciler.volgen import client, cluster, registry, services
from reconciler.volgen.graph import Draft
from reconciler.volgen.option_table import OptionRow, Rule
from reconciler.volgen.registry import CORE, GraphEntry, View, entries
from reconciler.volgen.render import all_graphs
from reconciler.volgen.services import rebalance_graph
from reconciler.volgen.settings import VolumeSettings
from reconciler.volgen.slots import Slots
from tests.unit.desired.declarations import REP3
from tests.unit.desired.declarations import cluster as declaration
from tests.volume_samples import SECRET, SLOTS, volume

DOCUMENT = (Path(__file__).parents[3] / "docs" / "extend-volgen.md").read_text("utf-8")
WARMER = GraphEntry(
    name="warmer",
    file="{volume}-warmer.vol",
    build=lambda view: rebalance_graph(view.volume, secret=view.secret),
)
ALPHA = Feature(name="alpha", schema={"description": "A."}, options=(), read=lambda _: {}, graphs=(WARMER,))


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)


def test_names_and_files_are_there_once() -> None:
    every = entries(SLOTS)
    assert len({entry.name for entry in every}) == len({entry.file for entry in every}) == len(every)


def test_a_graph_of_a_node_needs_to_be_asked_for() -> None:
    quota = volume(options=(("features.bitrot", "on"), ("features.quota", "on")))
    of_the_node = {"quotad.vol", "bitd-server.vol", "scrub-server.vol"}

    def names(**more: Any) -> set[str]:
        return set(all_graphs(quota, slots=SLOTS, secret=SECRET, host="10.0.0.11", **more))

    assert names(others=()) - names() == of_the_node
    assert names() & of_the_node == set()


def test_a_feature_brings_graphs_of_its_own() -> None:
    slots = Slots([ALPHA])
    assert entries(slots) == (*CORE, WARMER)
    found = all_graphs(volume(), slots=slots, secret=SECRET, host="10.0.0.11")
    assert found["home-warmer.vol"] == rebalance_graph(volume(), secret=SECRET)
    assert "home-warmer.vol" not in all_graphs(volume(), slots=SLOTS, secret=SECRET, host="10.0.0.11")


@pytest.mark.parametrize(
    "twice", [replace(WARMER, name="shd"), replace(WARMER, file="trusted-{volume}.tcp-fuse.vol")]
)
def test_a_feature_cannot_take_the_place_of_a_graph(twice: GraphEntry) -> None:
    with pytest.raises(EnvironmentProblem, match=r"there is a graph (shd|trusted-.*) already"):
        Registry((replace(ALPHA, graphs=(twice,)),))


def test_the_command_names_every_graph(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["volfile", "--help"]) == 0
    listed = re.search(r"Oneof(.*),all;bricks", "".join(capsys.readouterr().out.split()))  # names are wrapped
    assert listed is not None
    assert listed[1].split(",") == [e.name + (":N" if e.per_brick else "") for e in entries(SLOTS)]


def test_two_features_cannot_bring_one_graph() -> None:
    beta = replace(ALPHA, name="beta")
    with pytest.raises(EnvironmentProblem, match="alpha and beta both have the graph warmer"):
        Registry((ALPHA, beta))
    with pytest.raises(EnvironmentProblem, match=r"both have the volfile \{volume\}-warmer\.vol"):
        Registry((ALPHA, replace(beta, graphs=(replace(WARMER, name="cooler"),))))


# ---------------------------------------------------------------- the document


def test_the_xlator_of_the_document_is_a_line_in_a_table() -> None:
    names: dict[str, Any] = dict(vars(client))
    exec(blocks("python")[0], names)
    place = client._MOUNT.index(client._WRITES[0])
    table = (*client._MOUNT[:place], *names["_WRITES"], *client._MOUNT[place + 1 :])
    rows = [json.loads(line.rstrip(",")) for line in blocks("json")[0].splitlines()]
    for row in rows:
        OptionRow(**{**row, "rule": Rule(row.get("rule", "set"))})
    assert [row["name"] for row in rows] == ["performance.squeeze", "performance.squeeze-level"]

    def types(**options: str) -> list[str]:
        declared = {name.replace("__", "."): value for name, value in options.items()}
        draft = Draft("home")
        site = client._Site(volume(), VolumeSettings(declared), None, SLOTS)
        client.stack(table, draft, site)
        return [xlator.type for xlator in draft.graph()]

    on = types(performance__squeeze="on")
    assert on[on.index("performance/write-behind") + 1] == "performance/squeeze"
    assert types() == [name for name in on if name != "performance/squeeze"]


def test_the_graph_of_the_document_is_one_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, definition, entry = blocks("python")
    names: dict[str, Any] = {**vars(cluster), **vars(services), **vars(registry)}
    exec(definition, names)
    added = eval(entry, names)
    monkeypatch.setattr(registry, "CORE", (*CORE, added))
    file = tmp_path / "c.yaml"
    file.write_text(declaration(REP3))
    assert run(["volfile", "-f", str(file), "home", "--graph", "warmer"]) == 0
    assert "type performance/read-ahead\n    subvolumes home-dht\n" in capsys.readouterr().out
    out = tmp_path / "out"
    assert run(["volfile", "-f", str(file), "home", "--graph", "all", "--out", str(out)]) == 0
    assert (out / "home-warmer.vol").exists()


def test_the_document_names_every_graph() -> None:
    rows = re.findall(r"^\| ([^|]+) \| `", DOCUMENT, re.MULTILINE)
    told = {word.strip() for row in rows for word in row.split(",")}
    renamed = {"trusted-client": "trusted client", "trusted-gfproxy-client": "gfproxy client"}
    known = {renamed.get(entry.name, entry.name) for entry in entries(SLOTS)}
    renamed_here = {"shd": "self-heal daemon", "thin-arbiter": "thin arbiter"}
    # The crawler is a connection and nothing else: it has no table.
    assert told == {renamed_here.get(name, name) for name in known} - {"quota-crawler"}


def test_a_view_knows_the_whole_cluster() -> None:
    other = (volume("other"), SECRET)
    seen = View(volume=volume(), secret=SECRET, slots=SLOTS, host="h", others=(other,))
    assert [one.name for one, _ in seen.cluster] == ["home", "other"]
    assert dataclasses.replace(seen, brick=volume().bricks[1]).the_brick.brick_id == "home-client-1"
