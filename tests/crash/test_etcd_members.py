"""A cluster on an etcd of three members: they die, hang, lose quorum; applies wait and go on alone."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Mapping

import pytest

from reconciler.failpoints import VARIABLE
from reconciler.lab import control
from reconciler.lab.record import load
from reconciler.ports.brick import RunningProcess
from tests.crash.scene import stopped
from tests.lab_faults import all_up, answer, applying, declare, plan, settled, transactions, volume
from tests.labs import Lab, cluster, eventually
from tests.servers import freeze

pytestmark = pytest.mark.crash

MEMBERS = (1, 2, 3)
SLOW = "agent.do.before=sleep(700)@*"  #: so that an apply takes longer than what happens to etcd


@pytest.fixture(scope="module")
def it() -> Iterator[Lab]:
    agent = ("env", f"{VARIABLE}={SLOW}", *control.DEFAULT_AGENT)
    with cluster(etcd_members=3, agent=agent) as made:
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


def declare_more(it: Lab, *more: str) -> None:
    """Declare what is there, with another option of the first volume, and more volumes."""
    there = {v["name"]: v["generation"] for v in answer(it, "status")["volumes"]}
    options = {"network.ping-timeout": str(20 + sum(there.values()))}
    declare(
        it,
        *(volume(it, name, **({"options": options} if name == "one" else {})) for name in (*there, *more)),
    )


def assert_untouched(it: Lab, before: Mapping[str, RunningProcess]) -> None:
    """Fail unless the bricks that ran before are the same processes."""
    assert before.items() <= it.bricks().items()


def test_the_leader_is_killed_again_and_again_during_an_apply(it: Lab) -> None:
    declare_more(it, "one", "two")
    with applying(it) as run:
        for count in (1, 3, 5):
            run.after(count)
            it.kill(f"etcd:{leader(it)}")  # the lab starts it again
        assert "running" in transactions(it).values(), "it is still under way"
        assert run.wait(120) == 0, run.errors()
    assert_whole(it)


def test_a_leader_that_hangs_is_replaced_and_bricks_are_not_touched(it: Lab) -> None:
    before = it.bricks()
    declare_more(it, "three")
    hanging = pid_of(it, leader(it))
    with applying(it) as run:
        run.after(1)
        freeze(hanging)
        try:
            assert run.wait(120) == 0, run.errors()
        finally:
            os.kill(hanging, signal.SIGCONT)
    assert_whole(it)
    assert_untouched(it, before)


def test_without_quorum_an_apply_waits_and_then_goes_on_by_itself(it: Lab) -> None:
    before = it.bricks()
    declare_more(it, "four")
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
    assert_untouched(it, before)


def test_all_members_are_restarted_one_after_the_other_during_an_apply(it: Lab) -> None:
    before = it.bricks()
    declare_more(it, "five", "six")
    with applying(it) as run:
        run.after(1)
        for number in MEMBERS:
            old = pid_of(it, number)
            it.stop(f"etcd:{number}")
            it.start(f"etcd:{number}")
            eventually(lambda n=number: control.targets(it.root, f"etcd:{n}"), "the member runs")  # type: ignore[misc]  # bound per round
            assert pid_of(it, number) != old
            leader(it)
        assert "running" in transactions(it).values(), "it was under way all the time"
        assert run.wait(120) == 0, run.errors()
    assert_whole(it)
    assert_untouched(it, before)


def test_an_apply_that_has_committed_says_so_though_etcd_goes_away_then(
    it: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare_more(it)
    monkeypatch.setenv(VARIABLE, "lock.release.after=stop")
    with applying(it) as run:
        monkeypatch.delenv(VARIABLE)
        eventually(lambda: stopped(run.pid), "it has committed", 60)
        it.stop("etcd:1", "etcd:2")
        try:
            run.send(signal.SIGCONT)
            assert run.wait(120) == 12, run.errors()
            assert run.ended is not None
            assert (run.ended["outcome"], run.ended["converged"]) == ("committed", None)
            assert "could not be seen" in run.ended["message"]
        finally:
            it.start("etcd:1", "etcd:2")
    eventually(lambda: plan(it)[0] == 0, "the agents are back, too", 60)
    assert_whole(it)
