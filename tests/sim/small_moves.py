"""What can happen next to a small cluster: its engines, its agents, its lock, one move at a time.

What a process does without anybody being able to see it belongs to the same move as the last thing that
others can see, so only such orders are explored that make a difference. A watch may be faster than the
answer to a write, or slower than anything else.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, field, replace

from reconciler.agent import messages as msg
from reconciler.agent.executor import Executor
from reconciler.engine import messages as engine
from reconciler.engine.applier import Applier
from reconciler.engine.journal import take_over, txn_of
from reconciler.engine.mirror import Mirror
from reconciler.errors import StepError
from reconciler.model import keys
from reconciler.model.codec import encode
from reconciler.plan.step import Plan
from reconciler.ports.store import Absent, Commit, Committed, Delete, Entry, Put
from reconciler.txn.record import Head, HeadState, LockRecord, Phase
from tests.sim.engines import secret
from tests.sim.invariants import must
from tests.sim.scenarios import CLUSTER
from tests.sim.small_model import (
    NODE_OF,
    PREFIX,
    Budget,
    Driving,
    Serving,
    State,
    commit,
    forgotten,
    news,
    snapshot,
    with_world,
    world_of,
)
from tests.sim.world import Trouble, decoded

DIGEST = "d"
_MOST_ALONE = 500  #: moves of an engine that has lost its lock
Moves = Iterator[tuple[str, State]]


def beginning(plan: Plan, budget: Budget) -> State:
    """Return the state in which a head is written and nobody has looked yet."""
    lock = keys.lock(CLUSTER)
    head = Head(
        txn=txn_of(plan),
        state=HeadState.RUNNING,
        phase=Phase(1, 0),
        plan_id=plan.plan_id,
        plan_digest=DIGEST,
        chunks=0,
        started_at=0,
        holder="applier",
    )
    written = {
        lock: encode(LockRecord(holder="a", op_id="a", since=0)),
        keys.head(CLUSTER, head.txn): encode(head),
    }
    entries = {
        key: Entry(key=key, value=value, create_revision=n, mod_revision=n)
        for n, (key, value) in enumerate(written.items(), 1)
    }
    for node in NODE_OF.values():
        live = keys.live(CLUSTER, node)
        entries[live] = Entry(key=live, value="", create_revision=2, mod_revision=2)
    state = State(
        revision=2,
        entries=entries,
        history=(),
        engines=(),
        agents=(),
        cells={},
        turned=frozenset(),
        effective=frozenset(),
        failed=frozenset(),
        phases={},
        budget=budget,
    )
    agents = tuple(_started(state, number, "1")[0] for number in NODE_OF)
    return replace(state, engines=(_engine(state, plan, 1),), agents=agents)


def moves(state: State, plan: Plan, *, unfenced: bool = False) -> Moves:
    """Yield everything that can happen next.

    An engine without its lock is seen to be harmless and left out (see `_fenced`), unless it is to be
    carried along, `unfenced`.
    """
    for number, driving in enumerate(state.engines):
        if driving is not None:
            yield from _engine_moves(state, plan, number, driving)
    for number, serving in enumerate(state.agents):
        yield from _agent_moves(state, plan, number, serving)
    lock = keys.lock(CLUSTER)
    budget = state.budget
    if lock in state.entries and budget.takeovers:
        spent = replace(state, budget=replace(budget, takeovers=budget.takeovers - 1))
        after = commit(spent, plan, Commit(when=(), then=(Delete(lock),)))[0]
        yield "the lease ends", after if unfenced else _fenced(after, plan)
    if lock not in state.entries and (head := head_of(state, plan)) is not None and head.state.active:
        value = encode(LockRecord(holder="s", op_id="s", since=0))
        taken, _ = commit(state, plan, Commit(when=(Absent(lock),), then=(Put(lock, value),)))
        yield (
            "a steward takes the lock",
            replace(taken, engines=(*taken.engines, _steward(taken, plan, head))),
        )


def head_of(state: State, plan: Plan) -> Head | None:
    """Return the head."""
    entry = state.entries.get(keys.head(CLUSTER, txn_of(plan)))
    return decoded(Head, entry.value) if entry else None


# ---------------------------------------------------------------- engines


def _fenced(state: State, plan: Plan) -> State:
    """Return the state without its engines, whose lock is gone, once it is seen that they can do nothing.

    A write of theirs compares the lock's create-revision, which no later lock has. So none of their moves
    changes what anybody else sees: each commutes with every move of the others, and to take them all now
    (or never) leaves the same states for the rest. That their writes do compare it is not believed: every
    way in which they go on alone from here is walked to its end.
    """
    for number in range(len(state.engines)):
        open_ends = [state]
        for _ in range(_MOST_ALONE):
            if not open_ends:
                break
            known = open_ends.pop()
            it = known.engines[number]
            for label, after in _engine_moves(known, plan, number, it) if it else ():
                must(2, after.entries == known.entries, label, "without the lock")
                open_ends.append(after)
        assert not open_ends, "an engine goes on for ever without its lock"
    return forgotten(replace(state, engines=tuple(None for _ in state.engines)))


def _engine(state: State, plan: Plan, epoch: int) -> Driving:
    applier = Applier(CLUSTER, txn_of(plan), plan, epoch=epoch, holder="x", secret=secret)
    listed = engine.Loaded(snapshot(state, PREFIX))
    return Driving(applier, state.revision, _decided(applier, engine.Tick(0.0, 0), listed))


@dataclass(slots=True)
class _Dictated:
    """A store that takes down what is written and says yes."""

    state: State
    written: list[Commit] = field(default_factory=list)

    def read(self, key: str) -> Entry | None:
        return self.state.entries.get(key)

    def commit(self, what: Commit) -> Committed:
        self.written.append(what)
        return Committed(succeeded=True, revision=self.state.revision)


def _steward(state: State, plan: Plan, head: Head) -> Driving:
    """Return an engine that has the lock, is about to write its takeover, and lists then."""
    epoch, store = state.revision, _Dictated(state)
    take_over(store, CLUSTER, head, epoch, "x")  # type: ignore[arg-type]  # all of a store that it uses
    applier = Applier(CLUSTER, head.txn, plan, epoch=epoch, holder="x", secret=secret)
    (written,) = store.written
    _decided(applier, engine.Tick(0.0, 0))
    return Driving(applier, epoch, (engine.Write(keys.head(CLUSTER, head.txn), written), engine.Reload()))


def _decided(applier: Applier, *events: engine.Event) -> tuple[engine.Effect, ...]:
    return tuple(effect for effect in applier.handle(*events) if not isinstance(effect, engine.Tell))


def _engine_moves(state: State, plan: Plan, number: int, it: Driving) -> Moves:
    name = f"engine {number}"
    if it.effects:
        first, rest = it.effects[0], it.effects[1:]
        match first:
            case engine.End():
                yield f"{name} ends", _with_engine(state, number, None)
            case engine.Reload():
                loaded = engine.Loaded(snapshot(state, PREFIX))
                yield f"{name} lists", _answered(state, number, replace(it, effects=rest), loaded)
            case engine.Write(tag=tag, commit=what):
                done, answer = commit(state, plan, what)
                after = replace(it, effects=rest)
                short = tag.removeprefix(PREFIX)
                yield f"{name} writes {short}", _answered(done, number, after, engine.Answered(tag, answer))
                if not it.applier._mirror.entries:
                    return  # a steward reads back whether it has taken over before it goes on
                for how, then in _silences(state, done, answer):
                    yield (
                        f"{name} writes {short}: {how}",
                        _answered(then, number, after, engine.Answered(tag, None)),
                    )
        return
    if it.unanswered:
        made = _copy_applier(it.applier)
        effects = _decided(made, engine.Tick(0.0, 0), *it.unanswered)
        yield f"{name} goes on", _with_engine(state, number, Driving(made, it.heard, effects))
    heard = news(state, it.heard, PREFIX)
    if heard:
        made = _copy_applier(it.applier)
        effects = _decided(made, engine.Tick(0.0, 0), *heard)
        yield (
            f"{name} hears",
            _with_engine(state, number, Driving(made, state.revision, effects, (), it.unanswered)),
        )


def _silences(before: State, done: State, answer: Committed) -> Iterator[tuple[str, State]]:
    """Yield the ways in which an answer can get lost."""
    budget = before.budget
    if budget.unheard and answer.succeeded:
        yield "done, not heard", replace(done, budget=replace(budget, unheard=budget.unheard - 1))
    if budget.unsent:
        yield "not sent", replace(before, budget=replace(budget, unsent=budget.unsent - 1))


def _answered(state: State, number: int, it: Driving, answer: engine.Event) -> State:
    """Take an answer; after the last effect all are handed over, or kept if one of them is missing."""
    answers = (*it.answers, answer)
    if it.effects:
        return _with_engine(state, number, replace(it, answers=answers))
    if any(isinstance(one, engine.Answered) and one.committed is None for one in answers):
        kept = replace(it, answers=(), unanswered=(*it.unanswered, *answers))
        return _with_engine(state, number, kept)
    made = _copy_applier(it.applier)
    return _with_engine(
        state, number, replace(it, applier=made, effects=_decided(made, *answers), answers=())
    )


def _with_engine(state: State, number: int, it: Driving | None) -> State:
    engines = (*state.engines[:number], it, *state.engines[number + 1 :])
    return forgotten(replace(state, engines=engines))


def _copy_applier(it: Applier) -> Applier:
    made = copy(it)
    known = it._mirror
    made._mirror = Mirror(CLUSTER, dict(known.entries), known.revision, dict(known._decoded))
    made._pending, made._gone_since = dict(it._pending), dict(it._gone_since)
    made._written, made._tried = dict(it._written), set(it._tried)
    made._telling = copy(it._telling)
    made._telling._told, made._telling._since = dict(it._telling._told), dict(it._telling._since)
    return made


# ---------------------------------------------------------------- agents


def _started(state: State, number: int, instance: str) -> tuple[Serving, tuple[msg.Effect, ...]]:
    node = NODE_OF[number]
    known = state.phases.get(node)
    made = Executor(CLUSTER, node, instance, phase=known.phase if known else Phase(0, 0))
    effects = tuple(made.handle(msg.Listed(snapshot(state, keys.node_prefix(CLUSTER, node)))))
    return Serving(made, state.revision, effects), effects


def _agent_moves(state: State, plan: Plan, number: int, it: Serving) -> Moves:
    name, own = f"agent {number}", keys.node_prefix(CLUSTER, NODE_OF[number])
    if state.budget.kills:
        yield f"{name} is killed", _killed(state, number)
    if it.effects:
        for what, then in _performed(state, plan, number, it):
            yield f"{name} {what}", then
        return
    if it.listed is not None:
        heard = msg.Listed(it.listed)
        yield f"{name} takes a listing", _fed(state, plan, number, replace(it, listed=None), heard)
    elif it.waiting:
        yield f"{name} goes on", _fed(state, plan, number, replace(it, waiting=False), msg.Again())
    if batches := news(state, it.heard, own):
        changes = tuple(change for batch in batches for change in batch.changes)
        heard_all = replace(it, heard=state.revision)
        yield f"{name} hears", _fed(state, plan, number, heard_all, msg.Heard(changes))
    if it.running is not None:
        yield from ((f"{name} {what}", then) for what, then in _finished(state, plan, number, it, it.running))


def _performed(state: State, plan: Plan, number: int, it: Serving) -> Moves:
    first, after = it.effects[0], replace(it, effects=it.effects[1:])
    node = NODE_OF[number]
    match first:
        case msg.ReadContext(command=command):
            entry, lock = (
                state.entries.get(keys.head(CLUSTER, command.txn)),
                state.entries.get(keys.lock(CLUSTER)),
            )
            head = decoded(Head, entry.value) if entry else None
            revision, epoch = entry.mod_revision if entry else 0, lock.create_revision if lock else 0
            yield "reads", _fed(state, plan, number, after, msg.Context(head, revision, epoch, plan))
        case msg.StoreIt(commit=what):
            yield from _stored(state, plan, number, after, what)
        case msg.KeepPhase(barrier=barrier):
            world = world_of(state, plan)
            world.phases = dict(state.phases)
            assert world.keep(node, barrier), "asked for a phase that is long past"
            yield "keeps a phase", _fed(with_world(state, world), plan, number, after, msg.PhaseKept(barrier))
        case msg.Relist():
            listed = snapshot(state, keys.node_prefix(CLUSTER, node))
            yield "lists", _with_agent(state, number, _settled(replace(after, listed=listed)))
        case msg.Run():
            yield from _began(state, plan, number, after, first)


def _stored(state: State, plan: Plan, number: int, it: Serving, what: Commit) -> Moves:
    done, answer = commit(state, plan, what)
    verb = f"writes {what.then[0].key.removeprefix(PREFIX)}"
    yield verb, _fed(done, plan, number, it, msg.Stored(answer))
    batches = news(done, it.heard, keys.node_prefix(CLUSTER, NODE_OF[number]))
    if batches:  # the watch may be faster than the answer
        changes = tuple(change for batch in batches for change in batch.changes)
        heard = replace(it, heard=done.revision)
        yield f"{verb}, told before", _fed(done, plan, number, heard, msg.Heard(changes), msg.Stored(answer))
    for how, then in _silences(state, done, answer):
        yield f"{verb}: {how}", _fed(then, plan, number, it, msg.Stored(None))


def _began(state: State, plan: Plan, number: int, it: Serving, effect: msg.Run) -> Moves:
    world = world_of(state, plan)
    world.begin(effect.step, effect.before, undo=effect.undo)
    yield "begins", _with_agent(with_world(state, world), number, replace(it, running=effect))
    budget = state.budget
    if effect.undo and budget.undo_failures:
        spent = replace(state, budget=replace(budget, undo_failures=budget.undo_failures - 1))
        yield from _failing(spent, plan, number, it, effect, "undo")
    if not effect.undo and budget.failures:
        spent = replace(state, budget=replace(budget, failures=budget.failures - 1))
        yield from _failing(spent, plan, number, it, effect, "do")


def _finished(state: State, plan: Plan, number: int, it: Serving, effect: msg.Run) -> Moves:
    after = replace(it, running=None)
    world = world_of(state, plan)
    world.finish(effect.step, effect.before, undo=effect.undo)
    yield "finishes", _fed(with_world(state, world), plan, number, after, msg.Ran({}))
    if not effect.undo and state.budget.failures:
        spent = replace(state, budget=replace(state.budget, failures=state.budget.failures - 1))
        yield from _failing(spent, plan, number, after, effect, "half")


def _failing(state: State, plan: Plan, number: int, it: Serving, effect: msg.Run, what: str) -> Moves:
    world = world_of(state, plan, {effect.step.step_id: Trouble(what, 1)})
    half = world.finish if what == "half" else world.begin
    try:
        half(effect.step, effect.before, undo=effect.undo)
    except StepError as exc:
        failure = msg.Ran(msg.Failure(exc.message, "", retryable=False))
        yield f"fails ({what})", _fed(with_world(state, world), plan, number, it, failure)


def _killed(state: State, number: int) -> State:
    spent = replace(state, budget=replace(state.budget, kills=state.budget.kills - 1))
    instance = state.agents[number].executor.instance + "'"
    return _with_agent(spent, number, _settled(_started(spent, number, instance)[0]))


def _fed(state: State, plan: Plan, number: int, it: Serving, *events: msg.Event) -> State:
    """Hand events to the executor, and do at once what nobody else can see: a check, a pause."""
    made = copy(it.executor)
    made._entries, made._dropped, made._gone = dict(made._entries), dict(made._dropped), dict(made._gone)
    made._job = copy(made._job)
    effects = [*it.effects]
    for event in events:
        effects += made.handle(event)
    while effects and isinstance(effects[0], msg.Check):
        looked = world_of(state, plan).check(effects.pop(0).step)  # type: ignore[union-attr]  # a Check
        effects += made.handle(msg.Looked(looked))
    return _with_agent(state, number, _settled(replace(it, executor=made, effects=tuple(effects))))


def _settled(it: Serving) -> Serving:
    if it.effects and isinstance(it.effects[0], msg.Wait):
        return replace(it, effects=it.effects[1:], waiting=True)
    return it


def _with_agent(state: State, number: int, it: Serving) -> State:
    agents = (*state.agents[:number], it, *state.agents[number + 1 :])
    return forgotten(replace(state, agents=agents))
