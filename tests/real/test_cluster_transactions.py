"""What becomes of an apply that dies or is stopped, on a real cluster: it ends by itself, and never half."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.lab import control, processes
from reconciler.lab.layout import LabLayout
from reconciler.lab.record import children, load
from reconciler.ports.brick import RunningProcess
from tests.lab_faults import (
    World,
    all_up,
    answer,
    apply,
    applying,
    assert_nothing_unknown,
    command,
    declare,
    gone,
    newest,
    node,
    plan,
    settled,
    status_of,
    transactions,
    volume,
    world,
)
from tests.labs import Lab, cluster, eventually
from tests.servers import freeze

pytestmark = pytest.mark.real
_TERMINAL_S = 45  #: a dead holder's lock is free after 10 s, and a steward hears of it; the rest is load


@pytest.fixture(scope="module")
def it() -> Iterator[Lab]:
    with cluster() as made:
        yield made


@pytest.fixture(autouse=True)
def volumes(it: Lab) -> list[dict[str, Any]]:
    """Return what is there when the test begins, to be declared with what it adds."""
    return [existing(it, v["name"]) for v in answer(it, "status")["volumes"]]


def existing(it: Lab, name: str, **more: Any) -> dict[str, Any]:
    """Return a volume as the tests of this module declare it."""
    return volume(it, name, deletionPolicy="Delete", **more)


def assert_ended(it: Lab, *, steps: int, before: World, of: str) -> None:
    """Fail unless the newest transaction ends, wholly or not at all; `steps` is what the first plan had."""
    txn, state = next(iter(settled(it, _TERMINAL_S).items()))
    assert_nothing_unknown(it)
    again = answer(it, "plan", "-f", str(it.root / "work" / "cluster.yaml"))
    shown = command(it, "txn", "show", txn)[1]
    if state == "committed":
        assert again["steps"] == [], f"{of}: committed, and more to do: {again['steps']}\n{shown}"
        eventually(lambda: all_up(it), "everything runs")
        assert command(it, "drift")[0] == 0
    else:
        assert len(again["steps"]) == steps, f"{of}: not all of it is to do again\n{shown}"
        assert world(it) == before, f"{of}: not as it was before\n{shown}"


def planned(it: Lab) -> int:
    """Return how many steps the declaration would take now."""
    return len(answer(it, "plan", "-f", str(it.root / "work" / "cluster.yaml"))["steps"])


@pytest.mark.parametrize("done", [1, 8, 12, 17])
def test_a_killed_apply_is_brought_to_its_end(it: Lab, volumes: list[dict[str, Any]], done: int) -> None:
    declare(it, *volumes, existing(it, f"v{done}"))
    steps, before = planned(it), world(it)
    with applying(it) as started:
        started.after(done)
        started.send(signal.SIGKILL)
        assert started.wait() == -signal.SIGKILL
    assert_ended(it, steps=steps, before=before, of=f"killed after step {done} of {steps}")


def test_an_apply_killed_while_an_option_changes(it: Lab, volumes: list[dict[str, Any]]) -> None:
    volumes[0]["options"] = {"network.ping-timeout": "33"}
    declare(it, *volumes)
    steps, before = planned(it), world(it)
    with applying(it) as started:
        started.after(4)
        started.send(signal.SIGKILL)
        started.wait()
    assert_ended(it, steps=steps, before=before, of="an option")
    declare(it, *volumes[1:], existing(it, volumes[0]["name"]))
    assert apply(it)[0] == 0


def test_an_apply_killed_while_a_volume_is_deleted(it: Lab, volumes: list[dict[str, Any]]) -> None:
    name = volumes[-1]["name"]
    bricks = [b["path"] for b in status_of(it, name)["bricks"]]
    stone = gone(name, status_of(it, name)["volume_id"])
    declare(it, *volumes[:-1], stone)
    steps = planned_with(it, f"GS101=volume/{name}")
    with applying(it, "--allow", f"GS101=volume/{name}") as started:
        started.after(5)
        started.send(signal.SIGKILL)
        started.wait()
    _, state = next(iter(settled(it, _TERMINAL_S).items()))
    names = [v["name"] for v in answer(it, "status")["volumes"]]
    running = " ".join(" ".join(w) for w in world(it).processes.values())
    if state == "committed":
        assert name not in names
        assert not [b for b in bricks if b in running]
    else:
        assert planned_with(it, f"GS101=volume/{name}") == steps
        eventually(lambda: all_up(it), "everything runs again")


def planned_with(it: Lab, allow: str) -> int:
    """Return how many steps the declaration would take with a consent."""
    path = str(it.root / "work" / "cluster.yaml")
    return len(answer(it, "plan", "-f", path, "--allow", allow)["steps"])


def test_an_apply_killed_in_its_rollback_is_rolled_back(it: Lab, volumes: list[dict[str, Any]]) -> None:
    declare(it, *volumes, existing(it, "half"))
    steps, before = planned(it), world(it)
    with applying(it) as started:
        started.after(4)  # the inspections and the credentials: now the place of the third brick is taken
        freeze(started.pid)
        place = load(it.root).inside.seen(node(it, 3).bricks) / "half"
        eventually(lambda: idle(it), "the agents have done what they were told")
        obstacle = place if not place.exists() else None
        if obstacle is not None:
            obstacle.write_text("somebody was faster")
        os.kill(started.pid, signal.SIGCONT)
        if obstacle is not None:
            started.after(1, "undo-started")
        started.send(signal.SIGKILL)
        started.wait()
    txn, state = next(iter(settled(it, _TERMINAL_S).items()))
    if obstacle is not None:
        assert state == "rolled-back", command(it, "txn", "show", txn)
        obstacle.unlink()
        assert planned(it) == steps
        assert world(it) == before


def idle(it: Lab) -> bool:
    """Return true once no step is claimed and unfinished."""
    txn, _ = newest(it)
    return "claimed" not in {s["mark"] for s in answer(it, "txn", "show", txn)["steps"]}


def test_a_frozen_apply_that_wakes_up_does_nothing_more(it: Lab, volumes: list[dict[str, Any]]) -> None:
    declare(it, *volumes, existing(it, "frozen"))
    steps, before = planned(it), world(it)
    with applying(it) as started:
        started.after(6)
        freeze(started.pid)
        txn = next(iter(settled(it, _TERMINAL_S)))
        ended = answer(it, "txn", "show", txn)
        started.send(signal.SIGCONT)
        assert started.wait() == 7, (started.ended, started.errors())
    assert answer(it, "txn", "show", txn) == ended
    assert_ended(it, steps=steps, before=before, of="frozen")


def test_an_agent_killed_in_the_middle_only_delays(it: Lab, volumes: list[dict[str, Any]]) -> None:
    declare(it, *volumes, existing(it, "agentless"))
    with applying(it) as started:
        started.after(6)
        it.kill("agent:3")
        assert started.wait() == 0, (started.ended, started.errors())
    eventually(lambda: all_up(it), "everything runs")
    assert plan(it, "--detailed-exitcode")[0] == 0


def test_an_etcd_killed_in_the_middle_only_delays(it: Lab, volumes: list[dict[str, Any]]) -> None:
    declare(it, *volumes, existing(it, "storeless"))
    steps, before = planned(it), world(it)
    with applying(it) as started:
        started.after(6)
        it.kill("etcd")
        code = started.wait()
        assert code in (0, 5, 7, 69), (code, started.ended, started.errors())
    eventually(lambda: it.cli("status").returncode == 0, "etcd is back")
    assert_ended(it, steps=steps, before=before, of=f"etcd was killed, apply said {code}")


def test_a_steward_killed_in_its_takeover_is_followed_by_the_other(
    it: Lab, volumes: list[dict[str, Any]]
) -> None:
    declare(it, *volumes, existing(it, "twice"))
    steps, before = planned(it), world(it)
    with applying(it) as started:
        started.after(5)
        it.kill("agent:3")  # so that the first steward cannot finish before it is killed
        control.stop(it.root, "agent:3")
        started.send(signal.SIGKILL)
        started.wait()
    txn, _ = newest(it)
    eventually(lambda: holder(it, txn) is not None, "a steward has taken over", _TERMINAL_S)
    first = holder(it, txn)
    assert first is not None
    processes.kill(first)
    control.start(it.root, "agent:3")
    assert_ended(it, steps=steps, before=before, of="the steward was killed")
    assert f"pid {first.pid}" not in answer(it, "txn", "show", txn)["holder"]


def holder(it: Lab, txn: str) -> RunningProcess | None:
    """Return the steward that drives a transaction, or None while none does."""
    by = answer(it, "txn", "show", txn)["holder"]
    for process, words in processes.every():
        if by.endswith(f"pid {process.pid}") and "steward" in words:
            return process
    return None


@pytest.mark.parametrize("way", ["resume", "rollback"])
def test_ctrl_c_pauses_at_a_safe_point_and_both_ways_lead_on(
    it: Lab, volumes: list[dict[str, Any]], way: str
) -> None:
    declare(it, *volumes, existing(it, f"paused-{way}"))
    steps, before = planned(it), world(it)
    with applying(it) as started:
        started.after(6)
        started.send(signal.SIGINT)
        assert started.wait() == 8, (started.ended, started.errors())
    txn, state = newest(it)
    assert state == "paused"
    code, text = apply(it)
    assert (code, f"txn resume {txn}" in text) == (7, True), text
    time.sleep(5)  # a steward leaves it alone
    assert transactions(it)[txn] == "paused"
    code, text = command(it, "txn", way, txn)
    assert code == 0, text
    assert transactions(it)[txn] == ("committed" if way == "resume" else "rolled-back")
    assert_ended(it, steps=steps, before=before, of=way)


def test_a_second_ctrl_c_leaves_at_once_and_a_steward_finishes(
    it: Lab, volumes: list[dict[str, Any]]
) -> None:
    declare(it, *volumes, existing(it, "hurried"))
    file = str(it.root / "work" / "hurried.plan")
    assert plan(it, "--out", file)[0] == 0
    steps, before = planned(it), world(it)
    agent = children(LabLayout(it.root))["agent-3"]
    freeze(agent.pid)  # a step stays in flight, so the first Ctrl-C has to wait
    try:
        with applying(it, file=file) as started:
            started.after(2)
            started.send(signal.SIGINT)
            time.sleep(1)
            started.send(signal.SIGINT)
            assert started.wait() == 130, (started.ended, started.errors())
    finally:
        processes.send(agent, signal.SIGCONT)
    assert_ended(it, steps=steps, before=before, of="hurried")
