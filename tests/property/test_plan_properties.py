"""What must hold of every plan, whatever is declared, configured and seen (style C.4, 1-5 and 10)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from reconciler.desired.load import load
from reconciler.diff.compare import differences
from reconciler.engine.store_steps import STORE_STEPS
from reconciler.model.ids import Address, StepId
from reconciler.model.volume import VolumeState
from reconciler.plan import document
from reconciler.plan.step import Action, Plan, Step, StepClass
from reconciler.shipped import shipped_features
from reconciler.txn.machine import Dispatch, Perform, next_moves
from reconciler.txn.record import Head, HeadState, Mark, Phase, StepRecord
from reconciler.txn.state import TxnState, parts_of
from tests.laws.step_kinds import node_kinds
from tests.plan_world import PEERS, World, addresses_of, assert_as_declared, simulate
from tests.strategies import Document, damages, documents, edits, read, shuffled

ENDS = ("config.volume", "config.retain", "volume.repaired")
WITHOUT_UNDO = {"brick.inspect", *ENDS}
FAST = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def chooser(data: st.DataObject) -> Callable[[Sequence[Step]], Step]:
    """Return a chooser of any ready step, driven by one drawn seed."""
    random = data.draw(st.randoms(use_true_random=False))
    return random.choice


def applied(data: st.DataObject, document: Document) -> World:
    """Return the world after the first plan of a document."""
    world = World()
    plan = world.plan(read(document))
    assert not plan.blockers, plan.blockers
    return simulate(plan, world, chooser(data))


def assert_nothing_to_do(plan: Plan) -> None:
    assert (plan.steps, plan.blockers, plan.unobserved) == ((), (), ())
    assert plan.changes == ()
    assert document.exit_code(plan) == (2 if document.unrepaired(plan) else 0)


# ---------------------------------------------------------------- (a), (b): diff, plan, simulate, plan again


@FAST
@given(st.data())
def test_a_simulated_plan_makes_what_is_declared_and_planning_again_is_empty(data: st.DataObject) -> None:
    first = data.draw(documents())
    world = applied(data, first)
    assert_as_declared(world, read(first), {})
    assert_nothing_to_do(world.plan(read(first)))
    assert list(differences(read(first).spec, world.configured)) == []


@FAST
@given(st.data())
def test_so_does_the_plan_of_an_edit_on_a_damaged_cluster(data: st.DataObject) -> None:
    first = data.draw(documents())
    world = data.draw(damages(applied(data, first)))
    edited, allow = data.draw(edits(first, world))
    desired, before = read(edited), dict(world.configured.volumes)
    plan = world.plan(desired, allow=allow)
    assume("GS207" not in {b.code for b in plan.blockers})  # the edit starts a volume on a damaged disk
    assert not plan.blockers, plan.blockers
    after = simulate(plan, world, chooser(data))
    assert_as_declared(after, desired, before)
    assert_nothing_to_do(after.plan(desired, allow=allow))


@FAST
@given(st.data())
def test_every_step_is_of_a_kind_that_is_listed_and_no_return_is_where_the_list_says(
    data: st.DataObject,
) -> None:
    first = data.draw(documents())
    world = data.draw(damages(applied(data, first)))
    edited, allow = data.draw(edits(first, world))
    for step in [*World().plan(read(first)).steps, *world.plan(read(edited), allow=allow).steps]:
        if step.node is None:
            assert STORE_STEPS[step.kind].irrevocable is step.irrevocable, step
        else:
            assert step.kind in node_kinds(), step
            assert not step.irrevocable, step


@FAST
@given(st.data())
def test_ids_and_ports_are_each_given_once(data: st.DataObject) -> None:
    first = data.draw(documents())
    world = applied(data, first)
    edited, allow = data.draw(edits(first, world))
    configured = simulate(world.plan(read(edited), allow=allow), world, chooser(data)).configured
    records = [*configured.volumes.values(), *(r.volume for r in configured.retained)]
    bricks = [b for r in records for b in r.bricks]
    assert len({r.volume_id for r in records}) == len(records)
    assert len({b.uuid for b in bricks}) == len(bricks)
    assert len({(b.peer, b.port) for b in bricks}) == len(bricks)
    for record in records:
        ids = [b.brick_id for b in record.bricks]
        assert len(set(ids)) == len(ids)
        assert f"{record.name}-client-{record.next_client}" not in ids
        assert all(world.configured.volumes.get(record.name, record).bricks == record.bricks for _ in "x")


# ---------------------------------------------------------------- (c), (h): one text


@FAST
@given(st.data())
def test_order_without_meaning_gives_the_same_plan_byte_for_byte(data: st.DataObject) -> None:
    first = data.draw(documents())
    world = World()
    if data.draw(st.booleans()):
        world = data.draw(damages(applied(data, first)))
        first, _ = data.draw(edits(first, world))
    other = shuffled(data.draw, first)
    texts = []
    for written, indent in ((first, None), (other, 1)):
        same = world.copy()
        desired = load([("c.yaml", json.dumps(written, indent=indent).encode())], shipped_features())
        plan = same.plan(desired)
        body = document.document(plan)
        # Where a finding stands is where it was written; all else must be the same.
        del body["digest"], body["diagnostics"]
        texts.append(json.dumps(body, sort_keys=True))
    assert texts[0] == texts[1]


@FAST
@given(st.data())
def test_two_plans_of_the_same_input_differ_in_id_and_times_only(data: st.DataObject) -> None:
    first = data.draw(documents())
    world = data.draw(damages(applied(data, first)))
    desired = read(data.draw(edits(first, world))[0])
    early, later = world.copy(), world.copy()
    later.now += 1
    later.plans = 99
    assert _without_times(early.plan(desired)) == _without_times(later.plan(desired))


def _without_times(plan: Plan) -> dict[str, Any]:
    body: dict[str, Any] = document.document(plan)
    for name in ("plan_id", "created", "expires", "digest"):
        del body[name]
    del body["base"]["observed_at"]
    for blocker in body["blocked"]:
        blocker["summary"] = blocker["summary"].partition(" is live for ")[0]
    return body


@FAST
@given(st.data())
def test_a_plan_survives_its_document(data: st.DataObject) -> None:
    first = data.draw(documents())
    world = data.draw(damages(applied(data, first)))
    plan = world.plan(read(data.draw(edits(first, world))[0]))
    assert document.parse_document(document.canonical_text(plan)) == plan


# ---------------------------------------------------------------- (d): steps


def closure(steps: Sequence[Step]) -> dict[StepId, frozenset[StepId]]:
    """Return for each step all that must be done before it, directly or not."""
    found: dict[StepId, frozenset[StepId]] = {}
    for step in steps:
        assert all(need < step.step_id for need in step.needs), "a step needs a later one"
        found[step.step_id] = frozenset(step.needs).union(*(found[n] for n in step.needs))
    return found


def clients_have(plan: Plan, step: Step) -> bool:
    """Return true if clients had the step's volume before the plan: repairs go on beside it."""
    before = plan.previous.get(step.volume) if step.volume else None
    return before is not None and before.state is VolumeState.STARTED


@FAST
@given(st.data())
def test_steps_come_in_the_order_of_their_meaning(data: st.DataObject) -> None:
    first = data.draw(documents())
    world = World()
    if data.draw(st.booleans()):
        world = data.draw(damages(applied(data, first)))
        first, allow = data.draw(edits(first, world))
    else:
        allow = ()
    plan = world.plan(read(first), allow=allow)
    steps = plan.steps
    assert [s.step_id for s in steps] == list(range(1, len(steps) + 1))
    for part in parts_of(steps):
        classes = [s.step_class for s in part.steps]
        undoable = classes.count(StepClass.COMPENSATABLE)
        retriable = [StepClass.RETRIABLE] * (len(classes) - undoable)
        assert classes == [StepClass.COMPENSATABLE] * undoable + retriable
        rests_on = {steps[need - 1].part for s in part.steps for need in s.needs}
        assert rests_on <= {0, part.number}
    assert all(bool(s.undo) is (s.kind not in WITHOUT_UNDO) for s in steps)
    before = closure(steps)
    of = {kind: [s for s in steps if s.kind == kind] for kind in {s.kind for s in steps}}
    for step in steps:
        mine = {s.step_id for s in steps if s.volume == step.volume is not None}
        needed = before[step.step_id]
        inspections = {s.step_id for s in of.get("brick.inspect", ()) if s.part == step.part}
        if step.kind in ("brick.prepare", "volume.credentials"):
            assert inspections <= needed
        if step.kind in ("brick.start", "shd.start"):
            assert {s.step_id for s in of.get("volume.stage", ()) if s.step_id in mine} <= needed
        if step.kind == "volume.publish" and not clients_have(plan, step):
            starts = (*of.get("brick.start", ()), *of.get("shd.start", ()))
            assert {s.step_id for s in starts if s.step_id in mine} <= needed
        if step.kind in ENDS:
            own = [s for s in steps if s.part == step.part]
            assert {s.step_id for s in own if s.step_class is StepClass.COMPENSATABLE} <= needed


@FAST
@given(st.data())
def test_nothing_is_undone_before_all_that_was_built_on_it(data: st.DataObject) -> None:
    first = data.draw(documents())
    world = World()
    if data.draw(st.booleans()):
        world = data.draw(damages(applied(data, first)))
        first, _ = data.draw(edits(first, world))
    plan = world.plan(read(first))
    assume(plan.steps)
    choose = chooser(data)
    before = closure(plan.steps)
    phase = Phase(7, 1)
    head = Head(
        txn="t-1",
        state=HeadState.ROLLING_BACK,
        phase=phase,
        plan_id=plan.plan_id,
        plan_digest="",
        chunks=1,
        started_at=0,
        holder="",
    )
    began = [s for s in plan.steps if s.step_class is StepClass.COMPENSATABLE]
    records = {s.step_id: StepRecord(step=s.step_id, mark=Mark.DONE, phase=Phase(7, 0)) for s in began}
    nodes = {s.node for s in plan.steps if s.node}
    open_steps = {s.step_id for s in began if s.undo}
    while open_steps:
        barriers = dict.fromkeys(nodes, phase)
        state = TxnState(steps=plan.steps, head=head, records=records, barriers=barriers)
        moves = next_moves(state)
        ready = [m.step for m in moves if isinstance(m, Dispatch | Perform)]
        assert ready, f"the rollback stands still with {sorted(open_steps)} left"
        step = choose(ready)
        built_on_it = {s for s in open_steps if step.step_id in before[s]}
        assert not built_on_it, f"step {step.step_id} is undone before {sorted(built_on_it)}"
        records[step.step_id] = StepRecord(step=step.step_id, mark=Mark.UNDONE, phase=phase)
        open_steps.discard(step.step_id)


# ---------------------------------------------------------------- (e): unknown is not the same as absent


@FAST
@given(st.data())
def test_what_is_not_known_causes_no_step_and_no_all_clear(data: st.DataObject) -> None:
    first = data.draw(documents())
    world = World()
    if data.draw(st.booleans()):
        world = data.draw(damages(applied(data, first)))
    silent = data.draw(st.lists(st.sampled_from(PEERS), unique=True, min_size=1))
    for peer in silent:
        how = data.draw(st.sampled_from(["dead", "mute", "never joined"]))
        if how == "never joined" and peer not in world.configured.peers:
            del world.nodes[peer]
        elif how == "mute":
            world.nodes[peer].answers = False
        else:
            world.nodes[peer].live = False
    edited, allow = data.draw(edits(first, world)) if world.configured.volumes else (first, ())
    desired = read(edited)
    plan = world.plan(desired, allow=allow)
    declared = {v.name for v in desired.spec.volumes}
    hosts = {b.peer for n, v in world.configured.volumes.items() if n in declared for b in v.bricks}
    needed = {p.name for p in desired.spec.peers} | hosts
    assert set(plan.unobserved) == needed & set(silent)
    if plan.unobserved:
        assert plan.steps == ()
        assert document.exit_code(plan) == (3 if plan.blockers else 10)
        assert not document.document(plan)["complete"]
    else:
        assert not {s.peer for s in plan.steps} & set(silent)


# ---------------------------------------------------------------- (f): absence removes nothing


@FAST
@given(st.data())
def test_absence_removes_nothing_ever(data: st.DataObject) -> None:
    first = data.draw(documents())
    world = data.draw(damages(applied(data, first)))
    spec = first["spec"]
    volumes = [v for v in spec["volumes"] if data.draw(st.booleans())]
    used = {b["peer"] if isinstance(b, dict) else b.partition(":")[0] for v in volumes for b in v["bricks"]}
    peers = [p for p in spec["peers"] if p["name"] in used or data.draw(st.booleans())] or spec["peers"][:1]
    if volumes and data.draw(st.booleans()):
        volumes = [{**volumes[0], "options": {"network.ping-timeout": "33"}}, *volumes[1:]]
    less = read({**first, "spec": {**spec, "volumes": volumes, "peers": peers}})
    plan = world.plan(less)
    gone = {Address(f"volume/{v['name']}") for v in spec["volumes"]}
    gone -= {Address(f"volume/{v['name']}") for v in volumes}
    gone |= {Address(f"peer/{p['name']}") for p in spec["peers"]} - {
        Address(f"peer/{p['name']}") for p in peers
    }
    for step in plan.steps:
        assert not addresses_of(step, plan) & gone, step
    assert set(plan.unmanaged) == gone
    assert all(change.action is not Action.REMOVE or change.parent for change in plan.changes)
    assert not plan.blockers
    after = simulate(plan, world)
    for address in gone:
        kind, _, name = address.partition("/")
        held = (world.configured.volumes, after.configured.volumes)
        if kind == "peer":
            held = (world.configured.peers, after.configured.peers)  # type: ignore[assignment]
        assert held[0][name] == held[1][name]  # type: ignore[index]


# ---------------------------------------------------------------- (g): blocked means nothing at all


@FAST
@given(st.data())
def test_one_blocked_change_leaves_no_step(data: st.DataObject) -> None:
    first = data.draw(documents())
    assume(first["spec"]["volumes"])
    world = applied(data, first)
    edited, allow = data.draw(edits(first, world))
    victim = data.draw(st.sampled_from(first["spec"]["volumes"]))
    others = [v for v in edited["spec"]["volumes"] if v["name"] != victim["name"]]
    live = world.configured.volumes[victim["name"]]
    change = data.draw(st.sampled_from(["layout", "id", "option", "tombstone", "consent"]))
    bad = {**victim, "ignoreDrift": []}
    if change == "layout":
        bad["bricks"] = [*victim["bricks"][:-1], f"{live.bricks[-1].peer}:/bricks/elsewhere"]
    elif change == "id":
        bad["id"] = "7d4f5a52-6d1b-4a0e-9d5f-0a6e5c1b2f10"
    elif change == "option":
        bad["options"] = {"network.ping-timeout": "soon"}
    else:
        confirm = "7d4f5a52-6d1b-4a0e-9d5f-0a6e5c1b2f10" if change == "tombstone" else live.volume_id
        bad = {"name": victim["name"], "state": "absent", "confirm": confirm}
    peers = first["spec"]["peers"]
    spec = {**edited["spec"], "volumes": [*others, bad], "peers": peers}
    allow = tuple(a for a in allow if not a.endswith(f"/{victim['name']}"))
    plan = world.plan(read({**edited, "spec": spec}), allow=allow)
    assert live.address in {b.address for b in plan.blockers}
    assert plan.steps == ()
    assert document.exit_code(plan) == 3
    assert not document.document(plan)["applyable"]


# ---------------------------------------------------------------- what the tests above would miss


@FAST
@given(st.data())
def test_a_stopped_cluster_stays_stopped_and_a_crash_is_all_that_a_repair_touches(
    data: st.DataObject,
) -> None:
    first = data.draw(documents())
    world = applied(data, first)
    hurt = data.draw(damages(world))
    plan = hurt.plan(read(first))
    wrong = {
        brick.uuid
        for volume in world.configured.volumes.values()
        for brick in volume.bricks
        if volume.state is VolumeState.STARTED
        and brick.uuid not in hurt.nodes[brick.peer].running
        and brick.uuid not in hurt.nodes[brick.peer].refused
    }
    assert {s.args["brick"] for s in plan.steps if s.kind == "brick.start"} == wrong
    assert {s.kind for s in plan.steps} <= {"brick.start", "shd.start", "volume.repaired"}
