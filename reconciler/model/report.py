"""What passes between the command line and a session with a cluster. Pure values.

`Connection` goes in; `ProgressEvent`, `ApplyResult`, `ClusterStatus` and `TxnSummary` come out. They are
also the JSON of ``-o json`` (field by field, through model/codec.py), so a field's name is a promise.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from reconciler.model.ids import Address, ClusterId, NodeId, PeerName, StepId, TxnId, VolumeId, VolumeName
from reconciler.model.observed import BrickState
from reconciler.model.volume import VolumeState


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """How to reach a cluster.

    Attributes:
        endpoints: of etcd, as ``http://HOST:PORT`` or ``https://HOST:PORT``.
        cluster: the cluster's name; its UUID is looked up in etcd.
        ca_file, cert_file, key_file: PEM files; empty without TLS.
        timeout_s: for each call to etcd.
    """

    endpoints: tuple[str, ...]
    cluster: str
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    timeout_s: float = 5.0


class ProgressKind(Enum):
    """What a progress event tells."""

    NOTE = "note"  #: a sentence, about no step
    STARTED = "started"
    WAITING = "waiting"  #: still going on; `text` says what it waits for
    DONE = "done"
    FAILED = "failed"
    ROLLING_BACK = "rolling-back"  #: the turn; `text` says why
    UNDO_STARTED = "undo-started"
    UNDONE = "undone"
    UNDO_FAILED = "undo-failed"
    PASSED = "passed-over"  #: left out for good: its node is gone and the step is dispensable


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressEvent:
    """One thing that happened in an apply (or an observation), in order.

    Attributes:
        step, total: which step of how many; None and 0 if the event is about no step.
        op: kind of the step, such as ``brick.start``.
        title: what the step does, in words.
        peer: where; None for a step in the store.
        text: facts, reason or error.
        seconds: how long the step has taken so far (monotonic).
    """

    kind: ProgressKind
    step: StepId | None = None
    total: int = 0
    op: str = ""
    address: Address | None = None
    title: str = ""
    peer: PeerName | None = None
    text: str = ""
    seconds: float = 0.0


class Outcome(Enum):
    """How an apply ended."""

    NOTHING = "nothing-to-do"
    COMMITTED = "committed"
    ROLLED_BACK = "rolled-back"
    PARTLY = "partly-committed"  #: some parts committed, the others rolled back
    STUCK = "stuck"  #: neither all nor nothing: a human decides
    STOPPED = "stopped"  #: by the user at a checkpoint; resumable
    PAUSED = "paused"  #: by a gate that timed out; resumable
    HANDED_OVER = "handed-over"  #: our lease ended; another process continues


class PartState(Enum):
    """Where a part of a transaction stands."""

    OPEN = "open"
    COMMITTED = "committed"
    ROLLED_BACK = "rolled-back"
    STUCK = "stuck"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartReport:
    """A part of a plan: what stands or falls together.

    Attributes:
        part: its number in the plan's steps.
        address: the volume it is about; ``cluster`` for peers and settings, or for a plan of one part.
        reason: why it did not commit, or why it is stuck.
    """

    part: int
    address: Address
    state: PartState
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyResult:
    """The end of an apply.

    Attributes:
        exit_code: gitops 3.8 and design 5.12, such as 0, 5, 6, 12.
        message: one sentence: what is now true of the cluster.
        converged: whether planning again gave nothing; None if that was not asked or not possible.
        remaining: what was still different after a commit, one line each.
        decisions: for STUCK and the resumable ends: ``(words, command)`` pairs, the ways on.
        seconds: from the first step to the end.
        parts: where each part of the plan stands, in order; empty if it is not known.
    """

    outcome: Outcome
    txn: TxnId | None
    exit_code: int
    message: str
    converged: bool | None = None
    remaining: tuple[str, ...] = ()
    decisions: tuple[tuple[str, str], ...] = ()
    seconds: float = 0.0
    parts: tuple[PartReport, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """A peer and the agent that runs there. `live` is true while the agent's lease is.

    `configured` is false for an agent that has joined as a peer which no apply has taken in yet.
    """

    peer: PeerName
    node_id: NodeId
    address: str
    live: bool
    zone: str = ""
    agent_version: str = ""
    gluster_version: str = ""
    configured: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class BrickStatus:
    """A configured brick. `state` is None when its node says nothing: unknown is not the same as down.

    `heal_pending` counts entries that wait for heal; None if it is not known. Space is 0 if not known.
    """

    address: Address
    peer: PeerName
    path: str
    state: BrickState | None
    problem: str = ""
    pid: int = 0
    port: int = 0
    heal_pending: int | None = None
    size_bytes: int = 0
    free_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonStatus:
    """A service daemon of a volume on one node. `pid` 0: it does not run; None: not known."""

    kind: str
    peer: PeerName
    expected: bool
    pid: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeStatus:
    """A configured volume as it is.

    Attributes:
        shape: in words, as ``2 x (replicate 3)``.
        heal_pending: sum over the bricks; None if that of any brick that matters is not known.
    """

    name: VolumeName
    volume_id: VolumeId
    shape: str
    state: VolumeState
    generation: int
    bricks: tuple[BrickStatus, ...]
    daemons: tuple[DaemonStatus, ...] = ()
    heal_pending: int | None = None

    @property
    def bricks_up(self) -> int:
        """Return how many bricks are known to run."""
        return sum(brick.state is BrickState.RUNNING for brick in self.bricks)


@dataclass(frozen=True, slots=True, kw_only=True)
class TxnStep:
    """One step of a transaction as its journal has it. `mark` is empty if nobody has touched it."""

    step: StepId
    op: str
    address: Address
    title: str
    peer: PeerName | None = None
    mark: str = ""
    attempt: int = 0
    error: str = ""
    hint: str = ""
    at: int = 0
    part: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TxnSummary:
    """A transaction.

    Attributes:
        state: of its head: running, rolling-back, paused, committed, rolled-back, partly-committed, stuck.
        steps, parts: filled only where one transaction was asked for.
        done, total: how many of its steps stand as they should at the end of its direction.
        plan: the plan it runs, by id and digest.
        started_at, updated_at: wall-clock seconds.
    """

    txn: TxnId
    state: str
    plan_id: str
    plan_digest: str
    holder: str
    started_at: int
    updated_at: int
    attempts: int = 1
    summary: str = ""
    reason: str = ""
    done: int = 0
    total: int = 0
    steps: tuple[TxnStep, ...] = ()
    parts: tuple[PartReport, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterStatus:
    """What is known of a cluster at one revision.

    Attributes:
        lock_holder: who applies at the moment; empty if nobody.
        unobserved: configured peers that said nothing.
        doubts: why nodes say that etcd is another, or older, than they know it; nothing is applied then.
    """

    cluster_id: ClusterId
    name: str
    revision: int
    nodes: tuple[NodeStatus, ...]
    volumes: tuple[VolumeStatus, ...]
    open_txn: TxnSummary | None = None
    lock_holder: str = ""
    unobserved: tuple[PeerName, ...] = ()
    doubts: tuple[str, ...] = ()
