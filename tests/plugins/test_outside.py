"""A feature from a folder outside the package works like those inside, without a line of the core."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.cli.root import run
from reconciler.feature import Registry
from reconciler.shipped import feature_of, shipped_features
from reconciler.volgen.text import parse
from tests.unit.desired.declarations import REP3, cluster


def _with_audit() -> Registry:
    """Return the registry of a program with `audit` in place of the shipped feature that has its options."""
    others = (feature for feature in shipped_features() if feature.name != "changelog")
    return Registry((*others, feature_of("tests.outside.audit")))


@pytest.fixture
def declaration(tmp_path: Path) -> str:
    path = tmp_path / "c.yaml"
    path.write_text(cluster(REP3 + "audit: {enabled: true, rollover: 1m}\n"))
    return str(path)


def test_without_the_feature_its_key_is_refused(declaration: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", declaration]) == 65
    assert f"{declaration}:14:7: error: unknown key 'audit'" in capsys.readouterr().out
    assert run(["explain", "volume.audit"]) == 64


def test_with_the_feature_every_command_knows_it(
    declaration: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(*words: str) -> str:
        assert run(words, features=_with_audit) == 0
        return capsys.readouterr().out

    assert "Valid" in said("validate", declaration)
    assert "How long one record goes on." in said("explain", "volume.audit.rollover")
    assert "audit" in json.loads(said("schema"))["$defs"]["volume"]["properties"]
    brick = parse(said("volfile", "-f", declaration, "home", "--graph", "brick:0"))
    (changelog,) = brick.of_type("features/changelog")
    assert {key: changelog.options[key] for key in ("changelog", "rollover-time", "fsync-interval")} == {
        "changelog": "on",
        "rollover-time": "60",
        "fsync-interval": "1",
    }


def test_its_rules_point_into_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(cluster(REP3 + "audit: {enabled: true, rollover: 1s}\n"))
    assert run(["validate", str(path)], features=_with_audit) == 65
    assert f"{path}:14:40: error: rollover must be at least 5s, found 1s" in capsys.readouterr().out


def test_switched_off_it_sets_nothing_in_graphs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(cluster(REP3 + "audit: {enabled: false}\n"))
    assert run(["volfile", "-f", str(path), "home", "--graph", "brick:0"], features=_with_audit) == 0
    (changelog,) = parse(capsys.readouterr().out).of_type("features/changelog")
    assert changelog.options["changelog"] == "off"
    assert "fsync-interval" not in changelog.options
