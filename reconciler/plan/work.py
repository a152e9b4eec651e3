"""What a plan has to do, by kind and by volume. Values only; `plan/sequence.py` makes steps of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

from reconciler.model.configured import BrickRecord, PeerRecord, VolumeRecord
from reconciler.model.ids import PeerName, VolumeName


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Everything one plan has to do, by kind. All tuples are sorted by name.

    Attributes:
        new_peers, changed_settings: of the cluster itself.
        created: new volumes. changed: volumes whose settings change while their state stays.
        started, stopped: volumes whose state changes. deleted: volumes that a tombstone removes.
        repaired: bricks that must be started (or stopped, by the volume's state), daemons by volume and peer.
    """

    new_peers: tuple[PeerRecord, ...] = ()
    changed_settings: bool = False
    created: tuple[VolumeRecord, ...] = ()
    changed: tuple[VolumeRecord, ...] = ()
    started: tuple[VolumeRecord, ...] = ()
    stopped: tuple[VolumeRecord, ...] = ()
    deleted: tuple[VolumeRecord, ...] = ()
    repaired: tuple[tuple[VolumeRecord, tuple[BrickRecord, ...], tuple[PeerName, ...]], ...] = ()

    def by_volume(self) -> dict[VolumeName, Work]:
        """Return the work on each volume, by name in order; the cluster's own is left out."""
        found: dict[VolumeName, dict[str, Any]] = {}
        for kind in ("created", "changed", "started", "stopped", "deleted"):
            for volume in getattr(self, kind):
                found.setdefault(volume.name, {})[kind] = (volume,)
        for repair in self.repaired:
            found.setdefault(repair[0].name, {})["repaired"] = (repair,)
        return {name: Work(**found[name]) for name in sorted(found)}

    def reachable(self, peers: Collection[PeerName]) -> Work:
        """Return the work without bricks and daemons on lost peers: nobody is there to execute a step.

        If the peer's agent returns after all, it takes over what was decided meanwhile.
        """

        def kept(volumes: Iterable[VolumeRecord]) -> tuple[VolumeRecord, ...]:
            return tuple(replace(v, bricks=tuple(b for b in v.bricks if b.peer in peers)) for v in volumes)

        return replace(
            self,
            started=kept(self.started),
            stopped=kept(self.stopped),
            deleted=kept(self.deleted),
            repaired=tuple(
                (volume, tuple(b for b in bricks if b.peer in peers), tuple(p for p in daemons if p in peers))
                for volume, bricks, daemons in self.repaired
            ),
        )
