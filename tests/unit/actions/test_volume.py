"""The steps about serving a volume: the four laws, refusals, and every way to be interrupted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.actions.volume import PUBLISH, STAGE, UNPUBLISH, volume_actions
from reconciler.adapters.local_files import DiskFiles
from reconciler.agent.memory import NodeMemory
from reconciler.agent.portmap import Portmap
from reconciler.agent.serving import RenderSite
from reconciler.agent.volumes import VolumeTable
from reconciler.errors import StepError
from reconciler.model.configured import Secret, VolumeRecord
from reconciler.model.ids import Address, StepId, TxnId
from reconciler.model.volume import VolumeState
from reconciler.plan.step import Step
from reconciler.ports.local import LocalFiles
from reconciler.ports.node import Action, Call, Checked, Effect
from reconciler.ports.staging import Serving
from reconciler.ports.volfiles import SpecRequest
from tests.volume_samples import CLUSTER, NODE, SECRET, SLOTS, MemoryFiles, volume

HOME = volume()
NEXT = volume(generation=2, options=(("network.ping-timeout", "20"),))
STOPPED = volume(generation=2, state=VolumeState.STOPPED)


class Node:
    """A real table over files, and the actions on it."""

    def __init__(self, files: LocalFiles, *committed: VolumeRecord) -> None:
        self.files = files
        memory = NodeMemory(files)
        self.table = VolumeTable(
            CLUSTER, RenderSite(NODE, SLOTS), memory, Portmap(lambda _: 0), changed=lambda: None
        )
        recalled = memory.recall()
        self.table.load(recalled)
        for record in (*recalled.volumes.values(), *committed):  # after a restart the store lists them
            self.table.commit(record, SECRET)
        self.table.set_connected(True)
        self.actions: Mapping[str, Action] = volume_actions(self.table)

    def state(self) -> tuple[object, ...]:
        """Everything a step may touch, in memory and on the disk."""
        recalled = NodeMemory(self.files).recall()
        served = self.table.getspec(SpecRequest(connection=1, key="home", trusted=False))
        return self.table.volumes(), recalled.volumes, recalled.staged, served

    def check(self, call: Call) -> Checked:
        return self.actions[call.step.kind].check(call)

    def do(self, call: Call) -> Checked:
        checked = self.check(call)
        self.actions[call.step.kind].do(call, checked.before)
        return checked

    def undo(self, call: Call, checked: Checked) -> None:
        self.actions[call.step.kind].undo(call, checked.before)


def call(
    kind: str,
    record: VolumeRecord | None = NEXT,
    previous: VolumeRecord | None = HOME,
    *,
    txn: str = "t1",
    secret: Secret | None = SECRET,
) -> Call:
    step = Step(step_id=StepId(1), kind=kind, address=Address("volume/home"), title="")
    return Call(step=step, txn=txn, volume=record, previous=previous, secret=secret)


#: A step under test, the committed volumes, and the steps of the same transaction before it.
SITUATIONS = {
    "stage a new volume": (call(STAGE, HOME, None), (), ()),
    "stage a change": (call(STAGE), (HOME,), ()),
    "stage what is staged": (call(STAGE), (HOME,), (call(STAGE),)),
    "publish a new volume": (call(PUBLISH, HOME, None), (), (call(STAGE, HOME, None),)),
    "publish a change": (call(PUBLISH), (HOME,), (call(STAGE),)),
    "publish what is published": (call(PUBLISH), (HOME,), (call(STAGE), call(PUBLISH))),
    "unpublish to stop": (call(UNPUBLISH, STOPPED), (HOME,), (call(STAGE, STOPPED),)),
    "unpublish unstaged": (call(UNPUBLISH, STOPPED), (HOME,), ()),
    "unpublish to delete": (call(UNPUBLISH, None), (HOME,), ()),
    "unpublish to delete, record repeated": (call(UNPUBLISH, HOME), (HOME,), ()),
    "unpublish what is published": (call(UNPUBLISH), (HOME,), (call(STAGE), call(PUBLISH))),
    "unpublish twice": (call(UNPUBLISH, STOPPED), (HOME,), (call(UNPUBLISH, STOPPED),)),
}


def _at(name: str, files: LocalFiles) -> tuple[Node, Call]:
    step, committed, earlier = SITUATIONS[name]
    node = Node(files, *committed)
    for before in earlier:
        node.do(before)
    return node, step


@pytest.fixture(params=SITUATIONS)
def situation(request: pytest.FixtureRequest) -> tuple[Node, Call]:
    return _at(request.param, MemoryFiles())


def test_checking_changes_nothing_and_says_whether_there_is_anything_to_do(
    situation: tuple[Node, Call],
) -> None:
    node, step = situation
    before = node.state()
    first = node.check(step)
    assert node.state() == before
    node.do(step)
    assert (first.effect is Effect.PRESENT) == (node.state() == before)
    assert node.check(step).effect is Effect.PRESENT


def test_doing_twice_is_doing_once(situation: tuple[Node, Call]) -> None:
    node, step = situation
    checked = node.do(step)
    once = node.state()
    node.actions[step.step.kind].do(step, checked.before)
    assert node.state() == once


def test_undoing_after_doing_restores_everything_and_twice_is_once(situation: tuple[Node, Call]) -> None:
    node, step = situation
    before = node.state()
    checked = node.do(step)
    node.undo(step, checked)
    assert node.state() == before
    node.undo(step, checked)
    assert node.state() == before


def test_undoing_a_step_that_never_ran_changes_nothing(situation: tuple[Node, Call]) -> None:
    node, step = situation
    before = node.state()
    node.undo(step, node.check(step))
    assert node.state() == before


@pytest.mark.parametrize("name", SITUATIONS)
def test_what_is_done_survives_a_restart(name: str, tmp_path: Path) -> None:
    node, step = _at(name, DiskFiles(tmp_path / "s"))
    before = node.state()
    checked = node.do(step)
    after = node.state()
    again = Node(DiskFiles(tmp_path / "s"))
    assert again.state()[1:3] == after[1:3]
    assert again.state()[3] == after[3]
    again.undo(step, checked)
    assert again.state()[1:] == before[1:]


class Crash(BaseException):
    """The process ends here."""


class _Fused(MemoryFiles):
    """Ends the process before or after its n-th change takes effect."""

    def __init__(self, files: Mapping[str, str], at: int) -> None:
        super().__init__()
        self.files = dict(files)
        self.left = at
        self.armed = False

    def write(self, name: str, text: str) -> None:
        self._burn()
        super().write(name, text)
        self._burn()

    def remove(self, name: str) -> None:
        self._burn()
        super().remove(name)
        self._burn()

    def _burn(self) -> None:
        self.left -= self.armed
        if self.armed and self.left == 0:
            raise Crash


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize("name", SITUATIONS)
def test_a_crash_at_any_write_is_settled_by_doing_again_or_undoing(name: str, forward: bool) -> None:
    files = MemoryFiles()
    node, step = _at(name, files)
    start, before, checked = dict(files.files), node.state(), node.check(step)
    node.do(step)
    after = node.state()
    for at in range(1, 20):
        fused = _Fused(start, at)
        victim = Node(fused)
        fused.armed = True
        try:
            victim.actions[step.step.kind].do(step, checked.before)
            break
        except Crash:
            fused.armed = False
        survivor = Node(fused)
        if forward:
            survivor.actions[step.step.kind].do(step, checked.before)
        else:
            survivor.undo(step, checked)
        assert survivor.state()[1:] == (after if forward else before)[1:]
    else:
        pytest.fail("the step never ended")


def test_before_images_hold_no_secret_and_stay_small(situation: tuple[Node, Call]) -> None:
    node, step = situation
    text = str(node.check(step).before)
    assert SECRET.password not in text
    assert len(text) < 200


# ---------------------------------------------------------------- refusals


def test_a_node_that_lags_behind_refuses_and_may_be_asked_again() -> None:
    node = Node(MemoryFiles(), HOME)
    newer = call(STAGE, replace(NEXT, generation=9), replace(HOME, generation=8))
    for step in (newer, call(UNPUBLISH, None, replace(HOME, generation=8))):
        with pytest.raises(StepError, match="has generation 1, not 8 as planned") as refused:
            node.check(step)
        assert refused.value.retryable
    with pytest.raises(StepError, match="has generation 1, not none as planned") as refused:
        node.check(call(STAGE, HOME, None))
    assert not refused.value.retryable


@pytest.mark.parametrize("kind", [STAGE, PUBLISH, UNPUBLISH])
def test_another_transactions_volume_is_left_alone(kind: str) -> None:
    node = Node(MemoryFiles(), HOME)
    node.do(call(STAGE))
    before = node.state()
    with pytest.raises(StepError, match="transaction t1 is still staged here"):
        node.check(call(kind, txn="t2"))
    action = node.actions[kind]
    action.undo(call(kind, txn="t2"), {"staged": None})
    assert node.state() == before


def test_only_what_this_plan_has_staged_can_be_published() -> None:
    node = Node(MemoryFiles(), HOME)
    with pytest.raises(StepError, match="generation 2 is not staged"):
        node.check(call(PUBLISH))
    node.do(call(STAGE))
    with pytest.raises(StepError, match="generation 3 is not staged"):
        node.check(call(PUBLISH, replace(NEXT, generation=3)))
    with pytest.raises(StepError, match="nothing is staged"):
        node.actions[PUBLISH].do(call(PUBLISH, replace(NEXT, volume_id=volume("work").volume_id)), {})


def test_a_volume_without_a_graph_is_refused_with_the_reason() -> None:
    node = Node(MemoryFiles(), HOME)
    bad = replace(NEXT, options=(("features.read-only", "on"), ("features.worm", "on")))
    with pytest.raises(StepError, match="read-only"):
        node.do(call(STAGE, bad))
    with pytest.raises(StepError, match="credentials"):
        Node(MemoryFiles()).do(call(STAGE, HOME, None, secret=None))


def test_an_undo_that_has_nothing_to_go_back_to_says_so() -> None:
    node = Node(MemoryFiles(), HOME)
    with pytest.raises(StepError, match="what was staged is gone"):
        node.actions[PUBLISH].undo(call(PUBLISH), {"staged": {"generation": 2, "serving": "committed"}})


@pytest.mark.parametrize("kind", [STAGE, PUBLISH, UNPUBLISH])
def test_a_call_without_a_record_is_refused(kind: str) -> None:
    with pytest.raises(StepError, match="without the volume's record"):
        Node(MemoryFiles()).check(call(kind, None, None))


def test_publishing_tells_the_digest_that_clients_will_report() -> None:
    node = Node(MemoryFiles(), HOME)
    node.do(call(STAGE))
    said = node.actions[PUBLISH].do(call(PUBLISH), {})
    assert said == {"generation": 2, "digest": node.table.client_digest(HOME.volume_id)}


def test_an_unpublished_volume_stays_so_after_a_restart_and_its_bricks_are_not_restarted() -> None:
    node = Node(MemoryFiles(), HOME)
    node.do(call(UNPUBLISH, None))
    again = Node(node.files)
    assert again.table.client_digest(HOME.volume_id) == ""
    assert again.table.desired_bricks() == ()
    staged = again.table.staged(HOME.volume_id)
    assert staged is not None
    assert (staged.serving, staged.txn) == (Serving.NOTHING, TxnId("t1"))
