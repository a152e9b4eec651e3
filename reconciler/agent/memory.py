"""What a node knows without the store: who it is, the last committed configuration, what is staged.

An agent starts bricks and serves volfiles from this when etcd is gone (design decision 3), so it is kept
one file per volume, each with a digest, and every change is on the disk before its call returns.

Nothing damaged is ever guessed at. A file that cannot be read back is set aside under ``NAME.bad`` and its
volume is *doubtful* until the very file is written or dropped anew from what etcd or a peer says. The node's
id and its phase have no such second source on this disk: there, damage is an error and the agent stays down.

Stored forms: docs/stored-forms.md, "On a node's own disk".
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from reconciler.agent.kept import (
    Binding,
    EndedTransactions,
    KeptVolume,
    KnownCluster,
    KnownStore,
    NodeIdentity,
    Remembered,
    sealed,
    unsealed,
)
from reconciler.errors import JournalError
from reconciler.model.configured import Secret, VolumeRecord
from reconciler.model.ids import NodeId, TxnId, VolumeId, is_uuid
from reconciler.ports.staging import StagedVolume
from reconciler.txn.record import Barrier, Phase

if TYPE_CHECKING:
    from reconciler.ports.local import LocalFiles

MAX_ENDED = 64  #: transactions remembered as ended; older ones are fenced off by the phase alone

_NO_PHASE = Phase(0, 0)  #: below every phase there is: an epoch is a store revision
_BAD = ".bad"

T = TypeVar("T")


class NodeMemory:
    """The durable memory of one node. Thread-safe; every change is on the disk when its call returns.

    All methods raise EnvironmentProblem if the disk refuses.
    """

    def __init__(self, files: LocalFiles) -> None:
        self._files = files
        self._lock = threading.RLock()

    # ------------------------------------------------------------ who this node is

    def node_id(self, make: Callable[[], NodeId]) -> NodeId:
        """Return the node's id, calling `make` for a new one the first time only.

        Raises:
            JournalError: the id was lost or damaged; a new one would be a second node.
        """
        with self._lock:
            known = self._certain("node", NodeIdentity)
            if known is None:
                if self._files.read("binding") is not None:
                    raise JournalError(
                        "this node has joined a cluster and lost its id",
                        hint="Write back the id that the cluster has for this peer; never choose a new one.",
                    )
                known = NodeIdentity(node_id=make())
                self._put("node", known)
            if not is_uuid(known.node_id):
                raise JournalError(f"the node's id {known.node_id!r} is no UUID")
            return known.node_id

    def binding(self) -> Binding | None:
        """Return the cluster and peer name this node is bound to, or None before it joined.

        Raises:
            JournalError: the record is damaged.
        """
        return self._certain("binding", Binding)

    def bind(self, binding: Binding) -> None:
        """Bind the node to a cluster and peer name. Idempotent.

        Raises:
            JournalError: it is bound to another one already; a node's memory serves one cluster for ever.
        """
        with self._lock:
            bound = self.binding()
            if bound is not None and bound != binding:
                raise JournalError(
                    f"this node is peer {bound.peer} of cluster {bound.cluster_name} ({bound.cluster_id})"
                    f" and cannot join {binding.cluster_name} ({binding.cluster_id}) as {binding.peer}",
                    hint="Give the agent a state directory of its own.",
                )
            if bound is None:
                self._put("binding", binding)

    # ------------------------------------------------------------ fencing

    def phase(self) -> Barrier | None:
        """Return the highest phase this node has entered, or None.

        Raises:
            JournalError: the record is damaged: nothing may begin on this node until it is settled.
        """
        return self._certain("barrier", Barrier)

    def enter_phase(self, barrier: Barrier) -> bool:
        """Note that nothing below this phase begins here any more; return false if it is below already.

        Durable before it returns, so that the promise holds after a crash. Idempotent.

        Raises:
            JournalError: the record is damaged.
        """
        with self._lock:
            known = self.phase()
            highest = known.phase if known else _NO_PHASE
            if barrier.phase > highest:
                self._put("barrier", barrier)
            return barrier.phase >= highest

    def note_ended(self, txn: TxnId) -> None:
        """Note that a transaction has ended. Idempotent; only the last MAX_ENDED are remembered."""
        with self._lock:
            known = self._ended()
            if txn not in known:
                self._put("ended", EndedTransactions(txns=(*known, txn)[-MAX_ENDED:]))

    def has_ended(self, txn: TxnId) -> bool:
        """Return true if the transaction is known to have ended."""
        with self._lock:
            return txn in self._ended()

    def _ended(self) -> tuple[TxnId, ...]:
        known = self._certain("ended", EndedTransactions)
        return known.txns if known else ()

    # ------------------------------------------------------------ the store

    def objection(self, identity: str, revision: int, asked: Phase | None) -> str:
        """Return why the store cannot be the one this node knows, as it was or later; empty if it can.

        Args:
            identity: of the store.
            revision: its present one.
            asked: the highest phase that the store asks this node to acknowledge, None if there is none.

        Raises:
            JournalError: a record is damaged.
        """
        with self._lock:
            known, entered = self._certain("store", KnownStore), self.phase()
        if known is not None and known.identity != identity:
            return f"etcd is cluster {identity}, and was {known.identity} before"
        if known is not None and revision < known.revision:
            return f"etcd is at revision {revision}, and was at {known.revision} before"
        if entered is not None and (asked is None or asked < entered.phase):
            return f"etcd does not know phase {entered.phase.epoch}.{entered.phase.direction}, entered here"
        return ""

    def knows_store(self) -> bool:
        """Return true unless the node has never followed a store, or was told to forget which."""
        return self._certain("store", KnownStore) is not None

    def keep_store(self, identity: str, revision: int) -> None:
        """Keep which store is followed and the highest revision seen; a lower one costs no write."""
        with self._lock:
            known = self._certain("store", KnownStore)
            if known is None or known.identity != identity or revision > known.revision:
                self._put("store", KnownStore(identity=identity, revision=revision))

    # ------------------------------------------------------------ configuration

    def recall(self) -> Remembered:
        """Return what is kept of the configuration, setting aside every file that cannot be read back.

        Reads again from the disk each time; meant for the start of an agent.
        """
        with self._lock:
            problems: list[str] = []
            cluster = self._recalled("cluster", KnownCluster, problems) or KnownCluster()
            volumes = self._folder("volumes", KeptVolume, problems)
            staged = self._folder("staged", StagedVolume, problems)
            secrets = self._folder("secrets", Secret, problems)
            for volume_id, kept in list(volumes.items()):
                if kept.record.volume_id != volume_id:
                    problems.append(self._aside(f"volumes/{volume_id}", "it is about another volume"))
                    del volumes[volume_id]
            for volume_id, item in list(staged.items()):
                if item.record.volume_id != volume_id:
                    problems.append(self._aside(f"staged/{volume_id}", "it is about another volume"))
                    del staged[volume_id]
            return Remembered(
                cluster=cluster,
                volumes={volume_id: kept.record for volume_id, kept in volumes.items()},
                staged=staged,
                secrets=secrets,
                doubtful=self._set_aside("volumes", "staged", "secrets"),
                staged_lost=self._set_aside("staged"),
                problems=tuple(problems),
            )

    def keep_cluster(self, known: KnownCluster) -> None:
        """Keep settings, peers and the revision up to which everything is known. Unchanged: no write.

        Raises:
            JournalError: the revision is lower than one seen before: the store was reset or restored.
        """
        with self._lock:
            problems: list[str] = []
            before = self._recalled("cluster", KnownCluster, problems)
            if before is not None and known.revision < before.revision:
                raise JournalError(
                    f"the store is at revision {known.revision}, and was at {before.revision} before",
                    hint="The store was reset or restored from a backup; settle that first.",
                )
            if before != known:
                self._put("cluster", known)

    def keep_volume(self, record: VolumeRecord) -> None:
        """Keep a committed volume. The same record again costs no write.

        Raises:
            JournalError: a higher generation is kept already, or another record of this one.
        """
        with self._lock:
            name = f"volumes/{record.volume_id}"
            before = self._recalled(name, KeptVolume, [])
            if before is not None:
                refuse_going_back(before.record, record)
            if before is None or before.record != record:
                self._put(name, KeptVolume(record=record))
            self._files.remove(name + _BAD)

    def drop_volume(self, volume_id: VolumeId) -> None:
        """Forget a volume that is no longer configured, with everything staged and secret. Idempotent."""
        with self._lock:
            for folder in ("staged", "volumes", "secrets"):  # a crash in between leaves no staged orphan
                self._drop(f"{folder}/{volume_id}")

    def keep_staged(self, staged: StagedVolume) -> None:
        """Keep what is staged of a volume, in place of what was."""
        with self._lock:
            name = f"staged/{staged.record.volume_id}"
            self._put(name, staged)
            self._files.remove(name + _BAD)

    def drop_staged(self, volume_id: VolumeId) -> None:
        """Forget what is staged of a volume. Idempotent."""
        with self._lock:
            self._drop(f"staged/{volume_id}")

    def keep_secret(self, volume_id: VolumeId, secret: Secret) -> None:
        """Keep a volume's credentials (the file is 0600, as all are). The same again costs no write."""
        with self._lock:
            name = f"secrets/{volume_id}"
            if self._recalled(name, Secret, []) != secret:
                self._put(name, secret)
            self._files.remove(name + _BAD)

    def drop_secret(self, volume_id: VolumeId) -> None:
        """Forget a volume's credentials. Idempotent."""
        with self._lock:
            self._drop(f"secrets/{volume_id}")

    @staticmethod
    def staging_files(volume_id: VolumeId) -> tuple[str, ...]:
        """Return the names of the files that `keep_staged` and `keep_secret` write."""
        return (f"staged/{volume_id}", f"secrets/{volume_id}")

    def _set_aside(self, *folders: str) -> frozenset[VolumeId]:
        names = (name for folder in folders for name in self._files.names(folder))
        return frozenset(
            VolumeId(name.partition("/")[2].removesuffix(_BAD)) for name in names if name.endswith(_BAD)
        )

    # ------------------------------------------------------------ files

    def _folder(self, folder: str, cls: type[T], problems: list[str]) -> dict[VolumeId, T]:
        found: dict[VolumeId, T] = {}
        for name in self._files.names(folder):
            volume_id = name.partition("/")[2]
            if is_uuid(volume_id) and (value := self._recalled(name, cls, problems)) is not None:
                found[VolumeId(volume_id)] = value
        return found

    def _recalled(self, name: str, cls: type[T], problems: list[str]) -> T | None:
        """Return a file's value; set a damaged file aside, note it in `problems` and return None."""
        try:
            return self._certain(name, cls)
        except JournalError as exc:
            problems.append(self._aside(name, exc.message))
            return None

    def _aside(self, name: str, reason: str) -> str:
        return f"{name} cannot be used and was set aside as {self._files.set_aside(name)}: {reason}"

    def _certain(self, name: str, cls: type[T]) -> T | None:
        text = self._files.read(name)
        return None if text is None else unsealed(cls, text)

    def _put(self, name: str, value: object) -> None:
        self._files.write(name, sealed(value))

    def _drop(self, name: str) -> None:
        self._files.remove(name)
        self._files.remove(name + _BAD)


def refuse_going_back(before: VolumeRecord, after: VolumeRecord) -> None:
    """Raise JournalError if `after` cannot be the committed successor of `before`.

    Generations only grow, and one generation has one content.
    """
    same_but_different = after.generation == before.generation and after != before
    if after.generation < before.generation or same_but_different:
        raise JournalError(
            f"volume {after.name}: generation {after.generation} cannot follow generation {before.generation}"
            + (" of other content" if same_but_different else ""),
            hint="The store was reset or restored from a backup, or somebody wrote to it.",
        )
