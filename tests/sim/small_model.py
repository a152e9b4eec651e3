"""A small cluster as a value: two agents, three steps, engines, a store; what makes two of its states one.

The real Applier (with the machine) and the real Executor are inside it, and the world and the journal's
reader of the simulation judge it. `exhaustive` says what can happen to it.

Two states that differ only in the numbers of revisions are one: revisions are compared, never computed with,
so each is replaced by its rank before states are compared.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import blake2b

from reconciler.agent import messages as msg
from reconciler.agent.executor import Executor
from reconciler.engine import messages as engine
from reconciler.engine.applier import Applier
from reconciler.engine.journal import txn_of
from reconciler.model import keys
from reconciler.model.ids import Address, NodeId, PeerName, StepId
from reconciler.plan.step import Plan, Step, StepClass
from reconciler.ports.store import Absent, Change, Changes, Commit, Committed, CreatedAt, Entry, Put, Snapshot
from reconciler.txn.record import Barrier, Mark
from tests.plan_samples import EMPTY
from tests.sim.journal import JournalReader
from tests.sim.scenarios import CLUSTER, NODES
from tests.sim.world import Cells, Trouble, World

NODE_OF = dict(enumerate(NODES[:2]))
PREFIX = keys.cluster_prefix(CLUSTER)


def _step(number: int, node: NodeId, kind: str, needs: tuple[int, ...], last: StepClass) -> Step:
    return Step(
        step_id=StepId(number),
        kind=kind,
        address=Address("volume/v"),
        title=f"step {number}",
        node=node,
        peer=PeerName("gs1" if node == NODES[0] else "gs2"),
        args={"brick": f"b{number}"},
        needs=tuple(StepId(n) for n in needs),
        step_class=last,
        undo="undo it" if last is StepClass.COMPENSATABLE else "",
    )


def small_plan(last: StepClass = StepClass.COMPENSATABLE) -> Plan:
    """Return two steps side by side on two nodes, and a third one on the first of them that needs both."""
    first = _step(1, NODES[0], "brick.start", (), StepClass.COMPENSATABLE)
    second = _step(2, NODES[1], "brick.start", (), StepClass.COMPENSATABLE)
    third = _step(3, NODES[0], "shd.start", (1, 2), last)
    return replace(EMPTY, cluster_id=CLUSTER, read_set=(), steps=(first, second, third))


def tiny_plan() -> Plan:
    """Return two steps, one after the other, on two nodes: small enough to compare ways of exploring."""
    first = _step(1, NODES[0], "brick.start", (), StepClass.COMPENSATABLE)
    second = _step(2, NODES[1], "brick.start", (1,), StepClass.COMPENSATABLE)
    return replace(EMPTY, cluster_id=CLUSTER, read_set=(), steps=(first, second))


# ---------------------------------------------------------------- states


@dataclass(frozen=True, slots=True)
class Budget:
    """What may still go wrong."""

    takeovers: int = 0
    failures: int = 0  #: of a do
    undo_failures: int = 0
    kills: int = 0  #: of agents
    unheard: int = 0  #: writes that happen and whose answer is lost
    unsent: int = 0  #: writes that do not happen and have no answer


@dataclass(frozen=True, slots=True)
class Driving:
    """An engine with its driver. `heard` is how far its watch has told."""

    applier: Applier
    heard: int
    effects: tuple[engine.Effect, ...] = ()
    answers: tuple[engine.Event, ...] = ()
    unanswered: tuple[engine.Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Serving:
    """An agent with its link. `listed` is a listing that is on its way to the executor."""

    executor: Executor
    heard: int
    effects: tuple[msg.Effect, ...] = ()
    running: msg.Run | None = None
    waiting: bool = False
    listed: Snapshot | None = None


@dataclass(frozen=True, slots=True)
class State:
    """Everything. `history` holds what somebody has not heard yet."""

    revision: int
    entries: dict[str, Entry]
    history: tuple[Changes, ...]
    engines: tuple[Driving | None, ...]
    agents: tuple[Serving, ...]
    cells: Cells
    turned: frozenset[NodeId]
    effective: frozenset[StepId]
    failed: frozenset[tuple[StepId, Mark]]
    phases: dict[NodeId, Barrier]
    budget: Budget


_OF_KEY = re.compile(r"<<([^|>]*)\|(\d+)>>")
_EPOCH = re.compile(r'(epoch":|epoch=)(\d+)')


def fingerprint(state: State) -> bytes:
    """Return what makes a state that state, whatever its revisions are called.

    Revisions of one key are compared with each other, epochs with epochs, and how far somebody has heard
    with what there is to hear. Nothing else is compared: in which order two keys were written, once everybody
    knows it, makes no difference.
    """
    parts = [_entry(entry) for _, entry in sorted(state.entries.items())]
    parts += [_batch(batch) for batch in state.history]
    parts += [_driving(state, one) if one else "-" for one in state.engines]
    parts += [_serving(state, one) for one in state.agents]
    parts += [repr(sorted(state.cells.items())), repr(sorted(state.turned)), repr(sorted(state.effective))]
    parts += [repr(sorted((s, m.value) for s, m in state.failed)), repr(state.budget)]
    parts += [repr(barrier) for _, barrier in sorted(state.phases.items())]
    text = "\n".join(parts)
    epochs = {n: rank for rank, n in enumerate(sorted({int(n) for _, n in _EPOCH.findall(text)}))}
    text = _EPOCH.sub(lambda found: f"{found[1]}{epochs[int(found[2])]}", text)
    of_key: dict[str, set[int]] = {}
    for key, number in _OF_KEY.findall(text):
        of_key.setdefault(key, set()).add(int(number))
    ranks = {key: {n: rank for rank, n in enumerate(sorted(numbers))} for key, numbers in of_key.items()}
    text = _OF_KEY.sub(lambda found: str(ranks[found[1]][int(found[2])]), text)
    return blake2b(text.encode(), digest_size=12).digest()


@lru_cache(maxsize=100_000)
def _entry(entry: Entry) -> str:
    created = f"epoch={entry.create_revision}" if entry.key == keys.lock(CLUSTER) else ""
    return f"{entry.key}={entry.value}<<{entry.key}|{entry.mod_revision}>>{created}"


@lru_cache(maxsize=100_000)
def _batch(batch: Changes) -> str:
    return "&".join(f"{c.key}={c.value}<<{c.key}|{c.mod_revision}>>" for c in batch.changes)


@lru_cache(maxsize=100_000)
def _commit(what: Commit) -> str:
    guards = (
        f"epoch={one.revision}"
        if isinstance(one, CreatedAt)
        else f"{one.key}<<{one.key}|{getattr(one, 'revision', 0)}>>"
        for one in what.when
    )
    return f"{[*guards]} {what.then}"


def _known(entries: dict[str, Entry]) -> str:
    return "&".join(_entry(entry) for _, entry in sorted(entries.items()))


def _unheard(state: State, revision: int) -> int:
    return sum(batch.revision > revision for batch in state.history)


def _driving(state: State, one: Driving) -> str:
    it = one.applier
    mirror = it._mirror
    pending = [f"{k}<<{k}|{n}>>{n > mirror.revision}" for k, n in sorted(it._pending.items())]
    effects = [_commit(e.commit) if isinstance(e, engine.Write) else repr(e) for e in one.effects]
    answers = [_answer(state, answer) for answer in (*one.answers, None, *one.unanswered)]
    horizon = (_unheard(state, one.heard), _unheard(state, mirror.revision), it._stopping)
    mine = f"{sorted(it._written.items())} {sorted(it._tried)}"
    return f"epoch={it._epoch} {horizon} {_known(mirror.entries)} {pending} {mine} {effects} {answers}"


def _answer(state: State, event: engine.Event | None) -> str:
    match event:
        case engine.Loaded(snapshot=found):
            return f"{_unheard(state, found.revision)} {[_entry(entry) for entry in found.entries]}"
        case engine.Answered(tag=tag, committed=done) if done is not None:
            return f"{tag} {done.succeeded}<<{tag}|{done.revision}>>"
    return repr(event)


def _serving(state: State, one: Serving) -> str:
    it = one.executor
    listed = ""
    if one.listed is not None:
        newer = sorted(k for k, e in it._entries.items() if e.mod_revision > one.listed.revision)
        gone = sorted(k for k, n in it._gone.items() if n > one.listed.revision)
        listed = f"{[_entry(entry) for entry in one.listed.entries]} {newer} {gone}"
    dropped = [f"{key}<<{key}|{n}>>" for key, n in sorted((*it._dropped.items(), *it._gone.items()))]
    effects = [_effect(effect) for effect in one.effects]
    running = (one.running.step.step_id, one.running.undo) if one.running else None
    flags = (it._acknowledging, it._waiting, it._listing, it.phase, it.instance, one.waiting)
    own = keys.node_prefix(it.cluster, it.node)
    told = sum(batch.revision > one.heard and _touches(batch, own) for batch in state.history)
    return f"{told} {_known(it._entries)} {dropped} {_job(it)} {effects} {running} {flags} {listed}"


def _job(it: Executor) -> str:
    job = it._job
    if job is None:
        return "-"
    command = keys.command(it.cluster, it.node, job.command.txn, job.command.step)
    record = keys.node_step(it.cluster, it.node, job.command.txn, job.command.step)
    head = f"<<{keys.head(it.cluster, job.command.txn)}|{job.context.head_revision}>>" if job.context else ""
    revisions = f"<<{command}|{job.command_revision}>><<{record}|{job.revision}>>{head}"
    return f"{job.command} {job.stage} {job.known} {job.record} {revisions}"


def _effect(effect: msg.Effect) -> str:
    match effect:
        case msg.Run(step=step, before=before, undo=undo):
            return f"Run {step.step_id} {before} {undo}"
        case msg.StoreIt(commit=what):
            return _commit(what)
    return repr(effect)


# ---------------------------------------------------------------- the store


def commit(state: State, plan: Plan, what: Commit) -> tuple[State, Committed]:
    """Run a commit, checking each of its writes against the journal."""
    entries = state.entries
    for compare in what.when:
        entry = entries.get(compare.key)
        match compare:
            case Absent():
                holds = entry is None
            case CreatedAt(revision=revision):
                holds = entry is not None and entry.create_revision == revision
            case _:
                holds = (entry.mod_revision if entry else 0) == compare.revision
        if not holds:
            return state, Committed(succeeded=False, revision=state.revision)
    revision = state.revision + 1
    made, changes = dict(entries), []
    for operation in what.then:
        if isinstance(operation, Put):
            known = entries.get(operation.key)
            created = known.create_revision if known else revision
            made[operation.key] = Entry(
                key=operation.key, value=operation.value, create_revision=created, mod_revision=revision
            )
            changes.append(
                Change(
                    key=operation.key, value=operation.value, create_revision=created, mod_revision=revision
                )
            )
        elif operation.key in made:
            del made[operation.key]
            changes.append(Change(key=operation.key, value=None, create_revision=0, mod_revision=revision))
    batch = Changes(revision=revision, changes=tuple(changes))
    reader = JournalReader(plan, world_of(state, plan), {})
    for entry in entries.values():
        reader._note(
            Change(key=entry.key, value=entry.value, create_revision=entry.create_revision, mod_revision=1)
        )
    for change in changes:
        reader._check(change)
    after = replace(state, revision=revision, entries=made, history=(*state.history, batch))
    return after, Committed(succeeded=True, revision=revision)


def snapshot(state: State, prefix: str) -> Snapshot:
    """List a prefix."""
    found = sorted((e for k, e in state.entries.items() if k.startswith(prefix)), key=lambda e: e.key)
    return Snapshot(revision=state.revision, entries=tuple(found))


def news(state: State, heard: int, prefix: str) -> tuple[Changes, ...]:
    """Return what a watch has to tell, batch by batch."""
    found = []
    for batch in state.history:
        inside = tuple(c for c in batch.changes if c.key.startswith(prefix))
        if batch.revision > heard and inside:
            found.append(Changes(revision=batch.revision, changes=inside))
    return tuple(found)


def forgotten(state: State) -> State:
    """Drop the history that nobody has to hear any more."""
    oldest = min((one.heard for one in state.engines if one), default=state.revision)
    agents = [(one.heard, keys.node_prefix(CLUSTER, NODE_OF[i])) for i, one in enumerate(state.agents)]

    def needed(batch: Changes) -> bool:
        if batch.revision > oldest:
            return True
        return any(batch.revision > heard and _touches(batch, prefix) for heard, prefix in agents)

    kept = tuple(batch for batch in state.history if needed(batch))
    return state if len(kept) == len(state.history) else replace(state, history=kept)


@lru_cache(maxsize=100_000)
def _touches(batch: Changes, prefix: str) -> bool:
    return any(change.key.startswith(prefix) for change in batch.changes)


def world_of(state: State, plan: Plan, trouble: dict[StepId, Trouble] | None = None) -> World:
    """Return the nodes as the simulation's world, with its checks."""
    at_work = {NODE_OF[i]: a.running.step for i, a in enumerate(state.agents) if a.running}
    return World(
        cluster=CLUSTER,
        txn=txn_of(plan),
        plan=plan,
        cells=dict(state.cells),
        entries=lambda: state.entries,
        trouble=trouble or {},
        at_work=at_work,
        turned=set(state.turned),
        effective=set(state.effective),
        failed=set(state.failed),
        phases=state.phases,
    )


def with_world(state: State, world: World) -> State:
    """Take a world's changes."""
    return replace(
        state,
        cells=world.cells,
        turned=frozenset(world.turned),
        effective=frozenset(world.effective),
        failed=frozenset(world.failed),
        phases=dict(world.phases),
    )
