"""Which steps a piece of work becomes, what they wait for, and that a big plan stays small."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from dataclasses import replace

import pytest

from reconciler.model.cluster import Rollback
from reconciler.model.configured import PeerRecord, VolumeRecord
from reconciler.model.ids import PeerName
from reconciler.model.volume import VolumeState
from reconciler.plan.planner import Stamp, make_plan
from reconciler.plan.sequence import sequence
from reconciler.plan.step import Step
from reconciler.plan.work import Work
from reconciler.txn.state import parts_of
from tests.big_plan import big
from tests.volume_samples import NODES, volume

PEERS = {
    PeerName(f"gs{i}"): PeerRecord(
        name=PeerName(f"gs{i}"), address=f"10.0.0.1{i}", zone="", node_id=NODES[i - 1]
    )
    for i in (1, 2, 3)
}


def kinds(steps: tuple[Step, ...]) -> list[str]:
    """Return the kinds in order, repeated ones once."""
    return list(dict.fromkeys(s.kind for s in steps))


def behind(steps: tuple[Step, ...]) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    for step in steps:
        found[step.step_id] = set(step.needs).union(*(found[n] for n in step.needs))
    return found


def test_a_new_volume_is_inspected_prepared_staged_started_healed_published_and_committed() -> None:
    steps = sequence(Work(created=(volume(),)), PEERS)
    assert kinds(steps) == [
        "brick.inspect",
        "volume.credentials",
        "brick.prepare",
        "volume.stage",
        "brick.start",
        "shd.start",
        "volume.publish",
        "config.volume",
    ]
    assert Counter(s.kind for s in steps) == Counter(
        dict.fromkeys(kinds(steps), 3) | {"volume.credentials": 1, "config.volume": 1}
    )
    assert len(behind(steps)[steps[-1].step_id]) == len(steps) - 1


def test_a_new_stopped_volume_is_staged_and_not_started() -> None:
    steps = sequence(Work(created=(volume(state=VolumeState.STOPPED),)), PEERS)
    assert kinds(steps)[2:] == ["brick.prepare", "volume.stage", "config.volume"]


def test_a_volume_without_redundancy_has_no_self_heal_daemon() -> None:
    steps = sequence(Work(created=(volume(replica=1),)), PEERS)
    assert "shd.start" not in kinds(steps)
    of = {s.kind: s for s in steps}
    starts = {s.step_id for s in steps if s.kind == "brick.start"}
    assert starts <= set(of["volume.publish"].needs)


def test_of_a_plan_that_is_one_part_nothing_is_made_before_every_brick_was_looked_at() -> None:
    steps = sequence(Work(created=(volume("a"), volume("b"))), PEERS, Rollback.ALL)
    assert {s.part for s in steps} == {0}
    looked = {s.step_id for s in steps if s.kind == "brick.inspect"}
    assert len(looked) == 6
    for step in steps:
        if step.kind not in ("brick.inspect",):
            assert looked <= behind(steps)[step.step_id]


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        (Work(changed=(volume(generation=2),)), ["volume.stage", "volume.publish", "config.volume"]),
        (
            Work(changed=(volume(generation=2, state=VolumeState.STOPPED),)),
            ["volume.stage", "config.volume"],
        ),
        (
            Work(started=(volume(generation=2),)),
            ["volume.stage", "brick.start", "shd.start", "volume.publish", "config.volume"],
        ),
        (
            Work(stopped=(volume(generation=2, state=VolumeState.STOPPED),)),
            ["volume.unpublish", "shd.stop", "brick.stop", "config.volume"],
        ),
        (Work(deleted=(volume(),)), ["volume.unpublish", "shd.stop", "brick.stop", "config.retain"]),
        (Work(deleted=(volume(replica=1),)), ["volume.unpublish", "brick.stop", "config.retain"]),
    ],
)
def test_each_kind_of_work_has_its_steps_each_after_the_one_before(work: Work, expected: list[str]) -> None:
    steps = sequence(work, PEERS)
    assert kinds(steps) == expected
    needed = behind(steps)
    for earlier, later in itertools.pairwise(expected):
        before = {s.step_id for s in steps if s.kind == earlier}
        assert all(before <= needed[s.step_id] for s in steps if s.kind == later)


def test_volumes_are_parts_that_rest_on_nothing_but_the_clusters_own() -> None:
    work = Work(
        changed_settings=True,
        created=(volume("d"), volume("b")),
        changed=(volume("c", 2),),
        repaired=((volume("a"), volume("a").bricks[:1], ()), (volume("c"), volume("c").bricks[:1], ())),
    )
    steps = sequence(work, PEERS)
    assert [(p.number, p.address) for p in parts_of(steps)] == [
        (0, "cluster"), (1, "volume/a"), (2, "volume/b"), (3, "volume/c"), (4, "volume/d"),
    ]  # fmt: skip
    part = {s.step_id: s.part for s in steps}
    for step in steps:
        assert {part[n] for n in step.needs} <= {0, step.part}, step
        assert step.irrevocable or step.part or step.kind == "config.settings"
    needed = behind(steps)
    for of_part in parts_of(steps)[1:]:
        (end,) = [s for s in of_part.steps if s.irrevocable]
        assert {s.step_id for s in of_part.steps} - {end.step_id} <= needed[end.step_id]
    assert [s.kind for s in steps if s.irrevocable] == ["volume.repaired"] + ["config.volume"] * 3


def test_a_repair_that_is_the_whole_plan_needs_no_end_of_its_own() -> None:
    alone = Work(repaired=((volume("a"), volume("a").bricks[:1], ()),))
    assert kinds(sequence(alone, PEERS)) == ["brick.start"]
    two = replace(alone, repaired=(*alone.repaired, (volume("b"), volume("b").bricks[:1], ())))
    assert [s.kind for s in sequence(two, PEERS)] == ["brick.start", "volume.repaired"] * 2
    assert [s.kind for s in sequence(two, PEERS, Rollback.ALL)] == ["brick.start"] * 2
    nothing_reachable = {n: p for n, p in PEERS.items() if n != volume("a").bricks[0].peer}
    assert "volume/a" not in {s.address for s in sequence(two, nothing_reachable)}


def test_what_a_node_without_a_brick_only_serves_is_dispensable() -> None:
    small = volume("a", bricks=1, replica=1)
    for work in (Work(created=(small,)), Work(changed=(small,)), Work(deleted=(small,))):
        for step in sequence(work, PEERS):
            served = step.kind in ("volume.stage", "volume.publish", "volume.unpublish")
            assert step.dispensable is (served and step.peer != small.bricks[0].peer), step


def repair(record: VolumeRecord) -> Work:
    return Work(repaired=((record, record.bricks[:1], (PeerName("gs1"), PeerName("gs2"))),))


def test_a_repair_starts_what_should_run_and_changes_no_configuration() -> None:
    steps = sequence(repair(volume()), PEERS)
    assert [(s.kind, s.peer, s.needs) for s in steps] == [
        ("brick.start", "gs1", ()),
        ("shd.start", "gs1", (1,)),
        ("shd.start", "gs2", (1,)),
    ]
    assert kinds(sequence(repair(volume(state=VolumeState.STOPPED)), PEERS))[0] == "brick.stop"


def test_a_repair_of_a_volume_that_also_changes_waits_for_the_change_to_be_staged() -> None:
    before, after = volume(), volume(generation=2)
    work = Work(changed=(after,), repaired=((before, before.bricks[:1], (PeerName("gs2"),)),))
    steps = sequence(work, PEERS)
    staged = {s.step_id for s in steps if s.kind == "volume.stage"}
    assert len(staged) == 3
    for step in steps:
        if step.kind in ("brick.start", "shd.start"):
            assert staged <= behind(steps)[step.step_id]


def test_peers_and_settings_come_first_and_everything_that_is_made_waits_for_them() -> None:
    new_peers = tuple(PEERS.values())
    work = Work(
        new_peers=new_peers,
        changed_settings=True,
        created=(volume("a"),),
        changed=(volume("b", 2),),
        started=(volume("c", 2),),
        stopped=(volume("d", 2, state=VolumeState.STOPPED),),
        deleted=(volume("e"),),
    )
    steps = sequence(work, PEERS)
    base = {s.step_id for s in steps if s.kind in ("config.peer", "config.settings")}
    assert base == {1, 2, 3, 4}
    for step in steps:
        if step.step_id not in base and step.kind != "brick.inspect":
            assert base <= behind(steps)[step.step_id], step
    assert [s.kind for s in steps if s.irrevocable] == ["config.volume"] * 4 + ["config.retain"]
    together = sequence(work, PEERS, Rollback.ALL)
    assert kinds(together)[-2:] == ["config.volume", "config.retain"]
    only_peers = sequence(Work(new_peers=new_peers), PEERS)
    assert [s.kind for s in only_peers] == ["config.peer"] * 3


def test_what_a_node_does_is_addressed_to_its_node_and_what_the_store_does_to_none() -> None:
    for step in sequence(Work(created=(volume(),), new_peers=tuple(PEERS.values())), PEERS):
        assert (step.node is None) == (step.kind.startswith("config.") or step.kind == "volume.credentials")
        assert step.peer is None or step.node == PEERS[step.peer].node_id


# ---------------------------------------------------------------- size


def test_the_needs_of_a_big_plan_grow_with_its_steps_and_it_is_made_at_once() -> None:
    given = big(60, 30)
    began = time.process_time()
    plan = make_plan(given, Stamp(plan_id="p-1", now=1, tool_version="0"))
    seconds = time.process_time() - began
    assert not plan.blockers
    assert len(plan.steps) == 4471
    assert sum(len(s.needs) for s in plan.steps) <= 8 * len(plan.steps)
    assert seconds < 2


def test_the_needs_of_a_big_deletion_and_of_a_big_change_stay_small_too() -> None:
    records = tuple(volume(f"v{i}", 2) for i in range(60))
    new_peers = tuple(PEERS.values())
    for work in (
        Work(new_peers=new_peers, changed_settings=True, deleted=records),
        Work(new_peers=new_peers, changed_settings=True, changed=records),
    ):
        steps = sequence(work, PEERS)
        assert sum(len(s.needs) for s in steps) <= 8 * len(steps)
