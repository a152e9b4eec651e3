"""Which brick of a changed volume is which, held to what glusterd 10.3 does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.diff.lineage import first_unused, lineage
from reconciler.errors import DesiredStateError
from reconciler.model.codec import decode, encode
from reconciler.model.configured import VolumeRecord
from reconciler.model.ids import BrickId
from reconciler.model.volume import Shape
from tests.lineage_samples import DISTRIBUTE, EC, changed, created, declared, line_of, replicate

Step = tuple[Shape, str, str]

#: What a glusterd 10.3 made of volumes, step by step: shape, and bricks with the numbers of their ids. Where
#: it gave out a number for the second time, the third entry has the numbers that are right here.
RECORDED: dict[str, list[Step]] = {
    "distribute": [
        (DISTRIBUTE, "1/b0=0 2/b1=1 3/b2=2", ""),
        (DISTRIBUTE, "1/b0=0 2/b1=1 3/b2=2 1/b3=3", ""),
        (DISTRIBUTE, "1/b0=0 3/b2=2 1/b3=3", ""),
        (DISTRIBUTE, "1/b0=0 3/b2=2 1/b3=3 2/b4=4", ""),
        (DISTRIBUTE, "1/b0=0 3/b2=2 1/b3=3", ""),
        (DISTRIBUTE, "1/b0=0 3/b2=2 1/b3=3 3/b5=4", "1/b0=0 3/b2=2 1/b3=3 3/b5=5"),
        (DISTRIBUTE, "1/b0=0 3/b2=2", ""),
        (DISTRIBUTE, "1/b0=0 3/b2=2 1/b6=3 2/b7=4", "1/b0=0 3/b2=2 1/b6=6 2/b7=7"),
        (DISTRIBUTE, "3/b2=2 1/b6=3 2/b7=4", "3/b2=2 1/b6=6 2/b7=7"),
        (DISTRIBUTE, "3/b2=2 1/b6=3 2/b7=4 1/b0=5", "3/b2=2 1/b6=6 2/b7=7 1/b0=8"),
    ],
    "replicate": [
        (replicate(3), "1/b0=0 2/b1=1 3/b2=2 1/b3=3 2/b4=4 3/b5=5", ""),
        (replicate(3), "1/b0=0 2/b10=1 3/b2=2 1/b3=3 2/b4=4 3/b5=5", ""),
        (replicate(3), "1/b0=0 2/b10=1 3/b2=2 1/b3=3 2/b4=4 3/b11=5", ""),
        (replicate(3), "1/b3=3 2/b4=4 3/b11=5", ""),
        (replicate(3), "1/b3=3 2/b4=4 3/b11=5 3/b20=6 1/b21=7 2/b22=8", ""),
        (replicate(2), "2/b4=4 3/b11=5 1/b21=7 2/b22=8", ""),
        (replicate(3), "2/b4=4 3/b11=5 1/b30=9 1/b21=7 2/b22=8 2/b31=10", ""),
        (replicate(2), "2/b4=4 3/b11=5 1/b21=7 2/b22=8", ""),
        (DISTRIBUTE, "3/b11=5 2/b22=8", ""),
    ],
    "disperse": [
        (EC, "1/b0=0 2/b1=1 3/b2=2", ""),
        (EC, "1/b0=0 2/b1=1 3/b2=2 1/b3=3 2/b4=4 3/b5=5", ""),
        (EC, "1/b0=0 2/b1=1 3/b2=2 1/b3=3 1/b9=4 3/b5=5", ""),
        (EC, "1/b3=3 1/b9=4 3/b5=5", ""),
        (EC, "1/b3=3 1/b9=4 3/b5=5 2/b10=6 3/b11=7 1/b12=8", ""),
        (EC, "1/b3=3 1/b9=4 3/b5=5", ""),
        (
            EC,
            "1/b3=3 1/b9=4 3/b5=5 2/b13=6 3/b14=7 1/b15=8",
            "1/b3=3 1/b9=4 3/b5=5 2/b13=9 3/b14=10 1/b15=11",
        ),
    ],
    "arbiter": [
        (replicate(2), "1/b0=0 2/b1=1", ""),
        (replicate(3, 1), "1/b0=0 2/b1=1 3/b2=2", ""),
        (replicate(3, 1), "1/b0=0 2/b1=1 3/b2=2 1/b3=3 2/b4=4 3/b5=5", ""),
        (replicate(3, 1), "1/b3=3 2/b4=4 3/b5=5", ""),
        (replicate(2), "1/b3=3 2/b4=4", ""),
        (replicate(3, 1), "1/b3=3 2/b4=4 3/b8=5", "1/b3=3 2/b4=4 3/b8=6"),
    ],
}


def plain(line: str) -> str:
    """Return a line without its ids."""
    return " ".join(word.partition("=")[0] for word in line.split())


@pytest.mark.parametrize("steps", RECORDED.values(), ids=RECORDED)
def test_ids_are_those_of_glusterd_but_for_the_ones_that_it_gives_out_again(steps: list[Step]) -> None:
    record: VolumeRecord | None = None
    for shape, theirs, ours in steps:
        spec = declared(shape, plain(theirs))
        record = created(spec) if record is None else changed(record, spec)
        assert line_of(record).replace("| ", "") == (ours or theirs)
        size = shape.bricks_per_subvolume
        slots = [f"{i // size}.{i % size}" for i in range(len(record.bricks))]
        assert [brick.slot for brick in record.bricks] == slots


def test_a_replacement_takes_the_id_over_and_is_another_brick() -> None:
    first = created(declared(replicate(2), "1/a 2/b"))
    second = changed(first, declared(replicate(2), "1/a 3/c"))
    third = changed(second, declared(replicate(2), "1/a 2/b"))
    assert [r.bricks[1].brick_id for r in (first, second, third)] == ["home-client-1"] * 3
    assert len({r.bricks[1].uuid for r in (first, second, third)}) == 3
    assert first.bricks[0] == second.bricks[0] == third.bricks[0]
    assert (third.bricks[1].host, third.bricks[1].path) == ("10.77.0.2", "/srv/b")


def test_what_stays_keeps_everything_but_its_slot() -> None:
    before = created(declared(replicate(2), "1/a 2/b | 1/c 2/d | 1/e 2/f"))
    after = changed(before, declared(replicate(2), "1/a 2/b | 1/e 2/f"))
    assert after.bricks[:2] == before.bricks[:2]
    assert [replace(b, slot=f"2.{i}") for i, b in enumerate(after.bricks[2:])] == list(before.bricks[4:])
    assert after.generation == before.generation + 1
    assert after.next_client == before.next_client == 6


def test_what_is_said_once_of_a_brick_that_stays_holds_on() -> None:
    spec = declared(DISTRIBUTE, "1/a 1/b")
    said = replace(spec.bricks[0], port=61700, mount="/srv", fs_uuid="f-1")
    first = created(replace(spec, bricks=(said, spec.bricks[1])))
    later = changed(first, declared(DISTRIBUTE, "1/a 1/b 1/c"))
    assert later.bricks[:2] == first.bricks
    assert len({brick.port for brick in later.bricks}) == 3
    moved = replace(said, port=61800, mount="/", fs_uuid="f-2")
    (now, _) = changed(later, replace(spec, bricks=(moved, spec.bricks[1]))).bricks
    assert (now.port, now.mount, now.fs_uuid) == (61800, "/", "f-2")


def test_a_directory_that_comes_back_is_a_new_brick() -> None:
    first = created(declared(DISTRIBUTE, "1/a 2/b"))
    without = changed(first, declared(DISTRIBUTE, "1/a"))
    again = changed(without, declared(DISTRIBUTE, "1/a 2/b"))
    assert line_of(again) == "1/a=0 | 2/b=2"
    assert again.bricks[1].uuid not in {brick.uuid for brick in first.bricks}


def test_the_high_water_mark_survives_the_last_brick_and_the_store() -> None:
    record = changed(created(declared(DISTRIBUTE, "1/a 2/b 3/c")), declared(DISTRIBUTE, "1/a"))
    stored = decode(VolumeRecord, encode(record))
    assert stored.next_client == 3
    assert line_of(changed(stored, declared(DISTRIBUTE, "1/a 2/b"))) == "1/a=0 | 2/b=3"


def test_a_record_from_before_the_mark_is_numbered_from_its_bricks() -> None:
    record = created(declared(DISTRIBUTE, "1/a=4 2/b"))
    text = encode(record).replace('"next_client":5,', "")
    old = decode(VolumeRecord, text)
    assert (old.next_client, first_unused(old)) == (0, 5)
    assert line_of(changed(old, declared(DISTRIBUTE, "1/a 2/b 3/c"))) == "1/a=4 | 2/b=1 | 3/c=5"


def test_all_bricks_may_be_exchanged_for_others_with_ids_of_their_own() -> None:
    before = created(declared(replicate(2), "1/a 2/b"))
    assert line_of(changed(before, declared(replicate(2), "1/c 2/d"))) == "1/c=2 2/d=3"


def test_a_data_brick_in_the_place_of_an_arbiter_gets_an_id_of_its_own() -> None:
    before = created(declared(replicate(3, 1), "1/a 2/b 3/c"))
    assert line_of(changed(before, declared(replicate(3), "1/a 2/b 3/d"))) == "1/a=0 2/b=1 3/d=3"
    before = created(declared(replicate(3), "1/a 2/b 3/c"))
    assert line_of(changed(before, declared(replicate(3, 1), "1/a 2/b 3/d"))) == "1/a=0 2/b=1 3/d=3"


# ---------------------------------------------------------------- declared ids


@pytest.mark.parametrize(
    ("line", "result"),
    [
        ("1/a=0 2/b=1 3/c", "1/a=0 | 2/b=1 | 3/c=2"),
        ("1/a 2/b 3/c=7", "1/a=0 | 2/b=1 | 3/c=7"),
        ("1/a 2/b 3/c 1/d=2", "1/a=0 | 2/b=1 | 3/c=3 | 1/d=2"),
        ("1/a 2/b 3/c 1/d=2 2/e", "1/a=0 | 2/b=1 | 3/c=3 | 1/d=2 | 2/e=4"),
    ],
)
def test_declared_ids_are_taken_if_they_never_were(line: str, result: str) -> None:
    after = changed(created(declared(DISTRIBUTE, "1/a 2/b")), declared(DISTRIBUTE, line))
    assert line_of(after) == result
    assert after.next_client == 1 + max(int(word.partition("=")[2]) for word in result.split() if "=" in word)


def test_a_declared_id_of_a_replacement_is_the_one_it_takes_over_or_a_new_one() -> None:
    before = created(declared(replicate(2), "1/a 2/b"))
    assert line_of(changed(before, declared(replicate(2), "1/a 2/c=1"))) == "1/a=0 2/c=1"
    assert line_of(changed(before, declared(replicate(2), "1/a 2/c=2"))) == "1/a=0 2/c=2"


@pytest.mark.parametrize(
    ("shape", "line", "address", "words"),
    [
        (DISTRIBUTE, "1/a=1 2/b", "brick/home/0.0/id", "1:/srv/a has id home-client-0, not home-client-1"),
        (DISTRIBUTE, "1/a=8 2/b", "brick/home/0.0/id", "1:/srv/a has id home-client-0, not home-client-8"),
        (DISTRIBUTE, "1/a 2/b 3/x=2", "brick/home/2.0/id", "id home-client-2 is not free"),
        (DISTRIBUTE, "1/a 2/b 3/x=1", "brick/home/2.0/id", "id home-client-1 is not free"),
        (DISTRIBUTE, "1/a 3/x=1", "brick/home/1.0/id", "id home-client-1 is not free"),
    ],
)
def test_declared_ids_that_contradict_or_were_used_are_refused(
    shape: Shape, line: str, address: str, words: str
) -> None:
    first = created(declared(DISTRIBUTE, "1/a 2/b 3/c"))
    record = changed(first, declared(DISTRIBUTE, "1/a 2/b"))
    found = lineage(record, declared(shape, line))
    (problem,) = found.problems
    assert (problem.path, found.places, found.next_client) == (address, (), 3)
    assert problem.summary.startswith(words)


def test_an_id_of_another_name_counts_by_its_number() -> None:
    """A volume that was taken over may have bricks with the ids of a former name."""
    record = created(declared(DISTRIBUTE, "1/a"))
    spec = declared(DISTRIBUTE, "1/a 2/b 3/c")
    old = replace(spec.bricks[1], brick_id=BrickId("former-client-1"))
    after = changed(record, replace(spec, bricks=(spec.bricks[0], old, spec.bricks[2])))
    assert [b.brick_id for b in after.bricks] == ["home-client-0", "former-client-1", "home-client-2"]


# ---------------------------------------------------------------- what no change may do


@pytest.mark.parametrize(
    ("before", "after", "address", "words"),
    [
        (
            (EC, "1/a 2/b 3/c"),
            (replicate(3), "1/a 2/b 3/c"),
            "volume/home/type",
            "disperse 2+1 cannot become",
        ),
        (
            (EC, "1/a 2/b 3/c"),
            (replace(EC, data=3), "1/a 2/b 3/c 1/d"),
            "volume/home/type",
            "disperse 2+1 cannot become disperse 3+1",
        ),
        (
            (replicate(3, 1), "1/a 2/b 3/c"),
            (replicate(4), "1/a 2/b 3/c 1/d"),
            "volume/home/type",
            "no replica is added to a volume with an arbiter",
        ),
        (
            (replicate(3), "1/a 2/b 3/c"),
            (replicate(3, 1), "1/a 2/b 3/c"),
            "brick/home/0.0",
            "3:/srv/c is a brick with data and is declared as one that is an arbiter",
        ),
        (
            (replicate(3, 1), "1/a 2/b 3/c"),
            (replicate(3), "1/a 2/b 3/c"),
            "brick/home/0.0",
            "3:/srv/c is an arbiter and is declared as one that holds data",
        ),
        (
            (replicate(3, 1), "1/a 2/b 3/c"),
            (replicate(2), "1/a 3/c"),
            "brick/home/0.0",
            "3:/srv/c is an arbiter and is declared as one that holds data",
        ),
        (
            (replicate(3, 1), "1/a 2/b 3/c"),
            (replicate(3, 1), "1/x 2/y 3/c"),
            "brick/home/0.0",
            "0 brick(s) with data stay in subvolume 0; to fill new ones 1 must",
        ),
        (
            (EC, "1/a 2/b 3/c"),
            (EC, "1/a 2/x 3/y"),
            "brick/home/0.0",
            "1 brick(s) with data stay in subvolume 0; to fill new ones 2 must",
        ),
        ((EC, "1/a 2/b 3/c"), (EC, "2/b 1/a 3/c"), "brick/home/0.0", "bricks of a subvolume are declared in"),
        ((EC, "1/a 2/b 3/c"), (EC, "1/a 3/x 2/b"), "brick/home/0.0", "bricks of a subvolume are declared in"),
        (
            (replicate(3), "1/a 2/b 3/c"),
            (replicate(2), "2/b 1/a"),
            "brick/home/0.0",
            "bricks of a subvolume are declared in",
        ),
        (
            (replicate(2), "1/a 2/b | 1/c 2/d"),
            (replicate(2), "1/c 2/d | 1/a 2/b"),
            "brick/home/1.0",
            "subvolume 0 is declared behind subvolume 1, which it preceded",
        ),
        (
            (DISTRIBUTE, "1/a 2/b"),
            (DISTRIBUTE, "2/b 1/a"),
            "brick/home/1.0",
            "subvolume 0 is declared behind",
        ),
        (
            (replicate(2), "1/a 2/b | 1/c 2/d"),
            (replicate(2), "1/a 2/d"),
            "brick/home/0.0",
            "bricks of the subvolumes 0 and 1 are declared in one",
        ),
        (
            (DISTRIBUTE, "1/a 2/b"),
            (replicate(2), "1/a 2/b"),
            "brick/home/0.0",
            "bricks of the subvolumes 0 and 1 are declared in one",
        ),
        (
            (replicate(2), "1/a 2/b"),
            (DISTRIBUTE, "1/a 2/b"),
            "brick/home/1.0",
            "the bricks of subvolume 0 are declared in two subvolumes",
        ),
        (
            (replicate(2), "1/a 2/b"),
            (replicate(3), "1/a 2/x 3/y"),
            "brick/home/0.0",
            "bricks are replaced while the replica count grows",
        ),
        (
            (replicate(2), "1/a 2/b"),
            (replicate(3), "3/x 1/a 2/b"),
            "brick/home/0.0",
            "bricks of a subvolume are declared in another order",
        ),
        (
            (replicate(3), "1/a 2/b 3/c"),
            (replicate(2), "1/a 2/x"),
            "brick/home/0.0",
            "bricks are new while the replica count shrinks",
        ),
    ],
)
def test_changes_that_would_lose_or_mix_data_are_refused(
    before: tuple[Shape, str], after: tuple[Shape, str], address: str, words: str
) -> None:
    record = created(declared(*before))
    (problem,) = lineage(record, declared(*after)).problems
    assert problem.path == address
    assert problem.summary.startswith(words)
    with pytest.raises(DesiredStateError):
        changed(record, declared(*after))


def test_every_problem_is_told_at_once() -> None:
    record = created(declared(replicate(2), "1/a 2/b | 1/c 2/d | 1/e 2/f"))
    found = lineage(record, declared(replicate(2), "2/b 1/a | 1/e 2/f | 2/d 1/c"))
    assert [one.path for one in found.problems] == ["brick/home/0.0", "brick/home/2.0", "brick/home/2.0"]
    found = lineage(record, declared(replicate(2), "1/a=4 2/b | 1/c 2/d | 1/x=2 2/y=3"))
    assert [one.path for one in found.problems] == [f"brick/home/{s}/id" for s in ("0.0", "2.0", "2.1")]
