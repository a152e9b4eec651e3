"""What a node may start without the store: the decision, and how peers tell what they know. Pure.

A node that was down while its brick was removed must not serve that brick again, and without etcd only
its peers can tell. So it asks their volfile servers for the generations they know and starts what none of
them knows better (design decision 3). One answer is enough: every agent that sees the store keeps all
volumes' generations. The answer also carries the store revision up to which the peer knows everything:
a volume that such a peer does not list, at a revision not below ours, has been removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reconciler.errors import JournalError, WireError
from reconciler.model import codec
from reconciler.model.cluster import IsolatedStart
from reconciler.model.ids import ClusterId, VolumeId, VolumeName
from reconciler.model.volume import VolumeState

if TYPE_CHECKING:
    from reconciler.model.configured import VolumeRecord

MAX_ANSWER = 16 * 1024 * 1024  #: characters; about 100,000 volumes


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownGeneration:
    """One volume in a peer's answer."""

    name: VolumeName
    generation: int
    state: VolumeState


@dataclass(frozen=True, slots=True, kw_only=True)
class Generations:
    """The committed volumes a node knows, up to a revision of the store."""

    cluster: ClusterId
    revision: int
    volumes: Mapping[VolumeId, KnownGeneration] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalVolume:
    """A volume on this node's disk.

    Attributes:
        staged: a transaction was under way when the store was last seen.
        doubtful: a file of it was damaged.
    """

    record: VolumeRecord
    staged: bool = False
    doubtful: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a volume's bricks may be started and its volfiles served, and why, in words."""

    volume_id: VolumeId
    start: bool
    reason: str


def decide(
    own: Generations,
    volumes: Iterable[LocalVolume],
    answers: Mapping[str, Generations | None],
    policy: IsolatedStart,
) -> tuple[Verdict, ...]:
    """Return a verdict for each volume, sorted by its name.

    Args:
        own: what this node's disk knows: its cluster and revision count.
        volumes: the volumes on this node's disk.
        answers: by peer's address; None for a peer that did not answer. This node is not among them.
        policy: what to do when no peer answers at all.
    """
    heard = {at: said for at, said in answers.items() if said is not None and said.cluster == own.cluster}
    return tuple(
        _verdict(volume, own, heard, policy)
        for volume in sorted(volumes, key=lambda v: (v.record.name, v.record.volume_id))
    )


def _verdict(
    local: LocalVolume, own: Generations, heard: Mapping[str, Generations], policy: IsolatedStart
) -> Verdict:
    record = local.record
    reason = _obstacle(local) or next(
        (text for at, said in sorted(heard.items()) if (text := _objection(record, own, at, said))), ""
    )
    if reason:
        return Verdict(volume_id=record.volume_id, start=False, reason=reason)
    if heard:
        count = f"{len(heard)} peer" + ("s" if len(heard) > 1 else "")
        reason = f"{count} answered, none knows a newer generation than {record.generation}"
        return Verdict(volume_id=record.volume_id, start=True, reason=reason)
    start = policy is IsolatedStart.START
    reason = f"neither etcd nor any peer answers, and spec.isolatedStart is {policy.value}"
    return Verdict(volume_id=record.volume_id, start=start, reason=reason)


def _obstacle(local: LocalVolume) -> str:
    """Return why the volume must wait for etcd whatever the peers say."""
    if local.doubtful:
        return "a file of the volume in the agent's state directory was damaged"
    if local.staged:
        return "a transaction on it was under way, and only etcd knows how it ended"
    return ""


def _objection(record: VolumeRecord, own: Generations, at: str, said: Generations) -> str:
    """Return why a peer's answer speaks against a start."""
    known = said.volumes.get(record.volume_id)
    if known is None:
        removed = said.revision >= own.revision
        return f"{at} knows that the volume was removed (revision {said.revision})" if removed else ""
    if known.generation > record.generation:
        return f"{at} knows generation {known.generation}, this node only {record.generation}"
    return ""


# ---------------------------------------------------------------- the answer's text


def generations_text(known: Generations) -> str:
    """Return the answer to a peer that asks what this node knows."""
    return codec.canonical(codec.to_json(known))


def parse_generations(text: str) -> Generations:
    """Return what a peer answered.

    Raises:
        WireError: it is not such an answer; the peer counts as silent.
    """
    if len(text) > MAX_ANSWER:
        raise WireError(f"the answer has {len(text)} characters, more than {MAX_ANSWER}")
    try:
        return codec.from_json(Generations, codec.parse(text))
    except JournalError as exc:
        raise WireError(f"not an answer about generations: {exc.message}") from exc
