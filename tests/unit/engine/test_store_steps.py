"""Store steps: what they write, given what is there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.adapters.memory_store import MemoryStore
from reconciler.engine.store_steps import effect_of, undo_of
from reconciler.errors import JournalError
from reconciler.model import keys
from reconciler.model.codec import decode, encode
from reconciler.model.configured import Secret, VolumeRecord
from reconciler.model.ids import ClusterId
from reconciler.model.volume import DeletionPolicy
from reconciler.ports.store import Commit, Put
from tests.plan_samples import CREATE, HOME

CLUSTER = ClusterId(CREATE.cluster_id)
KEY = keys.volume(CLUSTER, HOME.volume_id)
STEP = replace(CREATE.steps[0], kind="config.volume", volume=HOME.volume_id, node=None)


def written(before: VolumeRecord | None, after: VolumeRecord, now: int) -> VolumeRecord:
    """Return the volume's record after ``config.volume`` at second `now`."""
    store = MemoryStore()
    if before is not None:
        store.commit(Commit(when=(), then=(Put(KEY, encode(before)),)))
    entries = {e.key: e for e in store.read_prefix("/").entries}
    plan = replace(CREATE, volumes={HOME.volume_id: after})
    effect = effect_of(STEP, plan, entries, now=now, secret=lambda: Secret(username="u", password="p"))
    (put,) = [op for op in effect.operations if op.key == KEY]
    assert isinstance(put, Put)
    return decode(VolumeRecord, put.value)


@pytest.mark.parametrize(
    ("before", "policy", "since"),
    [
        (None, DeletionPolicy.PROTECT, 900),
        (DeletionPolicy.PROTECT, DeletionPolicy.DELETE, 900),
        (DeletionPolicy.DELETE, DeletionPolicy.DELETE, 5),
    ],
)
def test_a_deletion_policy_is_live_since_it_was_committed_not_since_it_was_planned(
    before: DeletionPolicy | None, policy: DeletionPolicy, since: int
) -> None:
    old = replace(HOME, bricks=(), deletion_policy=before, policy_since=5) if before else None
    planned = replace(HOME, deletion_policy=policy, policy_since=5 if before is policy else 0)
    assert written(old, planned, now=900).policy_since == since


def test_the_end_of_a_repair_writes_nothing_but_its_own_record() -> None:
    step = replace(STEP, kind="volume.repaired")
    plan = replace(CREATE, volumes={HOME.volume_id: HOME})
    effect = effect_of(step, plan, {}, now=1, secret=lambda: Secret(username="u", password="p"))
    assert (effect.early, effect.operations, effect.before) == ((), (), {})


def test_an_altered_before_image_restores_nothing_that_is_not_the_steps_own() -> None:
    step = replace(STEP, kind="config.settings", volume=None)
    own = keys.settings(CLUSTER)
    assert undo_of(step, CREATE, {"entries": {own: "{}"}}) == (Put(own, "{}"),)
    with pytest.raises(JournalError, match=f"names {KEY}, which is not its own"):
        undo_of(step, CREATE, {"entries": {own: "{}", KEY: "{}"}})


def test_a_step_that_is_no_way_back_is_not_undone() -> None:
    with pytest.raises(JournalError, match="is not undone"):
        undo_of(STEP, replace(CREATE, volumes={HOME.volume_id: HOME}), {})
