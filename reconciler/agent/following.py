"""Follow the committed configuration in the store: what agreed records change on this node.

Absence removes nothing. A volume leaves a node only when the store says that it was deleted.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from reconciler.agent.kept import KnownCluster
from reconciler.errors import JournalError
from reconciler.model import keys
from reconciler.model.codec import decode
from reconciler.model.configured import ConfiguredCluster, Secret
from reconciler.observe import configured_in
from reconciler.ports.store import Change, Entry, Snapshot

if TYPE_CHECKING:
    from reconciler.agent.node import NodeParts
    from reconciler.model.ids import ClusterId, VolumeId

LOG = logging.getLogger("gluster-state.agent")


class Follower:
    """Keeps a node's table at the committed configuration. Not thread-safe."""

    def __init__(self, parts: NodeParts, cluster: ClusterId, name: str) -> None:
        self._parts, self._cluster, self._name = parts, cluster, name
        self._entries: dict[str, Entry] = {}

    def load(self, entries: Iterable[Entry]) -> None:
        """Take entries of a listing of configuration or secrets."""
        self._entries.update({e.key: e for e in entries})

    def take(self, changes: Iterable[Change]) -> None:
        """Take changes of configuration or secrets."""
        for change in changes:
            if change.value is None:
                self._entries.pop(change.key, None)
            else:
                self._entries[change.key] = change.as_entry()

    def follow(self, revision: int) -> None:
        """Bring the table up to what was taken; `revision` is that of the newest thing heard.

        Raises JournalError for a record that cannot be read, or a store that went backwards.
        """
        entries = tuple(sorted(self._entries.values(), key=lambda e: e.key))
        snapshot = Snapshot(revision=revision, entries=entries)
        configured = configured_in(snapshot, self._cluster, self._name)
        secrets = self._secrets()
        for record in configured.volumes.values():
            try:
                self._parts.table.commit(record, secrets.get(record.volume_id))
            except JournalError as exc:
                LOG.error("%s", exc.message)  # noqa: TRY400  expected, told without a traceback
        for gone in configured.retained:
            self._forget(gone.volume.volume_id)
        peers = tuple(configured.peers[n] for n in sorted(configured.peers))
        self._parts.memory.keep_cluster(
            KnownCluster(revision=revision, settings=configured.settings, peers=peers)
        )
        self._parts.table.learn(revision, (p.address for p in peers))
        self._warn_of_strangers(configured)

    def _forget(self, volume: VolumeId) -> None:
        """Drop a deleted volume. Its bricks were stopped by steps; one that slept through that is now."""
        parts = self._parts
        held = parts.table.held(volume)
        if not held.records:
            return
        for record in held.records[:1]:
            if record.shape.heals:
                parts.daemons.stop(record)
            for brick in record.on_node(parts.node):
                parts.bricks.stop(record, brick)
        parts.table.remove(volume)

    def _warn_of_strangers(self, configured: ConfiguredCluster) -> None:
        known = {r.volume_id for r in configured.volumes.values()}
        for volume_id, held in self._parts.table.volumes().items():
            if held.committed is not None and volume_id not in known:
                LOG.error("volume %s is on this node and not in etcd: left alone", held.committed.name)

    def _secrets(self) -> dict[str, Secret]:
        prefix = keys.secrets_prefix(self._cluster)
        return {
            k[len(prefix) :]: decode(Secret, e.value)
            for k, e in self._entries.items()
            if k.startswith(prefix)
        }
