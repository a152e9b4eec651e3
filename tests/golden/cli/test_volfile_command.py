"""YAML through the whole `volfile` command against what glusterd 10.3 generated for the same volume."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.root import run
from reconciler.shipped import shipped_features
from reconciler.volgen.text import parse
from tests.golden.volgen.oracle_case import load_case

CASES = Path(__file__).resolve().parents[1] / "volgen" / "cases"
_COMMANDS = ("group", "quota", "bitrot")  # set by commands, not as options


def _plain(path: Path) -> dict[str, Any]:
    raw: dict[str, Any] = json.loads(path.read_text())
    return raw


def _usable() -> list[Path]:
    return [p for p in sorted(CASES.glob("*.json")) if not any(s[0] in _COMMANDS for s in _plain(p)["set"])]


def _declaration(raw: dict[str, Any]) -> dict[str, Any]:
    """Return the volume as a user would declare it: what was set, nothing that glusterd added by itself."""
    places = [brick.split(":", 1) for brick in raw["bricks"]]
    names = {host: "p" + host.replace(".", "-") for host, _ in places}
    volume = {
        "name": raw["name"],
        "id": raw["volume_id"],
        "auth": {"username": raw["username"], "password": raw["password"]},
        "type": raw["type"],
        "bricks": [f"{names[host]}:{path}" for host, path in places],
        "options": dict(raw["set"]),
        "acknowledge": [{"code": code, "reason": "a test"} for code in ("GS203", "GS204", "GS205")],
    }
    if raw["type"] == "disperse":
        data = raw["disperse"] - raw["redundancy"]
        volume |= {"data": data, "redundancy": raw["redundancy"], "maxBricksPerDomain": 9}
    elif raw["type"] == "replicate":
        volume |= {"replica": raw["replica"], "maxBricksPerDomain": 9}
        volume |= {"arbiter": raw["arbiter"]} if raw["arbiter"] else {}
    peers = [{"name": name, "address": host} for host, name in names.items()]
    return {
        "apiVersion": "gluster-state.io/v1",
        "kind": "Cluster",
        "metadata": {"name": "t"},
        "spec": {"peers": peers, "volumes": [volume]},
    }


def test_there_are_cases_of_every_type() -> None:
    assert {_plain(path)["type"] for path in _usable()} == {"distribute", "replicate", "disperse"}


@pytest.mark.parametrize("path", _usable(), ids=lambda p: p.stem)
def test_a_declared_volume_gives_the_graphs_of_glusterd(path: Path, tmp_path: Path) -> None:
    case = load_case(path)
    source, out = tmp_path / "c.yaml", tmp_path / "out"
    source.write_text(json.dumps(_declaration(_plain(path))))  # JSON is YAML
    name = str(case.volume.name)
    assert run(["volfile", "-f", str(source), name, "--graph", "all", "--out", str(out)]) == 0
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
    path = CASES / f"{name}.json"
    case, declaration = load_case(path), _declaration(_plain(path))
    own = {option for feature in shipped_features() if feature.name in keys for option in feature.options}
    stored = dict(case.volume.options)
    assert own & stored.keys()
    (volume,) = declaration["spec"]["volumes"]
    volume |= {"options": {k: v for k, v in stored.items() if k not in own}} | keys
    source, out = tmp_path / "c.yaml", tmp_path / "out"
    source.write_text(json.dumps(declaration))
    assert run(["volfile", "-f", str(source), case.volume.name, "--graph", "all", "--out", str(out)]) == 0
    for file, text in case.volfiles.items():
        assert parse((out / file).read_text()) == parse(text), file
