"""The store -> what is configured and what is observed. Reads; writes only questions, on a lease of its own.

A plan is made from fresh facts: every live node is asked to look again (and to probe the paths of new
bricks), and its answer is waited for. Who does not answer is *unobserved*: unknown is not the same as absent.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from reconciler.errors import JournalError, PlanError, StoreRestored
from reconciler.model import keys
from reconciler.model.codec import decode, encode
from reconciler.model.configured import (
    BrickRecord,
    ConfiguredCluster,
    PeerRecord,
    Retained,
    Settings,
    VolumeRecord,
)
from reconciler.model.ids import Address, BrickUuid, ClusterId, NodeId, PeerName, VolumeId, VolumeName
from reconciler.model.observed import (
    BrickFact,
    Doubt,
    NodeFact,
    ObservedCluster,
    ObservedNode,
    PathProbe,
    VolumeFact,
)
from reconciler.model.questions import Answer, Question
from reconciler.ports.store import Absent, Commit, Entry, Put, Snapshot, Store

ANSWER_TIMEOUT_S = 8.0
POLL_S = 0.05
QUESTION_TTL_S = 30


def cluster_id(store: Store, name: str) -> ClusterId:
    """Return the id of the cluster called `name`; raises PlanError if there is none."""
    entry = store.read(keys.claim(name))
    if entry is None:
        raise PlanError(
            f"there is no cluster {name!r} in this etcd",
            hint="Start an agent that names it, or check --cluster and the etcd endpoints.",
        )
    return ClusterId(entry.value)


def claim_cluster(store: Store, name: str) -> ClusterId:
    """Return the id of the cluster called `name`, creating it if there is none. Atomic; idempotent."""
    key = keys.claim(name)
    if store.read(key) is None:
        fresh = str(uuid.uuid4())
        store.commit(Commit(when=(Absent(key),), then=(Put(key, fresh),)))
    return cluster_id(store, name)


def configured_in(snapshot: Snapshot, cluster: ClusterId, name: str) -> ConfiguredCluster:
    """Return the configuration found in a listing; raises JournalError for what it cannot read."""
    bricks: dict[VolumeId, list[BrickRecord]] = {}
    volumes: list[tuple[VolumeRecord, int]] = []
    found = _Found()
    prefix = keys.config_prefix(cluster)
    for entry in snapshot.entries:
        if not entry.key.startswith(prefix):
            continue
        kind, *rest = entry.key[len(prefix) :].split("/")
        match kind:
            case "settings":
                found.settings = decode(Settings, entry.value)
                found.revisions[Address("settings")] = entry.mod_revision
            case "peers":
                peer = decode(PeerRecord, entry.value)
                found.peers[peer.name] = peer
                found.revisions[Address(f"peer/{peer.name}")] = entry.mod_revision
            case "volumes":
                volumes.append((decode(VolumeRecord, entry.value), entry.mod_revision))
            case "bricks":
                bricks.setdefault(VolumeId(rest[0]), []).append(decode(BrickRecord, entry.value))
            case "incarnations":
                found.incarnations[VolumeName(rest[0])] = int(entry.value)
            case "retained":
                found.retained.append(decode(Retained, entry.value))
            case _:
                raise JournalError(f"{entry.key} is no key of the configuration that this version knows")
    return ConfiguredCluster(
        cluster_id=cluster,
        name=name,
        revision=snapshot.revision,
        settings=found.settings,
        peers=found.peers,
        volumes={r.name: whole_volume(r, bricks.get(r.volume_id, [])) for r, _ in volumes},
        incarnations=found.incarnations,
        retained=tuple(found.retained),
        mod_revisions={**found.revisions, **{r.address: revision for r, revision in volumes}},
    )


@dataclass(slots=True)
class _Found:
    settings: Settings = field(default_factory=Settings)
    peers: dict[PeerName, PeerRecord] = field(default_factory=dict)
    incarnations: dict[VolumeName, int] = field(default_factory=dict)
    retained: list[Retained] = field(default_factory=list)
    revisions: dict[Address, int] = field(default_factory=dict)


def whole_volume(record: VolumeRecord, bricks: list[BrickRecord]) -> VolumeRecord:
    """Return a volume's record with its bricks, which are stored one by one, in slot order."""

    def place(brick: BrickRecord) -> tuple[int, int]:
        subvolume, _, position = brick.slot.partition(".")
        return int(subvolume), int(position)

    return replace(record, bricks=tuple(sorted(bricks, key=place)))


def doubts_in(snapshot: Snapshot, cluster: ClusterId) -> tuple[Doubt, ...]:
    """Return which nodes say that this is not the store they know, in a listing of the nodes or more."""
    prefix = keys.nodes_prefix(cluster)
    found = (e for e in snapshot.entries if e.key.startswith(prefix) and e.key.endswith("/doubt"))
    doubts = (decode(Doubt, e.value) for e in found if len(keys.parts_below(prefix, e.key)) == 2)
    return tuple(sorted(doubts, key=lambda d: d.peer))


def refuse_doubted(snapshot: Snapshot, cluster: ClusterId) -> None:
    """Raise StoreRestored if a node doubts the store, naming each that does."""
    doubts = doubts_in(snapshot, cluster)
    if doubts:
        raise StoreRestored("; ".join(f"{doubt.peer} says: {doubt.reason}" for doubt in doubts))


def joined_in(snapshot: Snapshot, cluster: ClusterId) -> dict[PeerName, NodeId]:
    """Return which node joined under which peer name."""
    prefix = keys.joins_prefix(cluster)
    return {
        PeerName(e.key[len(prefix) :]): NodeId(e.value) for e in snapshot.entries if e.key.startswith(prefix)
    }


def observed_in(
    snapshot: Snapshot,
    cluster: ClusterId,
    joined: Mapping[PeerName, NodeId],
    *,
    now: int,
    answers: Mapping[NodeId, Answer] | None = None,
) -> ObservedCluster:
    """Return what nodes reported, with the answers to a question if one was asked."""
    by_node: dict[str, list[Entry]] = {}
    prefix = keys.nodes_prefix(cluster)
    for entry in snapshot.entries:
        if entry.key.startswith(prefix):
            by_node.setdefault(entry.key[len(prefix) :].partition("/")[0], []).append(entry)
    nodes = {}
    for peer, node in sorted(joined.items()):
        answer = answers.get(node) if answers is not None else None
        nodes[peer] = _node(cluster, peer, node, by_node.get(node, []), answer)
    return ObservedCluster(revision=snapshot.revision, observed_at=now, nodes=nodes)


def _node(
    cluster: ClusterId, peer: PeerName, node: NodeId, entries: list[Entry], answer: Answer | None
) -> ObservedNode:
    facts = keys.facts_prefix(cluster, node)
    fact: NodeFact | None = None
    bricks: dict[BrickUuid, BrickFact] = {}
    volumes: dict[VolumeId, VolumeFact] = {}
    live = False
    for entry in entries:
        if entry.key == keys.live(cluster, node):
            live = True
        elif entry.key == facts + "node":
            fact = decode(NodeFact, entry.value)
        elif entry.key.startswith(facts + "brick/"):
            brick = decode(BrickFact, entry.value)
            bricks[brick.uuid] = brick
        elif entry.key.startswith(facts + "volume/"):
            volume = decode(VolumeFact, entry.value)
            volumes[volume.volume_id] = volume
    probes: dict[str, PathProbe] = {p.path: p for p in answer.probes} if answer else {}
    return ObservedNode(
        node_id=node,
        peer=peer,
        live=live,
        fact=fact,
        answered=answer is not None,
        bricks=bricks,
        volumes=volumes,
        probes=probes,
        ports_in_use=answer.ports_in_use if answer else (),
    )


def ask(store: Store, cluster: ClusterId, paths: Mapping[NodeId, tuple[str, ...]]) -> dict[NodeId, Answer]:
    """Ask nodes to look again and to probe paths; return the answers that came in time.

    Args:
        store: where questions and answers are written; both go with the asker's lease.
        cluster: the cluster.
        paths: for each live node, the paths to probe (may be none).
    """
    question_id = uuid.uuid4().hex[:16]
    lease = store.lease(QUESTION_TTL_S)
    try:
        for node, wanted in paths.items():
            key = keys.ask(cluster, node, question_id)
            question = Question(question=question_id, paths=wanted, lease=lease.lease_id)
            store.commit(Commit(when=(Absent(key),), then=(Put(key, encode(question), lease.lease_id),)))
        answers: dict[NodeId, Answer] = {}
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        while len(answers) < len(paths) and time.monotonic() < deadline:
            for node in paths.keys() - answers.keys():
                entry = store.read(keys.answer(cluster, node, question_id, "all"))
                if entry:
                    answers[node] = decode(Answer, entry.value)
            time.sleep(POLL_S)
        return answers
    finally:
        lease.close()
