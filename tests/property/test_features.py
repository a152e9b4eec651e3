"""Whatever features there are: their keys are known, and no others."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.desired import published
from reconciler.desired.load import load
from reconciler.errors import DesiredStateError
from reconciler.feature import Feature, Registry
from reconciler.volgen.option_table import rows_by_name
from tests.unit.desired.declarations import REP3, cluster

WORDS = ("shard", "shred", "trash", "bitrot", "quota", "backup", "tiering", "undelete")
OPTIONS = sorted(rows_by_name())
# Each registry has a validator of its own, and making one takes a while.
a_few = settings(max_examples=30, deadline=None)


def _feature(name: str) -> Feature:
    option = OPTIONS[WORDS.index(name)]
    return Feature(
        name=name,
        schema={
            "description": f"The feature {name}.",
            "required": ["enabled"],
            "properties": {"enabled": {"type": "boolean"}},
        },
        options=(option,),
        read=lambda section: {option: "on" if section.truth("enabled") else "off"},
    )


def _volume(registry: Registry, key: str, value: str) -> tuple[list[str], dict[str, tuple[str, str]]]:
    """Return the findings as texts, and the options with their features, of a volume that has `key`."""
    text = cluster(REP3 + f"{key}: {value}\n")
    try:
        desired = load([("c.yaml", text.encode())], registry)
    except DesiredStateError as exc:
        return [f"{one.span} {one.summary} ({one.hint})" for one in exc.diagnostics], {}
    (volume,) = desired.spec.volumes
    return [], {option.name: (option.value, option.feature) for option in volume.options}


@a_few
@given(installed=st.sets(st.sampled_from(WORDS)), key=st.sampled_from(WORDS), enabled=st.booleans())
def test_a_key_is_known_if_and_only_if_its_feature_is_there(
    installed: set[str], key: str, enabled: bool
) -> None:
    registry = Registry(tuple(_feature(name) for name in sorted(installed)))
    found, options = _volume(registry, key, f"{{enabled: {str(enabled).lower()}}}")
    if key in installed:
        assert found == []
        assert options == {OPTIONS[WORDS.index(key)]: ("on" if enabled else "off", key)}
    else:
        (text,) = found
        start = f"c.yaml:14:7 unknown key '{key}' "
        assert text.startswith(start)
        if key == "shard" and "shred" in installed:
            assert text == f"{start}(did you mean shred?)"
        told = [word for word in WORDS if word in text.removeprefix(start)]
        assert {*told} <= installed


@a_few
@given(key=st.sampled_from(WORDS), inner=st.text("abcdefghijklmnopqrstuvwxyz", max_size=12))
def test_what_stands_under_a_key_is_strict(key: str, inner: str) -> None:
    registry = Registry((_feature(key),))
    (found,), _ = _volume(registry, key, f"{{enabled: true, its{inner}: 1}}")
    assert found.startswith(f"c.yaml:14:{25 + len(key)} unknown key 'its{inner}' ")
    assert _volume(registry, key, f"{{enabled: true, x-{inner}: 1}}")[0] == []
    assert "lacks the key enabled" in _volume(registry, key, "{}")[0][0]


@a_few
@given(installed=st.lists(st.sampled_from(WORDS), unique=True))
def test_the_order_of_features_shows_nowhere(installed: list[str]) -> None:
    features = tuple(map(_feature, installed))
    assert published.text(features) == published.text(tuple(reversed(features)))
    assert [f.name for f in Registry(features)] == sorted(installed)


@pytest.mark.parametrize("value", ["`reboot`", "two\u00a0words", "x" * 5000])
def test_a_feature_cannot_bring_what_a_declaration_may_not_say(value: str) -> None:
    feature = replace(_feature("shard"), read=lambda _: {OPTIONS[0]: value})
    (found,), _ = _volume(Registry((feature,)), "shard", "{enabled: true}")
    assert found.startswith(f"c.yaml:14:14 option {OPTIONS[0]}: ")
