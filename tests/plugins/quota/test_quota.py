"""Quota from YAML to volfiles: what the key means, and what it must not say."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.cli.root import run
from reconciler.volgen.brick import needs_brick_restart
from tests.plugins.declared import BRICK, brick_options, errors, graphs, record, text

#: what glusterd stores at `quota enable`
STORED = ("features.quota: on", "features.inode-quota: on", "features.quota-deem-statfs: on")


@settings(max_examples=50, deadline=None)
@given(
    enabled=st.booleans(),
    percent=st.none() | st.integers(1, 100),
    in_df=st.none() | st.booleans(),
    soft=st.none() | st.integers(0, 1800),
    hard=st.none() | st.integers(0, 60),
    alert=st.none() | st.integers(0, 7 * 24),
)
def test_the_key_gives_the_volfiles_of_the_raw_options(
    enabled: bool,
    percent: int | None,
    in_df: bool | None,
    soft: int | None,
    hard: int | None,
    alert: int | None,
) -> None:
    word = "on" if enabled else "off"
    shown = word if in_df is None else "on" if in_df else "off"
    key = [f"enabled: {enabled}"]
    raw = [f"features.{name}: {word}" for name in ("quota", "inode-quota")]
    raw += [f"features.quota-deem-statfs: {shown}"]
    for name, value, form, option, stored in (
        ("limitsInDf", in_df, "{}", "", ""),
        ("softPercent", percent, "{}", "features.default-soft-limit", "{}%"),
        ("softTimeout", soft, "{}s", "features.soft-timeout", "{}"),
        ("hardTimeout", hard, "{}s", "features.hard-timeout", "{}"),
        ("alertTime", alert, "{}h", "features.alert-time", "{}"),
    ):
        if value is not None:
            key.append(f"{name}: {form.format(value)}")
            raw += (
                [f"{option}: {stored.format(value * 3600 if name == 'alertTime' else value)}"]
                if option
                else []
            )
    by_key = record(f"quota: {{{', '.join(key)}}}")
    by_options = record(f"options: {{{', '.join(raw)}}}")
    assert graphs(by_key) == graphs(by_options)


def test_switching_it_changes_three_xlators_of_a_brick_and_restarts_none() -> None:
    on, off = (graphs(record(f"quota: {{enabled: {word}}}")) for word in ("true", "false"))
    for graph, switch in ((on, "on"), (off, "off")):
        assert brick_options(graph, "features/quota")["server-quota"] == switch
        assert brick_options(graph, "features/quota")["deem-statfs"] == switch
        marker = brick_options(graph, "features/marker")
        assert (marker["quota"], marker["inode-quota"]) == (switch, switch)
    assert brick_options(on, "storage/posix")["update-link-count-parent"] == "on"
    assert "update-link-count-parent" not in brick_options(off, "storage/posix")
    assert not needs_brick_restart(off[BRICK], on[BRICK])


@pytest.mark.parametrize(
    ("lines", "version"),
    [
        ((), "0"),
        (("options: {features.soft-timeout: 5}",), "0"),
        (("quota: {enabled: true}",), "1"),
        (("quota: {enabled: false}",), "1"),
        (("options: {features.quota: on}",), "1"),
        (("options: {features.quota: off}",), "1"),
        (("options: {marker.quota: off}",), "1"),
    ],
)
def test_the_number_of_counts_stays_when_quota_is_switched_off(lines: tuple[str, ...], version: str) -> None:
    """Seen on a live glusterd 10.3: 0 in a new volume, 1 once quota is on, still 1 when it is off again."""
    assert brick_options(graphs(record(*lines)), "features/marker")["quota-version"] == version


def test_quota_and_trash_both_count_links() -> None:
    both = graphs(record("quota: {enabled: true}", "trash: {enabled: true}"))
    assert brick_options(both, "storage/posix")["update-link-count-parent"] == "on"


@pytest.mark.parametrize("left_in", [STORED, STORED[:1], STORED[1:], ()])
def test_what_glusterd_stored_may_stand_beside_the_key(left_in: tuple[str, ...]) -> None:
    key = record("quota: {enabled: true}")
    both = record(f"options: {{{', '.join(left_in)}}}", "quota: {enabled: true}")
    assert dict(both.options) == dict(key.options)
    assert graphs(both) == graphs(key)


@pytest.mark.parametrize(
    "lines",
    [
        ("options: {features.quota-deem-statfs: off}", "quota: {enabled: true}"),
        ("options: {quota.deem-statfs: off}", "quota: {enabled: true}"),
        ("quota: {enabled: true, limitsInDf: false}",),
    ],
)
def test_what_the_key_only_implies_gives_way_to_what_somebody_wrote(lines: tuple[str, ...]) -> None:
    volume = record(*lines)
    assert brick_options(graphs(volume), "features/quota")["deem-statfs"] == "off"
    assert brick_options(graphs(volume), "features/marker")["inode-quota"] == "on"


def test_a_setting_is_there_once_by_whichever_of_its_names_it_was_written() -> None:
    volume = record("options: {quota.deem-statfs: off}", "quota: {enabled: true}")
    assert {name for name, _ in volume.options} == {
        "features.quota",
        "features.inode-quota",
        "quota.deem-statfs",
    }


def test_a_profile_wins_over_what_the_key_implies_and_not_over_what_it_says(tmp_path: Path) -> None:
    lines = text("profiles: [p]", "quota: {enabled: true}").decode()
    profile = (
        '  profiles:\n    - {name: p, options: {features.quota: "off", features.quota-deem-statfs: "off"}}\n'
    )
    file = tmp_path / "c.yaml"
    file.write_text(lines.replace("  volumes:\n", profile + "  volumes:\n"))
    out = tmp_path / "out"
    assert run(["volfile", "-f", str(file), "home", "--graph", "all", "--out", str(out)]) == 0
    brick = (out / "home.10.0.0.1.b-home-0.vol").read_text()
    assert "option server-quota on" in brick
    assert "option deem-statfs off" in brick


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            ("quota: {enabled: true, limits: [{path: /, hard: 3600GiB, softPercent: 80}]}",),
            "14:38 quota.limits is not supported by this version (remove limits, or write enabled: false)",
        ),
        (
            ("options: {features.quota: off}", "quota: {enabled: true}"),
            "14:33 option features.quota is off here and on by quota "
            "(say it in one place; the key is at c.yaml:15:14)",
        ),
        (
            ("options: {features.inode-quota: on}", "quota: {enabled: false}"),
            "14:39 option features.inode-quota is on here and off by quota "
            "(say it in one place; the key is at c.yaml:15:14)",
        ),
        (
            ("quota: {enabled: true, softPercent: 101}",),
            "14:43 softPercent must be at most 100, found 101 ()",
        ),
        (
            ("quota: {enabled: true, softTimeout: 31m}",),
            "14:43 softTimeout must be from 0s to 1800s in whole seconds, found 31m ()",
        ),
        (
            ("quota: {enabled: true, hardTimeout: 61s}",),
            "14:43 hardTimeout must be from 0s to 60s in whole seconds, found 61s ()",
        ),
        (
            ("quota: {enabled: true, alertTime: 500ms}",),
            "14:41 alertTime must be from 0s to 604800s in whole seconds, found 500ms ()",
        ),
        (
            ("quota: {enabled: false, limits: [{path: /, hard: 1GiB, sfot: 1}]}",),
            "14:62 unknown key 'sfot' "
            "(known here: hard, objects, path, softPercent; keys of your own begin with x-)",
        ),
    ],
)
def test_what_nobody_can_mean_is_pointed_at(lines: tuple[str, ...], said: str) -> None:
    assert errors(*lines) == [said]


@pytest.mark.parametrize(
    "rest", ["softTimeout: 30m", "hardTimeout: 1m", "alertTime: 7d", "softTimeout: 0s", "softPercent: 100"]
)
def test_the_ends_of_the_ranges_are_inside(rest: str) -> None:
    assert errors(f"quota: {{enabled: true, {rest}}}") == []


def test_limits_of_a_quota_that_is_off_are_harmless() -> None:
    assert errors("quota: {enabled: false, limits: [{path: /, hard: 1GiB, x-note: a}]}") == []


def test_the_commands_know_the_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "c.yaml"
    file.write_bytes(text("quota: {enabled: true, hardTimeout: 10s}"))
    assert run(["validate", str(file)]) == 0
    said = capsys.readouterr().out
    assert (
        f"{file}:14:14: warning: option features.quota needs quotad, which this version does not run" in said
    )
    assert run(["explain", "volume.quota"]) == 0
    assert "does not run the daemon quotad" in " ".join(capsys.readouterr().out.split())
    assert run(["volfile", "-f", str(file), "home", "--graph", "brick:0"]) == 0
    assert "option hard-timeout 10" in capsys.readouterr().out
