"""The one list of graphs: what is in it, what features add to it, and that a new graph is one entry."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.root import run
from reconciler.errors import EnvironmentProblem
from reconciler.feature import Feature, Registry
from reconciler.volgen import cluster, registry, services
from reconciler.volgen.registry import CORE, GraphEntry, View, entries
from reconciler.volgen.render import all_graphs
from reconciler.volgen.services import rebalance_graph
from reconciler.volgen.slots import Slots
from reconciler.volgen.text import parse
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


def insert(file: Path, before: str, lines: str) -> None:
    text = file.read_text("utf-8")
    assert text.count(before) == 1, f"{before} in {file}"
    file.write_text(text.replace(before, lines + before))


@pytest.fixture(scope="module")
def squeezing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the program as it is when the document was followed to the letter."""
    home = tmp_path_factory.mktemp("squeezing")
    own = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(registry.__file__).parents[1], home / "reconciler", ignore=own)
    volgen = home / "reconciler" / "volgen"
    (table, *_), (rows, about) = blocks("python"), blocks("json")
    text = (volgen / "client.py").read_text("utf-8")
    changed = re.sub(r"^_WRITES = \(.*\)\n", table, text, flags=re.MULTILINE)
    assert changed != text
    (volgen / "client.py").write_text(changed)
    insert(volgen / "options.json", '{"name": "performance.write-behind",', rows)
    insert(volgen / "option_names.json", '"performance.write-behind":', about)
    return home


def in_folder(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "reconciler", *words]
    return subprocess.run(command, cwd=home, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("options", "level", "below"),
    [
        ("{performance.squeeze: on, performance.squeeze-level: 4}", 4, "home-write-behind"),
        ("{performance.squeeze: on, performance.write-behind: off}", None, "home-utime"),
        ("{performance.write-behind: on}", None, None),
    ],
)
def test_the_xlator_of_the_document_is_where_it_says(
    squeezing: Path, options: str, level: int | None, below: str | None
) -> None:
    (squeezing / "c.yaml").write_text(declaration(REP3 + f"options: {options}\n"))
    assert in_folder(squeezing, "validate", "c.yaml").returncode == 0
    done = in_folder(squeezing, "volfile", "-f", "c.yaml", "home")
    assert done.returncode == 0, done.stderr
    xlator = parse(done.stdout).find("home-squeeze")
    assert (xlator and xlator.subvolumes) == (below and (below,))
    assert not xlator or dict(xlator.options) == ({"level": str(level)} if level else {})


def test_the_options_of_the_document_are_judged_and_explained(squeezing: Path) -> None:
    for switch, code in (("on", 65), ("off", 0)):  # where no xlator reads the value it is a warning
        options = f"options: {{performance.squeeze: {switch}, performance.squeeze-level: 99}}\n"
        (squeezing / "c.yaml").write_text(declaration(REP3 + options))
        done = in_folder(squeezing, "validate", "c.yaml")
        assert done.returncode == code
        assert "'99' is not an integer from 1 to 9" in done.stdout
    said = json.loads(
        in_folder(squeezing, "options", "explain", "performance.squeeze-level", "-o", "json").stdout
    )
    assert said["description"] == "How much effort goes into compressing."
    assert {place["xlator"] for place in said["where"]} == {"performance/squeeze"}
    assert said["effects"] == ["live on clients"]


def test_the_graph_of_the_document_is_one_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    *_, definition, entry = blocks("python")
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
