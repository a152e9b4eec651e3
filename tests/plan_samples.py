"""Hand-made plans: a creation, an option change with drift, a blocked deletion, and nothing to do."""

from __future__ import annotations

from dataclasses import replace

from reconciler.diagnostics import Diagnostic, Severity, SourceSpan
from reconciler.model.configured import BrickRecord, Settings, VolumeRecord
from reconciler.model.ids import Address, BrickId, BrickUuid, NodeId, PeerName, StepId, VolumeId, VolumeName
from reconciler.model.volume import Shape, VolumeState, VolumeType
from reconciler.plan.step import (
    Action,
    Attribution,
    Blocker,
    DriftItem,
    DriftKind,
    Plan,
    PlannedChange,
    ReadKey,
    Step,
    StepClass,
)

VOLUME = VolumeId("7d4f5a52-6d1b-4a0e-9d5f-0a6e5c1b2f10")
PEERS = ("gs1", "gs2", "gs3")


def node(number: int) -> NodeId:
    """Return the id of the node behind peer gs<number>."""
    return NodeId(f"0b5ac1de-0000-4000-8000-00000000000{number}")


BRICKS = tuple(
    BrickRecord(
        slot=f"0.{i}",
        brick_id=BrickId(f"home-client-{i}"),
        uuid=BrickUuid(f"3c1f9f0e-1111-5222-8333-00000000000{i}"),
        peer=PeerName(peer),
        node_id=node(i + 1),
        host=f"10.0.0.1{i + 1}",
        path="/bricks/home/b0",
        port=61000 + i,
        mount="/bricks",
    )
    for i, peer in enumerate(PEERS)
)
HOME = VolumeRecord(
    name=VolumeName("home"),
    volume_id=VOLUME,
    incarnation=1,
    generation=1,
    shape=Shape(type=VolumeType.REPLICATE, replica=3),
    state=VolumeState.STARTED,
    bricks=BRICKS,
    options=(("network.ping-timeout", "20"),),
    next_client=3,
)

EMPTY = Plan(
    plan_id="p-01J9YV40BD",
    cluster_id="7b0e0000-0000-4000-8000-000000000000",
    cluster_name="prod",
    created=1_790_000_000,
    expires=1_790_086_400,
    tool_version="0.1.0",
    desired_digest="sha256:3f2c9e1a00",
    source={"kind": "files", "files": ["prod.yaml"]},
    revision=1204,
    observed_at=1_789_999_998,
    observation="6e21",
    unobserved=(),
    read_set=(ReadKey(address=Address("volume/home"), mod_revision=0),),
    changes=(),
    steps=(),
    volumes={},
    previous={},
    settings=Settings(generation=1),
    checked="3/3 peers, 3/3 bricks",
)


def _create_steps() -> tuple[Step, ...]:
    made = tuple(
        Step(
            step_id=StepId(i + 1),
            kind="brick.create",
            address=Address(f"brick/home/{brick.slot}"),
            title="create the brick directory",
            node=brick.node_id,
            peer=brick.peer,
            args={"slot": brick.slot},
            volume=VOLUME,
            undo="remove it, if it is still empty",
        )
        for i, brick in enumerate(BRICKS)
    )
    publish = Step(
        step_id=StepId(4),
        kind="volume.publish",
        address=Address("volume/home"),
        title="serve the volume to clients",
        args={"weights": [1, None, {"deep": True}]},
        volume=VOLUME,
        needs=(StepId(1), StepId(2), StepId(3)),
        undo="withdraw it",
        timeout_s=30,
    )
    return (*made, publish)


CREATE = replace(
    EMPTY,
    changes=(
        PlannedChange(
            address=Address("volume/home"),
            action=Action.ADD,
            after={"type": "replicate", "replica": 3},
            detail="replicate 3, 3 bricks",
        ),
        *(
            PlannedChange(
                address=Address(f"brick/home/{brick.slot}"),
                action=Action.ADD,
                after={"peer": brick.peer, "path": brick.path, "port": brick.port},
                detail=f"{brick.peer}:{brick.path}  port {brick.port}",
                parent=Address("volume/home"),
            )
            for brick in BRICKS
        ),
        PlannedChange(
            address=Address("option/home/network.ping-timeout"),
            action=Action.ADD,
            after="20",
            detail="20",
            origin="profile base",
            parent=Address("volume/home"),
        ),
    ),
    steps=_create_steps(),
    volumes={VOLUME: HOME},
    safety=("quorum holds at every step", "data: nothing is read, moved or removed"),
    diagnostics=(
        Diagnostic(
            severity=Severity.WARNING,
            summary="one more loss stops writes while the step runs",
            code="GS201",
            span=SourceSpan(file="prod.yaml", line=27, column=7, end_line=27, end_column=11),
        ),
    ),
)

OPTIONS = replace(
    EMPTY,
    changes=(
        PlannedChange(
            address=Address("option/home/network.ping-timeout"),
            action=Action.CHANGE,
            before="30",
            after="20",
            detail="30 → 20",
            origin="profile base → volume",
            parent=Address("volume/home"),
        ),
        PlannedChange(
            address=Address("option/home/features.cache-invalidation"),
            action=Action.CHANGE,
            attribution=Attribution.DRIFT,
            before="off",
            after="on",
            detail="off → on",
            codes=("GS403",),
            parent=Address("volume/home"),
        ),
    ),
    steps=(
        replace(
            CREATE.steps[3], step_id=StepId(1), needs=(), kind="volume.commit", title="commit the options"
        ),
        replace(
            CREATE.steps[3],
            step_id=StepId(2),
            needs=(StepId(1),),
            kind="volume.forget",
            title="forget the old generation",
            step_class=StepClass.PIVOT,
            undo="",
        ),
    ),
    volumes={VOLUME: replace(HOME, generation=2)},
    previous={VOLUME: HOME},
    unmanaged=(Address("volume/old-logs"),),
)

BLOCKED = replace(
    EMPTY,
    blockers=(
        Blocker(
            address=Address("volume/home"),
            code="GS101",
            summary='volume "home" is protected and cannot be deleted',
            detail="3 bricks; protection is stored in the cluster, deleting lines does not lift it",
            hint="1. commit  deletionPolicy: Delete  and apply (nothing is deleted)\n"
            "2. at least 10 minutes later: state: absent, confirm: 7d4f5a52…",
        ),
    ),
    required_allow=("GS101=volume/home",),
)

DRIFT = replace(
    EMPTY,
    drift=(
        DriftItem(
            address=Address("brick/home/0.1"),
            kind=DriftKind.FAULT,
            summary="process not running",
            expected="running on port 61001",
            seen="no process; port closed; mount ok",
            hint="gluster-state apply",
            since=1_789_990_000,
            repair=True,
        ),
        DriftItem(
            address=Address("option/home/performance.cache-size"),
            kind=DriftKind.SETTING,
            summary="changed by hand",
            expected="32MB",
            seen="256MB",
        ),
    ),
)

UNSEEN = replace(EMPTY, unobserved=(PeerName("gs3"),), checked="2/3 peers, 2/3 bricks")

ALL = {
    "empty": EMPTY,
    "create": CREATE,
    "options": OPTIONS,
    "blocked": BLOCKED,
    "drift": DRIFT,
    "unseen": UNSEEN,
}
