"""The registry: what goes together, and what it hands to the floors below."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.errors import EnvironmentProblem, VolfileError
from reconciler.feature import Feature, Registry
from reconciler.shipped import feature_of, shipped_features
from reconciler.volgen.brick import brick_graph
from reconciler.volgen.client import client_graph
from reconciler.volgen.option_table import rows
from reconciler.volgen.slots import BrickSlot, ClientSlot, MissingDaemon, Slots
from tests.volume_samples import SECRET, volume

ALPHA = Feature(name="alpha", schema={"description": "A."}, options=("features.worm",), read=lambda _: {})
BETA = Feature(name="beta", schema={"description": "B."}, options=("features.read-only",), read=lambda _: {})
SHARD = ClientSlot(xlator="features/shard", wanted=lambda _: True)


def test_a_registry_is_a_value_sorted_by_name() -> None:
    registry = Registry((BETA, ALPHA))
    assert [feature.name for feature in registry] == ["alpha", "beta"]
    assert registry == Registry((ALPHA, BETA))
    assert list(Registry()) == []


def test_every_folder_of_the_package_is_found_without_being_listed() -> None:
    assert "shard" in [feature.name for feature in shipped_features()]
    assert feature_of("reconciler.plugins.shard").name == "shard"


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (replace(BETA, name="alpha"), "features alpha and alpha both have the name alpha"),
        (replace(BETA, options=ALPHA.options), "alpha and beta both have option features.worm"),
    ],
)
def test_two_features_that_claim_the_same_are_refused(second: Feature, words: str) -> None:
    with pytest.raises(EnvironmentProblem, match=words):
        Registry((ALPHA, second))


def test_two_features_cannot_fill_one_place_of_a_clients_graph() -> None:
    first, second = replace(ALPHA, client_slots=(SHARD,)), replace(BETA, client_slots=(SHARD,))
    with pytest.raises(EnvironmentProblem, match="both have the place client features/shard"):
        Registry((first, second))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "no word"}, "cannot be a feature's name"),
        ({"name": "x-own"}, "cannot be a feature's name"),
        ({"name": "replica"}, "a volume has that key anyway"),
        ({"schema": {}}, "has no description"),
        ({"options": ("features.none",)}, "features.none, which is no option"),
        ({"switch": "features.read-only"}, "features.read-only is a switch and none of its options"),
        (
            {"missing_daemons": (MissingDaemon(daemon="d", switch="features.x", without="-"),)},
            "features.x is a switch and none of its options",
        ),
        (
            {"client_slots": (ClientSlot(xlator="features/utime", wanted=lambda _: True),)},
            "no open place for features/utime",
        ),
        (
            {"brick_slots": (BrickSlot(xlator="features/cdc", key="k", value=lambda _: "v"),)},
            "not every brick has an xlator features/cdc",
        ),
    ],
)
def test_a_feature_that_does_not_fit_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(EnvironmentProblem, match=words):
        Registry((replace(ALPHA, **changes),))  # type: ignore[arg-type]


# ---------------------------------------------------------------- slots


def _posix(*values: str | None) -> Slots:
    """Return slots of features that each want a value of the same option."""
    return Slots(
        replace(
            ALPHA,
            name=f"f{i}",
            brick_slots=(BrickSlot(xlator="storage/posix", key="k", value=lambda _, v=value: v),),
        )
        for i, value in enumerate(values)
    )


def _option(slots: Slots, key: str = "k") -> str | None:
    home = volume()
    graph = brick_graph(home, home.bricks[0], slots=slots, secret=SECRET)
    (posix,) = graph.of_type("storage/posix")
    assert not [x for x in graph if x.type != "storage/posix" and key == "k" and key in x.options]
    return posix.options.get(key)


def test_a_brick_slot_sets_its_option_on_its_xlator_alone() -> None:
    assert _option(_posix("v")) == "v"
    assert _option(_posix(None)) is None
    assert _option(Slots()) is None


def test_features_may_set_the_same_option_of_a_brick_if_they_agree() -> None:
    assert _option(_posix("v", None, "v")) == "v"
    with pytest.raises(VolfileError, match="storage/posix cannot have k both v and w"):
        _option(_posix("v", "w"))


def test_a_feature_cannot_contradict_the_core() -> None:
    moved = BrickSlot(xlator="storage/posix", key="directory", value=lambda _: "/elsewhere")
    with pytest.raises(VolfileError, match="cannot have directory both /bricks/home/b0 and /elsewhere"):
        _option(Slots([replace(ALPHA, brick_slots=(moved,))]))


def test_a_feature_changes_no_brick_topology() -> None:
    home = volume()
    bare, filled = (
        brick_graph(home, home.bricks[0], slots=slots, secret=SECRET) for slots in (Slots(), _posix("v"))
    )
    assert bare.topology == filled.topology
    assert bare != filled


@pytest.mark.parametrize(
    ("switch", "place"),
    [
        ("features.shard", "client features/shard"),
        ("features.trash", "brick storage/posix update-link-count-parent"),
        ("features.quota", "brick features/quota server-quota"),
        ("features.inode-quota", "brick features/marker quota-version"),
        ("features.bitrot", "brick features/bitrot-stub bitrot"),
        ("geo-replication.indexing", "brick features/marker timestamp-file"),
    ],
)
def test_a_switch_without_its_slot_is_refused_and_never_left_out(switch: str, place: str) -> None:
    on, off = (volume(options=((switch, value),)) for value in ("on", "off"))
    assert client_graph(off, slots=Slots())
    for graph in (
        lambda: client_graph(on, slots=Slots()),
        lambda: brick_graph(on, on.bricks[0], slots=Slots(), secret=SECRET),
    ):
        with pytest.raises(VolfileError, match=f"{switch} needs a feature that fills {place}; none"):
            graph()


def test_a_switch_asks_for_a_slot_of_every_shipped_feature_that_has_some() -> None:
    asked = {row.slot: row.name for row in rows() if row.slot}
    places = {f: {slot.place for slot in (*f.client_slots, *f.brick_slots)} for f in shipped_features()}
    assert {*asked} <= set().union(*places.values())
    for feature, filled in places.items():
        assert not filled or feature.switch in {asked.get(place) for place in filled}, feature.name


def test_a_volume_of_a_feature_that_is_not_here_is_refused() -> None:
    home = replace(volume(options=(("features.worm", "on"),)), feature_options=(("features.worm", "alpha"),))
    assert client_graph(home, slots=Slots([ALPHA]))
    with pytest.raises(VolfileError, match="volume home needs the feature alpha, which is not installed"):
        client_graph(home, slots=Slots([BETA]))
