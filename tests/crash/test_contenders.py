"""Appliers that race, one of them frozen for long; and a plan that kills whoever carries it out."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator

import pytest

from tests.crash.scene import Scene, ended, scene, stopped, transaction
from tests.lab_faults import answer, command, transactions, volume, world
from tests.labs import eventually

pytestmark = [pytest.mark.crash, pytest.mark.timeout(900)]
FROZEN_S = 31  #: more than three lease times


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("armed")) as made:
        yield made


@pytest.fixture(autouse=True)
def disarmed(at: Scene) -> None:
    at.nodes.disarm()
    at.applier.disarm()


@pytest.mark.parametrize("how_many", [2, 5, 8])
@pytest.mark.parametrize("same", [True, False], ids=["same plan", "different plans"])
def test_of_racing_appliers_one_wins_and_the_others_do_nothing(at: Scene, how_many: int, same: bool) -> None:
    files = [at.next_plan()]
    files = files * how_many if same else [*files, *(at.next_plan() for _ in range(how_many - 1))]
    with contextlib.ExitStack() as stack:
        racers = [stack.enter_context(at.applying(file, "apply.plan.loaded=stop")) for file in files]
        for racer in racers:
            eventually(lambda p=racer.pid: stopped(p), "it waits for the start", 120)
        for racer in racers:
            os.kill(racer.pid, signal.SIGCONT)
        codes = [racer.wait(240) for racer in racers]
    assert codes.count(0) == 1, (codes, [r.errors() for r in racers])
    assert set(codes) <= {0, 4, 7}, codes
    begun = [f for f in dict.fromkeys(files) if at.journal.heads(transaction(f))]
    assert begun == [files[codes.index(0)]]
    epochs = {h.value["phase"]["epoch"] for h in at.journal.heads(transaction(begun[0])) if h.value}
    assert len(epochs) == 1
    names = [v["name"] for v in answer(at.it, "status")["volumes"]]
    at.declared = [volume(at.it, name) for name in names if name != "base"]


def test_one_frozen_for_three_lease_times_has_no_effect_when_it_wakes(at: Scene) -> None:
    file = at.next_plan()
    txn = transaction(file)
    at.applier.arm("engine.dispatch.before=stop@6")
    with contextlib.ExitStack() as stack:
        frozen = stack.enter_context(at.applying(file))
        eventually(at.applier.fired, "it has come to the point", 240)
        eventually(lambda: stopped(frozen.pid), "it is frozen")
        since = time.monotonic()
        rivals = [stack.enter_context(at.applying(file)) for _ in range(2)]
        codes = [rival.wait(240) for rival in rivals]
        assert set(codes) <= {4, 7}, codes
        eventually(lambda: at.journal.heads(txn)[-1].value["state"] == "committed", "a steward ends it", 240)
        time.sleep(max(0.0, FROZEN_S - (time.monotonic() - since)))
        before, revision = world(at.it), at.journal.written[-1].revision
        os.kill(frozen.pid, signal.SIGCONT)
        assert frozen.wait(240) == 7, (frozen.ended, frozen.errors())
        assert world(at.it) == before
    assert not [w.key for w in at.journal.of(txn) if w.revision > revision]
    first = at.journal.heads(txn)[0].value
    assert first
    taken = next(h for h in at.journal.heads(txn) if _epoch(h.value) != _epoch(first))
    late = [w for w in at.journal.of(txn) if w.revision > taken.revision and _epoch(w.value) == _epoch(first)]
    assert not [w.key for w in late if "/cmd/" in w.key or "claimed" in str(w.value)]
    at.committed()


def _epoch(value: object) -> object:
    phase = value.get("phase") if isinstance(value, dict) else None
    return phase["epoch"] if isinstance(phase, dict) else None


def test_a_plan_that_kills_its_steward_twice_is_paused_and_can_be_resumed(at: Scene) -> None:
    file = at.next_plan()
    txn = transaction(file)
    at.applier.arm("engine.dispatch.after=kill@2")
    # The first as soon as it has read the plan, the second as soon as it does something.
    at.nodes.arm("steward.plan.loaded=kill")
    with at.applying(file) as started:
        assert started.wait(240) == -signal.SIGKILL
    for _ in range(2):
        eventually(at.nodes.fired, "a steward has taken over", 240)
        pid = at.nodes.fired()
        eventually(lambda p=pid: ended(p), "and died of it")
        at.nodes.disarm()
        at.nodes.arm("engine.dispatch.before=kill")
    eventually(lambda: transactions(at.it)[txn] == "paused", "the third does not try", 240)
    assert not at.nodes.fired()
    at.nodes.disarm()
    text = command(at.it, "txn", "show", txn)[1]
    assert "taken up 3 times" in text
    assert f"txn resume {txn}" in text, text
    code, text = command(at.it, "txn", "resume", txn)
    assert code == 0, text
    assert transactions(at.it)[txn] == "committed"
    at.committed()
