"""Drift and repair, on a real cluster: what is found, how it is named, what an apply does about it."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.lab import control, processes
from reconciler.lab.record import load
from tests.lab_faults import (
    all_up,
    answer,
    apply,
    command,
    declare,
    node,
    plan,
    status_of,
    volume,
)
from tests.labs import Lab, cluster, eventually

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def it() -> Iterator[Lab]:
    with cluster() as made:
        declare(made, *standing(made))
        code, text = apply(made)
        assert code == 0, text
        yield made


@pytest.fixture(autouse=True)
def whole(it: Lab) -> None:
    """Begin with everything up and as declared."""
    declare(it, *standing(it))
    eventually(lambda: all_up(it), "everything runs")
    eventually(lambda: command(it, "drift")[0] == 0, "no drift")


def standing(it: Lab) -> list[dict[str, Any]]:
    """Return what is declared at the beginning."""
    quick = {"policy": "onCrash", "delay": "1s"}
    return [volume(it, "calm", restart={"policy": "never"}), volume(it, "quick", restart=quick)]


def brick(it: Lab, name: str, number: int) -> dict[str, Any]:
    """Return the status of a volume's brick on a node."""
    return next(b for b in status_of(it, name)["bricks"] if b["peer"] == f"gs{number}")


def items(it: Lab) -> list[dict[str, Any]]:
    """Return what `drift` finds."""
    found = answer(it, "drift")["drift"]
    assert isinstance(found, list)
    return found


def test_a_dead_brick_of_policy_never_is_a_fault_until_an_apply(it: Lab) -> None:
    before = brick(it, "calm", 2)
    it.kill("brick:calm:2")
    eventually(lambda: brick(it, "calm", 2)["state"] == "crashed", "the end is seen")
    code, text = command(it, "drift")
    assert code == 2, text
    for told in ("brick/calm/0.1", "fault", f"gs2:{node(it, 2).bricks}/calm/b0", "an apply repairs it"):
        assert told in text, f"{told!r} is not in: {text}"
    (one,) = items(it)
    assert (one["address"], one["kind"]) == ("brick/calm/0.1", "fault")
    code, text = plan(it, "--detailed-exitcode")
    assert (code, "brick.start brick/calm/0.1" in text) == (2, True), text
    assert brick(it, "calm", 2)["state"] == "crashed"  # looking repairs nothing
    code, text = apply(it)
    assert code == 0, text
    after = brick(it, "calm", 2)
    assert after["state"] == "running"
    assert after["pid"] not in (0, before["pid"])
    assert after["port"] == before["port"]
    assert command(it, "drift")[0] == 0


def test_a_brick_that_crashes_again_and_again_is_started_with_growing_pauses(it: Lab) -> None:
    starts: list[float] = []
    for _ in range(5):
        old = brick(it, "quick", 1)["pid"]
        it.kill("brick:quick:1")
        started = back(it, old)
        starts.append(started)
    assert starts[-1] > starts[0] + 1, f"the pauses did not grow: {starts}"
    assert brick(it, "quick", 1)["state"] == "running"
    assert [b["state"] for b in status_of(it, "calm")["bricks"]] == ["running"] * 3


def back(it: Lab, old: int) -> float:
    """Wait until the brick has another process; return how long its agent took, in seconds."""
    began = time.monotonic()
    home = node(it, 1).home
    found: list[int] = []

    def another() -> bool:
        found[:] = [p.pid for p, _ in processes.bricks_of("quick", home) if p.pid != old]
        return bool(found)

    eventually(another, "the agent starts it again", 60)
    waited = time.monotonic() - began
    eventually(lambda: brick(it, "quick", 1)["state"] == "running", "it serves", 30)
    return waited


def test_a_dead_self_heal_daemon_is_started_again(it: Lab) -> None:
    (first,) = [d for d in status_of(it, "calm")["daemons"] if d["peer"] == "gs3"]
    victim = next(p for p in processes.gluster_below(it.root) if p.pid == first["pid"])
    processes.send(victim, signal.SIGKILL)

    def another() -> bool:
        (now,) = [d for d in status_of(it, "calm")["daemons"] if d["peer"] == "gs3"]
        return now["pid"] not in (0, None, first["pid"])

    eventually(another, "its agent starts another")
    assert command(it, "drift")[0] == 0


def test_a_directory_that_is_gone_is_named_and_never_made_again(it: Lab) -> None:
    bricks = load(it.root).inside.seen(node(it, 3).bricks)
    it.kill("brick:calm:3")
    eventually(lambda: brick(it, "calm", 3)["state"] == "crashed", "the end is seen")
    (bricks / "calm").rename(bricks / "away")
    path = f"{node(it, 3).bricks}/calm/b0"
    eventually(lambda: brick(it, "calm", 3)["state"] == "refused", "it is refused")
    code, text = command(it, "drift")
    assert (code, f"{path} does not exist" in text) == (2, True), text
    (one,) = items(it)
    assert one["kind"] == "fault"
    code, text = apply(it)
    assert code == 12, text
    assert not (bricks / "calm").exists()
    (bricks / "away").rename(bricks / "calm")
    eventually(lambda: brick(it, "calm", 3)["state"] == "crashed", "it may be started again")
    code, text = apply(it)
    assert code == 0, text


def test_a_brick_that_runs_though_its_volume_is_stopped_is_stopped_by_an_apply(it: Lab) -> None:
    calm, quick = standing(it)
    declare(it, calm | {"state": "stopped"}, quick)
    assert apply(it)[0] == 0
    assert [b["state"] for b in status_of(it, "calm")["bricks"]] == ["stopped"] * 3
    assert command(it, "drift")[0] == 0
    declare(it, calm, quick)
    assert apply(it)[0] == 0


def test_an_option_changed_in_the_declaration_is_a_change_and_no_drift(it: Lab) -> None:
    calm, quick = standing(it)
    declare(it, calm | {"options": {"network.ping-timeout": "31"}}, quick)
    code, text = plan(it, "--detailed-exitcode")
    assert (code, "option/calm/network.ping-timeout" in text) == (2, True), text
    assert command(it, "drift")[0] == 0
    assert apply(it)[0] == 0
    shown = it.cli("plan", "-f", str(it.root / "work" / "cluster.yaml"), "--detailed-exitcode")
    assert shown.returncode == 0, shown.stdout
    declare(it, calm, quick)
    assert apply(it)[0] == 0


def test_a_node_that_says_nothing_is_unknown_and_not_in_order(it: Lab) -> None:
    control.stop(it.root, "agent:3")
    eventually(lambda: command(it, "drift")[0] == 10, "its lease has ended", 40)
    code, text = command(it, "drift")
    assert (code, "gs3" in text, "No drift" in text) == (10, True, False), text
    code, text = plan(it)
    assert (code, "gs3" in text) == (10, True), text
    assert len(processes.bricks_of("calm", node(it, 3).home)) == 1  # its bricks run on
    control.start(it.root, "agent:3")
    eventually(lambda: command(it, "drift")[0] == 0, "it is back", 40)
