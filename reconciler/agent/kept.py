"""What a node keeps on its own disk, and the form of its files. Pure values.

A file says which form it has, in which version, and the digest of its content, so that a damaged file or
one of another program version is told from a good one before anything is believed of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeVar

from reconciler.errors import JournalError
from reconciler.model import codec
from reconciler.model.configured import PeerRecord, Secret, Settings, VolumeRecord
from reconciler.model.ids import ClusterId, NodeId, PeerName, TxnId, VolumeId
from reconciler.ports.staging import StagedVolume
from reconciler.txn.record import Barrier


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeIdentity:
    """Who this node is. Made once."""

    node_id: NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """The cluster this node belongs to, and the peer name it joined under."""

    cluster_id: ClusterId
    cluster_name: str
    peer: PeerName


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCluster:
    """What is committed besides the volumes, and the store revision up to which everything here is known."""

    revision: int = 0
    settings: Settings = field(default_factory=Settings)
    peers: tuple[PeerRecord, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownStore:
    """Which store this node follows, and the highest revision it has seen of it."""

    identity: str
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptVolume:
    """A committed volume."""

    record: VolumeRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedTransactions:
    """Transactions of which nothing may begin any more, oldest first."""

    txns: tuple[TxnId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """Everything about volumes that could be read back.

    Attributes:
        doubtful: volumes of which a file was set aside: not to be started or served from here.
        staged_lost: those among them that had something staged: even the committed record may not be served
            before somebody knows how that transaction stands.
        problems: what was set aside now, in words.
    """

    cluster: KnownCluster = field(default_factory=KnownCluster)
    volumes: Mapping[VolumeId, VolumeRecord] = field(default_factory=dict)
    staged: Mapping[VolumeId, StagedVolume] = field(default_factory=dict)
    secrets: Mapping[VolumeId, Secret] = field(default_factory=dict)
    doubtful: frozenset[VolumeId] = frozenset()
    staged_lost: frozenset[VolumeId] = frozenset()
    problems: tuple[str, ...] = ()


#: Version of each file's form, and of the stored records inside it.
_FORMS: Mapping[type, tuple[int, tuple[str, ...]]] = MappingProxyType(
    {
        NodeIdentity: (1, ()),
        Binding: (1, ()),
        KnownCluster: (1, ("Settings", "PeerRecord")),
        KnownStore: (1, ()),
        KeptVolume: (1, ("VolumeRecord", "BrickRecord")),
        StagedVolume: (1, ("VolumeRecord", "BrickRecord")),
        Secret: (1, ("Secret",)),
        Barrier: (1, ("Barrier",)),
        EndedTransactions: (1, ()),
    }
)

T = TypeVar("T")


def sealed(value: object) -> str:
    """Return the text of a file: form, versions, digest and the value."""
    body = codec.to_json(value)
    return codec.canonical({"body": body, **_envelope(type(value)), "sha256": _digest(body)}) + "\n"


def unsealed(cls: type[T], text: str) -> T:
    """Return the value in a file's text.

    Raises:
        JournalError: it is damaged, of another form, or of a version this program does not know.
    """
    plain = codec.parse(text)
    if not isinstance(plain, dict):
        raise JournalError("it holds no object")
    envelope = _envelope(cls)
    found = {key: plain.get(key) for key in envelope}
    if found != envelope:
        raise JournalError(
            f"its form is {codec.canonical(found)}, this program knows {codec.canonical(envelope)}"
        )
    body = plain.get("body")
    if plain.get("sha256") != _digest(body):
        raise JournalError("its digest does not match its content")
    return codec.from_json(cls, body)


def _envelope(cls: type) -> dict[str, codec.Json]:
    version, inside = _FORMS[cls]
    return {"form": cls.__name__, "v": [version, *(codec.VERSIONS[name] for name in inside)]}


def _digest(body: codec.Json) -> str:
    return hashlib.sha256(codec.canonical(body).encode()).hexdigest()
