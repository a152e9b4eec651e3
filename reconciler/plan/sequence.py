"""Differences -> ordered steps with needs and undo. Pure; the same input gives the same steps.

Order of one transaction: read-only inspection of every new brick; then everything that can be undone; last
the writes that make the new configuration count. The first of those is the point of no return: by then all
bricks run and all nodes serve, so only forward makes sense.

Volumes are independent: each one's steps are a part of their own, from its inspections to its own commit, and
rest on nothing but the cluster's part (peers and settings). A plan that is rolled back as a whole is one
part: one inspection of everything, then all that can be undone, then all commits.

Needs grow with the number of steps, not with its square. Where many steps wait for the same many steps, one
of them waits for all and leads; the others wait for it alone:

* peers and settings are written one after the other, and what follows needs the last of these writes;
* the first credentials of a part need every inspection of it, those of its other volumes need the first's,
  and a brick is prepared once its volume has credentials: nothing of a part is made before all of it was
  looked at;
* the first commit of a part needs every step before it, its other commits need the first.

A step that leads has an undo, or stands behind the point of no return. That keeps the way back sound: undo
goes against needs, and a step without an undo never stands between two that have one, so nothing is undone
before all that was built on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from reconciler.model.cluster import Rollback
from reconciler.model.codec import to_json
from reconciler.model.configured import BrickRecord, PeerRecord, VolumeRecord
from reconciler.model.ids import Address, PeerName, StepId, VolumeId, VolumeName
from reconciler.model.volume import VolumeState
from reconciler.plan.step import Args, Step, StepClass
from reconciler.plan.work import Work


@dataclass(slots=True)
class Sequence:
    """Collects steps; `add` returns the id that later steps need. `part`: which one they go to."""

    steps: list[Step] = field(default_factory=list)
    part: int = 0

    def add(  # noqa: PLR0913  one keyword for each thing a step may say
        self,
        kind: str,
        address: Address,
        title: str,
        *,
        on: PeerRecord | None = None,
        needs: Iterable[StepId] = (),
        volume: VolumeId | None = None,
        args: Args | None = None,
        undo: str = "",
        step_class: StepClass = StepClass.COMPENSATABLE,
        timeout_s: int = 60,
        dispensable: bool = False,
    ) -> StepId:
        """Append a step and return its id."""
        step_id = StepId(len(self.steps) + 1)
        self.steps.append(
            Step(
                step_id=step_id,
                kind=kind,
                address=address,
                title=title,
                node=on.node_id if on else None,
                peer=on.name if on else None,
                args=args or {},
                volume=volume,
                needs=tuple(sorted(set(needs))),
                step_class=step_class,
                undo=undo,
                timeout_s=timeout_s,
                part=self.part,
                dispensable=dispensable,
            )
        )
        return step_id


def sequence(
    work: Work, peers: Mapping[PeerName, PeerRecord], rollback: Rollback = Rollback.CHANGE
) -> tuple[Step, ...]:
    """Return the steps of a plan.

    Args:
        work: what to do.
        peers: all peers as configured after the plan that are not declared lost; every one of them serves
            every volume.
        rollback: whether the plan is to be rolled back as a whole: then it is one part.
    """
    built = Sequence()
    work = work.reachable(peers)
    base = _cluster(built, work)
    if rollback is Rollback.ALL:
        _part(built, work, peers, base)
        return tuple(built.steps)
    by_volume = work.by_volume()
    for number, (name, of_volume) in enumerate(by_volume.items(), 1):
        built.part = number
        done = _part(built, of_volume, peers, base)
        if not done and _own(built) and len(by_volume) + bool(base) > 1:
            _conclude(built, name, of_volume.repaired[0][0])
    return tuple(built.steps)


def _part(built: Sequence, work: Work, peers: Mapping[PeerName, PeerRecord], base: list[StepId]) -> bool:
    """Add everything that stands or falls together; return false if it commits nothing."""
    ready = [*base, *_inspections(built, work, peers)]
    staged: dict[VolumeId, list[StepId]] = {}
    for number, volume in enumerate(work.created):
        credentials = _create(built, volume, peers, ready)
        if not number:
            ready = [credentials]
    for volume in work.changed:
        staged[volume.volume_id] = _serve(built, volume, peers, base)
    for volume in work.started:
        _run(built, volume, peers, _stage(built, volume, peers, base))
    for volume in work.stopped:
        _stop(built, volume, peers, base)
    for volume in work.deleted:
        _stop(built, volume, peers, base)
    for repair in work.repaired:
        _repair(built, repair, peers, staged.get(repair[0].volume_id, []))
    return _commit(built, work)


def _cluster(built: Sequence, work: Work) -> list[StepId]:
    """Write peers and settings one after the other; return the last of these steps, if there is any."""
    last: list[StepId] = []
    for peer in work.new_peers:
        step = built.add(
            "config.peer",
            Address(f"peer/{peer.name}"),
            f"take {peer.address} into the configuration",
            needs=last,
            args={"peer": to_json(peer)},
            undo="restore what was there",
        )
        last = [step]
    if work.changed_settings:
        title = "write the cluster's settings"
        last = [built.add("config.settings", Address("settings"), title, needs=last, undo="restore them")]
    return last


def _inspections(built: Sequence, work: Work, peers: Mapping[PeerName, PeerRecord]) -> list[StepId]:
    return [
        built.add(
            "brick.inspect",
            volume.brick_address(brick),
            f"check that {brick.path} can become a brick",
            on=peers[brick.peer],
            volume=volume.volume_id,
            args={"brick": brick.uuid},
        )
        for volume in work.created
        for brick in volume.bricks
    ]


def _create(
    built: Sequence, volume: VolumeRecord, peers: Mapping[PeerName, PeerRecord], needs: list[StepId]
) -> StepId:
    """Add a new volume's steps; return the one that makes its credentials."""
    secret = built.add(
        "volume.credentials",
        volume.address,
        "make the volume's credentials",
        needs=needs,
        volume=volume.volume_id,
        undo="remove them",
    )
    prepared = [
        built.add(
            "brick.prepare",
            volume.brick_address(brick),
            f"make and stamp {brick.path}",
            on=peers[brick.peer],
            needs=[secret],
            volume=volume.volume_id,
            args={"brick": brick.uuid},
            undo="remove the stamps and the directories it made",
        )
        for brick in volume.bricks
    ]
    staged = _stage(built, volume, peers, prepared)
    if volume.state is VolumeState.STARTED:
        _run(built, volume, peers, staged)
    return secret


def _stage(
    built: Sequence, volume: VolumeRecord, peers: Mapping[PeerName, PeerRecord], needs: list[StepId]
) -> list[StepId]:
    """Have every node keep the next generation ready; nobody sees it yet."""
    title = f"keep generation {volume.generation} ready"
    return _everywhere(built, volume, peers, needs, ("volume.stage", title, "forget it"))


def _publish(
    built: Sequence, volume: VolumeRecord, peers: Mapping[PeerName, PeerRecord], needs: list[StepId]
) -> list[StepId]:
    """Have every node serve the staged generation to clients."""
    title = f"serve generation {volume.generation} to clients"
    return _everywhere(built, volume, peers, needs, ("volume.publish", title, "serve what was served before"))


def _everywhere(
    built: Sequence,
    volume: VolumeRecord,
    peers: Mapping[PeerName, PeerRecord],
    needs: list[StepId],
    words: tuple[str, str, str],
) -> list[StepId]:
    """Add one step per node; `words` are kind, title and undo.

    A node without a brick of the volume only gives clients its volfile, and takes that from the configuration
    when it comes back: the plan can do without it.
    """
    kind, title, undo = words
    hosts = {b.peer for b in volume.bricks}
    return [
        built.add(
            kind,
            volume.address,
            title,
            on=p,
            needs=needs,
            volume=volume.volume_id,
            undo=undo,
            dispensable=p.name not in hosts,
        )
        for p in peers.values()
    ]


def _serve(
    built: Sequence, volume: VolumeRecord, peers: Mapping[PeerName, PeerRecord], needs: list[StepId]
) -> list[StepId]:
    """Stage the next generation everywhere, then publish it; return the steps that stage it."""
    staged = _stage(built, volume, peers, needs)
    if volume.state is VolumeState.STARTED:
        _publish(built, volume, peers, staged)
    return staged


def _run(
    built: Sequence, volume: VolumeRecord, peers: Mapping[PeerName, PeerRecord], needs: list[StepId]
) -> None:
    started = [_start(built, volume, brick, peers, needs) for brick in volume.bricks]
    if volume.shape.heals:
        hosts = sorted({b.peer for b in volume.bricks})
        started = [_start_shd(built, volume, peers[host], started) for host in hosts] or started
    _publish(built, volume, peers, started or needs)


def _start(
    built: Sequence,
    volume: VolumeRecord,
    brick: BrickRecord,
    peers: Mapping[PeerName, PeerRecord],
    needs: Iterable[StepId],
) -> StepId:
    return built.add(
        "brick.start",
        volume.brick_address(brick),
        f"start {brick.path} on port {brick.port}",
        on=peers[brick.peer],
        needs=needs,
        volume=volume.volume_id,
        args={"brick": brick.uuid},
        undo="stop it",
    )


def _start_shd(built: Sequence, volume: VolumeRecord, peer: PeerRecord, needs: Iterable[StepId]) -> StepId:
    return built.add(
        "shd.start",
        Address(f"daemon/{volume.name}/{peer.name}"),
        "start the self-heal daemon",
        on=peer,
        needs=needs,
        volume=volume.volume_id,
        undo="stop it",
    )


def _stop(
    built: Sequence, volume: VolumeRecord, peers: Mapping[PeerName, PeerRecord], needs: list[StepId]
) -> None:
    words = ("volume.unpublish", "give clients no volfile any more", "serve it again")
    withdrawn = _everywhere(built, volume, peers, needs, words)
    ended = list(withdrawn)
    if volume.shape.heals:
        ended = [
            built.add(
                "shd.stop",
                Address(f"daemon/{volume.name}/{host}"),
                "stop the self-heal daemon",
                on=peers[host],
                needs=withdrawn,
                volume=volume.volume_id,
                undo="start it again",
            )
            for host in sorted({b.peer for b in volume.bricks})
        ]
    for brick in volume.bricks:
        _stop_brick(built, volume, brick, peers, ended)


def _stop_brick(
    built: Sequence,
    volume: VolumeRecord,
    brick: BrickRecord,
    peers: Mapping[PeerName, PeerRecord],
    needs: Iterable[StepId],
) -> StepId:
    return built.add(
        "brick.stop",
        volume.brick_address(brick),
        f"stop {brick.path}; its data stays",
        on=peers[brick.peer],
        needs=needs,
        volume=volume.volume_id,
        args={"brick": brick.uuid},
        undo="start it again",
    )


def _repair(
    built: Sequence,
    repair: tuple[VolumeRecord, tuple[BrickRecord, ...], tuple[PeerName, ...]],
    peers: Mapping[PeerName, PeerRecord],
    needs: list[StepId],
) -> None:
    """Start or stop what does not run as its volume says; `needs`: what it starts from is staged."""
    volume, bricks, daemons = repair
    act = _start if volume.state is VolumeState.STARTED else _stop_brick
    done = [act(built, volume, brick, peers, needs) for brick in bricks]
    for peer in daemons:
        _start_shd(built, volume, peers[peer], done or needs)


def _conclude(built: Sequence, name: VolumeName, volume: VolumeRecord) -> None:
    """Append the end of a part that commits no configuration: from here on nothing takes its repairs back."""
    built.add(
        "volume.repaired",
        volume.address,
        f"let the repairs of {name} stand",
        needs=_own(built),
        volume=volume.volume_id,
        step_class=StepClass.RETRIABLE,
    )


def _own(built: Sequence) -> list[StepId]:
    """Return the steps of the present part."""
    return [s.step_id for s in built.steps if s.part == built.part]


def _commit(built: Sequence, work: Work) -> bool:
    """Append the writes that make a part count, after everything else of it; return false for none."""
    gone = "take the volume out of the configuration; its data stays on the bricks"
    written = [
        (volume, "config.volume", f"commit generation {volume.generation}")
        for volume in (*work.created, *work.changed, *work.started, *work.stopped)
    ]
    written += [(volume, "config.retain", gone) for volume in work.deleted]
    needs = _own(built)
    for number, (volume, kind, title) in enumerate(written):
        step = built.add(
            kind,
            volume.address,
            title,
            needs=needs,
            volume=volume.volume_id,
            step_class=StepClass.RETRIABLE,
        )
        if not number:
            needs = [step]
    return bool(written)
