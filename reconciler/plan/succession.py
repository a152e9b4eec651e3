"""A row of declarations -> the record that the last one makes of a volume, without a cluster.

What a plan does with the configuration, `reconciler.desired.offline` does with nothing at all; this goes on
from there, with the same rules that a plan has for ids and options.
"""

from __future__ import annotations

from dataclasses import replace

from reconciler.desired.offline import OfflineCluster, offline_records
from reconciler.diagnostics import Diagnostic, Severity
from reconciler.diff.lineage import Place, lineage
from reconciler.errors import DesiredStateError
from reconciler.model.cluster import Desired, VolumeSpec
from reconciler.model.configured import BrickRecord, VolumeRecord
from reconciler.model.ids import Address, VolumeName
from reconciler.plan.records import successor
from reconciler.volgen.options import creation_defaults


def offline_creations(desired: Desired) -> tuple[VolumeRecord, ...]:
    """Return the records that a plan would make of the volumes with bricks if all were new, by name."""
    return tuple(
        replace(record, pinned=creation_defaults(record.shape, dict(record.options)))
        for record in offline_records(desired)
    )


def offline_creation(desired: Desired, name: VolumeName) -> VolumeRecord | None:
    """Return the record that a plan would make of a volume that is new; None if it has no bricks here."""
    return next((record for record in offline_creations(desired) if record.name == name), None)


def offline_successor(record: VolumeRecord, desired: Desired, spec: VolumeSpec) -> VolumeRecord:
    """Return the record of a volume after the change to `spec`, which is part of `desired`.

    Raises:
        DesiredStateError: no change makes such a volume of that one; with the places in the declaration.
    """
    found = lineage(record, spec)
    problems = [*found.problems]
    if spec.volume_id not in (None, record.volume_id):
        words = f"volume {spec.name} has id {record.volume_id}, not {spec.volume_id}"
        problems.append(Diagnostic(severity=Severity.ERROR, summary=words, path=f"volume/{spec.name}/id"))
    if problems:
        raise DesiredStateError([replace(one, span=desired.spans.get(Address(one.path))) for one in problems])
    cluster = OfflineCluster(desired.spec)
    for brick in record.bricks:
        cluster.take(brick.peer, brick.port)
    bricks = [_brick(cluster, place) for place in found.places]
    return successor(record, spec, found.next_client, bricks)


def _brick(cluster: OfflineCluster, place: Place) -> BrickRecord:
    """Return the record of a place; what stays keeps what the declaration does not say of it now."""
    was, said = place.stays, place.spec
    if was is not None:
        said = replace(
            said,
            port=said.port or was.port,
            mount=said.mount or was.mount,
            fs_uuid=said.fs_uuid or was.fs_uuid,
        )
    return cluster.brick(said, place.slot, place.brick_id, place.uuid)
