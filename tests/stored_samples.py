"""One filled-in value of every stored class; no field is at its default, so that none is lost unseen."""

from __future__ import annotations

from reconciler.model.cluster import IsolatedStart
from reconciler.model.configured import (
    BrickRecord,
    ConfiguredCluster,
    PeerRecord,
    Retained,
    Secret,
    Settings,
    VolumeRecord,
)
from reconciler.model.ids import (
    Address,
    BrickId,
    BrickUuid,
    ClusterId,
    NodeId,
    PeerName,
    StepId,
    TxnId,
    VolumeId,
    VolumeName,
)
from reconciler.model.observed import (
    BrickFact,
    BrickState,
    Doubt,
    MountFact,
    NodeFact,
    ObservedNode,
    PathProbe,
    VolumeFact,
)
from reconciler.model.questions import Answer, Question
from reconciler.model.volume import DeletionPolicy, Restart, RestartPolicy, Shape, VolumeState, VolumeType
from reconciler.txn.record import Barrier, Command, Head, HeadState, LockRecord, Mark, Phase, StepRecord

NODE = NodeId("0b5ac1de-0000-4000-8000-000000000001")
VOLUME = VolumeId("7d4f5a52-6d1b-4a0e-9d5f-0a6e5c1b2f10")
BRICK = BrickUuid("3c1f9f0e-1111-5222-8333-444455556666")

BRICK_RECORD = BrickRecord(
    slot="0.2",
    brick_id=BrickId("home-client-2"),
    uuid=BRICK,
    peer=PeerName("gs1"),
    node_id=NODE,
    host="10.0.0.11",
    path="/bricks/häme/b0",
    port=61002,
    mount="/bricks",
    fs_uuid="0d7c2f0e-5a34-4d25-8f0e-6a1f2f7f9a01",
    decommissioned=True,
)
VOLUME_RECORD = VolumeRecord(
    name=VolumeName("home"),
    volume_id=VOLUME,
    incarnation=2,
    generation=7,
    shape=Shape(type=VolumeType.REPLICATE, replica=3, arbiter=1),
    state=VolumeState.STOPPED,
    bricks=(BRICK_RECORD,),
    options=(("features.shard", "on"), ("network.ping-timeout", "20")),
    feature_options=(("features.shard", "shard"),),
    pinned=(("transport.address-family", "inet"),),
    deletion_policy=DeletionPolicy.DELETE,
    policy_since=1_790_000_000,
    restart=Restart(policy=RestartPolicy.NEVER, delay_s=0.5),
    next_client=3,
    thin_arbiter="arbiter.example.net:/bricks/ta",
    volgen=2,
)
SETTINGS = Settings(
    generation=4,
    brick_ports=(62000, 62999),
    isolated_start=IsolatedStart.START,
    unprotect_delay_s=60.0,
    failure_domain="zone",
    desired_digest="sha256:00ff",
    applied_at=1_790_000_100,
)
PEER = PeerRecord(name=PeerName("gs1"), address="10.0.0.11", zone="a", node_id=NODE)
MOUNT = MountFact(
    mount="/bricks", fs_type="xfs", device="/dev/sdb", fs_uuid="0d7c", size_bytes=1 << 60, free_bytes=5
)
NODE_FACT = NodeFact(
    node_id=NODE,
    peer=PeerName("gs1"),
    address="10.0.0.11",
    boot_id="b",
    agent_version="0.1.0",
    gluster_version="10.3",
    started_at=3,
    mounts=(MOUNT,),
)
BRICK_FACT = BrickFact(
    uuid=BRICK,
    volume_id_configured=VOLUME,
    state=BrickState.CRASHED,
    problem="ended with signal 9",
    pid=4711,
    start_time=99,
    port=61002,
    volume_id=VOLUME,
    identity=BRICK,
    mount="/bricks",
    fs_uuid="0d7c",
    size_bytes=10,
    free_bytes=9,
    heal_pending=0,
    volfile_digest="aa",
    restarts=2,
    since=1_790_000_200,
)
VOLUME_FACT = VolumeFact(
    volume_id=VOLUME, generation=7, served=True, client_digest="bb", shd_pid=8, shd_expected=True
)
PROBE = PathProbe(
    peer=PeerName("gs1"),
    path="/bricks/x",
    kind="directory",
    entries=("a",),
    volume_id=VOLUME,
    identity=BRICK,
    parent_volume="/bricks",
    mount="/bricks",
    fs_uuid="0d7c",
    fs_type="xfs",
    free_bytes=4,
    problem="busy",
)
PHASE = Phase(1234, 1)
TXN = TxnId("t-01")

SAMPLES: tuple[object, ...] = (
    Doubt(peer=PeerName("gs1"), reason="etcd is at revision 7, and was at 9 before"),
    Question(question="q-1", lease=7587, paths=("/bricks/x",)),
    Answer(at=1_790_000_300, probes=(PROBE,), ports_in_use=(61002,)),
    PEER,
    BRICK_RECORD,
    VOLUME_RECORD,
    Secret(username="u", password="p"),
    SETTINGS,
    Retained(volume=VOLUME_RECORD, deleted_at=5),
    ConfiguredCluster(
        cluster_id=ClusterId("c"),
        name="prod",
        revision=9,
        settings=SETTINGS,
        peers={PEER.name: PEER},
        volumes={VOLUME_RECORD.name: VOLUME_RECORD},
        incarnations={VOLUME_RECORD.name: 2},
        retained=(Retained(volume=VOLUME_RECORD, deleted_at=5),),
        mod_revisions={Address("volume/home"): 9},
    ),
    MOUNT,
    NODE_FACT,
    BRICK_FACT,
    VOLUME_FACT,
    ObservedNode(
        node_id=NODE,
        peer=PeerName("gs1"),
        live=True,
        fact=NODE_FACT,
        answered=True,
        bricks={BRICK: BRICK_FACT},
        volumes={VOLUME: VOLUME_FACT},
        probes={"/bricks/x": PROBE},
        ports_in_use=(61002,),
    ),
    Head(
        txn=TXN,
        state=HeadState.STUCK,
        phase=PHASE,
        plan_id="p-1",
        plan_digest="sha256:1",
        chunks=2,
        started_at=1,
        holder="ann@gs1 pid 3",
        attempts=2,
        updated_at=4,
        reason="r",
        summary="s",
    ),
    StepRecord(
        step=StepId(3),
        mark=Mark.UNDO_FAILED,
        phase=PHASE,
        attempt=2,
        before={"xattr": None, "names": ["a", {"b": 1}]},
        result={"pid": 3},
        error="e",
        hint="h",
        retryable=True,
        instance="i",
        at=6,
    ),
    Command(txn=TXN, step=StepId(3), phase=PHASE, attempt=2, plan_digest="sha256:1"),
    Barrier(txn=TXN, phase=PHASE, instance="i"),
    LockRecord(holder="ann", op_id="o", since=7, purpose="apply"),
)
