"""Several volumes in one plan on a real cluster: what fails goes back, the others are applied."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab_faults import (
    all_up,
    answer,
    apply,
    applying,
    assert_nothing_unknown,
    command,
    declare,
    newest,
    plan,
    planned_port,
    port_held,
    settled,
    single,
    status_of,
    volume,
    with_base,
    world,
)
from tests.labs import Lab, eventually

pytestmark = pytest.mark.real
GONE_S = 120  #: an agent is given up after 45 s; the rest is load


@pytest.fixture(scope="module")
def it() -> Iterator[Lab]:
    with with_base() as made:
        yield made


def kept(it: Lab) -> list[dict[str, Any]]:
    """Return what is there when the test begins, to be declared with what it adds."""
    bricks = {v["name"]: [b["peer"] for b in v["bricks"]] for v in answer(it, "status")["volumes"]}
    return [volume(it, n) if len(of) == 3 else single(it, n, int(of[0][-1])) for n, of in bricks.items()]


def saved(it: Lab, good: str, bad: str, *words: str) -> str:
    """Save a plan that changes nothing but makes two volumes; return the file."""
    declare(it, *kept(it), volume(it, good), volume(it, bad))
    file = str(it.root / "work" / f"{bad}.plan")
    code, text = plan(it, "--out", file, *words)
    assert code == 0, text
    return file


def parts(it: Lab, txn: str) -> dict[str, str]:
    """Return the state of each part of a transaction by its address."""
    return {p["address"]: p["state"] for p in answer(it, "txn", "show", txn)["parts"]}


def only_planned(it: Lab, name: str) -> None:
    """Fail unless what is left to do is about one volume."""
    left = answer(it, "plan", "-f", str(it.root / "work" / "cluster.yaml"))
    assert {c["address"].split("/")[1] for c in left["changes"]} == {name}, left["changes"]
    assert left["steps"]


def test_a_volume_that_fails_is_rolled_back_and_the_other_is_applied(it: Lab) -> None:
    file = saved(it, "zgood", "abad")
    with port_held(it, 2, planned_port(it, file, name="abad")):
        code, text = command(it, "apply", file)
    assert code == 11, text
    for words in ("applied: volume/zgood", "rolled back: volume/abad", "on gs2", "another port"):
        assert words in text, f"{words!r} is not in: {text}"
    txn, state = newest(it)
    assert state == "partly-committed"
    assert parts(it, txn) == {"volume/abad": "rolled-back", "volume/zgood": "committed"}
    assert_nothing_unknown(it)
    eventually(lambda: all_up(it), "everything runs")
    with it.mounted("zgood") as mount:
        written = it.tour.write(mount / "file")
        assert it.readable(mount / "file", written)
    only_planned(it, "abad")
    assert command(it, "drift")[0] == 0
    code, text = apply(it)
    assert code == 0, text


def test_rolled_back_as_a_whole_both_are_gone(it: Lab) -> None:
    file = saved(it, "allgood", "allbad", "--rollback=all")
    before = world(it)
    with port_held(it, 2, planned_port(it, file, name="allbad")):
        code, text = command(it, "apply", file)
    assert code == 5, text
    assert newest(it)[1] == "rolled-back"
    assert_nothing_unknown(it)
    assert world(it) == before


def test_without_rollback_it_waits_and_can_be_rolled_back(it: Lab) -> None:
    file = saved(it, "stays", "waits", "--rollback=none")
    code, text = command(it, "apply", file, "--rollback=all")
    assert (code, "the saved plan says none" in text) == (64, True), text
    with port_held(it, 2, planned_port(it, file, name="waits")):
        code, text = command(it, "apply", file)
    assert code == 6, text
    txn, state = newest(it)
    assert (state, parts(it, txn)) == ("stuck", {"volume/stays": "committed", "volume/waits": "stuck"})
    assert f"gluster-state txn rollback {txn}" in text
    code, text = command(it, "txn", "rollback", txn)
    assert code == 11, text
    assert parts(it, txn) == {"volume/stays": "committed", "volume/waits": "rolled-back"}
    assert_nothing_unknown(it)
    only_planned(it, "waits")
    assert status_of(it, "stays")["state"] == "started"


def test_an_agent_that_is_gone_holds_up_its_own_volumes_only_and_is_named(it: Lab) -> None:
    declare(it, *kept(it), single(it, "here", 1), single(it, "there", 3))
    file = str(it.root / "work" / "gone.plan")
    code, text = plan(it, "--out", file)
    assert code == 0, text
    it.stop("agent:3")
    try:
        done = it.cli("apply", file, timeout=GONE_S)
        text = " ".join(f"{done.stdout} {done.stderr}".split())
        assert done.returncode == 11, text
        assert "rolled back: volume/there: the agent on gs3 is gone" in text, text
        assert "applied: volume/here" in text, text
        assert "passed over: the agent on gs3 is gone" in text, text
        with it.mounted("here") as mount:
            written = it.tour.write(mount / "file")
    finally:
        it.start("agent:3")
    eventually(lambda: all_up(it), "everything runs")
    eventually(lambda: command(it, "drift")[0] == 0, "the node that was away serves it too")
    with it.mounted("here", node=3) as mount:
        assert it.readable(mount / "file", written)
    only_planned(it, "there")
    assert_nothing_unknown(it)


def test_a_killed_apply_is_rolled_back_where_the_plan_says_so(it: Lab) -> None:
    declare(it, *kept(it), volume(it, "crashed"), apply={"onCrash": "rollback"})
    before = world(it)
    with applying(it) as started:
        started.after(8)
        started.send(signal.SIGKILL)
        assert started.wait() == -signal.SIGKILL
    txn, state = next(iter(settled(it).items()))
    shown = command(it, "txn", "show", txn)[1]
    assert state == "rolled-back", shown
    assert "has gone" in shown, shown
    assert world(it) == before
    assert_nothing_unknown(it)
