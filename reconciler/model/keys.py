"""Every key in the shared store, as functions: nothing else in the program spells one.

Who writes which key, and the budget in keys, watches and idle writes: docs/stored-forms.md.

A function whose name ends in ``_prefix`` returns a prefix that ends with a slash: what a listing or a watch
is given. All others return a whole key. A part that could leave its place in a key (empty, with a slash, a
blank or a control character, or longer than MAX_PART) is a ValueError: names are checked where they enter
the program, so one that comes this far is a bug.

Checked parts are remembered: an engine asks for the keys of every step of its plan at each decision.
"""

from __future__ import annotations

import functools

from reconciler.model.ids import BrickUuid, ClusterId, NodeId, PeerName, StepId, TxnId, VolumeId, VolumeName

ROOT = "/gluster-state/"  #: of everything we ever write
MAX_PART = 255  #: characters in one part of a key

_DIGITS = 6  #: numbers are padded so that keys sort in number order


# ---------------------------------------------------------------- outside any cluster


def claim(cluster_name: str) -> str:
    """Return the key that binds a cluster's name to its id."""
    return f"{ROOT}names/{_part(cluster_name)}"


def claims_prefix() -> str:
    """Return the prefix of all claimed names."""
    return f"{ROOT}names/"


def cluster_prefix(cluster: ClusterId) -> str:
    """Return the prefix of everything of one cluster."""
    return f"{ROOT}{_part(cluster)}/"


# ---------------------------------------------------------------- the lock and the configuration


def lock(cluster: ClusterId) -> str:
    """Return the key whose create-revision is the epoch. Held on a lease."""
    return f"{cluster_prefix(cluster)}lock"


def config_prefix(cluster: ClusterId) -> str:
    """Return the prefix of the configuration; secrets are not below it."""
    return f"{cluster_prefix(cluster)}config/"


def settings(cluster: ClusterId) -> str:
    """Return the key of the cluster-wide settings."""
    return f"{config_prefix(cluster)}settings"


def peers_prefix(cluster: ClusterId) -> str:
    """Return the prefix of all configured peers."""
    return f"{config_prefix(cluster)}peers/"


def peer(cluster: ClusterId, name: PeerName) -> str:
    """Return the key of a configured peer."""
    return f"{peers_prefix(cluster)}{_part(name)}"


def volumes_prefix(cluster: ClusterId) -> str:
    """Return the prefix of all volumes' own records."""
    return f"{config_prefix(cluster)}volumes/"


def volume(cluster: ClusterId, volume_id: VolumeId) -> str:
    """Return the key of a volume's record, without its bricks."""
    return f"{volumes_prefix(cluster)}{_part(volume_id)}"


def all_bricks_prefix(cluster: ClusterId) -> str:
    """Return the prefix of the bricks of all volumes."""
    return f"{config_prefix(cluster)}bricks/"


def bricks_prefix(cluster: ClusterId, volume_id: VolumeId) -> str:
    """Return the prefix of the bricks of one volume."""
    return f"{all_bricks_prefix(cluster)}{_part(volume_id)}/"


def brick(cluster: ClusterId, volume_id: VolumeId, brick_uuid: BrickUuid) -> str:
    """Return the key of one brick's record."""
    return f"{bricks_prefix(cluster, volume_id)}{_part(brick_uuid)}"


def incarnations_prefix(cluster: ClusterId) -> str:
    """Return the prefix of the counters of volumes ever created, by name."""
    return f"{config_prefix(cluster)}incarnations/"


def incarnation(cluster: ClusterId, name: VolumeName) -> str:
    """Return the key of the counter for one volume name."""
    return f"{incarnations_prefix(cluster)}{_part(name)}"


def retained_prefix(cluster: ClusterId) -> str:
    """Return the prefix of deleted volumes whose data stays."""
    return f"{config_prefix(cluster)}retained/"


def retained(cluster: ClusterId, volume_id: VolumeId) -> str:
    """Return the key of one deleted volume whose data stays."""
    return f"{retained_prefix(cluster)}{_part(volume_id)}"


def secrets_prefix(cluster: ClusterId) -> str:
    """Return the prefix of all volumes' credentials: apart, so that access to it can be apart."""
    return f"{cluster_prefix(cluster)}secret/volumes/"


def secret(cluster: ClusterId, volume_id: VolumeId) -> str:
    """Return the key of one volume's credentials."""
    return f"{secrets_prefix(cluster)}{_part(volume_id)}"


# ---------------------------------------------------------------- transactions


def all_txns_prefix(cluster: ClusterId) -> str:
    """Return the prefix of all transactions."""
    return f"{cluster_prefix(cluster)}txn/"


def txn_prefix(cluster: ClusterId, txn: TxnId) -> str:
    """Return the prefix of one transaction."""
    return f"{all_txns_prefix(cluster)}{_part(txn)}/"


def head(cluster: ClusterId, txn: TxnId) -> str:
    """Return the key of a transaction's head."""
    return f"{txn_prefix(cluster, txn)}head"


def plan_prefix(cluster: ClusterId, txn: TxnId) -> str:
    """Return the prefix of a transaction's frozen plan."""
    return f"{txn_prefix(cluster, txn)}plan/"


def plan_chunk(cluster: ClusterId, txn: TxnId, number: int) -> str:
    """Return the key of one chunk of the plan, counted from 0."""
    return f"{plan_prefix(cluster, txn)}{_number(number)}"


def engine_steps_prefix(cluster: ClusterId, txn: TxnId) -> str:
    """Return the prefix of the records of steps that the engine does in the store."""
    return f"{txn_prefix(cluster, txn)}step/"


def engine_step(cluster: ClusterId, txn: TxnId, step: StepId) -> str:
    """Return the key of the record of a step that the engine does in the store."""
    return f"{engine_steps_prefix(cluster, txn)}{_number(step)}"


# ---------------------------------------------------------------- nodes


def nodes_prefix(cluster: ClusterId) -> str:
    """Return the prefix of all nodes."""
    return f"{cluster_prefix(cluster)}node/"


def node_prefix(cluster: ClusterId, node: NodeId) -> str:
    """Return the prefix of one node: what its agent watches, and all that its identity may write."""
    return f"{nodes_prefix(cluster)}{_part(node)}/"


def commands_prefix(cluster: ClusterId, node: NodeId) -> str:
    """Return the prefix of the commands to a node."""
    return f"{node_prefix(cluster, node)}cmd/"


def command(cluster: ClusterId, node: NodeId, txn: TxnId, step: StepId) -> str:
    """Return the key of the command to do or undo a step."""
    return f"{commands_prefix(cluster, node)}{_part(txn)}/{_number(step)}"


def node_steps_prefix(cluster: ClusterId, node: NodeId) -> str:
    """Return the prefix of a node's step records of all transactions."""
    return f"{node_prefix(cluster, node)}step/"


def node_txn_steps_prefix(cluster: ClusterId, node: NodeId, txn: TxnId) -> str:
    """Return the prefix of a node's step records of one transaction."""
    return f"{node_steps_prefix(cluster, node)}{_part(txn)}/"


def node_step(cluster: ClusterId, node: NodeId, txn: TxnId, step: StepId) -> str:
    """Return the key of a node's record of a step."""
    return f"{node_txn_steps_prefix(cluster, node, txn)}{_number(step)}"


def barrier(cluster: ClusterId, node: NodeId) -> str:
    """Return the key of a node's acknowledgement of a phase."""
    return f"{node_prefix(cluster, node)}barrier"


def barrier_request(cluster: ClusterId, node: NodeId) -> str:
    """Return the key by which a node is asked to acknowledge a phase."""
    return f"{node_prefix(cluster, node)}barrier-request"


def doubt(cluster: ClusterId, node: NodeId) -> str:
    """Return the key by which a node says that this store cannot be the one it knows."""
    return f"{node_prefix(cluster, node)}doubt"


def live(cluster: ClusterId, node: NodeId) -> str:
    """Return the key that exists while the node's agent does. Held on a lease."""
    return f"{node_prefix(cluster, node)}live"


def facts_prefix(cluster: ClusterId, node: NodeId) -> str:
    """Return the prefix of what a node reports."""
    return f"{node_prefix(cluster, node)}facts/"


def node_fact(cluster: ClusterId, node: NodeId) -> str:
    """Return the key of what a node reports of itself."""
    return f"{facts_prefix(cluster, node)}node"


def brick_fact(cluster: ClusterId, node: NodeId, brick_uuid: BrickUuid) -> str:
    """Return the key of what a node reports of a brick."""
    return f"{facts_prefix(cluster, node)}brick/{_part(brick_uuid)}"


def volume_fact(cluster: ClusterId, node: NodeId, volume_id: VolumeId) -> str:
    """Return the key of what a node serves of a volume."""
    return f"{facts_prefix(cluster, node)}volume/{_part(volume_id)}"


def asks_prefix(cluster: ClusterId, node: NodeId) -> str:
    """Return the prefix of the questions to a node."""
    return f"{node_prefix(cluster, node)}ask/"


def ask(cluster: ClusterId, node: NodeId, question: str) -> str:
    """Return the key of a question to a node. Held on the asker's lease."""
    return f"{asks_prefix(cluster, node)}{_part(question)}"


def answers_prefix(cluster: ClusterId, node: NodeId, question: str) -> str:
    """Return the prefix of a node's answer to a question."""
    return f"{node_prefix(cluster, node)}answer/{_part(question)}/"


def answer(cluster: ClusterId, node: NodeId, question: str, part: str) -> str:
    """Return the key of one part of a node's answer to a question."""
    return f"{answers_prefix(cluster, node, question)}{_part(part)}"


def joins_prefix(cluster: ClusterId) -> str:
    """Return the prefix of all bindings of peer names to nodes."""
    return f"{cluster_prefix(cluster)}join/"


def join(cluster: ClusterId, name: PeerName) -> str:
    """Return the key that binds a declared peer's name to the node that joined under it."""
    return f"{joins_prefix(cluster)}{_part(name)}"


# ---------------------------------------------------------------- reading keys


def parts_below(prefix: str, key: str) -> tuple[str, ...]:
    """Return the parts of `key` below `prefix`, or an empty tuple if it is not below it.

    ``parts_below("/a/b/", "/a/b/c/d")`` is ``("c", "d")``.
    """
    if not prefix.endswith("/"):
        raise ValueError(f"{prefix!r} is no prefix: it must end with a slash")
    below = key.removeprefix(prefix)
    return tuple(below.split("/")) if key != below and below else ()


@functools.lru_cache(4096)
def _part(text: str) -> str:
    """Return `text` if it is safe as one part of a key."""
    if not 0 < len(text) <= MAX_PART or "/" in text or " " in text or not text.isprintable():
        raise ValueError(f"{text[:60]!r} cannot be part of a key")
    return text


def _number(value: int) -> str:
    if not 0 <= value < 10**_DIGITS:
        raise ValueError(f"{value} cannot be part of a key")
    return f"{value:0{_DIGITS}}"
