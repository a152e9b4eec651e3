"""A process dies at a failpoint of a real transaction: it ends as promised, and a client sees no error."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from reconciler.failpoints import POINTS
from reconciler.lab import control
from reconciler.lab.layout import LabLayout
from tests.crash.cases import Case, chosen, most_hits, seed
from tests.crash.promises import RESUMED_S, TAKEOVER_S, Victim
from tests.crash.scene import Scene, Written, ended, scene, stopped, transaction
from tests.crash.waits import HEARING, Waits
from tests.lab_faults import (
    Applying,
    World,
    answer,
    planned_port,
    port_held,
    transactions,
    world,
)
from tests.labs import eventually

pytestmark = [pytest.mark.crash, pytest.mark.timeout(900)]
ENDS = ("committed", "rolled-back", "partly-committed")
MOST_VOLUMES = 8  #: then another lab: each has three bricks and three daemons
_scenes: list[tuple[contextlib.ExitStack, Scene]] = []


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    def fresh() -> Scene:
        if _scenes and len(_scenes[0][1].declared) >= MOST_VOLUMES:
            _scenes.pop()[0].close()  # the client's errors are told here
        if not _scenes:
            stack = contextlib.ExitStack()
            _scenes.append((stack, stack.enter_context(scene(tmp_path_factory.mktemp("armed")))))
        return _scenes[0][1]

    yield fresh
    while _scenes:
        _scenes.pop()[0].close()


@pytest.mark.parametrize("case", chosen(), ids=str)
def test_it_ends_as_promised(scenes: Any, case: Case) -> None:
    print(f"GLUSTER_STATE_CRASH_SEED={seed()}")
    at: Scene = scenes()
    try:
        _case(at, case)
    except BaseException as exc:
        exc.add_note(f"GLUSTER_STATE_CRASH_SEED={seed()}\n{control.log_ends(at.it.root, 12)}")
        stack, _ = _scenes.pop()
        with contextlib.suppress(Exception):
            stack.close()
        raise


def _case(at: Scene, case: Case) -> None:
    at.nodes.disarm()
    at.applier.disarm()
    file = at.next_plan(in_parts=case.in_parts)
    to_do, before = _to_do(at), world(at.it)
    with contextlib.ExitStack() as stack:
        if case.back:
            stack.enter_context(port_held(at.it, 2, planned_port(at.it, file)))
        started = stack.enter_context(at.applying(file))
        death = _crash(at, case, started)
        state = _end(at, case, file, started)
    assert state in case.promised.ends, f"{case}: {state}, {started.ended}, {started.errors()}"
    _timely(at, case, transaction(file), death)
    _nothing_after_the_end(at, transaction(file))
    if state == "committed":
        at.committed()
        eventually(at_rest(at), f"{case}: no more to do", 180)
    elif state == "partly-committed":
        _only_base_has_changed(before, world(at.it))
        assert _to_do(at) == {a for a in to_do if not a.startswith("volume/base")}, f"{case}: to do again"
    else:
        assert world(at.it) == before, f"{case}: not as it was before"
        assert _to_do(at) == to_do, f"{case}: not all of it is to do again"


def _to_do(at: Scene) -> set[str]:
    """Return what a plan would do, by kind and address of its steps."""
    planned = answer(at.it, "plan", "-f", str(at.it.root / "work" / "cluster.yaml"))
    return {f"{step['address']} {step['kind']} {step.get('peer')}" for step in planned["steps"]}


def _only_base_has_changed(before: World, after: World) -> None:
    assert (after.files, after.processes) == (before.files, before.processes)
    changed = {
        k for k in before.config.keys() | after.config.keys() if before.config.get(k) != after.config.get(k)
    }
    assert changed, "the option of the volume that did not fail"
    assert all('"base"' in before.config[key] for key in changed), changed


def at_rest(at: Scene) -> Any:
    """Return what tells whether nothing is to do, and nothing is wrong."""
    path = str(at.it.root / "work" / "cluster.yaml")

    def rests() -> bool:
        planned = at.it.cli("plan", "-f", path, "--detailed-exitcode").returncode
        return planned == 0 and at.it.cli("drift").returncode == 0

    return rests


# ---------------------------------------------------------------- the crash


@dataclass(frozen=True, slots=True)
class Death:
    """Which process died when (monotonic), and how long everybody had waited to run by then."""

    pid: int
    at: float
    waits: Waits

    def until(self, written: Written, *kinds: str, begun: str = "") -> tuple[float, float]:
        """Return after how many seconds something was heard, and how many of them processes were held up."""
        return written.at - self.at, written.waits.since(self.waits, *kinds, *HEARING, begun=begun)


def _crash(at: Scene, case: Case, started: Applying) -> Death:
    """Let the case's process come to its point, and its victim die."""
    action = "kill" if case.suicide else "stop"
    arming = at.nodes if case.at_agent or case.by_steward else at.applier
    arming.arm(f"{case.point}={action}@{case.hit}")
    if case.by_steward:
        at.applier.arm(f"{_before_the_steward(case)}=kill@1")
    eventually(arming.fired, f"{case}: somebody comes to the point", 180)
    pid = arming.fired()
    eventually(lambda: ended(pid) if case.suicide else stopped(pid), f"{case}: it is {action}ped", 60)
    if case.suicide:
        return Death(pid, arming.fired_at(), at.journal.waits())
    death = Death(started.pid, time.monotonic(), at.journal.waits())
    match case.victim:
        case Victim.APPLIER:
            os.kill(started.pid, signal.SIGKILL)
            _wait_for_takeover(at, case)
        case Victim.AGENT:
            control.kill(at.it.root, f"agent:{case.agent}")
        case Victim.ETCD:
            at.kill_etcd()
    os.kill(pid, signal.SIGCONT)
    return death


def _before_the_steward(case: Case) -> str:
    """Return the point at which the apply dies, so that it is a steward that comes to the case's."""
    if case.point.startswith("engine.turn"):
        return "engine.turn.before"
    return "engine.undo-dispatch.before" if case.back else "engine.dispatch.after"


def _wait_for_takeover(at: Scene, case: Case) -> None:
    """Let the agent that is stopped wake up only when a steward has a new epoch."""
    if case.promised.takeover:
        heads = lambda: len([w for w in list(at.journal.written) if w.key.endswith("/head")])  # noqa: E731
        known = heads()
        eventually(
            lambda: heads() > known,
            f"{case}: a takeover",
            120,
        )


def _end(at: Scene, case: Case, file: str, started: Applying) -> str:
    """Wait for the end; return the transaction's state."""
    txn = transaction(file)
    if not (case.by_steward or case.victim is Victim.APPLIER):
        code = started.wait(240)
        assert code in (0, 5, 7, 11, 69), f"{case}: {code} {started.ended} {started.errors()}"
    else:
        started.wait(120)

    def terminal() -> str:
        heads = at.journal.heads(txn)
        return str(heads[-1].value["state"]) if heads and heads[-1].value else ""

    def over() -> bool:
        never = "none" in case.promised.ends and txn not in transactions(at.it)
        return never or terminal() in ENDS

    eventually(over, f"{case}: it ends", 240)
    return terminal() or "none"


# ---------------------------------------------------------------- judging


#: A step was claimed there and its report is not written: the agent that is back claims it again.
_CLAIMED = (
    "agent.claim.after",
    "agent.do.before",
    "agent.do.after",
    "agent.report.before",
    "agent.undo-claim.after",
    "agent.undo.before",
    "agent.undo.after",
    "agent.undo-report.before",
)


def _timely(at: Scene, case: Case, txn: str, death: Death) -> None:
    if case.promised.takeover and case.victim in (Victim.APPLIER, Victim.STEWARD):
        _within(TAKEOVER_S, case, "taken over", death.until(_taken_over(at, txn, death), "steward"))
    if case.victim is Victim.AGENT:
        back = partial(_back, at, death)
        eventually(back, f"{case}: the agent is back", 90)
        found = back()
        assert found is not None
        seconds, waited = death.until(found, "supervisor", begun="agent")
        if case.point in _CLAIMED:
            seconds = max(seconds, _claimed_again(at, txn, death).at - death.at)
        _within(RESUMED_S, case, "resumed", (seconds, waited))


def _taken_over(at: Scene, txn: str, death: Death) -> Written:
    """Return the first head of an epoch that the dead has not known."""
    heads = [(h, h.value) for h in at.journal.heads(txn) if h.value]
    known = [
        v["phase"]["epoch"] for h, v in heads if h.at <= death.at or v["holder"].endswith(f" {death.pid}")
    ]
    return next(h for h, v in heads if v["phase"]["epoch"] > max(known))


def _back(at: Scene, death: Death) -> Written | None:
    """Return the first sign of life of an agent since a death."""
    lives = [w for w in list(at.journal.written) if w.key.endswith("/live") and w.value is not None]
    return next((w for w in lives if w.at > death.at), None)


def _claimed_again(at: Scene, txn: str, death: Death) -> Written:
    """Return the first record of a step that an agent has written which was not there at a death."""
    records = [(w, w.value["instance"]) for w in at.journal.of(txn) if w.value and "instance" in w.value]
    known = {instance for w, instance in records if w.at <= death.at}
    return next(w for w, instance in records if w.at > death.at and instance not in known)


def _within(promised: float, case: Case, what: str, measured: tuple[float, float]) -> None:
    """Fail if something took longer than promised, not counting how long processes waited for a processor."""
    seconds, waited = measured
    print(f"{what} after {seconds:.1f} s, {waited:.1f} s of them without a processor")
    assert seconds - waited <= promised, f"{case}: {what} after {seconds:.1f} s"


def _nothing_after_the_end(at: Scene, txn: str) -> None:
    heads = at.journal.heads(txn)
    over = [h for h in heads if h.value and h.value["state"] in ENDS]
    if over:
        after = [w.key for w in at.journal.of(txn) if w.revision > over[0].revision]
        assert not after, f"written after the end: {after}"


def test_every_point_is_reached_by_the_transactions_under_test(scenes: Any) -> None:
    at: Scene = scenes()
    said = ""
    dying = "engine.dispatch.after=kill@2"
    for failing, in_parts, dies in (
        (False, False, ""),
        (True, False, ""),
        (True, True, ""),
        (False, False, dying),
    ):
        at.nodes.disarm()
        at.applier.disarm()
        at.nodes.arm("*=log")
        at.applier.arm(dies or "*=log")
        file = at.next_plan(in_parts=in_parts)
        with contextlib.ExitStack() as stack:
            if failing:
                stack.enter_context(port_held(at.it, 2, planned_port(at.it, file)))
            started = stack.enter_context(at.applying(file))
            code = started.wait(240)
            said += started.errors()
            if not (failing or dies):
                _often_enough(
                    started.errors(), "engine.dispatch.before", "engine.result.seen", "engine.perform.after"
                )
            elif not (in_parts or dies):
                _often_enough(started.errors(), "engine.undo-dispatch.before")
        assert code == (-signal.SIGKILL if dies else 11 if in_parts else 5 if failing else 0)
        txn = transaction(file)
        eventually(lambda t=txn: at.journal.heads(t)[-1].value["state"] in ENDS, "end", 240)
        if not failing:
            at.committed()
    said += "".join(
        p.read_text(errors="replace") for p in Path(LabLayout(at.it.root).logs).glob("agent-*.log")
    )
    missed = [name for name in POINTS if f"failpoint {name}\n" not in said]
    assert not missed


def _often_enough(said: str, *points: str) -> None:
    """Fail unless a process has come to points as often as cases may ask for."""
    hits = {name: said.count(f"failpoint {name}\n") for name in points}
    assert all(hits[name] >= most_hits(name) for name in points), hits
