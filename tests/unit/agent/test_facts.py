"""Facts: written when something that matters has changed, and never while nothing has."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.agent.facts import REFRESH_S, FactBook, Report
from reconciler.model import codec, keys
from reconciler.model.ids import BrickUuid, PeerName
from reconciler.model.observed import BrickFact, BrickState, MountFact, NodeFact, VolumeFact
from reconciler.ports.store import MAX_OPS, Commit, CreatedAt, Delete, Entry, Put
from tests.volume_samples import CLUSTER, NODE, volume

LIVE = 42
VOLUME = volume().volume_id
NODE_FACT = NodeFact(
    node_id=NODE,
    peer=PeerName("gs1"),
    address="10.0.0.11",
    boot_id="b",
    agent_version="1",
    gluster_version="10.3",
    started_at=1,
    mounts=(
        MountFact(
            mount="/bricks", fs_type="xfs", device="/dev/vdb", fs_uuid="u", size_bytes=100, free_bytes=50
        ),
    ),
)
BRICK_FACT = BrickFact(
    uuid=volume().bricks[0].uuid,
    volume_id_configured=VOLUME,
    state=BrickState.RUNNING,
    pid=7,
    free_bytes=50,
    heal_pending=0,
)
VOLUME_FACT = VolumeFact(volume_id=VOLUME, generation=1, served=True, client_digest="d")
REPORT = Report(node=NODE_FACT, bricks=(BRICK_FACT,), volumes=(VOLUME_FACT,))


def settled(report: Report = REPORT) -> FactBook:
    """Return a book whose facts are all in the store, at time 0."""
    book = FactBook(CLUSTER, NODE)
    book.load((), 0.0)
    write(book, report, 0.0)
    return book


def write(book: FactBook, report: Report, now: float) -> set[str]:
    """Write what is due; return the changed keys, below the facts."""
    commits = book.writes(report, LIVE, now)
    for commit in commits:
        book.note_written(commit)
    prefix = keys.facts_prefix(CLUSTER, NODE)
    return {operation.key.removeprefix(prefix) for commit in commits for operation in commit.then}


def brick_changed(**changes: object) -> Report:
    return replace(REPORT, bricks=(replace(BRICK_FACT, **changes),))  # type: ignore[arg-type]  # fields of a fact


def test_everything_is_written_once_then_nothing_for_ever() -> None:
    book = FactBook(CLUSTER, NODE)
    assert write(book, REPORT, 0.0) == {"node", f"brick/{BRICK_FACT.uuid}", f"volume/{VOLUME}"}
    for now in (1.0, REFRESH_S, 10 * REFRESH_S):
        assert book.writes(REPORT, LIVE, now) == ()


def test_values_read_back_and_every_write_is_guarded_by_the_live_key() -> None:
    (commit,) = FactBook(CLUSTER, NODE).writes(REPORT, LIVE, 0.0)
    assert commit.when == (CreatedAt(keys.live(CLUSTER, NODE), LIVE),)
    put = next(op for op in commit.then if op.key == keys.brick_fact(CLUSTER, NODE, BRICK_FACT.uuid))
    assert isinstance(put, Put)
    assert codec.decode(BrickFact, put.value) == BRICK_FACT


@pytest.mark.parametrize(
    "changes",
    [
        {"state": BrickState.CRASHED},
        {"pid": 8},
        {"heal_pending": 3},
        {"heal_pending": None},
        {"problem": "x"},
    ],
)
def test_what_matters_is_written_at_once_and_alone(changes: dict[str, object]) -> None:
    assert write(settled(), brick_changed(**changes), 0.1) == {f"brick/{BRICK_FACT.uuid}"}


def test_what_always_moves_is_written_together_and_now_and_then() -> None:
    book = settled(brick_changed(heal_pending=5))
    moved = replace(
        brick_changed(heal_pending=6, free_bytes=49),
        node=replace(NODE_FACT, mounts=(replace(NODE_FACT.mounts[0], free_bytes=49),)),
    )
    assert write(book, moved, REFRESH_S - 1) == set()
    assert write(book, moved, REFRESH_S) == {"node", f"brick/{BRICK_FACT.uuid}"}
    again = brick_changed(heal_pending=7)
    assert write(book, again, REFRESH_S + 1) == set()
    assert write(book, again, 2 * REFRESH_S) == {"node", f"brick/{BRICK_FACT.uuid}"}


def test_ten_idle_minutes_cost_ten_writes_however_many_bricks_there_are() -> None:
    bricks = tuple(replace(BRICK_FACT, uuid=BrickUuid(f"b{n}"), free_bytes=n) for n in range(90))
    book = settled(replace(REPORT, bricks=bricks))
    commits = 0
    for second in range(1, 601):
        moving = tuple(replace(brick, free_bytes=second + n) for n, brick in enumerate(bricks))
        due = book.writes(replace(REPORT, bricks=moving), LIVE, float(second))
        commits += len(due)
        for commit in due:
            book.note_written(commit)
    assert commits == 600 // REFRESH_S == 10


def test_what_is_not_reported_any_more_is_withdrawn() -> None:
    book = settled()
    (commit,) = book.writes(replace(REPORT, bricks=()), LIVE, 1.0)
    assert commit.then == (Delete(keys.brick_fact(CLUSTER, NODE, BRICK_FACT.uuid)),)
    book.note_written(commit)
    assert book.writes(replace(REPORT, bricks=()), LIVE, 2.0) == ()


def test_a_write_that_did_not_succeed_is_due_again() -> None:
    book = FactBook(CLUSTER, NODE)
    assert book.writes(REPORT, LIVE, 0.0) == book.writes(REPORT, LIVE, 0.0) != ()


def test_many_facts_are_split_into_allowed_transactions() -> None:
    bricks = tuple(replace(BRICK_FACT, uuid=BrickUuid(f"b{n}")) for n in range(2 * MAX_OPS))
    commits = FactBook(CLUSTER, NODE).writes(replace(REPORT, bricks=bricks), LIVE, 0.0)
    assert [len(commit.then) for commit in commits] == [MAX_OPS, MAX_OPS, 2]
    assert all(commit.when for commit in commits)


def _entries(commits: tuple[Commit, ...]) -> list[Entry]:
    puts = [op for commit in commits for op in commit.then if isinstance(op, Put)]
    return [Entry(key=op.key, value=op.value, create_revision=1, mod_revision=1) for op in puts]


def test_after_a_restart_only_differences_are_written() -> None:
    entries = _entries(FactBook(CLUSTER, NODE).writes(REPORT, LIVE, 0.0))
    book = FactBook(CLUSTER, NODE)
    book.load(entries, 0.0)
    assert book.writes(REPORT, LIVE, 1.0) == ()
    assert write(book, brick_changed(pid=9), 1.0) == {f"brick/{BRICK_FACT.uuid}"}


def test_facts_of_another_program_version_are_overwritten_or_withdrawn() -> None:
    prefix = keys.facts_prefix(CLUSTER, NODE)
    strange = [
        Entry(key=f"{prefix}{name}", value='{"v":99,"kind":"X"}', create_revision=1, mod_revision=1)
        for name in ("node", "quota/1", "brick", "brick/x")
    ]
    book = FactBook(CLUSTER, NODE)
    book.load(strange, 0.0)
    written = write(book, replace(REPORT, bricks=(), volumes=()), 1.0)
    assert written == {"node", "quota/1", "brick", "brick/x"}
    assert book.writes(replace(REPORT, bricks=(), volumes=()), LIVE, 2.0) == ()
