"""Rules that need more than one value: arithmetic, references, uniqueness, tombstones, acknowledged risks.

All of them run; each records what it finds. Two grades:

* errors: the declaration cannot mean anything sensible (exit 65);
* warnings with a risk code (`BLOCKING_CODES`): it means something, but somebody must have said so next to the
  object (``acknowledge``). `validate` passes; the planner blocks.
"""

from __future__ import annotations

from datetime import date

from reconciler.desired import brick_rules, peer_rules
from reconciler.desired.build import Built
from reconciler.desired.collect import Collection
from reconciler.desired.feature_key import FeatureKey
from reconciler.desired.places import Places
from reconciler.desired.suggest import quoted
from reconciler.model.cluster import VolumeSpec
from reconciler.model.volume import DeletionPolicy, Shape, VolumeState, VolumeType

#: Warnings with one of these codes block a plan until acknowledged next to the object.
BLOCKING_CODES = frozenset({"GS203", "GS204", "GS205"})

# Words of the volfile grammar and of the gluster command line, which glusterd 10.3 refuses as volume names
# too (cli/src/cli-cmd-parser.c, cli_cmd_volume_create_parse), and first parts of its daemons' volfile ids.
_RESERVED = frozenset(
    [
        "volume",
        "type",
        "subvolumes",
        "option",
        "end-volume",
        "all",
        "volume_not_in_ring",
        "description",
        "force",
        "gluster",
        "glustershd",
        "shd",
        "quotad",
        "bitd",
        "scrub",
        "nfs",
        "snapd",
        "snaps",
        "gfproxyd",
        "gfproxy-client",
        "rebalance",
        "client_per_brick",
    ]
)
_LONGEST_DELAY_S = 60.0
_SHORTEST_DELAY_S = 0.1


def check(built: Built, collection: Collection, places: Places, features: tuple[FeatureKey, ...]) -> None:
    """Record everything the rules find in `places`."""
    peer_rules.check(built, places)
    brick_rules.check(built, places)
    seen_ids: dict[str, VolumeSpec] = {}
    for volume in built.spec.volumes:
        _name(volume, places)
        _restart(volume, places)
        _shape(volume, places)
        _thin_arbiter(volume, places)
        _tombstone(volume, places)
        _risks(volume, places)
        _credentials(volume, places)
        _unique_id(volume, seen_ids, places)
        _features(volume, collection, places, features)
    _unsupported(collection, places)


def _name(volume: VolumeSpec, places: Places) -> None:
    if volume.name.lower() in _RESERVED:
        places.error(
            f"volume/{volume.name}", f"{volume.name} is a reserved word and cannot be a volume's name"
        )


def _restart(volume: VolumeSpec, places: Places) -> None:
    if not _SHORTEST_DELAY_S <= volume.restart.delay_s <= _LONGEST_DELAY_S:
        places.error(f"volume/{volume.name}/restart", "restart.delay must be between 100ms and 1m")


# ---------------------------------------------------------------------------- shape


def _shape(volume: VolumeSpec, places: Places) -> None:
    """Check the counts; whether the bricks divide is asked only of counts that are right."""
    shape, address = volume.shape, f"volume/{volume.name}"
    if shape is None:
        return
    before = len(places.findings)
    _foreign_counts(volume, shape, places)
    if shape.type is VolumeType.REPLICATE:
        _replicate(shape, address, places)
    elif shape.type is VolumeType.DISPERSE:
        _disperse(shape, address, places)
    if len(places.findings) > before or not volume.bricks:
        return
    size, count = shape.bricks_per_subvolume, len(volume.bricks)
    if count % size:
        places.error(
            f"{address}/bricks",
            f"{count} brick{'s' if count > 1 else ''} cannot be divided into subvolumes of {size}",
            hint=f"{shape.describe(size)}: give {size}, {2 * size}, {3 * size} ... bricks",
        )


def _foreign_counts(volume: VolumeSpec, shape: Shape, places: Places) -> None:
    """Report counts that belong to another type: they would be ignored silently."""
    own = {VolumeType.REPLICATE: {"replica", "arbiter"}, VolumeType.DISPERSE: {"data", "redundancy"}}
    for key in ("replica", "arbiter", "data", "redundancy"):
        address = f"volume/{volume.name}/{key}"
        if key in own.get(shape.type, set()) or not places.has(address):
            continue
        if key == "data" and volume.data is not None:
            continue  # the tombstone's `data`, or a misplaced one, which `_tombstone` reports
        places.error(
            address, f"{key} has no meaning for a {shape.type.value} volume", hint="remove it, or change type"
        )


def _replicate(shape: Shape, address: str, places: Places) -> None:
    if not places.has(f"{address}/replica"):
        places.error(f"{address}/type", "a replicate volume needs replica", hint="for example replica: 3")
    elif shape.arbiter and shape.replica != 3:
        places.error(
            f"{address}/replica",
            f"replica must be 3 when arbiter is 1 (found {shape.replica})",
            hint="did you mean 3?   (2 data copies + 1 arbiter)",
        )


def _thin_arbiter(volume: VolumeSpec, places: Places) -> None:
    """Check that there are two copies for it to decide between, and where it is."""
    if not volume.thin_arbiter:
        return
    address, shape = f"volume/{volume.name}/thinArbiter", volume.shape
    two = shape is None or (shape.type is VolumeType.REPLICATE and shape.replica == 2 and not shape.arbiter)
    if not two:
        places.error(
            address,
            "a thin arbiter decides between two copies",
            hint="type: replicate, replica: 2, no arbiter",
        )
    host, _, path = volume.thin_arbiter.partition(":/")
    problem = peer_rules.address_problem(host)
    if problem:
        places.error(address, f"thin arbiter's host {quoted(host)} {problem}")
    problem = brick_rules.path_problem(f"/{path}")
    if problem:
        places.error(address, f"thin arbiter's path {quoted('/' + path)} {problem}")


def _disperse(shape: Shape, address: str, places: Places) -> None:
    """Check the erasure code's counts.

    Source: glusterfs 10.3 xlators/cluster/ec/src/ec.c, ec_parse_options: more than half of the bricks must
    hold data.
    """
    missing = [key for key in ("data", "redundancy") if not getattr(shape, key)]
    if missing:
        places.error(
            f"{address}/type",
            f"a disperse volume needs {' and '.join(missing)}",
            hint="for example data: 4, redundancy: 2",
        )
    elif shape.redundancy >= shape.data:
        places.error(
            f"{address}/redundancy",
            f"redundancy must be less than data (found {shape.data}+{shape.redundancy})",
            hint="with half of the bricks gone nobody could tell which half is right",
        )


# ---------------------------------------------------------------------------- tombstones, risks, ids


def _tombstone(volume: VolumeSpec, places: Places) -> None:
    address = f"volume/{volume.name}"
    if volume.state is not VolumeState.ABSENT:
        if volume.confirm is not None:
            places.error(
                f"{address}/confirm",
                "confirm is for tombstones only",
                hint="to delete the volume add state: absent",
            )
        if volume.data is not None:
            places.error(
                f"{address}/data",
                "data: retain or wipe is for tombstones only",
                hint="to delete the volume add state: absent",
            )
        return
    if volume.confirm is None:
        places.error(
            f"{address}/state",
            f"a tombstone needs confirm: the id of the volume to delete ({volume.name})",
            hint="gluster-state status shows the id; deleting is the one thing that must be said twice",
        )
    elif volume.volume_id is not None and volume.volume_id != volume.confirm:
        places.error(f"{address}/confirm", "confirm and id name different volumes")
    if volume.data == "wipe" and volume.deletion_policy is not DeletionPolicy.DELETE:
        places.error(
            f"{address}/data",
            f"data: wipe needs deletionPolicy: Delete (found {volume.deletion_policy.value})",
            hint="and it must be live from an earlier apply",
        )


def _risks(volume: VolumeSpec, places: Places) -> None:
    if volume.shape is None or volume.state is VolumeState.ABSENT:
        return
    for item in volume.acknowledge:
        if item.until and not _is_day(item.until):
            places.error(f"acknowledge/{volume.name}/{item.code}", f"until: there is no day {item.until}")
    accepted = {item.code for item in volume.acknowledge}
    address = f"volume/{volume.name}/type"
    if volume.shape.type is VolumeType.DISTRIBUTE and "GS204" not in accepted:
        places.warning(
            address,
            f"volume {volume.name} has no redundancy: a lost brick loses its files",
            code="GS204",
            hint='to accept it: acknowledge: [{code: GS204, reason: "..."}]',
        )
    two_copies = volume.shape.type is VolumeType.REPLICATE and volume.shape.replica == 2
    third = volume.shape.arbiter or volume.thin_arbiter
    if two_copies and not third and "GS205" not in accepted:
        places.warning(
            f"volume/{volume.name}/replica",
            f"volume {volume.name} has two copies and no arbiter: it is prone to split-brain",
            code="GS205",
            hint='use replica: 3 (arbiter: 1), or accept it: acknowledge: [{code: GS205, reason: "..."}]',
        )


def _is_day(text: str) -> bool:
    """Return true for a day of the calendar in the form that the schema guarantees."""
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _credentials(volume: VolumeSpec, places: Places) -> None:
    if volume.auth is not None:
        places.warning(
            f"volume/{volume.name}/auth",
            f"volume {volume.name} has credentials in plain text",
            code="GS502",
            hint="they serve the offline volfile command only; plan and apply refuse them",
        )


def _unique_id(volume: VolumeSpec, seen: dict[str, VolumeSpec], places: Places) -> None:
    if volume.volume_id is None:
        return
    address = f"volume/{volume.name}/id"
    if not volume.volume_id.strip("0-"):
        places.error(address, "the id must not be the zero UUID")
    first = seen.setdefault(volume.volume_id, volume)
    if first is not volume:
        where = places.find(f"volume/{first.name}/id")
        places.error(
            address, f"volume {first.name} has the same id", hint=f"at {where.span}" if where else ""
        )


# ---------------------------------------------------------------------------- features


def _features(
    volume: VolumeSpec, collection: Collection, places: Places, features: tuple[FeatureKey, ...]
) -> None:
    fields = collection.of("Volume")[volume.name].fields
    for feature in features:
        section = fields.section(feature.name)
        if section is not None:
            for rule in feature.rules:
                places.findings += rule(volume, section)


def _unsupported(collection: Collection, places: Places) -> None:
    """Refuse what this version would have to ignore."""
    for entry in collection.of("GeoReplication").values():
        if entry.fields.text("state") != "absent":
            places.error(
                f"georep/{entry.name}",
                "geo-replication is not supported by this version",
                hint="remove the session",
            )
