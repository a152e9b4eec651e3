"""What the engine knows of the store: the cluster's entries, kept up to date by a watch.

Facts and questions are left out: a transaction is decided from its records alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

from reconciler.errors import JournalError
from reconciler.model import keys
from reconciler.model.cluster import OnCrash
from reconciler.model.codec import decode
from reconciler.model.ids import ClusterId, NodeId, StepId, TxnId
from reconciler.plan.step import Plan, Step
from reconciler.ports.store import Change, Entry, Snapshot
from reconciler.txn.record import Barrier, Command, Head, Phase, StepRecord
from reconciler.txn.state import PARALLEL, TxnState

T = TypeVar("T")
_IGNORED = re.compile(r"/node/[^/]+/(facts|ask|answer)/")


@dataclass(slots=True)
class Mirror:
    """Entries of one cluster by key. `revision` is that of the newest thing heard."""

    cluster: ClusterId
    entries: dict[str, Entry] = field(default_factory=dict)
    revision: int = 0
    _decoded: dict[str, tuple[int, object]] = field(default_factory=dict)  #: by key: revision and record

    def load(self, snapshot: Snapshot) -> None:
        """Take a listing in place of everything known."""
        self.entries = {e.key: e for e in snapshot.entries if not _IGNORED.search(e.key)}
        self.revision = max(self.revision, snapshot.revision)

    def take(self, changes: Iterable[Change], revision: int) -> bool:
        """Take changes from a watch; return true if any of them matters.

        What a listing has shown already is passed over: a watch that lags behind it must not bring back a
        key that was deleted in between.
        """
        mattered = False
        for change in changes:
            if _IGNORED.search(change.key) or change.mod_revision <= self.revision:
                continue
            mattered = True
            if change.value is None:
                self.entries.pop(change.key, None)
            else:
                self.entries[change.key] = change.as_entry()
        self.revision = max(self.revision, revision)
        return mattered

    def modified(self, key: str) -> int:
        """Return the revision of a key's last modification, or 0 if it is absent."""
        entry = self.entries.get(key)
        return entry.mod_revision if entry else 0

    def head(self, txn: TxnId) -> Head | None:
        """Return the head of a transaction."""
        return self._record(Head, keys.head(self.cluster, txn))

    def epoch(self) -> int:
        """Return the create-revision of the lock, or 0 if nobody holds it."""
        entry = self.entries.get(keys.lock(self.cluster))
        return entry.create_revision if entry else 0

    def live(self, node: NodeId) -> bool:
        """Return true while the node's agent holds its lease."""
        return keys.live(self.cluster, node) in self.entries

    def step_key(self, txn: TxnId, step: Step) -> str:
        """Return the key of a step's record."""
        return _places(self.cluster, txn, step.node, step.step_id)[0]

    def state(
        self,
        plan: Plan,
        head: Head,
        *,
        dead: frozenset[NodeId] = frozenset(),
        stopping: bool = False,
        parallel: int = PARALLEL,
    ) -> TxnState:
        """Return the transaction as the machine wants it; one taken up anew (`head.attempts`) is an orphan.

        Raises JournalError for a record that belongs to no step of the plan or cannot be read.
        """
        records: dict[StepId, StepRecord] = {}
        dispatched: dict[StepId, tuple[Phase, int]] = {}
        barriers: dict[NodeId, Phase] = {}
        for step in plan.steps:
            key, command_key = _places(self.cluster, head.txn, step.node, step.step_id)
            if (record := self._record(StepRecord, key)) is not None:
                if record.step != step.step_id:
                    raise JournalError(f"the record under {key} is about step {record.step}")
                records[step.step_id] = record
            if step.node is None:
                continue
            command = self._record(Command, command_key)
            if command is not None:
                dispatched[step.step_id] = (command.phase, command.attempt)
            if step.node not in barriers:
                answer = self._record(Barrier, keys.barrier(self.cluster, step.node))
                barriers[step.node] = answer.phase if answer else Phase(0, 0)
        return TxnState(
            steps=plan.steps,
            head=head,
            records=records,
            dispatched=dispatched,
            barriers=barriers,
            dead=dead,
            stopping=stopping,
            rollback=plan.rollback,
            orphaned=plan.on_crash is OnCrash.ROLLBACK and head.attempts > 1,
            parallel=parallel,
        )

    def _record(self, cls: type[T], key: str) -> T | None:
        """Return the record under a key, decoded once for each of its revisions."""
        entry = self.entries.get(key)
        if entry is None:
            return None
        known = self._decoded.get(key)
        if known is None or known[0] != entry.mod_revision:
            known = (entry.mod_revision, decode(cls, entry.value))
            self._decoded[key] = known
        assert isinstance(known[1], cls)
        return known[1]


@lru_cache(maxsize=20_000)
def _places(cluster: ClusterId, txn: TxnId, node: NodeId | None, step: StepId) -> tuple[str, str]:
    """Return the keys of a step's record and of its command; a store step has no command."""
    if node is None:
        return keys.engine_step(cluster, txn, step), ""
    return keys.node_step(cluster, node, txn, step), keys.command(cluster, node, txn, step)
