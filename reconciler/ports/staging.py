"""Between the steps that change what a node serves of a volume and the table that serves it.

A volume's next configuration is *staged* on every node first, so that a lost connection or a crash never
leaves a node that has half of it, and *published* once its bricks run. Protocols and their values only.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from reconciler.model.configured import Secret, VolumeRecord
from reconciler.model.ids import TxnId, VolumeId


class Serving(Enum):
    """Which configuration of a volume clients are given while a transaction is under way."""

    COMMITTED = "committed"  #: the one before; nothing if the volume is new
    STAGED = "staged"  #: the one after: published
    NOTHING = "nothing"  #: none; mounted clients keep their graph


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedVolume:
    """A volume's configuration of an unfinished transaction, as a node keeps it.

    Attributes:
        txn: the transaction it belongs to.
        record: the volume after the transaction.
        previous: the volume before it; None if it is new.
    """

    txn: TxnId
    record: VolumeRecord
    previous: VolumeRecord | None = None
    serving: Serving = Serving.COMMITTED


class StagingTable(Protocol):
    """What a node serves, as far as steps may change it. Every change is durable when its call returns."""

    def staged(self, volume_id: VolumeId) -> StagedVolume | None:
        """Return what is staged of a volume."""
        ...

    def committed(self, volume_id: VolumeId) -> VolumeRecord | None:
        """Return the last committed record of a volume that this node knows."""
        ...

    def stage(
        self,
        record: VolumeRecord,
        previous: VolumeRecord | None,
        txn: TxnId,
        secret: Secret | None = None,
    ) -> None:
        """Keep `record` as the volume's next configuration; clients go on getting the committed one.

        Idempotent: staging the same record for the same transaction again leaves `serving` as it is.

        Raises:
            VolfileError: its graphs cannot be built; nothing was changed.
            JournalError: another transaction's configuration is staged; nothing was changed.
        """
        ...

    def unstage(self, volume_id: VolumeId) -> None:
        """Forget what is staged; clients get the committed configuration. Idempotent."""
        ...

    def serve(self, volume_id: VolumeId, serving: Serving) -> None:
        """Choose what clients get while something is staged. Idempotent.

        Raises:
            JournalError: nothing is staged.
        """
        ...

    def files(self, volume_id: VolumeId) -> tuple[str, ...]:
        """Return the names of the files in which what is staged of a volume is kept. Reads nothing."""
        ...

    def client_digest(self, volume_id: VolumeId) -> str:
        """Return the sha256 of the volfile clients get now; empty if they get none."""
        ...
