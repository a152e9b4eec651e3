"""Steps about what a node serves of a volume: stage its next configuration, publish it, unpublish the volume.

None of them touches a brick. Their before-image names what was staged and served; records themselves are in
the journal's plan and on the node's disk.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from reconciler.errors import EnvironmentProblem, JournalError, StepError, VolfileError
from reconciler.model.ids import TxnId, VolumeId
from reconciler.model.volume import VolumeState
from reconciler.ports.node import Action, Call, Checked, Effect, Footprint
from reconciler.ports.staging import Serving, StagedVolume, StagingTable

if TYPE_CHECKING:
    from reconciler.model.configured import VolumeRecord
    from reconciler.model.fields import Json
    from reconciler.plan.step import Args

STAGE = "volume.stage"
PUBLISH = "volume.publish"
UNPUBLISH = "volume.unpublish"


class StageVolume:
    """Keep the volume's next configuration, without giving it to clients.

    A crash in the middle leaves it staged or not: the one write is atomic.
    """

    def __init__(self, table: StagingTable) -> None:
        self._table = table

    def footprint(self, call: Call) -> Footprint:
        """What the node keeps of the volume's next configuration."""
        return Footprint(memory=self._table.files(_volume_id(call)))

    def check(self, call: Call) -> Checked:
        """Refuse unless this node has the configuration that the plan was made from."""
        record = _after(call)
        _refuse_foreign(self._table, call, record.volume_id)
        staged = self._table.staged(record.volume_id)
        if staged is None:
            _refuse_unless_current(self._table, call, record.volume_id)
        present = staged is not None and staged.record == record
        return Checked(effect=Effect.PRESENT if present else Effect.ABSENT, before=_image(staged))

    def do(self, call: Call, before: Args) -> Args:  # noqa: ARG002  the port's signature
        """Keep the record as the volume's next configuration; idempotent."""
        record = _after(call)
        with _told():
            self._table.stage(record, call.previous, TxnId(call.txn), call.secret)
        return {"generation": record.generation}

    def undo(self, call: Call, before: Args) -> None:
        """Forget the record unless it was staged before the step; idempotent."""
        _restore(self._table, call, before)


class PublishVolume:
    """Give clients the staged configuration from now on.

    A crash in the middle leaves it published or not: the one write is atomic.
    """

    def __init__(self, table: StagingTable) -> None:
        self._table = table

    def footprint(self, call: Call) -> Footprint:
        """What the node keeps of the volume's next configuration."""
        return Footprint(memory=self._table.files(_volume_id(call)))

    def check(self, call: Call) -> Checked:
        """Refuse unless this transaction's record is the staged one."""
        record = _after(call)
        _refuse_foreign(self._table, call, record.volume_id)
        staged = self._table.staged(record.volume_id)
        if staged is None or staged.record != record:
            raise StepError(
                f"volume {record.name}: generation {record.generation} is not staged on this node"
            )
        present = staged.serving is Serving.STAGED
        return Checked(effect=Effect.PRESENT if present else Effect.ABSENT, before=_image(staged))

    def do(self, call: Call, before: Args) -> Args:  # noqa: ARG002  the port's signature
        """Give clients the staged configuration; idempotent. They are told when it changes their volfile."""
        record = _after(call)
        _serve(self._table, record.volume_id, Serving.STAGED)
        return {"generation": record.generation, "digest": self._table.client_digest(record.volume_id)}

    def undo(self, call: Call, before: Args) -> None:
        """Give clients what they were given before the step; idempotent."""
        _restore(self._table, call, before)


class UnpublishVolume:
    """Give clients no volfile any more: before a volume is stopped or deleted. Mounts keep their graph.

    A crash in the middle may leave the volume staged and still served, which `do` and `undo` both settle.
    """

    def __init__(self, table: StagingTable) -> None:
        self._table = table

    def footprint(self, call: Call) -> Footprint:
        """What the node keeps of the volume's next configuration."""
        return Footprint(memory=self._table.files(_volume_id(call)))

    def check(self, call: Call) -> Checked:
        """Refuse if another transaction is at work on the volume, or this node lags behind."""
        volume_id = _volume_id(call)
        _refuse_foreign(self._table, call, volume_id)
        staged = self._table.staged(volume_id)
        if staged is None:
            _refuse_unless_current(self._table, call, volume_id)
        present = staged is not None and staged.serving is Serving.NOTHING
        return Checked(effect=Effect.PRESENT if present else Effect.ABSENT, before=_image(staged))

    def do(self, call: Call, before: Args) -> Args:  # noqa: ARG002  the port's signature
        """Give clients no volfile any more; idempotent."""
        volume_id = _volume_id(call)
        if self._table.staged(volume_id) is None:
            with _told():
                self._table.stage(_without_clients(call), call.previous, TxnId(call.txn), call.secret)
        _serve(self._table, volume_id, Serving.NOTHING)
        return {}

    def undo(self, call: Call, before: Args) -> None:
        """Give clients what they were given before the step; idempotent."""
        _restore(self._table, call, before)


def volume_actions(table: StagingTable) -> Mapping[str, Action]:
    """Return the actions of this module by step kind."""
    return MappingProxyType(
        {STAGE: StageVolume(table), PUBLISH: PublishVolume(table), UNPUBLISH: UnpublishVolume(table)}
    )


def _after(call: Call) -> VolumeRecord:
    if call.volume is None:
        raise StepError(f"step {call.step.step_id} ({call.step.kind}) comes without the volume's record")
    return call.volume


def _volume_id(call: Call) -> VolumeId:
    record = call.volume or call.previous
    if record is None:
        raise StepError(f"step {call.step.step_id} ({call.step.kind}) comes without the volume's record")
    return record.volume_id


def _without_clients(call: Call) -> VolumeRecord:
    """Return the record to stage for a volume that goes: after a restart it must not count as committed."""
    if call.volume is not None and call.volume != call.previous:
        return call.volume
    going = call.previous or _after(call)
    return replace(going, generation=going.generation + 1, state=VolumeState.STOPPED)


def _refuse_foreign(table: StagingTable, call: Call, volume_id: VolumeId) -> None:
    staged = table.staged(volume_id)
    if staged is not None and staged.txn != call.txn:
        raise StepError(
            f"volume {staged.record.name}: a configuration of transaction {staged.txn} is still staged here",
            retryable=True,
            hint="It goes when this node has seen how that transaction ended.",
        )


def _refuse_unless_current(table: StagingTable, call: Call, volume_id: VolumeId) -> None:
    """Raise StepError unless what is committed here is what the plan starts from."""
    committed = table.committed(volume_id)
    here = committed.generation if committed else 0
    wanted = call.previous.generation if call.previous else 0
    if here != wanted:
        name = (call.volume or call.previous or committed).name  # type: ignore[union-attr]  # one is there
        raise StepError(
            f"volume {name}: this node has generation {here or 'none'}, not {wanted or 'none'} as planned",
            retryable=here < wanted,
            hint="The node has not read the newest configuration yet." if here < wanted else "Plan again.",
        )


def _image(staged: StagedVolume | None) -> Args:
    """Return the before-image: what was staged, and what clients were given."""
    image: Json = None
    if staged is not None:
        image = {"generation": staged.record.generation, "serving": staged.serving.value}
    return {"staged": image}


def _restore(table: StagingTable, call: Call, before: Args) -> None:
    """Bring back what the before-image says; what another transaction has staged is left alone."""
    volume_id = _volume_id(call)
    staged = table.staged(volume_id)
    image = before.get("staged")
    if staged is None or staged.txn != call.txn:
        if isinstance(image, dict):
            raise StepError(f"volume {staged.record.name if staged else volume_id}: what was staged is gone")
        return
    if not isinstance(image, dict):
        with _told():
            table.unstage(volume_id)
        return
    _serve(table, volume_id, Serving(image["serving"]))


def _serve(table: StagingTable, volume_id: VolumeId, serving: Serving) -> None:
    with _told():
        table.serve(volume_id, serving)


@contextmanager
def _told() -> Iterator[None]:
    """Turn what the table or the node's disk refuses into a failure of the step, with the way out."""
    try:
        yield
    except (VolfileError, JournalError, EnvironmentProblem) as exc:
        raise StepError(exc.message, hint=exc.hint) from exc
