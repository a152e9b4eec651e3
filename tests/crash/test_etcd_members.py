"""A cluster on an etcd of three members: they die, hang, lose quorum; applies wait and go on alone."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from reconciler.lab import control
from reconciler.lab.record import load
from tests.lab_faults import all_up, applying, declare, plan, settled, volume
from tests.labs import Lab, cluster, eventually
from tests.servers import freeze

pytestmark = pytest.mark.crash

MEMBERS = (1, 2, 3)


@pytest.fixture(scope="module")
def it() -> Iterator[Lab]:
    with cluster(etcd_members=3) as made:
        yield made


def leader(it: Lab) -> int:
    """Return the number of the member that leads, waiting for one."""
    for _ in range(100):
        for number, endpoint in zip(MEMBERS, load(it.root).endpoints, strict=True):
            words = ("--endpoints", endpoint, "--command-timeout=1s", "endpoint", "status", "-w", "fields")
            said = it.run("env", "ETCDCTL_API=3", "etcdctl", *words).stdout
            found = dict(line.split(" : ", 1) for line in said.splitlines() if " : " in line)
            if found.get('"Leader"') == found.get('"MemberID"', "none"):
                return number
        time.sleep(0.2)
    raise AssertionError("no member leads")


def pid_of(it: Lab, number: int) -> int:
    return control.targets(it.root, f"etcd:{number}")[0].pid


def assert_whole(it: Lab) -> None:
    """Fail unless every transaction was committed, everything runs and nothing is left to do."""
    assert set(settled(it).values()) == {"committed"}
    eventually(lambda: all_up(it), "everything runs", 60)
    assert plan(it)[0] == 0
    eventually(lambda: "No changes." in plan(it)[1], "an empty plan", 60)


def test_the_leader_is_killed_again_and_again_during_an_apply(it: Lab) -> None:
    declare(it, volume(it, "one"), volume(it, "two"))
    with applying(it) as run:
        for count in (1, 3, 5):
            run.after(count)
            it.kill(f"etcd:{leader(it)}")  # the lab starts it again
        assert run.wait(120) == 0, run.errors()
    assert_whole(it)


def test_a_leader_that_hangs_is_replaced_and_bricks_are_not_touched(it: Lab) -> None:
    before = it.bricks()
    declare(it, volume(it, "one", options={"network.ping-timeout": "20"}), volume(it, "two"))
    hanging = pid_of(it, leader(it))
    with applying(it) as run:
        run.after(1)
        freeze(hanging)
        try:
            assert run.wait(120) == 0, run.errors()
        finally:
            os.kill(hanging, signal.SIGCONT)
    assert_whole(it)
    assert it.bricks() == before


def test_without_quorum_an_apply_waits_and_then_goes_on_by_itself(it: Lab) -> None:
    before = it.bricks()
    declare(it, volume(it, "one", options={"network.ping-timeout": "25"}), volume(it, "two"))
    with applying(it) as run:
        run.after(1)
        it.stop("etcd:1", "etcd:2")
        time.sleep(60)
        with it.mounted("two") as folder:
            assert it.run("ls", str(folder)).returncode == 0, "volumes are mounted without etcd"
        it.start("etcd:1", "etcd:2")
        back = time.monotonic()
        code = run.wait(120)
    assert code in (0, 7), run.errors()  # 7: its lease ended meanwhile, and a steward goes on
    settled(it, 60)
    assert time.monotonic() - back < 60
    assert_whole(it)
    assert it.bricks() == before


def test_all_members_are_restarted_one_after_the_other_during_an_apply(it: Lab) -> None:
    before = it.bricks()
    declare(it, volume(it, "one", options={"network.ping-timeout": "30"}), volume(it, "two"))
    with applying(it) as run:
        run.after(1)
        for number in MEMBERS:
            old = pid_of(it, number)
            it.stop(f"etcd:{number}")
            it.start(f"etcd:{number}")
            eventually(lambda n=number: control.targets(it.root, f"etcd:{n}"), "the member runs")  # type: ignore[misc]  # bound per round
            assert pid_of(it, number) != old
            leader(it)
        assert run.wait(120) == 0, run.errors()
    assert_whole(it)
    assert it.bricks() == before
