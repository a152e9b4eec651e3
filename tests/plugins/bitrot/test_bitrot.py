"""Bitrot from YAML to volfiles: what the key means, and what it must not say."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.cli.root import run
from reconciler.volgen.brick import needs_brick_restart
from tests.plugins.declared import BRICK, brick_options, errors, graphs, record, text

STATES = {"active": "Active", "paused": "pause"}


@settings(max_examples=50, deadline=None)
@given(
    enabled=st.booleans(),
    frequency=st.none() | st.sampled_from(["hourly", "daily", "weekly", "biweekly", "monthly"]),
    throttle=st.none() | st.sampled_from(["lazy", "normal", "aggressive"]),
    state=st.none() | st.sampled_from(sorted(STATES)),
    minutes=st.none() | st.integers(1, 7 * 24 * 60),
    threads=st.none() | st.integers(1, 1024),
)
def test_the_key_stands_for_the_options_that_glusterd_stores(
    enabled: bool,
    frequency: str | None,
    throttle: str | None,
    state: str | None,
    minutes: int | None,
    threads: int | None,
) -> None:
    wanted = {
        "features.bitrot": "on" if enabled else "off",
        "features.scrub": STATES[state or "active"] if enabled else "Inactive",
        "features.scrub-freq": frequency,
        "features.scrub-throttle": throttle,
        "features.expiry-time": None if minutes is None else str(minutes * 60),
        "features.signer-threads": None if threads is None else str(threads),
    }
    scrub = {"frequency": frequency, "throttle": throttle, "state": state}
    inner = ", ".join(f"{key}: {value}" for key, value in scrub.items() if value)
    key = [f"enabled: {enabled}"]
    key += [f"scrub: {{{inner}}}"] if inner else []
    key += [f"signingTime: {minutes}m"] if minutes else []
    key += [f"signerThreads: {threads}"] if threads else []
    by_key = record(f"bitrot: {{{', '.join(key)}}}")
    assert dict(by_key.options) == {name: value for name, value in wanted.items() if value is not None}
    raw = ", ".join(f'{name}: "{value}"' for name, value in by_key.options)
    assert graphs(by_key) == graphs(record(f"options: {{{raw}}}"))


def test_switching_it_changes_two_xlators_of_a_brick_and_restarts_none() -> None:
    on, off, never = (
        graphs(record(*lines)) for lines in (("bitrot: {enabled: true}",), ("bitrot: {enabled: false}",), ())
    )
    for graph, stub, told in ((on, "on", "on"), (off, "off", "off"), (never, "disable", "off")):
        assert brick_options(graph, "features/bitrot-stub")["bitrot"] == stub
        assert brick_options(graph, "features/changelog")["changelog-notification"] == told
    assert not needs_brick_restart(off[BRICK], on[BRICK])


@pytest.mark.parametrize(
    ("option", "state"),
    [
        ("features.bitrot: on", "Active"),
        ("features.scrub: Active", "Active"),
        ("features.scrub: pause", "pause"),
        ("features.bitrot: enable, features.scrub-freq: daily", "Active"),
    ],
)
def test_what_glusterd_stored_may_stand_beside_the_key(option: str, state: str) -> None:
    volume = record(f"options: {{{option}}}", "bitrot: {enabled: true}")
    assert dict(volume.options)["features.bitrot"] == "on"
    assert dict(volume.options)["features.scrub"] == state


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            ("options: {features.bitrot: disable}", "bitrot: {enabled: true}"),
            "14:34 option features.bitrot is disable here and on by bitrot "
            "(say it in one place; the key is at c.yaml:15:15)",
        ),
        (
            ("options: {features.scrub: Active}", "bitrot: {enabled: true, scrub: {state: paused}}"),
            "14:33 option features.scrub is Active here and pause by bitrot "
            "(say it in one place; the key is at c.yaml:15:15)",
        ),
        (
            ("bitrot: {enabled: true, signingTime: 0s}",),
            "14:44 signingTime must be from 1s to 604800s in whole seconds, found 0s ()",
        ),
        (
            ("bitrot: {enabled: true, signerThreads: 0}",),
            "14:46 signerThreads must be at least 1, found 0 ()",
        ),
        (
            ("bitrot: {enabled: true, scrub: {frequency: weekley}}",),
            "14:50 frequency must be hourly, daily, weekly, biweekly or monthly, found weekley "
            "(did you mean weekly?)",
        ),
        (
            ("bitrot: {enabled: true, scrub: {freq: weekly}}",),
            "14:39 unknown key 'freq' "
            "(known here: frequency, state, throttle; keys of your own begin with x-)",
        ),
    ],
)
def test_what_nobody_can_mean_is_pointed_at(lines: tuple[str, ...], said: str) -> None:
    assert errors(*lines) == [said]


@pytest.mark.parametrize("rest", ["signingTime: 1s", "signingTime: 7d", "signerThreads: 1"])
def test_the_ends_of_the_ranges_are_inside(rest: str) -> None:
    assert errors(f"bitrot: {{enabled: true, {rest}}}") == []


def test_the_commands_know_the_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "c.yaml"
    file.write_bytes(text("bitrot: {enabled: true, scrub: {frequency: weekly}}"))
    assert run(["validate", str(file)]) == 0
    said = capsys.readouterr().out
    assert (
        f"{file}:14:15: warning: option features.bitrot needs bitd, which this version does not run" in said
    )
    assert run(["explain", "volume.bitrot.scrub.throttle"]) == 0
    assert "one of: lazy, normal, aggressive" in capsys.readouterr().out
    assert run(["volfile", "-f", str(file), "home", "--graph", "brick:0"]) == 0
    assert "option changelog-notification on" in capsys.readouterr().out


def test_scrubbing_without_bitrot_is_pointed_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "c.yaml"
    file.write_bytes(text("options: {features.scrub-freq: daily}"))
    assert run(["validate", str(file)]) == 0
    assert (
        f"{file}:14:38: warning: option features.scrub-freq has no effect: features.bitrot is off"
        in capsys.readouterr().out
    )
    file.write_bytes(text("options: {features.scrub-freq: daily}", "bitrot: {enabled: true}"))
    assert run(["validate", str(file)]) == 0
    assert "has no effect" not in capsys.readouterr().out
