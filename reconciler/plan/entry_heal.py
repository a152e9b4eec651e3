"""When a plan may switch on granular entry heal: not while older records of pending entries may exist. Pure.

Such a record says that a directory differs, not in which entries. Granular healing looks at entries that were
recorded by name and then forgets both, so the others stay different for ever. Switched off, healing looks at
whole directories, which is right for records of either kind.

Source: glusterfs 10.3 xlators/cluster/afr/src/afr-self-heal-entry.c (afr_selfheal_entry_do,
afr_need_full_heal); cli/src/cli-cmd-volume.c (before it enables, it lets glfsheal look; before it disables,
it does not); heal/src/glfs-heal.c (both indices, of pending and of interrupted operations, must be empty).
"""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model.configured import VolumeRecord
from reconciler.model.observed import BrickState, ObservedCluster
from reconciler.model.volume import VolumeState, VolumeType
from reconciler.plan.step import Blocker
from reconciler.volgen.settings import VolumeSettings

_OPTION = "cluster.granular-entry-heal"


def entry_heal_blockers(
    before: VolumeRecord, after: VolumeRecord, observed: ObservedCluster, allowed: frozenset[str]
) -> Iterator[Blocker]:
    """Yield if granular entry heal is switched on where older records exist or may exist (GS405).

    What waits in bricks is observed; interrupted operations are not, so somebody has to vouch for them.
    """
    if before.shape.type is not VolumeType.REPLICATE or _is_on(before) or not _is_on(after):
        return
    waiting = tuple(_not_healed(before, observed))
    if waiting:
        yield Blocker(
            address=before.address,
            code="GS405",
            summary=f"{_OPTION} cannot be switched on: {', '.join(waiting)} may have entries to heal",
            hint="Healing would pass over entries recorded until now, and their copies stay different. Leave "
            "it off until all bricks are as they should be and gluster-state status shows nothing to heal.",
        )
    elif f"GS405={before.address}" not in allowed:
        yield Blocker(
            address=before.address,
            code="GS405",
            summary=f"{_OPTION} is switched on, and whether operations were interrupted is not known",
            hint="Healing would pass over their entries, and copies stay different. If there is no file but "
            "dirty-... in .glusterfs/indices/dirty of any brick, apply with "
            f"--allow GS405={before.address}",
        )


def _not_healed(volume: VolumeRecord, observed: ObservedCluster) -> Iterator[str]:
    """Yield bricks that are not known to be as they should be, with nothing to heal."""
    wanted = BrickState.RUNNING if volume.state is VolumeState.STARTED else BrickState.STOPPED
    for brick in volume.bricks:
        node = observed.nodes.get(brick.peer)
        fact = node.bricks.get(brick.uuid) if node and node.live else None
        if fact is None or fact.state is not wanted or fact.heal_pending != 0:
            yield f"{brick.peer}:{brick.path}"


def _is_on(volume: VolumeRecord) -> bool:
    return VolumeSettings(volume.effective_options()).switch(_OPTION) is True
