"""A run as a value: which plan, what happens to it, in which order. Drawn from a seed, played, printed.

A seed first draws which kinds of faults there are at all (swarm testing), then the faults. `play` judges a
run to its very end: faults stop, everybody wakes, and the transaction must come to rest soon; a person
settles what waits for one.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

from reconciler.model.cluster import Rollback
from reconciler.txn.record import Head, HeadState
from reconciler.txn.state import Part, TxnState, parts_of
from tests.sim.engines import Engine, Job
from tests.sim.faults import Mishap, Point
from tests.sim.invariants import must
from tests.sim.journal import ENDED
from tests.sim.runs import AGENTS, CLOCKS_OFF_S, Run, judge, nothing, prepared
from tests.sim.scenarios import scenario
from tests.sim.schedules import AsPicked, AtRandom
from tests.sim.world import Trouble

PLANS = ("option", "delete", "option", "one", "parts", "delete", "several", "modes")
MODES = ("parts-none", "parts-all", "parts-crash")
SETTLES_WITHIN_S = 180.0  #: of the last fault: 45 s until a node is given up, leases, retries of undo
ENGINES = ("applier", "steward", "steward2")
ON_HOSTS = 0.3  #: the share of drawn cases whose steps are real actions


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One run.

    Attributes:
        plan: the scenario's name.
        picks: who made each step; or a seed, from which it is drawn.
        trouble: by step: what it does wrong, how often, and whether trying again is said to help.
        clocks: by process: by how many seconds its clock is wrong, and how fast it runs.
        rivals: how many more processes apply the same plan.
        rolls_back: what the person says each time one is asked: to roll back (or to resume).
        on_hosts: the steps are the real actions on machines, instead of cells that change in two halves.
    """

    plan: str
    picks: int | tuple[str, ...] = ()
    points: tuple[Point, ...] = ()
    mishaps: tuple[Mishap, ...] = ()
    trouble: tuple[tuple[int, str, int, bool], ...] = ()
    clocks: tuple[tuple[str, int, float], ...] = ()
    rivals: int = 0
    rolls_back: tuple[bool, ...] = ()
    on_hosts: bool = False


@dataclass(frozen=True, slots=True)
class Played:
    """What tells a run from another."""

    end: HeadState | None
    steps: int
    seconds: float
    revision: int
    picked: tuple[str, ...]


def plan_of(seed: int) -> str:
    """Return the plan that a seed is about."""
    name = PLANS[seed % len(PLANS)]
    return MODES[seed // len(PLANS) % len(MODES)] if name == "modes" else name


def play(case: Case) -> Played:
    """Play a case to its end and judge it.

    Raises Violation, or AssertionError for what has no number.
    """
    run, schedule = _begun(case)
    try:
        return _played(run, case, schedule)
    except Exception as exc:
        exc.picked = tuple(schedule.picked) if isinstance(schedule, AtRandom) else ()  # type: ignore[attr-defined]
        raise


def _begun(case: Case) -> tuple[Run, AtRandom | AsPicked]:
    by_seed = isinstance(case.picks, int)
    schedule = AtRandom(random.Random(case.picks)) if by_seed else AsPicked(case.picks)  # type: ignore[arg-type]
    trouble = {step: Trouble(what, times, retryable) for step, what, times, retryable in case.trouble}
    run = prepared(case.plan, *case.points, trouble=trouble, schedule=schedule, on_hosts=case.on_hosts)
    sim = run.sim
    sim.mishaps = sorted(case.mishaps, key=lambda mishap: mishap.at)
    sim.processes.append(Engine(sim, "steward2", Job.STEWARD))
    sim.processes += [Engine(sim, f"rival{n}", Job.APPLY) for n in range(case.rivals)]
    for who, off, rate in case.clocks:
        sim.wall_off[who], sim.rates[who] = off, rate
    return run, schedule


def _played(run: Run, case: Case, schedule: AtRandom | AsPicked) -> Played:
    sim = run.sim
    head = settled(run)
    says = iter(case.rolls_back)
    for _ in range(6):
        if head is None or head.state in ENDED:
            break
        explained(run, head, case)
        sim.world.trouble.clear()  # the person has repaired what failed
        head = run.settle(Job.ROLLBACK if next(says, False) and _can_go_back(run, head) else Job.RESUME)
    if head is None:
        nothing(run)
    else:
        must(52, head.state in ENDED, "a person cannot bring it to an end:", head)
        judge(run, head.state)
    picked = tuple(schedule.picked) if isinstance(schedule, AtRandom) else ()
    revision = sim.data.read_prefix("").revision
    return Played(head.state if head else None, sim.steps, sim.now, revision, picked)


def settled(run: Run) -> Head | None:
    """Play until the faults are over; then the transaction must come to rest soon, with everybody awake."""
    sim = run.sim
    run.go()
    sim.mishaps.clear()
    for _ in range(5):
        if not sim.still_to_come() and not any(p.stopped for p in sim.processes):
            break
        sim.run(lambda: not sim.still_to_come(), seconds=120.0)
        sim.wake_all()
    began = max(sim.now, sim.disturbed_at)
    head = run.go()
    must(50, head is None or not head.state.active, "still", head, "at", sim.now)
    must(50, sim.now - began <= SETTLES_WITHIN_S, "took", sim.now - began, "s:", head)
    return head


def explained(run: Run, head: Head, case: Case) -> None:
    """A transaction that waits for a person says why, and names the node if one is gone."""
    must(50, head.state in (HeadState.PAUSED, HeadState.STUCK), head)
    must(51, head.reason, "no reason is given:", head)
    undoing = any(what == "undo" for _, what, _, _ in case.trouble)
    gone = "is gone" in head.reason
    waits = head.state is HeadState.PAUSED or run.sim.scenario.plan.rollback is Rollback.NONE
    must(52, waits or undoing or gone or _forward_only(_state(run, head)), head.reason)
    if gone:
        must(51, any(f"the agent on gs{n}" in head.reason for n in (1, 2, 3)), head.reason)


def _state(run: Run, head: Head) -> TxnState:
    steps = run.sim.scenario.plan.steps
    records = {s.step_id: r for s in steps if (r := run.sim.world.record(s)) is not None}
    return TxnState(steps=steps, head=head, records=records)


def _forward_only(state: TxnState) -> list[Part]:
    """Return the parts that are past their point of no return and not at their end."""
    return [p for p in parts_of(state.steps) if state.past_pivot(p) and not state.complete(p)]


def _can_go_back(run: Run, head: Head) -> bool:
    state = _state(run, head)
    return not _forward_only(state) and len(state.kept()) < len(parts_of(state.steps))


# ---------------------------------------------------------------- drawing


def drawn(seed: int, plan: str = "") -> Case:
    """Return the case that a seed stands for."""
    rng = random.Random(seed)
    name = plan or plan_of(seed)
    kinds = {kind for kind in ("points", "mishaps", "store", "trouble", "clocks") if rng.random() < 0.6}
    steps = len(scenario(name).plan.steps)
    mishaps: list[Mishap] = []
    if "mishaps" in kinds:
        mishaps += _mishaps(rng)
    if "store" in kinds:
        mishaps += _store_mishaps(rng)
    return Case(
        plan=name,
        picks=seed,
        points=tuple(_points(rng)) if "points" in kinds else (),
        mishaps=tuple(mishaps),
        trouble=tuple(_trouble(rng, steps)) if "trouble" in kinds else (),
        clocks=tuple(clocks_of(rng)) if "clocks" in kinds else (),
        rivals=rng.choice((0, 0, 0, 1, 3)),
        rolls_back=tuple(rng.random() < 0.5 for _ in range(6)),
        on_hosts=rng.random() < ON_HOSTS,
    )


def _points(rng: random.Random) -> Iterable[Point]:
    for who in (*ENGINES, *AGENTS):
        for _ in range(rng.choice((0, 0, 0, 1, 1, 2, 4))):
            what = rng.choice(("before", "after", "unsent", "unheard", "late", "late"))
            later, seconds = rng.choice((3, 15, 60)), rng.choice((0.0, 0.0, 0.7, 5.0, 14.0, 30.0))
            yield Point(who, rng.randrange(1, 25), what, later, seconds)


def _mishaps(rng: random.Random) -> Iterable[Mishap]:
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        what = rng.choice(("kill", "stop", "stop", "lease", "ask", "cut", "cut", "lag", "lag"))
        who = rng.choice(("applier", "applier", "steward", "rival0", *AGENTS))
        yield Mishap(rng.randrange(1, 400), what, who, rng.choice((0.5, 3.0, 9.5, 12.0, 31.0, 60.0)))


def _store_mishaps(rng: random.Random) -> Iterable[Mishap]:
    for _ in range(rng.choice((1, 1, 2, 3))):
        what = rng.choice(("full", "outage", "compact", "compact", "outlive", "unlock"))
        yield Mishap(rng.randrange(1, 400), what, "", rng.choice((0.5, 3.0, 9.5, 12.0, 31.0)))


def _trouble(rng: random.Random, steps: int) -> Iterable[tuple[int, str, int, bool]]:
    for _ in range(rng.choice((1, 1, 2, 3))):
        what = rng.choice(("refuse", "do", "half", "half", "undo"))
        yield rng.randrange(1, steps + 1), what, rng.choice((1, 2, 1000)), rng.random() < 0.5


def clocks_of(rng: random.Random) -> Iterable[tuple[str, int, float]]:
    """Draw clocks that are up to an hour wrong, and run at half or twice the speed."""
    for who in (*ENGINES, *AGENTS):
        if rng.random() < 0.5:
            yield who, rng.randrange(-CLOCKS_OFF_S, CLOCKS_OFF_S), rng.choice((0.5, 1.0, 2.0))
