"""What becomes of a feature's options when its key comes, changes and goes."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.desired.load import load
from reconciler.desired.offline import offline_records
from reconciler.diff.change import VolumeChanged
from reconciler.diff.compare import differences
from reconciler.model.cluster import Desired
from reconciler.model.configured import ConfiguredCluster, PeerRecord, Settings, VolumeRecord
from reconciler.model.ids import ClusterId, NodeId
from reconciler.plan.records import with_settings
from reconciler.shipped import shipped_features
from tests.unit.desired.declarations import REP3, cluster


def desired(*lines: str) -> Desired:
    text = cluster(REP3 + "".join(line + "\n" for line in lines))
    return load([("c.yaml", text.encode())], shipped_features())


def applied(*declarations: Desired) -> VolumeRecord:
    """Return the volume's record after these declarations were applied one after the other."""
    first, *rest = declarations
    (record,) = offline_records(first)
    for declaration in rest:
        record = with_settings(record, declaration.spec.volumes[0])
    return record


def changes(record: VolumeRecord, after: Desired) -> Mapping[str, tuple[object, object, str]]:
    """Return path -> before, after, origin."""
    configured = ConfiguredCluster(
        cluster_id=ClusterId("c"),
        name="prod",
        revision=1,
        settings=Settings(generation=1),
        peers={
            p.name: PeerRecord(name=p.name, address=p.address, zone=p.zone, node_id=NodeId(p.name))
            for p in after.spec.peers
        },
        volumes={record.name: record},
    )
    found = differences(after.spec, configured)
    assert all(isinstance(one, VolumeChanged) for one in found)
    return {f.path: (f.before, f.after, f.origin) for one in found for f in one.fields}  # type: ignore[union-attr]


NONE = desired()
KEY = desired("shard: {enabled: true, blockSize: 64MiB}")
RAW = desired("options: {features.shard: on, features.shard-block-size: 64MB}")


def test_a_new_key_shows_its_options_and_where_they_come_from() -> None:
    assert changes(applied(NONE), KEY) == {
        "features/shard": (None, "features.shard, features.shard-block-size", ""),
        "options/features.shard": (None, "on", "feature shard"),
        "options/features.shard-block-size": (None, "64MB", "feature shard"),
    }


def test_a_forgotten_key_leaves_the_feature_alone_while_a_forgotten_option_is_reset() -> None:
    record = applied(KEY)
    assert changes(record, NONE) == {}
    after = with_settings(record, NONE.spec.volumes[0])
    assert (after.options, after.feature_options) == (record.options, record.feature_options)
    assert changes(applied(RAW), NONE) == {
        "options/features.shard": ("on", None, ""),
        "options/features.shard-block-size": ("64MB", None, ""),
    }


def test_a_feature_is_switched_off_by_saying_so() -> None:
    off = desired("shard: {enabled: false}")
    assert changes(applied(KEY), off) == {
        "features/shard": ("features.shard, features.shard-block-size", "features.shard", ""),
        "options/features.shard": ("on", "off", "feature shard"),
        "options/features.shard-block-size": ("64MB", None, ""),
    }
    record = applied(KEY, off)
    assert record.options == (("features.shard", "off"),)
    assert changes(record, NONE) == {}


def test_from_option_to_key_and_back_nothing_but_the_owner_changes() -> None:
    owner = "features.shard, features.shard-block-size"
    assert changes(applied(RAW), KEY) == {"features/shard": (None, owner, "")}
    assert changes(applied(KEY), RAW) == {"features/shard": (owner, None, "")}
    assert applied(RAW, KEY).feature_options == applied(KEY).feature_options
    assert applied(KEY, RAW).feature_options == ()


def test_an_option_may_take_over_a_part_of_a_forgotten_key() -> None:
    larger = desired("options: {features.shard-block-size: 128MB}")
    record = applied(KEY, larger)
    assert record.options == (("features.shard", "on"), ("features.shard-block-size", "128MB"))
    assert record.feature_options == (("features.shard", "shard"),)
    assert changes(record, larger) == {}


def test_what_was_applied_is_what_is_declared() -> None:
    for before in (NONE, KEY, RAW):
        for after in (NONE, KEY, RAW):
            assert changes(applied(before, after), after) == {}


def test_a_key_and_its_options_are_two_meanings() -> None:
    assert len({NONE.digest, KEY.digest, RAW.digest}) == 3
