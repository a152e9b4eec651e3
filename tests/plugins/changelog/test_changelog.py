"""Changelog from YAML to volfiles: what the key means, and what it must not say."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.volgen.brick import needs_brick_restart
from tests.plugins.declared import BRICK, brick_options, errors, graphs, record

DAY = 24 * 60  # minutes


@settings(max_examples=50, deadline=None)
@given(
    enabled=st.booleans(),
    rollover=st.none() | st.integers(1, DAY),
    fsync=st.none() | st.integers(0, DAY),
    barrier=st.none() | st.integers(1, DAY),
    encoding=st.none() | st.sampled_from(["binary", "ascii"]),
    deleted=st.none() | st.booleans(),
)
def test_the_key_gives_the_volfiles_of_the_raw_options(
    enabled: bool,
    rollover: int | None,
    fsync: int | None,
    barrier: int | None,
    encoding: str | None,
    deleted: bool | None,
) -> None:
    key, raw = [f"enabled: {enabled}"], [f"changelog.changelog: {'on' if enabled else 'off'}"]
    for name, option, minutes in (
        ("rollover", "rollover-time", rollover),
        ("fsyncInterval", "fsync-interval", fsync),
        ("barrierTimeout", "changelog-barrier-timeout", barrier),
    ):
        if minutes is not None:
            key, raw = [*key, f"{name}: {minutes}m"], [*raw, f"changelog.{option}: {minutes * 60}"]
    if encoding is not None:
        key, raw = [*key, f"encoding: {encoding}"], [*raw, f"changelog.encoding: {encoding}"]
    if deleted is not None:
        key = [*key, f"deletedPaths: {deleted}"]
        raw = [*raw, f"changelog.capture-del-path: {'on' if deleted else 'off'}"]
    by_key = record(f"changelog: {{{', '.join(key)}}}")
    assert graphs(by_key) == graphs(record(f"options: {{{', '.join(raw)}}}"))


def test_switching_it_restarts_no_brick() -> None:
    on, off = (graphs(record(f"changelog: {{enabled: {word}}}")) for word in ("true", "false"))
    assert brick_options(on, "features/changelog")["changelog"] == "on"
    assert brick_options(off, "features/changelog")["changelog"] == "off"
    assert not needs_brick_restart(off[BRICK], on[BRICK])


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        ("rollover: 0s", "14:44 rollover must be from 1s to 86400s in whole seconds, found 0s ()"),
        ("rollover: 1500ms", "14:44 rollover must be from 1s to 86400s in whole seconds, found 1500ms ()"),
        ("fsyncInterval: 2d", "14:49 fsyncInterval must be from 0s to 86400s in whole seconds, found 2d ()"),
        (
            "barrierTimeout: 0s",
            "14:50 barrierTimeout must be from 1s to 86400s in whole seconds, found 0s ()",
        ),
        ("encoding: utf8", "14:44 encoding must be binary or ascii, found utf8 ()"),
    ],
)
def test_what_nobody_can_mean_is_pointed_at(rest: str, said: str) -> None:
    assert errors(f"changelog: {{enabled: true, {rest}}}") == [said]


@pytest.mark.parametrize("rest", ["rollover: 1s", "rollover: 1d", "fsyncInterval: 0s", "barrierTimeout: 1d"])
def test_the_ends_of_the_ranges_are_inside(rest: str) -> None:
    assert errors(f"changelog: {{enabled: true, {rest}}}") == []
