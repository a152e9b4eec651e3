"""What a node reports: which facts must be written to the store now, and which may wait. Pure.

Writing costs the whole cluster (every write is replicated and flushed by all of etcd), so a fact is written
when something about it that matters has changed, numbers that always move (free space, entries to heal) only
now and then, and nothing at all while nothing changes. Every write is guarded by the node's own live key:
an agent whose lease is gone, or a second one with the same id, writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from reconciler.errors import JournalError
from reconciler.model import codec, keys
from reconciler.model.observed import BrickFact, NodeFact, VolumeFact
from reconciler.ports.store import MAX_OPS, Commit, CreatedAt, Delete, Put

if TYPE_CHECKING:
    from reconciler.model.ids import ClusterId, NodeId
    from reconciler.ports.store import Entry

REFRESH_S = 60.0  #: numbers that always move are written at most this often, all together

Fact = NodeFact | BrickFact | VolumeFact


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything a node has to say at one moment; complete: what is missing is withdrawn from the store."""

    node: NodeFact
    bricks: tuple[BrickFact, ...] = ()
    volumes: tuple[VolumeFact, ...] = ()


class FactBook:
    """What the store holds of a node's facts, and what a new report changes about that. Not thread-safe."""

    def __init__(self, cluster: ClusterId, node: NodeId) -> None:
        self._cluster = cluster
        self._node = node
        self._written: dict[str, Fact | None] = {}  # None: something that this program does not read
        self._refreshed_at = 0.0

    def load(self, entries: Iterable[Entry], now: float) -> None:
        """Take over what the store holds under the node's facts, after each (re)connection.

        Args:
            entries: everything under `keys.facts_prefix`.
            now: monotonic seconds.
        """
        self._written = {entry.key: self._read(entry) for entry in entries}
        self._refreshed_at = now

    def writes(self, report: Report, live_revision: int, now: float) -> tuple[Commit, ...]:
        """Return the transactions that bring the store up to date; none if nothing has changed.

        Args:
            report: what the node says now.
            live_revision: create-revision of the node's live key.
            now: monotonic seconds.
        """
        facts = self._by_key(report)
        refresh = now - self._refreshed_at >= REFRESH_S
        if refresh:
            self._refreshed_at = now
        operations: list[Put | Delete] = [
            Put(key, codec.encode(fact)) for key, fact in facts.items() if self._is_due(key, fact, refresh)
        ]
        operations += [Delete(key) for key in sorted(self._written.keys() - facts.keys())]
        guard = (CreatedAt(keys.live(self._cluster, self._node), live_revision),)
        return tuple(
            Commit(when=guard, then=tuple(operations[at : at + MAX_OPS]))
            for at in range(0, len(operations), MAX_OPS)
        )

    def note_written(self, commit: Commit) -> None:
        """Take note that a transaction of `writes` succeeded. After any other outcome, `load` again."""
        for operation in commit.then:
            if isinstance(operation, Delete):
                self._written.pop(operation.key, None)
            else:
                self._written[operation.key] = codec.decode(self._class_of(operation.key), operation.value)

    def _is_due(self, key: str, fact: Fact, refresh: bool) -> bool:
        known = self._written.get(key)
        if known is None or what_matters(known) != what_matters(fact):
            return True
        return refresh and known != fact

    def _by_key(self, report: Report) -> Mapping[str, Fact]:
        facts: dict[str, Fact] = {keys.node_fact(self._cluster, self._node): report.node}
        for brick in report.bricks:
            facts[keys.brick_fact(self._cluster, self._node, brick.uuid)] = brick
        for volume in report.volumes:
            facts[keys.volume_fact(self._cluster, self._node, volume.volume_id)] = volume
        return facts

    def _read(self, entry: Entry) -> Fact | None:
        try:
            return codec.decode(self._class_of(entry.key), entry.value)
        except JournalError:
            return None  # of an older or newer agent: written anew, or withdrawn

    def _class_of(self, key: str) -> type[Fact]:
        kind, *rest = keys.parts_below(keys.facts_prefix(self._cluster, self._node), key) or ("",)
        classes: Mapping[tuple[str, int], type[Fact]] = {
            ("node", 0): NodeFact,
            ("brick", 1): BrickFact,
            ("volume", 1): VolumeFact,
        }
        known = classes.get((kind, len(rest)))
        if known is None:
            raise JournalError(f"{key} is no key of a fact")
        return known


def what_matters(fact: Fact) -> Fact:
    """Return the fact without the numbers that always move.

    That there is anything to heal matters at once, how much does not; free space does not, since whoever
    decides by it asks the node.
    """
    if isinstance(fact, NodeFact):
        return replace(fact, mounts=tuple(replace(mount, free_bytes=0) for mount in fact.mounts))
    if isinstance(fact, BrickFact):
        pending = None if fact.heal_pending is None else min(fact.heal_pending, 1)
        return replace(fact, free_bytes=0, heal_pending=pending)
    return fact
