"""What `validate` says of options without their effect: their feature is off, or a daemon is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.cli.root import run
from tests.plugins.declared import text


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            ("options: {features.trash-max-filesize: 1MB}",),
            ["14:46 features.trash-max-filesize features.trash"],
        ),
        (
            ("options: {trash.trash-eliminate-path: /tmp}",),
            ["14:45 trash.trash-eliminate-path features.trash"],
        ),
        (("options: {features.trash-dir: .bin, features.trash: on}",), []),
        (("options: {features.trash-dir: .bin}", "trash: {enabled: true}"), []),
        (
            ("options: {features.scrub: pause, features.signer-threads: 8}", "bitrot: {enabled: false}"),
            ["14:33 features.scrub features.bitrot", "14:65 features.signer-threads features.bitrot"],
        ),
        (("options: {features.soft-timeout: 30}",), ["14:40 features.soft-timeout features.quota"]),
        (("bitrot: {enabled: false, scrub: {frequency: daily}}",), []),
        (("profiles: [builtin/virt]", "options: {features.shard: off}"), []),
        (("options: {network.ping-timeout: 30}",), []),
    ],
)
def test_an_option_of_a_feature_that_is_off_has_no_effect(
    lines: tuple[str, ...], said: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [line for line in _validated(tmp_path, lines, capsys) if "has no effect: features" in line]
    expected = [(place, option, switch) for place, option, switch in (one.split() for one in said)]
    assert found == [
        f"{place}: warning: option {option} has no effect: {switch} is off"
        for place, option, switch in expected
    ]


def test_an_option_that_is_refused_is_not_warned_about_as_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "c.yaml"
    file.write_bytes(text("options: {features.trash-dir: .bin}"))
    assert run(["validate", str(file)]) == 65
    said = capsys.readouterr().out
    assert "14:37: error: option features.trash-dir needs features.trash on" in said
    assert "has no effect" not in said


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("options: {features.quota: on}", "14:33: warning: option features.quota needs quotad, "),
        ("options: {marker.quota: on}", "14:31: warning: option features.quota needs quotad, "),
        ("quota: {enabled: true}", "14:14: warning: option features.quota needs quotad, "),
        ("bitrot: {enabled: true}", "14:15: warning: option features.bitrot needs bitd, "),
        ("options: {features.uss: on}", "14:31: warning: option features.uss needs snapd, "),
        ("options: {features.uss: off, features.quota: off, features.bitrot: off}", ""),
        ("options: {features.inode-quota: on, features.scrub-freq: daily}", ""),
    ],
)
def test_an_option_without_its_daemon_is_told(
    line: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [text for text in _validated(tmp_path, (line,), capsys) if "does not run:" in text]
    assert [text[: len(said)] for text in found] == ([said] if said else [])


def test_what_the_plan_will_refuse_is_told_apart_from_what_only_gives_less(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hint = "plan refuses to switch it on"
    assert hint in " ".join(_validated(tmp_path, ("quota: {enabled: true}",), capsys))
    assert hint not in " ".join(_validated(tmp_path, ("options: {features.uss: on}",), capsys))


def _validated(tmp_path: Path, lines: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return what is said of a declaration with these lines, without the file's name before positions."""
    file = tmp_path / "c.yaml"
    file.write_bytes(text(*lines))
    assert run(["validate", str(file)]) == 0
    return [line.removeprefix(f"{file}:") for line in capsys.readouterr().out.splitlines()]
