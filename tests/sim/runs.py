"""One run from beginning to verdict: what every crash test does."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from reconciler.model import keys
from reconciler.model.keys import parts_below
from reconciler.observe import configured_in
from reconciler.plan.step import Plan
from reconciler.ports.store import Change
from reconciler.txn.machine import ALLOWED
from reconciler.txn.record import Barrier, Command, Head, HeadState, Mark, Phase, StepRecord
from tests.sim.processes import Agent, Engine, Job
from tests.sim.scenarios import CLUSTER, NAME, NODES, NOW, scenario
from tests.sim.simulation import AtRandom, InTurn, Point, Schedule, Simulation
from tests.sim.world import Trouble, decoded

ENDED = (HeadState.COMMITTED, HeadState.ROLLED_BACK)
AGENTS = ("agent1", "agent2", "agent3")


@dataclass(slots=True)
class Run:
    """A simulated cluster with an apply, a steward and three agents."""

    sim: Simulation
    applier: Engine
    steward: Engine
    agents: list[Agent]

    def go(self, *, seconds: float = 600.0) -> Head | None:
        """Run until the transaction is at rest; return its head, or None if it never began."""
        self.sim.run(self._at_rest, seconds=seconds)
        return self.sim.world.head()

    def _at_rest(self) -> bool:
        head = self.sim.world.head()
        if head is not None:
            return not head.state.active
        return not self.applier.alive and not self.applier.stopped and not self.sim.late

    def engine(self, job: Job) -> Engine:
        """Start one more engine."""
        made = Engine(self.sim, f"engine{len(self.sim.processes)}", job)
        self.sim.processes.append(made)
        return made

    def settle(self, job: Job) -> Head:
        """Bring a transaction that waits for a human to its end."""
        made = self.engine(job)
        self.sim.run(lambda: made.over or not made.alive)
        head = self.go()
        assert head is not None
        return head

    def aftermath(self) -> None:
        """Wake everybody, deliver everything, and see that nothing happens any more."""
        world = self.sim.world
        assert not world.at_work, f"ended with effects under way: {world.at_work}"
        log, head = list(world.log), world.head()
        for agent in self.agents:
            agent.revive()
        for process in self.sim.processes:
            process.stopped = False
        self.sim.run(seconds=60.0)
        assert world.log == log, f"effects after the end: {world.log[len(log) :]}"
        assert world.head() == head


def prepared(
    name: str,
    *points: Point,
    trouble: Mapping[int, Trouble] | None = None,
    schedule: Schedule | None = None,
) -> Run:
    """Return a run of a scenario with what is to happen to it."""
    sim = Simulation(scenario(name), schedule=schedule or InTurn(), points=list(points))
    sim.misbehave(trouble or {})
    agents = [Agent(sim, node, AGENTS[i]) for i, node in enumerate(NODES)]
    applier, steward = Engine(sim, "applier", Job.APPLY), Engine(sim, "steward", Job.STEWARD)
    sim.processes = [*agents, applier, steward]
    return Run(sim, applier, steward, agents)


def check(run: Run, *, stuck: bool = False, paused: bool = False) -> HeadState | None:
    """Run to the end and judge it: all or nothing, and nothing afterwards. Return how it ended.

    Args:
        run: prepared, not yet run.
        stuck: true if a step was made to fail for ever in its undo: then STUCK is the right end.
        paused: true if a human was asked to decide; it is resumed.
    """
    head = run.go()
    for _ in range(4):
        if head is None or head.state is not HeadState.PAUSED:
            break
        assert paused, head.reason
        head = run.settle(Job.RESUME)
    if head is None:
        _nothing(run)
        run.applier = run.engine(Job.APPLY)
        head = run.go()
        assert head is not None, "an apply that never began cannot be repeated"
    if head.state is HeadState.STUCK:
        assert stuck, head.reason
        audit(run.sim)
        return head.state
    judge(run, head.state)
    return head.state


def judge(run: Run, state: HeadState) -> None:
    """Judge a run whose transaction is over."""
    assert state in ENDED, state
    audit(run.sim)
    (_everything if state is HeadState.COMMITTED else _nothing)(run)
    run.aftermath()
    (_everything if state is HeadState.COMMITTED else _nothing)(run)
    audit(run.sim)


def _everything(run: Run) -> None:
    sim, plan = run.sim, run.sim.scenario.plan
    assert sim.world.cells == sim.scenario.expected()
    for step in plan.steps:
        record = sim.world.record(step)
        assert record is not None, f"committed without step {step.step_id}"
        assert record.mark is Mark.DONE, f"committed with step {step.step_id} {record.mark}"
    _configured(sim, plan)


def _configured(sim: Simulation, plan: Plan) -> None:
    found = configured_in(sim.data.read_prefix(keys.cluster_prefix(CLUSTER)), CLUSTER, NAME)
    for volume_id, record in plan.volumes.items():
        stored = found.volumes[record.name]
        if not record.policy_since:  # a new policy is live since its commit
            assert NOW <= stored.policy_since <= NOW + sim.now
        assert replace(stored, policy_since=record.policy_since) == record
        assert sim.data.read(keys.secret(CLUSTER, volume_id)) is not None
    for volume_id, record in plan.previous.items():
        if volume_id not in plan.volumes:
            assert record.name not in found.volumes
            assert [r.volume for r in found.retained] == [record]


def _nothing(run: Run) -> None:
    sim = run.sim
    assert sim.world.cells == sim.scenario.cells
    prefixes = (keys.config_prefix(CLUSTER), keys.secrets_prefix(CLUSTER))
    left = {e.key: e.value for prefix in prefixes for e in sim.data.read_prefix(prefix).entries}
    assert left == dict(sim.scenario.entries)


def audit(sim: Simulation) -> None:
    """Check every write to the journal against what the store held at that moment."""
    reader = _Reader()
    for batch in sim.data._data.history:
        for change in batch.changes:
            reader.check(change)
        for change in batch.changes:
            reader.take(change)


@dataclass(slots=True)
class _Reader:
    """The journal as it was when a write came."""

    lock: int = 0  #: the epoch; 0 if nobody holds it
    head: Head | None = None
    records: dict[str, StepRecord] = field(default_factory=dict)
    barriers: dict[str, Phase] = field(default_factory=dict)
    commanded: set[str] = field(default_factory=set)  #: nodes

    def check(self, change: Change) -> None:
        """Check a write before it counts."""
        if change.value is None:
            return
        match _kind(change.key):
            case "head":
                head = decoded(Head, change.value)
                assert head.phase.epoch == self.lock, f"a head of {head.phase} under lock {self.lock}"
                assert self.head is None or self.head.state not in ENDED, "the head changed after the end"
                assert self.head is None or head.phase >= self.head.phase
            case "cmd":
                command = decoded(Command, change.value)
                self._current(command.phase, "a command")
                self._behind_barrier(change.key, command.phase)
            case "barrier-request":
                self._current(decoded(Barrier, change.value).phase, "a request")
            case "barrier":
                phase = decoded(Barrier, change.value).phase
                assert phase > self.barriers.get(change.key, Phase(0, 0)), "a barrier went back"
            case "step":
                self._check_record(change.key, decoded(StepRecord, change.value))

    def take(self, change: Change) -> None:
        """Let a write count."""
        match _kind(change.key):
            case "lock":
                self.lock = change.create_revision
            case "head":
                assert change.value is not None
                self.head = decoded(Head, change.value)
            case "cmd":
                self.commanded.add(_node(change.key))
            case "barrier":
                assert change.value is not None
                self.barriers[change.key] = decoded(Barrier, change.value).phase
            case "step":
                assert change.value is not None
                self.records[change.key] = decoded(StepRecord, change.value)

    def _check_record(self, key: str, record: StepRecord) -> None:
        before = self.records.get(key)
        assert record.mark in ALLOWED[before.mark if before else None], (before, record)
        if before is not None:
            assert record.phase >= before.phase, (before, record)
            assert before.mark is Mark.REFUSED or record.before == before.before, (before, record)
        if record.mark.in_flight or record.mark is Mark.REFUSED or "/txn/" in key:
            self._current(record.phase, f"{record.mark.value} of step {record.step}")

    def _behind_barrier(self, key: str, phase: Phase) -> None:
        """Invariant 5: no command before the node said that nothing older goes on there."""
        node = _node(key)
        in_doubt = any(
            r.mark.in_flight and r.phase < phase for k, r in self.records.items() if _node(k) == node
        )
        if in_doubt or (phase.undoing and node in self.commanded):
            answered = self.barriers.get(f"{keys.cluster_prefix(CLUSTER)}node/{node}/barrier", Phase(0, 0))
            assert answered >= phase, f"a command of {phase} to a node at barrier {answered}"

    def _current(self, phase: Phase, what: str) -> None:
        """Claims, commands and requests count in one phase only, and never without the lock."""
        assert phase.epoch == self.lock, f"{what} of {phase} under lock {self.lock}"
        assert self.head is not None
        assert self.head.state.active, f"{what} while {self.head.state}"
        assert phase == self.head.phase, f"{what} of {phase} in {self.head.phase}"


def _node(key: str) -> str:
    """Return the node in a key, or an empty text."""
    parts = parts_below(keys.cluster_prefix(CLUSTER), key)
    return parts[1] if parts[0] == "node" else ""


def _kind(key: str) -> str:
    """Return what a key of the cluster holds, or an empty text for what the protocol has no rule for."""
    parts = parts_below(keys.cluster_prefix(CLUSTER), key)
    if parts[0] in ("node", "txn"):
        return parts[2]
    return "lock" if parts == ("lock",) else ""


def random_run(name: str, seed: int) -> tuple[int, float, int]:
    """One run with faults drawn from a seed, judged.

    Returns what tells it from another run: steps, time and the store's revision.
    """
    rng = random.Random(seed)
    points = [*_points(rng, ("applier", 20), ("steward", 20), *((agent, 25) for agent in AGENTS))]
    trouble, stuck = _trouble(rng, len(scenario(name).plan.steps))
    run = prepared(name, *points, trouble=trouble, schedule=AtRandom(rng))
    head = _with_interruptions(run, rng)
    for _ in range(6):
        if head is None or head.state in ENDED:
            break
        assert head.state in (HeadState.PAUSED, HeadState.STUCK), head.state
        assert head.state is HeadState.PAUSED or stuck or "is gone" in head.reason, head.reason
        run.sim.world.trouble.clear()  # a human repaired what failed
        past = any(s.node is None and s.step_class.value != "compensatable" and run.sim.world.record(s)
                   for s in run.sim.scenario.plan.steps)  # fmt: skip
        head = run.settle(Job.RESUME if past or rng.random() < 0.5 else Job.ROLLBACK)
    if head is None:
        _nothing(run)
    else:
        judge(run, head.state)
    return run.sim.steps, run.sim.now, run.sim.data.read_prefix("").revision


def _points(rng: random.Random, *victims: tuple[str, int]) -> Iterable[Point]:
    for who, calls in victims:
        for _ in range(rng.choice((0, 0, 1, 1, 2, 4))):
            kinds = ("before", "after", "unsent", "unheard", "late", "late")
            kind = rng.choice(kinds if who != "applier" else (*kinds, "stop"))
            later, seconds = rng.choice((3, 15, 60)), rng.choice((0.0, 0.0, 0.7, 5.0, 14.0, 30.0))
            yield Point(who, rng.randrange(1, calls), kind, later, seconds)


def _trouble(rng: random.Random, steps: int) -> tuple[dict[int, Trouble], bool]:
    """Draw failures; the second value is true if an undo fails for longer than it is retried."""
    found: dict[int, Trouble] = {}
    stuck = False
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        what = rng.choice(("refuse", "do", "half", "half", "undo"))
        times = rng.choice((1, 2, 1000))
        retryable = rng.random() < 0.5
        found[rng.randrange(1, steps + 1)] = Trouble(what, times, retryable)
        stuck = stuck or what == "undo"
    return found, stuck


def _with_interruptions(run: Run, rng: random.Random) -> Head | None:
    """Let leases end, ask to stop and wake the standing while the run goes on."""
    for _ in range(rng.choice((0, 0, 1, 3))):
        target = run.sim.steps + rng.randrange(1, 300)
        run.sim.run(lambda target=target: run.sim.steps >= target or run._at_rest())
        match rng.randrange(5):
            case 0:
                run.applier.lose_lease()
            case 1:
                run.steward.lose_lease()
            case 2:
                run.applier.ask_to_stop()
            case 3:
                run.applier.stopped = False
            case 4:
                agent = rng.choice(run.agents)
                agent.stopped = not agent.stopped
                agent.lose_lease()
    for agent in run.agents:
        agent.stopped = False
    return run.go()
