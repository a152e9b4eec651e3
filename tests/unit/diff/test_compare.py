"""What counts as a difference, and what each is called."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.diff.change import (
    LayoutChanged,
    PeerAdded,
    PeerChanged,
    SettingsChanged,
    Unmanaged,
    VolumeAdded,
    VolumeChanged,
    VolumeRemoved,
)
from reconciler.diff.compare import differences
from reconciler.model.cluster import OptionSetting
from reconciler.model.configured import ConfiguredCluster
from reconciler.model.ids import VolumeName
from tests.plan_world import World, simulate
from tests.unit.desired.declarations import REP3, cluster, desired

OTHER = "7d4f5a52-6d1b-4a0e-9d5f-0a6e5c1b2f10"


def configured(*volumes: str, spec: str = "") -> ConfiguredCluster:
    """Return the configuration that a declaration makes."""
    world = World()
    plan = world.plan(desired(cluster(*volumes, spec=spec)))
    assert plan.steps, plan.blockers
    return simulate(plan, world).configured


def found(text: str, have: ConfiguredCluster) -> list[object]:
    return list(differences(desired(text).spec, have))


def test_of_an_empty_configuration_everything_differs_in_a_fixed_order() -> None:
    empty = ConfiguredCluster(cluster_id=configured().cluster_id, name="prod", revision=1)
    kinds = [type(item) for item in found(cluster(REP3, REP3.replace("home", "arch")), empty)]
    assert kinds == [PeerAdded, PeerAdded, PeerAdded, SettingsChanged, VolumeAdded, VolumeAdded]


def test_what_is_as_declared_does_not_differ() -> None:
    assert found(cluster(REP3), configured(REP3)) == []


def test_settings_that_nobody_has_written_yet_differ_even_if_they_are_the_defaults() -> None:
    have = configured(REP3)
    unwritten = replace(have, settings=replace(have.settings, generation=0))
    assert found(cluster(REP3), unwritten) == [SettingsChanged(())]


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ("ports: {bricks: 61000-61999}\n", "brick_ports"),
        ("isolatedStart: start\n", "isolated_start"),
        ("unprotectDelay: 1m\n", "unprotect_delay_s"),
        ("failureDomain: zone\n", "failure_domain"),
    ],
)
def test_each_setting_is_named(spec: str, field: str) -> None:
    assert found(cluster(REP3, spec=spec), configured(REP3)) == [SettingsChanged((field,))]


@pytest.mark.parametrize("change", [("10.0.0.2", "10.0.0.9"), ("zone: b", "zone: z")])
def test_a_peer_differs_in_address_or_zone(change: tuple[str, str]) -> None:
    (only,) = found(cluster().replace(*change), configured())
    assert isinstance(only, PeerChanged)
    assert only.spec.name == "gs2"


def test_what_is_not_declared_is_unmanaged_and_nothing_else() -> None:
    text = cluster().replace("    - {name: gs3, address: 10.0.0.3, zone: c}\n", "")
    assert found(text, configured(REP3)) == [Unmanaged("peer/gs3"), Unmanaged("volume/home")]


def test_a_tombstone_is_a_removal_of_what_is_there_and_nothing_otherwise() -> None:
    gone = f"{{name: home, state: absent, confirm: {OTHER}}}"
    (only,) = found(cluster(gone), configured(REP3))
    assert isinstance(only, VolumeRemoved)
    assert only.record.name == "home"
    assert found(cluster(gone), configured()) == []


def changed(more: str, first: str = REP3) -> dict[str, tuple[object, object]]:
    """Return the fields that `more` changes of an applied volume."""
    (only,) = found(cluster(REP3 + more), configured(first))
    assert isinstance(only, VolumeChanged)
    return {f.path: (f.before, f.after) for f in only.fields}


@pytest.mark.parametrize(
    ("more", "path", "values"),
    [
        ("state: stopped\n", "state", ("started", "stopped")),
        ("deletionPolicy: Delete\n", "deletionPolicy", ("Protect", "Delete")),
        ("restart: {policy: never}\n", "restart", ("onCrash 3s", "never 3s")),
        ("restart: {delay: 500ms}\n", "restart", ("onCrash 3s", "onCrash 0.5s")),
        ("options: {network.ping-timeout: 7}\n", "options/network.ping-timeout", (None, "7")),
    ],
)
def test_each_field_of_a_volume_is_named_with_before_and_after(
    more: str, path: str, values: tuple[str, str]
) -> None:
    assert changed(more) == {path: values}


def test_an_option_that_is_no_longer_declared_goes_back_to_nothing() -> None:
    first = REP3 + "options: {network.ping-timeout: 7, storage.reserve: 2}\n"
    assert changed("options: {storage.reserve: 3}\n", first) == {
        "options/network.ping-timeout": ("7", None),
        "options/storage.reserve": ("2", "3"),
    }


def test_the_origin_of_an_option_goes_along() -> None:
    text = cluster(REP3 + "profiles: [p]\n", spec="profiles: [{name: p, options: {storage.reserve: 4}}]\n")
    (only,) = found(text, configured(REP3))
    assert isinstance(only, VolumeChanged)
    assert [f.origin for f in only.fields] == ["profile p"]


NAMES = st.text(min_size=1, max_size=6) | st.sampled_from(["__class__", "a['b']", "root", "0", "a.b", "__x"])


@given(
    st.dictionaries(NAMES, st.sampled_from(["1", "2"])), st.dictionaries(NAMES, st.sampled_from(["1", "2"]))
)
def test_options_are_compared_by_name_whatever_the_name_is(
    before: dict[str, str], after: dict[str, str]
) -> None:
    record = replace(APPLIED.volumes[VolumeName("home")], options=tuple(sorted(before.items())))
    spec = SPEC.volumes[0]
    spec = replace(
        spec, options=tuple(OptionSetting(name=n, value=v, origin="volume") for n, v in sorted(after.items()))
    )
    items = list(
        differences(replace(SPEC, volumes=(spec,)), replace(APPLIED, volumes={VolumeName("home"): record}))
    )
    fields = [f for item in items if isinstance(item, VolumeChanged) for f in item.fields]
    names = {n for n in before.keys() | after.keys() if before.get(n) != after.get(n)}
    assert {f.path.removeprefix("options/"): (f.before, f.after) for f in fields} == {
        n: (before.get(n), after.get(n)) for n in names
    }


APPLIED = configured(REP3)
SPEC = desired(cluster(REP3)).spec


BRICKS = 'bricks: ["gs1:/b/home/0", "gs2:/b/home/0", "gs3:/b/home/0"]'


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("gs3:/b/home/0", "gs3:/b/home/1", "gs3:/b/home/1 is new, gs3:/b/home/0 is gone"),
        ("replica: 3", "replica: 3\narbiter: 1", "replicate 3 is declared as replicate 2+1 arbiter"),
        ('"gs1:/b/home/0", "gs2:/b/home/0"', '"gs2:/b/home/0", "gs1:/b/home/0"', "another order"),
        ("name: home", f"name: home\nid: {OTHER}", f"is declared as {OTHER}"),
        (
            '"gs1:/b/home/0"',
            "{peer: gs1, path: /b/home/0, port: 62000}",
            "port 61000 of gs1:/b/home/0 is declared as 62000",
        ),
        (
            '"gs1:/b/home/0"',
            "{peer: gs1, path: /b/home/0, id: home-client-9}",
            "id home-client-0 of gs1:/b/home/0 is declared as home-client-9",
        ),
        (
            '"gs1:/b/home/0"',
            "{peer: gs1, path: /b/home/0, mount: /b}",
            "mount /bricks of gs1:/b/home/0 is declared as /b",
        ),
        (
            '"gs1:/b/home/0"',
            f"{{peer: gs1, path: /b/home/0, fsUUID: {OTHER}}}",
            f"fsUUID fs-gs1 of gs1:/b/home/0 is declared as {OTHER}",
        ),
    ],
)
def test_what_a_volume_is_made_of_cannot_be_changed_silently(old: str, new: str, words: str) -> None:
    (only,) = found(cluster(REP3.replace(old, new)), configured(REP3))
    assert isinstance(only, LayoutChanged)
    assert words in only.what


def test_a_declaration_may_repeat_what_was_decided() -> None:
    have = configured(REP3)
    record = have.volumes[VolumeName("home")]
    bricks = [f"{{peer: {b.peer}, path: {b.path}, port: {b.port}, id: {b.brick_id}}}" for b in record.bricks]
    text = REP3.replace(BRICKS, f"bricks: [{', '.join(bricks)}]") + f"id: {record.volume_id}\n"
    assert found(cluster(text), have) == []
