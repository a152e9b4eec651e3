"""Sharding from YAML to volfiles: what the key means, and what it must not say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.cli.root import run
from tests.plugins.declared import errors, graphs, record, text


@settings(max_examples=50, deadline=None)
@given(
    enabled=st.booleans(),
    size=st.none() | st.tuples(st.integers(4, 1023), st.sampled_from(["Mi", "Gi"])),
)
def test_the_key_gives_the_volfiles_of_the_raw_options(enabled: bool, size: tuple[int, str] | None) -> None:
    number, unit = size or (0, "Mi")
    key = f"shard: {{enabled: {str(enabled).lower()}"
    key += f", blockSize: {number}{unit}B}}" if size else "}"
    raw = [f"features.shard: {'on' if enabled else 'off'}"]
    raw += [f"features.shard-block-size: {number}{unit[0]}B"] if size else []
    by_key, by_options = record(key), record(f"options: {{{', '.join(raw)}}}")
    assert graphs(by_key) == graphs(by_options)


def test_a_disabled_key_switches_off_what_a_profile_switched_on() -> None:
    on = record("profiles: [builtin/virt]")
    assert dict(on.options)["features.shard"] == "on"
    off = record("profiles: [builtin/virt]", "shard: {enabled: false}")
    assert dict(off.options)["features.shard"] == "off"
    assert off.feature_options == (("features.shard", "shard"),)


@pytest.mark.parametrize(
    ("option", "key", "said"),
    [
        ("features.shard: on", "enabled: true", ""),
        ("features.shard: enable", "enabled: true", ""),
        ("features.shard: off", "enabled: true", "14:33 option features.shard is off here and on by shard"),
        ("shard.shard: off", "enabled: true", "14:30 option shard.shard is off here and on by shard"),
        ("features.shard-block-size: 128MB", "enabled: true", ""),
        ("features.shard-block-size: 128MB", "enabled: true, blockSize: 128MiB", ""),
        ("features.shard-block-size: 131072KB", "enabled: true, blockSize: 128MiB", ""),
        (
            "features.shard-block-size: 64MB",
            "enabled: true, blockSize: 128MiB",
            "14:44 option features.shard-block-size is 64MB here and 128MB by shard",
        ),
        ("features.shard-lru-limit: 100", "enabled: true", ""),
    ],
)
def test_an_own_option_may_repeat_the_key_and_must_not_contradict_it(
    option: str, key: str, said: str
) -> None:
    hint = " (say it in one place; the key is at c.yaml:15:14)"
    assert errors(f"options: {{{option}}}", f"shard: {{{key}}}") == ([said + hint] if said else [])


def test_what_the_key_does_not_say_is_the_volumes_own_to_say() -> None:
    both = record("options: {features.shard-block-size: 128MB}", "shard: {enabled: true}")
    assert dict(both.options) == {"features.shard": "on", "features.shard-block-size": "128MB"}
    assert both.feature_options == (("features.shard", "shard"),)


@pytest.mark.parametrize(
    ("size", "said"),
    [
        ("64MB", "blockSize must be a whole number of MiB, found 64MB (did you mean 64MiB?)"),
        ("4500KiB", "blockSize must be a whole number of MiB, found 4500KiB ()"),
        ("2MiB", "blockSize must be from 4MiB to 4TiB, found 2MiB ()"),
        ("5TiB", "blockSize must be from 4MiB to 4TiB, found 5TiB ()"),
        ("64", "blockSize must be a size with its unit, such as 500GiB or 2TB, found 64 ()"),
    ],
)
def test_a_block_size_that_nobody_can_mean_is_pointed_at(size: str, said: str) -> None:
    assert errors(f"shard: {{enabled: true, blockSize: {size}}}") == [f"14:41 {said}"]


@pytest.mark.parametrize("size", ["4MiB", "4TiB", "64MiB", "1.5GiB"])
def test_the_ends_of_the_range_are_inside(size: str) -> None:
    assert errors(f"shard: {{enabled: true, blockSize: {size}}}") == []


def test_the_commands_know_the_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "c.yaml"
    file.write_bytes(text("shard: {enabled: true, blockSize: 128MiB}"))
    assert run(["validate", str(file)]) == 0
    capsys.readouterr()
    assert run(["volfile", "-f", str(file), "home"]) == 0
    volfile = capsys.readouterr().out
    assert "type features/shard" in volfile
    assert "option shard-block-size 128MB" in volfile
    assert run(["explain", "volume.shard.blockSize"]) == 0
    assert "4MiB to 4TiB" in capsys.readouterr().out
    assert run(["schema"]) == 0
    assert "shard" in json.loads(capsys.readouterr().out)["$defs"]["volumeSpec"]["properties"]
