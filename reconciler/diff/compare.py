"""Desired x configured -> differences. Objects are matched by identity first; only then are fields compared.

A volume is matched by its name (bound to its id in the configuration), a brick by peer and path. deepdiff
looks only inside pairs already matched: left to match by itself it would call a replaced brick "changed".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from deepdiff import DeepDiff

from reconciler.diff.change import (
    Difference,
    FieldChange,
    LayoutChanged,
    PeerAdded,
    PeerChanged,
    SettingsChanged,
    Unmanaged,
    VolumeAdded,
    VolumeChanged,
    VolumeRemoved,
)
from reconciler.model.cluster import BrickSpec, ClusterSpec, OptionSetting, VolumeSpec
from reconciler.model.configured import BrickRecord, ConfiguredCluster, Settings, VolumeRecord
from reconciler.model.fields import Json
from reconciler.model.volume import VolumeState


def differences(spec: ClusterSpec, configured: ConfiguredCluster) -> tuple[Difference, ...]:
    """Return all differences, in the order peers, settings, volumes, unmanaged, each sorted by name."""
    return (
        *_peers(spec, configured),
        *_settings(spec, configured),
        *(found for volume in spec.volumes if (found := _volume(volume, configured)) is not None),
        *unmanaged(spec, configured),
    )


def declared_settings(spec: ClusterSpec) -> Settings:
    """Return the cluster-wide settings that the declaration asks for."""
    return Settings(
        brick_ports=spec.brick_ports,
        isolated_start=spec.isolated_start,
        unprotect_delay_s=spec.unprotect_delay_s,
        failure_domain=spec.failure_domain,
    )


def settled_options(spec: VolumeSpec, record: VolumeRecord) -> tuple[OptionSetting, ...]:
    """Return the options that a volume has once it is as declared, sorted by name.

    These are the declared ones, and those of features whose keys are not declared (any more): such a feature
    is left alone. Forgetting a line must not switch off what gives users' files their meaning.
    """
    declared, active = {o.name for o in spec.options}, {o.feature for o in spec.options}
    values = dict(record.options)
    kept = [
        OptionSetting(name=name, value=values[name], origin=f"feature {feature}", feature=feature)
        for name, feature in record.feature_options
        if feature not in active and name not in declared
    ]
    return tuple(sorted((*spec.options, *kept), key=lambda option: option.name))


def _peers(spec: ClusterSpec, configured: ConfiguredCluster) -> Iterator[Difference]:
    for peer in spec.peers:
        record = configured.peers.get(peer.name)
        if record is None:
            yield PeerAdded(peer)
        elif (record.address, record.zone) != (peer.address, peer.zone):
            yield PeerChanged(peer, record)


def _settings(spec: ClusterSpec, configured: ConfiguredCluster) -> Iterator[Difference]:
    asked, have = declared_settings(spec), configured.settings
    names = ("brick_ports", "isolated_start", "unprotect_delay_s", "failure_domain")
    changed = tuple(n for n in names if getattr(asked, n) != getattr(have, n))
    if changed or have.generation == 0:
        yield SettingsChanged(changed)


def _volume(spec: VolumeSpec, configured: ConfiguredCluster) -> Difference | None:
    record = configured.volumes.get(spec.name)
    if spec.state is VolumeState.ABSENT:
        return VolumeRemoved(spec, record) if record else None
    if record is None:
        return VolumeAdded(spec)
    layout = _layout(spec, record)
    if layout:
        return LayoutChanged(spec, record, layout)
    fields = tuple(_fields(spec, record))
    return VolumeChanged(spec, record, fields) if fields else None


def _layout(spec: VolumeSpec, record: VolumeRecord) -> str:
    """Say how type, counts, id or bricks differ; empty if they do not.

    What a brick is, is decided when its volume is made: a declaration may repeat it, and not change it.
    """
    if spec.volume_id and spec.volume_id != record.volume_id:
        return f"id {record.volume_id} is declared as {spec.volume_id}"
    if spec.shape and spec.shape != record.shape:
        have, want = record.shape.describe(len(record.bricks)), spec.shape.describe(len(spec.bricks))
        return f"{have} is declared as {want}"
    declared = [(b.peer, b.path) for b in spec.bricks]
    live = [(b.peer, b.path) for b in record.bricks]
    if declared == live:
        pairs = zip(spec.bricks, record.bricks, strict=True)
        return ", ".join(words for brick, have in pairs for words in _brick(brick, have))
    if sorted(declared) == sorted(live):
        return "its bricks are declared in another order; the order says which bricks hold the same data"
    words = [f"{p}:{path} is new" for p, path in declared if (p, path) not in live]
    words += [f"{p}:{path} is gone" for p, path in live if (p, path) not in declared]
    return ", ".join(words)


def _brick(spec: BrickSpec, record: BrickRecord) -> Iterator[str]:
    """Yield what is declared of a brick and is not so."""
    said = (
        ("id", spec.brick_id, record.brick_id),
        ("port", spec.port, record.port),
        ("mount", spec.mount, record.mount),
        ("fsUUID", spec.fs_uuid and spec.fs_uuid.lower(), record.fs_uuid.lower()),
    )
    for name, declared, have in said:
        if declared is not None and declared != have:
            yield f"{name} {have or '(none)'} of {spec.peer}:{spec.path} is declared as {declared}"


def _plain(
    spec_or_record: VolumeSpec | VolumeRecord,
    options: Iterable[tuple[str, str]],
    feature_options: Iterable[tuple[str, str]],
) -> dict[str, Json]:
    """Return the settings both forms have, as plain values."""
    restart = spec_or_record.restart
    features: dict[str, list[str]] = {}
    for option, feature in feature_options:
        features.setdefault(feature, []).append(option)
    return {
        "state": spec_or_record.state.value,
        "deletionPolicy": spec_or_record.deletion_policy.value,
        "restart": f"{restart.policy.value} {restart.delay_s:g}s",
        "options": dict(options),
        "features": {feature: ", ".join(names) for feature, names in features.items()},
    }


def _fields(spec: VolumeSpec, record: VolumeRecord) -> Iterator[FieldChange]:
    settled = settled_options(spec, record)
    before = _plain(record, record.options, record.feature_options)
    after = _plain(
        spec, ((o.name, o.value) for o in settled), ((o.name, o.feature) for o in settled if o.feature)
    )
    if before == after:
        return
    # Names are data here: deepdiff would pass over those that begin with two underscores.
    found = DeepDiff(before, after, view="tree", threshold_to_diff_deeper=0, ignore_private_variables=False)
    origins = {o.name: o.origin for o in settled}
    items = [item for kind in ("values_changed", "dictionary_item_added", "dictionary_item_removed")
             for item in found.get(kind, ())]  # fmt: skip
    paths = sorted(tuple(str(part) for part in item.path(output_format="list")) for item in items)
    for path in paths:
        name = path[-1]
        yield FieldChange(
            path="/".join(path),
            before=_at(before, path),
            after=_at(after, path),
            origin=origins.get(name, "") if path[0] == "options" else "",
        )


def _at(tree: dict[str, Json], path: tuple[str, ...]) -> Json:
    value: Json = tree
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value


def unmanaged(spec: ClusterSpec, configured: ConfiguredCluster) -> Iterator[Unmanaged]:
    """Yield what is configured and not declared: peers, then volumes, each sorted by name."""
    peers, volumes = {p.name for p in spec.peers}, {v.name for v in spec.volumes}
    for peer in sorted(configured.peers.keys() - peers):
        yield Unmanaged(f"peer/{peer}")
    for volume in sorted(configured.volumes.keys() - volumes):
        yield Unmanaged(f"volume/{volume}")
