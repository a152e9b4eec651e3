"""For every kind of step on a node: random worlds in which its laws are tried.

A world is made on a real node, by what a step may meet there: directories in every state that a plan, a
killed attempt or a user leaves, records and notes on the disk, processes that run or do not; and bystanders,
which nothing may touch. Its maker returns the step's call.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from reconciler.adapters import brick_directory
from reconciler.agent.run_marks import RunState
from reconciler.model.configured import BrickRecord, VolumeRecord
from reconciler.model.ids import NodeId, TxnId
from reconciler.model.volume import VolumeState
from reconciler.ports.brick import BrickIdentity
from reconciler.ports.node import Call
from reconciler.ports.staging import Serving
from tests.brick_node import Node, call, local_volume
from tests.laws.snapshot import OF_USERS, Scope
from tests.volume_samples import CLUSTER, NODE, NODES, SECRET

OTHERS_TXN = TxnId("t0")


@dataclass
class Ground:
    """Where worlds are made, one after the other: what is left of one is a bystander of the next."""

    it: Node
    mounts: list[Path]
    draw: random.Random
    made: int = 0
    things: int = 0
    scope: Scope = field(init=False)

    def __post_init__(self) -> None:
        self.scope = Scope(self.it, self.mounts)

    def chance(self, percent: int = 50) -> bool:
        """Return true in `percent` of all worlds."""
        return self.draw.randrange(100) < percent

    def volume(self, *, replica: int = 0) -> VolumeRecord:
        """Return the record of a new volume of one to three bricks, at random depths of random disks."""
        self.made += 1
        count = replica or self.draw.randint(1, 3)
        name = f"v{self.made}"
        record = local_volume(self.mounts[0], count=count, replica=replica or 1, name=name)
        bricks = []
        for brick in record.bricks:
            mount = self.draw.choice(self.mounts)
            deep = "/".join(self.draw.choices(("a", "b"), k=self.draw.randint(0, 3)))
            path = os.path.normpath(f"{mount}/{name}/{deep}/b{len(bricks)}")
            bricks.append(replace(brick, path=path, mount=str(mount)))
        return replace(record, bricks=tuple(bricks))

    def bystander(self, place: Path) -> None:
        """Put something of a user's into a directory."""
        place.mkdir(parents=True, exist_ok=True)
        self.things += 1
        name = Path(f"{place}{OF_USERS}{self.things}")
        match self.draw.randrange(4):
            case 0:
                name.mkdir(mode=0o751)
                (name / "letter").write_text("dear all")
            case 1:
                name.symlink_to("/nowhere")
            case 2:
                name.write_bytes(self.draw.randbytes(64))
                os.chown(name, 1234, 1234)
            case _:
                name.touch(mode=0o640)
                os.setxattr(name, "user.note", b"keep")


Maker = Callable[[Ground], Call]


# ---------------------------------------------------------------- directories


def _nothing(at: Ground, volume: VolumeRecord, brick: BrickRecord) -> None:
    """No directory; some of those above may be there."""
    place = Path(brick.path)
    if at.chance():
        place.parents[at.draw.randrange(len(place.relative_to(brick.mount).parts))].mkdir(
            parents=True, exist_ok=True
        )


def _empty(at: Ground, volume: VolumeRecord, brick: BrickRecord) -> None:
    place = Path(brick.path)
    place.mkdir(parents=True, mode=at.draw.choice((0o755, 0o700, 0o1777)))
    for name in ("trusted.comment", "user.comment", "security.comment"):
        if at.chance():
            os.setxattr(place, name, b"of the user")


def _volume_id_only(at: Ground, volume: VolumeRecord, brick: BrickRecord) -> None:
    """As one whose stamping was cut off after another program's hand, or whose identity is gone."""
    _empty(at, volume, brick)
    os.setxattr(brick.path, brick_directory.VOLUME_ID, bytes.fromhex(volume.volume_id.replace("-", "")))


def _hidden(at: Ground, volume: VolumeRecord, brick: BrickRecord) -> None:
    """What a crash at the beginning of stamping leaves."""
    _empty(at, volume, brick)
    (Path(brick.path) / ".glusterfs").mkdir(mode=0o600)
    if at.chance():
        (Path(brick.path) / ".glusterfs" / brick_directory.IDENTITY_NEW).write_text("{")


def _identity_only(at: Ground, volume: VolumeRecord, brick: BrickRecord) -> None:
    """What a crash before the volume id leaves; glusterfsd may have been there before."""
    _empty(at, volume, brick)
    hidden = Path(brick.path) / ".glusterfs"
    hidden.mkdir(mode=0o600)
    if at.chance():
        (hidden / "indices/xattrop").mkdir(parents=True)
        (hidden / "00/00").mkdir(parents=True)
        (hidden / "health_check").write_text("now")
    descriptor = os.open(hidden, os.O_RDONLY)
    try:
        identity = BrickIdentity(brick=brick.uuid, volume=volume.volume_id, cluster=CLUSTER, node=NODE)
        brick_directory.write_identity(descriptor, identity)
    finally:
        os.close(descriptor)


def _stamped(at: Ground, volume: VolumeRecord, brick: BrickRecord) -> None:
    _identity_only(at, volume, brick)
    os.setxattr(brick.path, brick_directory.VOLUME_ID, bytes.fromhex(volume.volume_id.replace("-", "")))


def _somebodys(at: Ground, volume: VolumeRecord, brick: BrickRecord) -> None:
    """Not free: whatever the step does, it must not."""
    _empty(at, volume, brick)
    if at.chance():
        at.bystander(Path(brick.path))
    else:
        os.setxattr(brick.path, brick_directory.VOLUME_ID, at.draw.randbytes(16))


_PLACES = (_nothing, _nothing, _empty, _volume_id_only, _hidden, _identity_only, _stamped, _somebodys)


def _place(kind: str) -> Maker:
    def make(at: Ground) -> Call:
        record = at.volume()
        brick = at.draw.choice(record.bricks)
        at.draw.choice(_PLACES)(at, record, brick)
        for mount in at.mounts:
            at.bystander(mount)
        if at.chance():
            at.bystander(Path(brick.mount) / record.name)
        for other in record.bricks:
            if other != brick and at.chance(25):
                at.it.files.prepare(record, other, {})
        return call(kind, record, brick, **({"known": True} if at.chance(25) else {}))

    return make


# ---------------------------------------------------------------- processes


def _data(at: Ground, brick: BrickRecord) -> None:
    """Let users have put something into a brick."""
    for _ in range(at.draw.randint(0, 2)):
        at.bystander(Path(brick.path))


def _brick(kind: str) -> Maker:
    def make(at: Ground) -> Call:
        record = at.it.prepared(at.volume())
        brick = at.draw.choice(record.bricks)
        step = call(kind, record, brick)
        if at.chance() or kind == "brick.stop":
            step = replace(step, previous=record, volume=at.draw.choice((record, None)))
        if kind == "brick.start":
            step = replace(step, volume=record)
        for other in record.bricks:
            _data(at, other)
        if at.chance(60 if kind == "brick.stop" else 25):
            at.it.bricks.start(record, brick)
        if len(record.bricks) > 1 and at.chance():
            at.it.bricks.start(record, next(b for b in record.bricks if b != brick))
        running = at.it.bricks.running(record, brick)
        noted = [RunState.STARTED] if running else [None, RunState.CRASHED, RunState.STOPPED]
        _note(at, brick, at.draw.choice(noted))
        return step

    return make


def _note(at: Ground, brick: BrickRecord, state: RunState | None) -> None:
    marks = at.it.bricks._shell.marks
    if state is None:
        marks.note_again(brick.uuid, None)
    else:
        marks.write(brick.uuid, state, since=12, problem="why" if state is RunState.CRASHED else "")


def _daemon(kind: str) -> Maker:
    def make(at: Ground) -> Call:
        record = at.it.prepared(at.volume(replica=3))
        for brick in record.bricks:
            _data(at, brick)
        if at.chance():
            at.it.daemons.start(record)
        if at.chance(30):
            other = at.it.prepared(at.volume(replica=3))
            at.it.daemons.start(other)
        step = call(kind, record)
        return replace(step, previous=record, volume=at.draw.choice((record, None)))

    return make


# ---------------------------------------------------------------- what is served


def _serving(kind: str) -> Maker:
    def make(at: Ground) -> Call:
        record = at.volume(replica=at.draw.choice((0, 3)))
        if at.chance(40):
            record = _elsewhere(record, NODES[1])
        previous = replace(record, options=(("network.ping-timeout", "7"),)) if at.chance(70) else None
        if previous is not None:
            kept = _elsewhere(previous, NODES[2]) if at.chance(25) else previous
            at.it.table.commit(kept, SECRET if kept.on_node(NODE) else None)
            previous = kept
            record = replace(record, generation=2)
        record = replace(
            record, state=at.draw.choice((VolumeState.STARTED, VolumeState.STARTED, VolumeState.STOPPED))
        )
        step = replace(call(kind, record), previous=previous, secret=SECRET)
        if kind == "volume.unpublish" and previous is not None and at.chance():
            step = replace(step, volume=None)
        _stage(at, step)
        return step

    return make


def _stage(at: Ground, step: Call) -> None:
    """Let something be staged already: by this transaction, or by one that has not ended here."""
    staged = step.volume
    if staged is None:  # a volume that goes: `volume.unpublish` stages what comes after its last generation
        assert step.previous is not None
        staged = replace(step.previous, generation=step.previous.generation + 1, state=VolumeState.STOPPED)
    drawn = at.draw.randrange(100)
    if drawn >= (80 if step.step.kind == "volume.publish" else 40):
        return
    if drawn < 8:
        at.it.table.stage(replace(staged, generation=9), step.previous, OTHERS_TXN, SECRET)
        return
    at.it.table.stage(staged, step.previous, TxnId(step.txn), step.secret)
    at.it.table.serve(staged.volume_id, at.draw.choice(tuple(Serving)))


def _elsewhere(record: VolumeRecord, node: NodeId) -> VolumeRecord:
    return replace(record, bricks=tuple(replace(b, node_id=node) for b in record.bricks))


WORLDS: Mapping[str, Maker] = {
    "brick.inspect": _place("brick.inspect"),
    "brick.prepare": _place("brick.prepare"),
    "brick.start": _brick("brick.start"),
    "brick.stop": _brick("brick.stop"),
    "shd.start": _daemon("shd.start"),
    "shd.stop": _daemon("shd.stop"),
    "volume.publish": _serving("volume.publish"),
    "volume.stage": _serving("volume.stage"),
    "volume.unpublish": _serving("volume.unpublish"),
}
