"""What the engine knows of the store: the cluster's entries, kept up to date by a watch.

Facts and questions are left out: a transaction is decided from its records alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from reconciler.errors import JournalError
from reconciler.model import keys
from reconciler.model.codec import decode
from reconciler.model.ids import ClusterId, NodeId, StepId, TxnId
from reconciler.plan.step import Plan, Step
from reconciler.ports.store import Change, Entry, Snapshot
from reconciler.txn.machine import TxnState
from reconciler.txn.record import Barrier, Command, Head, Phase, StepRecord

_IGNORED = re.compile(r"/node/[^/]+/(facts|ask|answer)/")


@dataclass(slots=True)
class Mirror:
    """Entries of one cluster by key. `revision` is that of the newest thing heard."""

    cluster: ClusterId
    entries: dict[str, Entry] = field(default_factory=dict)
    revision: int = 0

    def load(self, snapshot: Snapshot) -> None:
        """Take a listing in place of everything known."""
        self.entries = {e.key: e for e in snapshot.entries if not _IGNORED.search(e.key)}
        self.revision = max(self.revision, snapshot.revision)

    def take(self, changes: Iterable[Change], revision: int) -> bool:
        """Take changes from a watch; return true if any of them matters."""
        mattered = False
        for change in changes:
            known = self.entries.get(change.key)
            if _IGNORED.search(change.key) or (known and known.mod_revision > change.mod_revision):
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
        entry = self.entries.get(keys.head(self.cluster, txn))
        return decode(Head, entry.value) if entry else None

    def epoch(self) -> int:
        """Return the create-revision of the lock, or 0 if nobody holds it."""
        entry = self.entries.get(keys.lock(self.cluster))
        return entry.create_revision if entry else 0

    def live(self, node: NodeId) -> bool:
        """Return true while the node's agent holds its lease."""
        return keys.live(self.cluster, node) in self.entries

    def step_key(self, txn: TxnId, step: Step) -> str:
        """Return the key of a step's record."""
        if step.node is None:
            return keys.engine_step(self.cluster, txn, step.step_id)
        return keys.node_step(self.cluster, step.node, txn, step.step_id)

    def state(self, plan: Plan, head: Head, *, dead: frozenset[NodeId], stopping: bool) -> TxnState:
        """Return the transaction as the machine wants it.

        Raises JournalError for a record that belongs to no step of the plan or cannot be read.
        """
        records: dict[StepId, StepRecord] = {}
        dispatched: dict[StepId, tuple[Phase, int]] = {}
        barriers: dict[NodeId, Phase] = {}
        for step in plan.steps:
            entry = self.entries.get(self.step_key(head.txn, step))
            if entry:
                record = decode(StepRecord, entry.value)
                if record.step != step.step_id:
                    raise JournalError(f"the record under {entry.key} is about step {record.step}")
                records[step.step_id] = record
            if step.node is None:
                continue
            entry = self.entries.get(keys.command(self.cluster, step.node, head.txn, step.step_id))
            if entry:
                command = decode(Command, entry.value)
                dispatched[step.step_id] = (command.phase, command.attempt)
            entry = self.entries.get(keys.barrier(self.cluster, step.node))
            if entry and step.node not in barriers:
                barriers[step.node] = decode(Barrier, entry.value).phase
        return TxnState(
            steps=plan.steps,
            head=head,
            records=records,
            dispatched=dispatched,
            barriers=barriers,
            dead=dead,
            stopping=stopping,
        )
