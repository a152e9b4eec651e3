"""Declared objects -> ClusterSpec: defaults filled in, profiles resolved, everything in one order.

Builds what can be built and leaves judgement to `rules`: an object with an error inside is left out, the
others are still checked, so that one run reports everything. Key order and the order of lists without
meaning do not show in the result; the order of bricks does, because it is data.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from reconciler.desired.collect import Collection, Entry, Fields
from reconciler.desired.feature_key import FeatureKey
from reconciler.desired.places import Place, Places
from reconciler.desired.plain import show
from reconciler.desired.scalars import duration_s
from reconciler.desired.settings import Profiles, read_features, read_implied, read_options
from reconciler.desired.tree import MapNode, Node, ScalarNode
from reconciler.model.cluster import (
    Acknowledgement,
    BrickSpec,
    ClusterSpec,
    Credentials,
    IsolatedStart,
    OnCrash,
    OptionSetting,
    PeerSpec,
    PeerState,
    Rollback,
    VolumeSpec,
)
from reconciler.model.ids import BrickId, PeerName, VolumeId, VolumeName
from reconciler.model.volume import DeletionPolicy, Restart, RestartPolicy, Shape, VolumeState, VolumeType

_DEFAULT_PORTS = "61000-65535"


@dataclass(slots=True)
class Built:
    """The spec and what the rules need besides it.

    Attributes:
        domain_limits: ``maxBricksPerDomain`` by volume name, where it is not 1.
        peers_known: false if peers may be missing because something could not be read.
    """

    spec: ClusterSpec
    domain_limits: dict[VolumeName, int] = field(default_factory=dict)
    peers_known: bool = True


def build(collection: Collection, root: Entry, places: Places, features: tuple[FeatureKey, ...]) -> Built:
    """Return the cluster that the objects describe. `root` is the collection's Cluster."""
    peers = [_peer(e, places) for e in collection.of("Peer").values() if e.sound]
    builder = _Volumes(collection, root.fields, places, features)
    volumes = [builder.build(e) for e in collection.of("Volume").values() if e.sound]
    fields = root.fields
    _remember(fields, "cluster", places)
    first, _, last = _under(fields, "ports", "bricks", _DEFAULT_PORTS).partition("-")
    metadata = fields.document.root.get("metadata") if isinstance(fields.document.root, MapNode) else None
    assert isinstance(metadata, MapNode)
    labels = fields.at(metadata, ("metadata",)).section("labels")
    spec = ClusterSpec(
        name=root.name,
        peers=tuple(sorted(peers, key=lambda peer: peer.name)),
        volumes=tuple(sorted(volumes, key=lambda volume: volume.name)),
        labels={key: labels.text(key) for key in sorted(k for k, _, _ in labels.pairs())} if labels else {},
        failure_domain=fields.text("failureDomain", "host"),
        brick_ports=(int(first), int(last)),
        unprotect_delay_s=duration_s(fields.text("unprotectDelay", "10m")),
        isolated_start=IsolatedStart(fields.text("isolatedStart", "wait")),
        rollback=Rollback(_under(fields, "apply", "rollback", Rollback.CHANGE.value)),
        on_crash=OnCrash(_under(fields, "apply", "onCrash", OnCrash.CONTINUE.value)),
    )
    unknown_peers = not collection.complete or any(not e.sound for e in collection.of("Peer").values())
    return Built(spec, builder.domain_limits, peers_known=not unknown_peers)


def _remember(fields: Fields, address: str, places: Places) -> None:
    for key, _, _ in fields.pairs():
        places.add(f"{address}/{key}", fields.place(key))


def _under(fields: Fields, section: str, key: str, default: str) -> str:
    inner = fields.section(section)
    return inner.text(key, default) if inner else default


def _peer(entry: Entry, places: Places) -> PeerSpec:
    fields = entry.fields
    _remember(fields, f"peer/{entry.name}", places)
    return PeerSpec(
        name=PeerName(entry.name),
        address=fields.text("address"),
        zone=fields.text("zone"),
        state=PeerState(fields.text("state", "present")),
    )


class _Volumes:
    """Builds volumes over the defaults of one cluster."""

    def __init__(
        self, collection: Collection, root: Fields, places: Places, features: tuple[FeatureKey, ...]
    ) -> None:
        self._places = places
        self._features = features
        self._profiles = Profiles(collection, places)
        self._profiles.check_all()
        defaults = root.section("defaults")
        empty = root.at(MapNode({}, root.node.start), ("spec", "defaults", "volume"))
        self._defaults = (defaults.section("volume") if defaults else None) or empty
        self._default_options = read_options(self._defaults, "defaults", places)
        # Looked up here once, so that an unknown profile in the defaults is one finding, not one a volume.
        self._default_profiles = self._profiles.merge(self._defaults.texts("profiles"))
        bricks = root.section("bricks")
        self._restart = _restart(self._defaults, _restart(bricks, Restart()) if bricks else Restart())
        self.domain_limits: dict[VolumeName, int] = {}

    def build(self, entry: Entry) -> VolumeSpec:
        """Return the volume of an entry."""
        fields, name = entry.fields, VolumeName(entry.name)
        _remember(fields, f"volume/{name}", self._places)
        limit = fields.number("maxBricksPerDomain", 1)
        if limit != 1:
            self.domain_limits[name] = limit
        defaults = self._defaults
        return VolumeSpec(
            name=name,
            state=VolumeState(fields.text("state") or defaults.text("state", "started")),
            shape=_shape(fields),
            bricks=self._bricks(fields, name),
            options=self._options(fields, name),
            volume_id=VolumeId(fields.text("id")) if fields.text("id") else None,
            deletion_policy=DeletionPolicy(
                fields.text("deletionPolicy") or defaults.text("deletionPolicy", "Protect")
            ),
            thin_arbiter=fields.text("thinArbiter"),
            data=_tombstone_data(fields),
            confirm=VolumeId(fields.text("confirm")) if fields.text("confirm") else None,
            restart=_restart(fields, self._restart),
            acknowledge=self._acknowledgements(fields, name),
            ignore_drift=tuple(
                sorted({text for f in (defaults, fields) for text, _ in f.texts("ignoreDrift")})
            ),
            auth=_credentials(fields),
        )

    def _options(self, fields: Fields, name: VolumeName) -> tuple[OptionSetting, ...]:
        own_profiles = fields.node.get("profiles") is not None
        effective = self._profiles.copy(self._default_options, fields.place())
        if own_profiles:
            effective |= self._profiles.merge(fields.texts("profiles"))
        else:
            effective |= self._profiles.copy(self._default_profiles, fields.place())
        own = read_options(fields, "volume", self._places)
        effective |= own | read_features(fields, self._features, own, self._places)
        effective |= read_implied(fields, self._features, effective)
        for key, written in effective.items():
            if written.place is not None:
                self._places.add(f"option/{name}/{key}", written.place)
        self._places.add(f"option/{name}", self._option_place(fields, name))
        return tuple(effective[key].setting for key in sorted(effective))

    def _option_place(self, fields: Fields, name: VolumeName) -> Place:
        """Return the place for options that stand nowhere, such as those of a built-in group."""
        found = self._places.find(f"volume/{name}/profiles")
        return found or fields.place()

    def _bricks(self, fields: Fields, name: VolumeName) -> tuple[BrickSpec, ...]:
        size = (_shape(fields) or Shape(type=VolumeType.DISTRIBUTE)).bricks_per_subvolume or 1
        bricks = []
        for i, (node, path) in enumerate(fields.items("bricks")):
            address = f"brick/{name}/{i // size}.{i % size}"
            self._places.add(address, Place(fields.document.span(node), show(path)))
            if isinstance(node, MapNode):
                _remember(fields.at(node, path), address, self._places)
            bricks.append(_brick(fields.at(_brick_map(node), path)))
        return tuple(bricks)

    def _acknowledgements(self, fields: Fields, name: VolumeName) -> tuple[Acknowledgement, ...]:
        found: dict[str, Acknowledgement] = {}
        for node, path in fields.items("acknowledge"):
            if not isinstance(node, MapNode):
                continue
            item = fields.at(node, path)
            code = item.text("code")
            if code in found:
                self._places.error_at(item.place("code"), f"{code} is acknowledged twice", hint="remove one")
                continue
            self._places.add(f"acknowledge/{name}/{code}", item.place("code"))
            found[code] = Acknowledgement(code=code, reason=item.text("reason"), until=item.text("until"))
        return tuple(found[code] for code in sorted(found))


def _brick(fields: Fields) -> BrickSpec:
    return BrickSpec(
        peer=PeerName(fields.text("peer")),
        path=fields.text("path"),
        mount=fields.text("mount") or None,
        fs_uuid=fields.text("fsUUID") or None,
        brick_id=BrickId(fields.text("id")) if fields.text("id") else None,
        port=fields.number("port", 0) or None,
    )


def _brick_map(node: Node) -> MapNode:
    """Return a brick as a mapping; the short form ``peer:/path`` becomes one."""
    if not isinstance(node, ScalarNode):
        assert isinstance(node, MapNode)
        return node
    peer, _, path = node.text.partition(":")
    start, end = node.start, node.end
    parts = {"peer": ScalarNode(peer, False, start, end), "path": ScalarNode(path, False, start, end)}
    return MapNode({key: (part, part) for key, part in parts.items()}, start)


def _shape(fields: Fields) -> Shape | None:
    """Return the declared shape, unjudged: missing counts are those of no redundancy."""
    kind = fields.text("type")
    if not kind:
        return None
    if kind == "disperse":
        data = fields.number("data", 0)
        # On a tombstone `data` may say retain or wipe instead of a number; then the shape is not repeated.
        if not data and fields.text("state") == "absent":
            return None
        return Shape(type=VolumeType.DISPERSE, data=data, redundancy=fields.number("redundancy", 0))
    if kind == "replicate":
        return Shape(
            type=VolumeType.REPLICATE,
            replica=fields.number("replica", 1),
            arbiter=fields.number("arbiter", 0),
        )
    return Shape(type=VolumeType.DISTRIBUTE)


def _tombstone_data(fields: Fields) -> str | None:
    return None if fields.number("data", 0) else fields.text("data") or None


def _restart(fields: Fields, base: Restart) -> Restart:
    section = fields.section("restart")
    if section is None:
        return base
    delay = section.text("delay")
    return Restart(
        policy=RestartPolicy(section.text("policy", base.policy.value)),
        delay_s=duration_s(delay) if delay else base.delay_s,
    )


def _credentials(fields: Fields) -> Credentials | None:
    section = fields.section("auth")
    return (
        Credentials(username=section.text("username"), password=section.text("password")) if section else None
    )
