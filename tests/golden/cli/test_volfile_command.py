"""YAML through the whole `volfile` command against what glusterd 10.3 generated for the same volume."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.root import run
from reconciler.shipped import shipped_features
from reconciler.volgen.text import parse
from tests.golden.cli.oracle_declarations import Raw, as_set, stored
from tests.golden.volgen.oracle_case import load_case
from tests.golden.volgen.test_oracle import HERE, each_case


def _raw(path: Path) -> Raw:
    raw: Raw = json.loads(path.read_text())
    return raw


def _checked_in() -> list[Path]:
    return sorted((HERE / "cases").glob("*.json"))


def test_there_are_cases_of_every_type_with_groups_and_commands() -> None:
    raws = [_raw(path) for path in _checked_in()]
    assert {raw["type"] for raw in raws} == {"distribute", "replicate", "disperse"}
    assert {"group", "quota", "bitrot"} <= {name for raw in raws for name, _ in raw["set"]}


@each_case
@pytest.mark.parametrize("declared", [stored, as_set], ids=lambda function: function.__name__)
def test_a_declared_volume_does_not_differ_from_that_of_glusterd(
    path: Path, declared: Callable[[Raw], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = load_case(path)
    (tmp_path / "c.yaml").write_text(declared(_raw(path)))
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    for file, text in case.volfiles.items():
        (theirs / file).write_text(text)
    words = ["volfile", "-f", str(tmp_path / "c.yaml"), case.volume.name, "--diff", str(theirs)]
    code = run([*words, "--node", case.host])
    out = capsys.readouterr().out
    assert code == 0, out
    assert f"No differences. {len(case.volfiles)} graphs " in out


@pytest.mark.parametrize("declared", [stored, as_set], ids=lambda function: function.__name__)
@pytest.mark.parametrize("path", _checked_in(), ids=lambda path: path.stem)
def test_what_is_written_for_a_declared_volume_is_what_glusterd_wrote(
    path: Path, declared: Callable[[Raw], str], tmp_path: Path
) -> None:
    case = load_case(path)
    source, out = tmp_path / "c.yaml", tmp_path / "out"
    source.write_text(declared(_raw(path)))
    words = ["volfile", "-f", str(source), case.volume.name, "--graph", "all", "--node", case.host]
    assert run([*words, "--out", str(out)]) == 0
    assert sorted(file.name for file in out.iterdir()) == sorted(case.volfiles)
    for file, text in case.volfiles.items():
        assert parse((out / file).read_text()) == parse(text), file


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("o11x000", {"shard": {"enabled": True}}),
        ("o11x032", {"trash": {"enabled": True}}),
        ("o11x060", {"shard": {"enabled": False, "blockSize": "512MiB"}}),
    ],
)
def test_features_give_the_graphs_that_glusterd_made_of_their_options(
    name: str, keys: dict[str, Any], tmp_path: Path
) -> None:
    path = HERE / "cases" / f"{name}.json"
    case, raw = load_case(path), _raw(path)
    own = {option for feature in shipped_features() if feature.name in keys for option in feature.options}
    assert own & raw["stored_options"].keys()
    raw["stored_options"] = {k: v for k, v in raw["stored_options"].items() if k not in own}
    declaration = json.loads(stored(raw))
    declaration["spec"]["volumes"][0] |= keys
    source, out = tmp_path / "c.yaml", tmp_path / "out"
    source.write_text(json.dumps(declaration))
    assert run(["volfile", "-f", str(source), case.volume.name, "--graph", "all", "--out", str(out)]) == 0
    for file, text in case.volfiles.items():
        assert parse((out / file).read_text()) == parse(text), file
