"""One run from beginning to verdict: what every crash test does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from reconciler.adapters.memory_store import MemoryStore
from reconciler.model import keys
from reconciler.model.configured import ConfiguredCluster
from reconciler.observe import configured_in
from reconciler.plan.step import Plan, Step
from reconciler.ports.store import Commit, Put
from reconciler.txn.record import Head, HeadState, Mark
from tests.sim.agents import Agent
from tests.sim.engines import Engine, Job
from tests.sim.faults import Point
from tests.sim.invariants import must
from tests.sim.journal import ENDED, SETTLED
from tests.sim.scenarios import CLUSTER, NAME, NODES, NOW, Scenario, scenario
from tests.sim.schedules import InTurn, Schedule
from tests.sim.simulation import Simulation
from tests.sim.world import Trouble, after_all

CLOCKS_OFF_S = 3600  #: how wrong a process' clock may be
AGENTS = ("agent1", "agent2", "agent3")


@dataclass(slots=True)
class Run:
    """A simulated cluster with an apply, a steward and three agents."""

    sim: Simulation
    applier: Engine
    steward: Engine
    agents: list[Agent]

    @property
    def engines(self) -> list[Engine]:
        """Return everybody who drives, or has driven, the transaction."""
        return [process for process in self.sim.processes if isinstance(process, Engine)]

    def go(self, *, seconds: float = 600.0) -> Head | None:
        """Run until the transaction is at rest; return its head, or None if it never began."""
        self.sim.run(self._at_rest, seconds=seconds)
        return self.sim.world.head()

    def _at_rest(self) -> bool:
        head = self.sim.world.head()
        if head is not None:
            return not head.state.active
        waiting = [e for e in self.engines if e.job is Job.APPLY and (e.stopped or (e.alive and not e.over))]
        return not waiting and not self.sim.late

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

    def overwrite(self, key: str, value: str) -> None:
        """Write past every guard, as somebody with administrator's rights."""
        with self.sim.tampering():
            self.sim.data.commit(Commit(when=(), then=(Put(key, value),)))

    def aftermath(self) -> None:
        """Wake everybody, deliver everything, and see that nothing happens any more."""
        world = self.sim.world
        assert not world.at_work, f"ended with effects under way: {world.at_work}"
        log, head = list(world.log), world.head()
        for agent in self.agents:
            agent.revive()
        self.sim.wake_all()
        self.sim.run(seconds=60.0)
        must(7, world.log == log, "effects after the end:", world.log[len(log) :])
        assert world.head() == head


def prepared(
    name: str,
    *points: Point,
    trouble: Mapping[int, Trouble] | None = None,
    schedule: Schedule | None = None,
    on_hosts: bool = False,
) -> Run:
    """Return a run of a scenario with what is to happen to it."""
    sim = Simulation(scenario(name), schedule or InTurn(), on_hosts, points=list(points))
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
        nothing(run)
        run.applier = run.engine(Job.APPLY)
        head = run.go()
        assert head is not None, "an apply that never began cannot be repeated"
    if head.state is HeadState.STUCK:
        assert stuck, head.reason
        return head.state
    judge(run, head.state)
    return head.state


def judge(run: Run, state: HeadState) -> None:
    """Judge a run whose transaction is over."""
    assert state in ENDED, state
    _outcome(run, state)
    run.aftermath()
    _outcome(run, state)


def _outcome(run: Run, state: HeadState) -> None:
    if state is HeadState.ROLLED_BACK:
        nothing(run)
        return
    steps = run.sim.scenario.plan.steps
    kept = {s.part for s in steps}
    if state is HeadState.PARTLY:
        kept = {s.part for s in steps if s.irrevocable and run.sim.world.record(s) is not None}
        kept |= {n for n in (0,) if all(_mark(run, s) in SETTLED for s in steps if not s.part)}
    happened(run, kept)


def happened(run: Run, kept: set[int]) -> None:
    """These parts of the plan have happened, each step once; of the others nothing is left."""
    sim, plan = run.sim, run.sim.scenario.plan
    for step in plan.steps:
        if step.part in kept:
            mark = _mark(run, step)
            must(15, mark in SETTLED, "committed with step", step.step_id, mark)
            must(15, mark is Mark.DONE or step.dispensable, "passed over step", step.step_id)
    done = tuple(s for s in plan.steps if s.part in kept and _mark(run, s) is Mark.DONE)
    must(17, sim.world.cells == after_all(replace(plan, steps=done), sim.scenario.cells), sim.world.cells)
    _configured(sim, plan, kept)


def _mark(run: Run, step: Step) -> Mark | None:
    record = run.sim.world.record(step)
    return record.mark if record else None


def _configured(sim: Simulation, plan: Plan, kept: set[int]) -> None:
    found = configured_in(sim.data.read_prefix(keys.cluster_prefix(CLUSTER)), CLUSTER, NAME)
    before = _stored(sim.scenario)
    part_of = {s.volume: s.part for s in plan.steps if s.volume is not None}
    for volume_id, record in {**plan.previous, **plan.volumes}.items():
        if part_of[volume_id] not in kept:
            assert found.volumes.get(record.name) == before.volumes.get(record.name)
            made = sim.data.read(keys.secret(CLUSTER, volume_id))
            must(22, (made is not None) is (keys.secret(CLUSTER, volume_id) in sim.scenario.entries), made)
        elif volume_id in plan.volumes:
            stored = found.volumes[record.name]
            if not record.policy_since:  # a new policy is live since its commit
                assert NOW - CLOCKS_OFF_S <= stored.policy_since <= NOW + sim.now + CLOCKS_OFF_S
            assert replace(stored, policy_since=record.policy_since) == record
            assert sim.data.read(keys.secret(CLUSTER, volume_id)) is not None
        else:
            assert record.name not in found.volumes
            assert [r.volume for r in found.retained] == [record]
    if 0 not in kept and any(not s.part for s in plan.steps):
        must(22, found.peers == before.peers, found.peers)
        must(22, found.settings == before.settings, found.settings)


def _stored(of: Scenario) -> ConfiguredCluster:
    store = MemoryStore()
    of.store(store)
    return configured_in(store.read_prefix(keys.cluster_prefix(CLUSTER)), CLUSTER, NAME)


def nothing(run: Run) -> None:
    """Everything is as it was before."""
    sim = run.sim
    must(22, sim.world.cells == sim.scenario.cells, sim.world.cells)
    prefixes = (keys.config_prefix(CLUSTER), keys.secrets_prefix(CLUSTER))
    left = {e.key: e.value for prefix in prefixes for e in sim.data.read_prefix(prefix).entries}
    must(22, left == dict(sim.scenario.entries), left)
