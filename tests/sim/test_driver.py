"""The same crashes under the real Driver and the real Steward: whoever polls them lets the agents go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import pytest

from reconciler.controller.steward import Steward
from reconciler.engine.applier import Applier
from reconciler.engine.driver import Driver
from reconciler.engine.journal import begin
from reconciler.engine.lock import Lock, acquire
from reconciler.errors import LockHeld
from reconciler.model.report import ProgressEvent, ProgressKind
from reconciler.txn.record import Head, HeadState, LockRecord, Phase
from tests.sim.agents import Agent
from tests.sim.engines import Job, secret
from tests.sim.faults import Point
from tests.sim.runs import Run, judge, prepared
from tests.sim.scenarios import CLUSTER
from tests.sim.simulation import SimulatedCrash, Simulation
from tests.sim.world import Trouble


@dataclass(slots=True)
class Poll:
    """What a driver asks whether to stop: a moment in which the agents do what they can."""

    sim: Simulation
    asked: bool = False

    def is_set(self) -> bool:
        agents = [p for p in self.sim.processes if isinstance(p, Agent)]
        while any(agent.ready() for agent in agents):
            for agent in agents:
                if agent.ready():
                    self.sim._step(agent)
        self.sim.now += 0.01
        return self.asked

    def now(self) -> int:
        return self.sim.wall()

    def monotonic(self) -> float:
        return self.sim.monotonic()


@contextmanager
def applying(
    run: Run, poll: Poll, tell: Callable[[ProgressEvent], None] = lambda _: None
) -> Iterator[tuple[Driver, Applier, Lock]]:
    """Begin the run's plan as an apply does."""
    sim = run.sim
    client = sim.client("applier")
    driver = Driver(client, CLUSTER, poll, tell, poll.is_set)
    record = LockRecord(holder="applier", op_id="applier", since=1)
    lock = acquire(client, CLUSTER, record, timeout_s=0, on_lost=driver.lock_lost)
    try:
        fresh = Head(
            txn=sim.world.txn,
            state=HeadState.RUNNING,
            phase=Phase(lock.epoch, 0),
            plan_id="",
            plan_digest="",
            chunks=0,
            started_at=1,
            holder="applier",
        )
        begin(client, CLUSTER, sim.scenario.plan, fresh, lock.epoch)
        applier = Applier(CLUSTER, fresh.txn, sim.scenario.plan, epoch=lock.epoch, holder="a", secret=secret)
        yield driver, applier, lock
    except SimulatedCrash:
        client.close()
        return
    lock.release()


def bare(*points: Point, trouble: dict[int, Trouble] | None = None) -> tuple[Run, Poll]:
    """Return a run with agents only."""
    run = prepared("option", *points, trouble=trouble)
    run.sim.processes = list(run.agents)
    return run, Poll(run.sim)


def steward(run: Run, poll: Poll) -> Steward:
    """Return a real steward."""
    return Steward(run.sim.client("steward"), CLUSTER, poll, poll)  # type: ignore[arg-type]


@pytest.mark.parametrize(("trouble", "end"), [(None, HeadState.COMMITTED), ("half", HeadState.ROLLED_BACK)])
def test_a_crash_at_every_write_is_finished_by_a_steward(trouble: str | None, end: HeadState) -> None:
    for number in range(4, 40):  # the first three take the lock and write plan and head
        struck = {6: Trouble(trouble)} if trouble else None
        run, poll = bare(Point("applier", number, "before" if number % 2 else "after"), trouble=struck)
        with applying(run, poll) as (driver, applier, _):
            assert driver.run(applier) is not None
            judge(run, end)
            break  # it has fewer writes than this
        run.sim.now += 20.0
        for _ in range(2):
            steward(run, poll).look_once()
        judge(run, end)
    assert number > 6


def test_a_stop_pauses_at_a_safe_point() -> None:
    run, poll = bare()
    with applying(run, poll) as (driver, applier, _):
        poll.asked = True
        head = driver.run(applier)
    assert head is not None
    assert head.state is HeadState.PAUSED
    assert run.settle(Job.ROLLBACK).state is HeadState.ROLLED_BACK
    judge(run, HeadState.ROLLED_BACK)


def test_a_lost_lease_ends_the_driver_without_an_outcome() -> None:
    run, poll = bare()
    with applying(run, poll) as (driver, applier, lock):
        run.sim.data.expire(lock.lease.lease_id)
        assert driver.run(applier) is None
    assert steward(run, poll).look_once() is not None
    judge(run, HeadState.COMMITTED)


def test_a_steward_that_is_stopped_lets_go_and_the_next_goes_on() -> None:
    run, poll = bare(Point("applier", 5, "after"))
    with applying(run, poll) as (driver, applier, _):
        driver.run(applier)
    run.sim.now += 20.0
    poll.asked = True
    assert steward(run, poll).look_once() is None
    head = run.sim.world.head()
    assert head is not None
    assert head.state is HeadState.RUNNING, "that a machine is shut down is no reason to wait for a human"
    poll.asked = False
    assert steward(run, poll).look_once() is not None
    judge(run, HeadState.COMMITTED)


@dataclass(slots=True)
class Script(Poll):
    """Something happens at some of the polls."""

    at: dict[int, Callable[[], object]] = field(default_factory=dict)
    polls: int = 0

    def is_set(self) -> bool:
        self.polls += 1
        self.at.get(self.polls, bool)()
        return Poll.is_set(self)


def test_a_full_store_is_asked_without_haste_until_it_has_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.engine.driver.TICK_S", 0.01)
    run, _ = bare()
    asked: list[int] = []
    room = partial(run.sim.data.set_full, False)

    def note() -> None:
        asked.append(run.sim.calls["applier"])

    poll = Script(run.sim, at={2: note, 8: note, 9: room})
    with applying(run, poll) as (driver, applier, _):
        run.sim.data.set_full(True)
        assert driver.run(applier) is not None
    assert 3 <= asked[1] - asked[0] <= 6 * 3, "three commands, once at each poll"
    judge(run, HeadState.COMMITTED)


def test_what_a_full_store_suffers_from_is_told_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.engine.driver.TICK_S", 0.01)
    run, _ = bare()
    said: list[tuple[float, str]] = []

    def note(event: ProgressEvent) -> None:
        if event.kind is ProgressKind.WAITING and event.step is None:
            said.append((run.sim.now, event.text))

    def second() -> None:
        run.sim.now += 1.0

    poll = Script(
        run.sim, at={**dict.fromkeys(range(2, 30), second), 30: partial(run.sim.data.set_full, False)}
    )
    with applying(run, poll, note) as (driver, applier, _):
        began = run.sim.now
        run.sim.data.set_full(True)
        assert driver.run(applier) is not None
    assert len(said) == 3, said
    assert [text for _, text in said] == ["there is no space left: make some"] * 3
    assert said[0][0] - began < 5.0
    judge(run, HeadState.COMMITTED)


def test_a_lock_that_is_lost_while_the_store_is_full_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.engine.driver.TICK_S", 0.01)
    run, _ = bare()
    poll = Script(run.sim)
    with applying(run, poll) as (driver, applier, lock):
        poll.at = {
            1: partial(run.sim.data.set_full, True),
            5: partial(run.sim.data.expire, lock.lease.lease_id),
        }
        assert driver.run(applier) is None
    run.sim.data.set_full(False)
    assert steward(run, poll).look_once() is not None
    judge(run, HeadState.COMMITTED)


def test_a_steward_leaves_a_transaction_alone_that_is_driven() -> None:
    run, poll = bare()
    with applying(run, poll):
        assert steward(run, poll).look_once() is None
        with pytest.raises(LockHeld):
            acquire(
                run.sim.client("other"),
                CLUSTER,
                LockRecord(holder="o", op_id="o", since=1),
                timeout_s=0,
                on_lost=lambda: None,
            )
