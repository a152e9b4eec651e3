"""The ids of a new volume's bricks: declared, or chosen so that no two share one. Later: diff/lineage.py."""

from __future__ import annotations

import re
from collections.abc import Iterable

from reconciler.model.cluster import VolumeSpec
from reconciler.model.ids import BrickId

_ORDINAL = re.compile(r"-client-([0-9]+)\Z")


def brick_ids(volume: VolumeSpec) -> tuple[BrickId, ...]:
    """Return the ids of a new volume's bricks.

    They are the declared ones, else ``VOL-client-N`` with the position, or the next free number. A thin
    arbiter counts as the last brick of every subvolume, so its positions are left out.

    Source: glusterfs 10.3 xlators/mgmt/glusterd/src/glusterd-volume-ops.c: glusterd_op_create_volume.
    """
    size = volume.shape.bricks_per_subvolume if volume.shape and volume.thin_arbiter else 0
    last = len(volume.bricks) + (len(volume.bricks) // size if size else 0)
    taken = {brick.brick_id for brick in volume.bricks if brick.brick_id is not None}
    result: list[BrickId] = []
    for i, brick in enumerate(volume.bricks):
        brick_id, number = brick.brick_id, i + (i // size if size else 0)
        while brick_id is None:
            candidate = BrickId(f"{volume.name}-client-{number}")
            if candidate not in taken:
                brick_id = candidate
            # Past the last position no default can collide with that of a later brick.
            number = last if number < last else number + 1
        taken.add(brick_id)
        result.append(brick_id)
    return tuple(result)


def number_of(brick_id: BrickId) -> int:
    """Return the number that a brick id ends with; -1 if it has none, which the schema forbids."""
    found = _ORDINAL.search(brick_id)
    return int(found[1]) if found else -1


def next_client(ids: Iterable[BrickId]) -> int:
    """Return the number from which on ids of further bricks are free."""
    return 1 + max(map(number_of, ids), default=-1)
