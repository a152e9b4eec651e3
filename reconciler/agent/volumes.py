"""The volumes a node holds, and what it serves of them: the volfile server's source.

What is served follows from what is held by the rules in serving.py; this module keeps what is held (on the
disk first, then in memory), looks keys up, renders and caches. Two locks: one orders the changes and may be
held while the disk is flushed; the other guards the memory and is held for moments only, so that a call of
the volfile server never waits for a disk.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from reconciler.agent.answers import Answers
from reconciler.agent.isolation import Generations, KnownGeneration, generations_text
from reconciler.agent.memory import refuse_going_back
from reconciler.agent.serving import (
    GENERATIONS_KEY,
    NEEDED_OP_VERSION,
    DesiredBrick,
    Held,
    brick_key,
    desired_bricks,
    shd_expected,
)
from reconciler.errors import JournalError
from reconciler.model.observed import VolumeFact
from reconciler.ports.staging import Serving, StagedVolume
from reconciler.ports.volfiles import SpecReply, SpecRequest

if TYPE_CHECKING:
    from reconciler.agent.kept import Remembered
    from reconciler.agent.memory import NodeMemory
    from reconciler.agent.portmap import Portmap
    from reconciler.agent.serving import RenderSite
    from reconciler.model.configured import Secret, VolumeRecord
    from reconciler.model.ids import BrickUuid, ClusterId, TxnId, VolumeId


class VolumeTable:
    """Committed and staged volumes of one node. Thread-safe.

    It is the volfile server's VolfileSource and the volume steps' StagingTable. `changed` is called (from
    the thread that made the change, without any lock held) when a volfile that somebody fetched would now be
    another one: time to tell the clients. Becoming unavailable is no such change: clients keep their graph.
    """

    def __init__(
        self,
        cluster: ClusterId,
        site: RenderSite,
        memory: NodeMemory,
        portmap: Portmap,
        *,
        changed: Callable[[], None],
        notified: Callable[[int, int, dict[str, str]], None] = lambda *_: None,
    ) -> None:
        """Make an empty table.

        Args:
            cluster: the cluster it belongs to.
            site: this node, and what its features add to graphs.
            memory: where every change goes before it counts.
            portmap: sign-ins of brick processes.
            changed: called when clients should fetch again.
            notified: takes events of local daemons (connection, operation, values).
        """
        self._cluster, self._node = cluster, site.node
        self._memory = memory
        self._portmap = portmap
        self._changed = changed
        self._notified = notified
        self._changing = threading.RLock()  # orders changes; held during disk writes
        self._lock = threading.RLock()  # guards everything below; never held during disk writes
        self._answers = Answers(site)
        self._servers: tuple[str, ...] = ()
        self._revision = 0
        self._staged_lost: set[VolumeId] = set()
        self._unlisted: set[VolumeId] = set()

    # ------------------------------------------------------------ the node's own state

    def load(self, remembered: Remembered) -> None:
        """Take over what was on the disk. All of it waits until it is confirmed; see `release`."""
        with self._changing:
            self._staged_lost = set(remembered.staged_lost)
            for volume_id in {*remembered.volumes, *remembered.staged}:
                committed, staged = remembered.volumes.get(volume_id), remembered.staged.get(volume_id)
                if staged and committed and staged.record.generation <= committed.generation:
                    self._memory.drop_staged(volume_id)  # a crash between the two writes of a commit
                    staged = None
                secret = remembered.secrets.get(volume_id)
                self._set(volume_id, Held(committed=committed, staged=staged, secret=secret, waiting=True))
            self._know(remembered.cluster.revision, (p.address for p in remembered.cluster.peers))

    def learn(self, revision: int, addresses: Iterable[str]) -> None:
        """Take the peers' addresses, and the store revision up to which everything was given to `commit`.

        A committed volume from this node's disk that still waits is therefore not in the store any more: it
        may have been deleted while this node slept, and goes on waiting until it is committed or removed.
        """
        with self._changing:
            self._know(revision, addresses)
            held = self.volumes().items()
            self._unlisted = {v for v, item in held if item.waiting and item.committed is not None}

    def set_connected(self, connected: bool) -> None:
        """Say whether the store is followed. Call with true only after its content was taken over here."""
        with self._lock:
            news = self._answers.connect(connected)
            waiting = [v for v, held in self._answers.held.items() if held.waiting] if connected else []
        self._announce(news)
        self.release(waiting)

    def release(self, volumes: Iterable[VolumeId]) -> None:
        """Serve and start volumes that were read from the disk: they are confirmed. Idempotent.

        Volumes that the store does not list (see `learn`) go on waiting, and those of which a staged record
        was lost to a damaged file (see `staged_lost`).
        """
        with self._changing:
            announce = [
                self._set(volume_id, replace(held, waiting=False))
                for volume_id in volumes
                if (held := self.held(volume_id)).waiting
                and volume_id not in self._staged_lost | self._unlisted
            ]
        self._announce(any(announce))

    def staged_lost(self) -> frozenset[VolumeId]:
        """Return volumes that wait because what was staged of them was lost to a damaged file.

        Whoever knows how their transaction stands ends the wait: `stage` it again, or `unstage`.
        """
        with self._changing:
            return frozenset(self._staged_lost)

    # ------------------------------------------------------------ committed configuration

    def commit(self, record: VolumeRecord, secret: Secret | None = None) -> None:
        """Take a committed record: it is served from now on, and what was staged up to it is dropped.

        Durable; idempotent. `secret` None keeps the one that is known.

        Raises:
            JournalError: the generation would go back, or one generation would have two contents.
        """
        volume_id = record.volume_id
        with self._changing:
            before = self.held(volume_id)
            if before.committed is not None:
                refuse_going_back(before.committed, record)
            if before.committed != record:
                self._memory.keep_volume(record)
            self._keep_secret(record, secret)
            staged = before.staged
            if staged is not None and staged.record.generation <= record.generation:
                self._memory.drop_staged(volume_id)
                staged = None
            self._unlisted.discard(volume_id)
            if before.committed is None or record.generation > before.committed.generation:
                self._staged_lost.discard(volume_id)  # that transaction is over
            held = Held(
                committed=record,
                staged=staged,
                secret=secret or before.secret,
                waiting=volume_id in self._staged_lost,
            )
            announce = self._set(volume_id, held)
        self._announce(announce)

    def remove(self, volume_id: VolumeId) -> None:
        """Forget a volume that is no longer configured. Durable; idempotent."""
        with self._changing:
            self._memory.drop_volume(volume_id)
            self._staged_lost.discard(volume_id)
            self._unlisted.discard(volume_id)
            self._set(volume_id, None)

    def set_secret(self, volume_id: VolumeId, secret: Secret) -> None:
        """Take a volume's credentials. Durable if the volume has a brick here; idempotent."""
        with self._changing:
            held = self.held(volume_id)
            for record in held.records:
                self._keep_secret(record, secret)
            announce = self._set(volume_id, replace(held, secret=secret)) if held.records else False
        self._announce(announce)

    # ------------------------------------------------------------ StagingTable

    def staged(self, volume_id: VolumeId) -> StagedVolume | None:
        """Return what is staged of a volume."""
        return self.held(volume_id).staged

    def committed(self, volume_id: VolumeId) -> VolumeRecord | None:
        """Return the last committed record of a volume."""
        return self.held(volume_id).committed

    def stage(
        self,
        record: VolumeRecord,
        previous: VolumeRecord | None,
        txn: TxnId,
        secret: Secret | None = None,
    ) -> None:
        """Keep `record` as the next configuration; see the port."""
        with self._changing:
            before = self.held(record.volume_id)
            if before.staged is not None and before.staged.txn != txn:
                raise JournalError(
                    f"volume {record.name}: a configuration of transaction {before.staged.txn} is staged"
                )
            staged = StagedVolume(txn=txn, record=record, previous=previous)
            if before.staged is not None:
                staged = replace(staged, serving=before.staged.serving)
            held = replace(
                before,
                staged=staged,
                secret=secret or before.secret,
                waiting=before.waiting and record.volume_id not in self._staged_lost,
            )
            self._answers.refuse_unrenderable(held)
            if staged != before.staged:
                self._memory.keep_staged(staged)
            self._keep_secret(record, secret)
            self._staged_lost.discard(record.volume_id)
            announce = self._set(record.volume_id, held)
        self._announce(announce)

    def unstage(self, volume_id: VolumeId) -> None:
        """Forget what is staged; see the port."""
        with self._changing:
            held = self.held(volume_id)
            if held.committed is None or not held.committed.on_node(self._node):
                # First: once the staged file is gone nobody comes back for the rest.
                self._memory.drop_secret(volume_id)
            self._memory.drop_staged(volume_id)
            waiting = held.waiting and volume_id not in self._staged_lost
            self._staged_lost.discard(volume_id)
            after = replace(held, staged=None, waiting=waiting) if held.committed else None
            announce = self._set(volume_id, after)
        self._announce(announce)

    def serve(self, volume_id: VolumeId, serving: Serving) -> None:
        """Choose what clients get while something is staged; see the port."""
        with self._changing:
            held = self.held(volume_id)
            if held.staged is None:
                raise JournalError(f"volume {volume_id}: nothing is staged on this node")
            staged = replace(held.staged, serving=serving)
            if staged != held.staged:
                self._memory.keep_staged(staged)
            announce = self._set(volume_id, replace(held, staged=staged))
        self._announce(announce)

    def publish(self, volume_id: VolumeId) -> None:
        """Serve the staged configuration to clients; raises JournalError if there is none."""
        self.serve(volume_id, Serving.STAGED)

    def files(self, volume_id: VolumeId) -> tuple[str, ...]:
        """Return the names of the files in which what is staged of a volume is kept."""
        return self._memory.staging_files(volume_id)

    def client_digest(self, volume_id: VolumeId) -> str:
        """Return the sha256 of the volfile clients get now; empty if they get none."""
        with self._lock:
            return self._answers.client_digest(volume_id)

    # ------------------------------------------------------------ what others ask

    def held(self, volume_id: VolumeId) -> Held:
        """Return what is held of a volume; empty if nothing is."""
        with self._lock:
            return self._answers.held.get(volume_id, Held())

    def volumes(self) -> Mapping[VolumeId, Held]:
        """Return everything held, as of now."""
        with self._lock:
            return dict(self._answers.held)

    def desired_bricks(self) -> tuple[DesiredBrick, ...]:
        """Return the bricks of this node that must be kept running."""
        return tuple(d for held in self.volumes().values() for d in desired_bricks(held, self._node))

    def brick_digest(self, brick: BrickUuid) -> str:
        """Return the sha256 of the volfile last fetched by a brick's process; empty if none was."""
        with self._lock:
            return self._answers.fetched_digest(brick_key(brick))

    def generations(self) -> Generations:
        """Return the committed volumes this node knows; not those that the store does not list any more."""
        with self._lock:
            known = {
                volume_id: KnownGeneration(
                    name=held.committed.name,
                    generation=held.committed.generation,
                    state=held.committed.state,
                )
                for volume_id, held in self._answers.held.items()
                if held.committed is not None and volume_id not in self._unlisted
            }
            return Generations(cluster=self._cluster, revision=self._revision, volumes=known)

    def facts(self, shd_pids: Mapping[VolumeId, int]) -> tuple[VolumeFact, ...]:
        """Return one fact per volume; `shd_pids` are the self-heal daemons that run here."""
        with self._lock:
            held = sorted(self._answers.held.items())
            return tuple(self._fact(v, item, shd_pids.get(v, 0)) for v, item in held)

    def _fact(self, volume_id: VolumeId, held: Held, shd_pid: int) -> VolumeFact:
        digest = self._answers.client_digest(volume_id)
        served = self._answers.client_record(volume_id)
        return VolumeFact(
            volume_id=volume_id,
            generation=(served or held.committed or held.records[0]).generation,
            served=bool(digest),
            client_digest=digest,
            shd_pid=shd_pid,
            shd_expected=shd_expected(held, self._node),
        )

    # ------------------------------------------------------------ VolfileSource

    def getspec(self, request: SpecRequest) -> SpecReply:
        """Return the volfile for a key, errno 2 if there is none, or 95 for a caller that is too old.

        Errno 95 ends even a client that is running, so only a caller that says its version gets it.
        """
        with self._lock:
            if request.key == GENERATIONS_KEY:
                return SpecReply(text=generations_text(self.generations()))
            answer = self._answers.fetch(request.key, trusted=request.trusted)
            if answer is None:
                self._answers.note_refused(request.key, trusted=request.trusted)
                return SpecReply(error=errno.ENOENT)
            if 0 < request.max_op_version < NEEDED_OP_VERSION:
                return SpecReply(error=errno.EOPNOTSUPP)
            self._answers.note_fetched(request.key, answer)
            return SpecReply(text=answer.text, servers=self._servers if request.wants_servers else ())

    def port_of(self, brick: str) -> int:
        """Return the port of the brick with this path, or 0 if it is not running."""
        return self._portmap.port_of(brick)

    def volume_uuid(self, volume: str) -> str:
        """Return the id of a served volume, or an empty string."""
        with self._lock:
            return self._answers.served_id(volume)

    def signed_in(self, connection: int, brick: str, port: int, pid: int) -> None:
        """Record that a brick process listens."""
        self._portmap.sign_in(connection, brick, port, pid)

    def signed_out(self, connection: int, brick: str) -> None:
        """Record that the brick process of this connection is going away."""
        self._portmap.sign_out(connection, brick)

    def disconnected(self, connection: int) -> None:
        """Record that a connection ended."""
        self._portmap.disconnected(connection)

    def notified(self, connection: int, operation: int, values: dict[str, str]) -> None:
        """Pass an event of a local daemon on."""
        self._notified(connection, operation, values)

    # ------------------------------------------------------------ inside

    def _set(self, volume_id: VolumeId, held: Held | None) -> bool:
        with self._lock:
            return self._answers.put(volume_id, held)

    def _know(self, revision: int, addresses: Iterable[str]) -> None:
        with self._lock:
            self._revision = max(revision, self._revision)
            self._servers = tuple(sorted(set(addresses)))

    def _announce(self, news: bool) -> None:
        if news:
            self._changed()

    def _keep_secret(self, record: VolumeRecord, secret: Secret | None) -> None:
        """Keep credentials on the disk only where a brick needs them."""
        if secret is not None and record.on_node(self._node):
            self._memory.keep_secret(record.volume_id, secret)
