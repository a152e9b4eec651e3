"""An agent that loses etcd between an apply and its rollback neither serves nor starts what was staged."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from reconciler.failpoints import VARIABLE
from reconciler.lab import faults
from tests.lab_faults import (
    all_up,
    apply,
    applying,
    assert_nothing_unknown,
    command,
    declare,
    newest,
    plan,
    planned_port,
    port_held,
    volume,
    with_base,
)
from tests.labs import Lab, eventually
from tests.relay import Line, relayed

pytestmark = pytest.mark.real
GONE_S = 120  #: an agent is given up after 45 s; the rest is load
LONGER_THAN_TWO_ROUNDS_OF_ASKING_S = 7
#: What the self-heal daemon could not heal before the directory was waits for its next round: 10 minutes
#: by default.
HEALING = {"cluster.heal-timeout": "5"}


@pytest.fixture(scope="module")
def cut_off() -> Iterator[tuple[Lab, Line]]:
    """A cluster with the volume `base`, and the line between its third node and etcd."""
    with with_base() as it, relayed(it, 3) as line:
        declare(it, volume(it, "base", options=HEALING))
        eventually(lambda: apply(it)[0] == 0, "a base that is healed soon")
        yield it, line


@pytest.fixture
def it(cut_off: tuple[Lab, Line]) -> Lab:
    return cut_off[0]


@pytest.fixture
def line(cut_off: tuple[Lab, Line]) -> Line:
    return cut_off[1]


@pytest.fixture
def halfway(it: Lab, line: Line, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Cut the third node off while a transaction that it has staged is on its way back.

    The apply changes `base`, cannot start a brick of a new volume, and dies before the first undo: there is
    time until its lock ends and a steward goes on.
    """
    eventually(lambda: all_up(it), "a cluster as declared", 60)
    declare(it, volume(it, "base", options={**HEALING, "performance.cache-size": "64MB"}), volume(it, "new"))
    file = str(it.root / "work" / "staged.gsplan")
    code, text = plan(it, "--rollback=all", "--out", file)
    assert code == 0, text
    monkeypatch.setenv(VARIABLE, "engine.turn.after=kill")
    with port_held(it, 2, planned_port(it, file, name="new")), applying(it, file=file) as apply:
        assert apply.wait() == -signal.SIGKILL, apply.errors()
        line.cut()
        monkeypatch.delenv(VARIABLE)
        yield


def test_an_agent_that_lost_etcd_serves_nothing_that_was_staged(it: Lab, line: Line, halfway: None) -> None:
    assert all(name in staged(it) for name in ("base", "new"))
    with it.mounted("base", node=1, name="old") as old:
        with it.writing(old):
            # It notices after a few seconds; until then it serves what is committed.
            eventually(lambda: it.refuses_mount("base", node=3), "a node that gives no volfile")
            assert it.refuses_mount("new", node=3)
            assert not it.refuses_mount("base", node=2)
            faults.reboot(it.root, [3])
            reason = "not starting volume base: a transaction on it was under way"
            eventually(lambda: reason in it.log(3), reason)
            time.sleep(LONGER_THAN_TWO_ROUNDS_OF_ASKING_S)
            assert [path for path in it.bricks() if f"{it.root}/gs3/" in path] == []
            assert it.refuses_mount("base", node=3)

            # The others have gone back; without this node the end waits, then says whom it lacks.
            eventually(lambda: newest(it)[1] == "stuck", "a steward that has waited long enough", GONE_S)
            assert "gs3" in command(it, "txn", "show", newest(it)[0])[1]
            line.mend()
            code, text = command(it, "txn", "rollback", newest(it)[0])
            assert code == 0, text
            eventually(lambda: all_up(it), "the brick of the third node", 60)
        eventually(lambda: it.settled("base"), "a complete heal", 90)
    assert staged(it) == ""
    assert_nothing_unknown(it)
    assert not it.refuses_mount("base", node=3)
    assert it.refuses_mount("new", node=3)
    declare(it, volume(it, "base", options=HEALING))
    assert plan(it)[0] == 0


def staged(it: Lab) -> str:
    """Return what the third node keeps of transactions under way."""
    return it.run("sh", "-c", f"cat {it.root}/gs3/state/memory/staged/* 2>/dev/null").stdout
