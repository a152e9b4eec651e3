"""What is reported for each way in which two graphs can differ."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.volgen.graph import Graph, Xlator
from reconciler.volgen.graph_diff import HIDDEN, Difference, DifferenceKind, differences

LEFT = Xlator("v-client-0", "protocol/client", {"remote-host": "a", "password": "s3cr3t"})
RIGHT = Xlator("v-client-1", "protocol/client", {"remote-host": "b"})
THIRD = Xlator("v-client-2", "protocol/client", {"remote-host": "c"})
SET = Xlator("v-replicate-0", "cluster/replicate", {"eager-lock": "on"}, ("v-client-0", "v-client-1"))
TOP = Xlator("v", "debug/io-stats", {}, ("v-replicate-0",))
GRAPH = Graph((LEFT, RIGHT, SET, TOP))

D = DifferenceKind


def _one(
    kind: DifferenceKind, xlator: str, theirs: str | None, ours: str | None, key: str = ""
) -> Difference:
    return Difference(kind=kind, xlator=xlator, key=key, theirs=theirs, ours=ours)


@pytest.mark.parametrize(
    ("ours", "found"),
    [
        ([LEFT, RIGHT, SET, TOP], []),
        (
            [LEFT, RIGHT, replace(SET, options={"eager-lock": "off", "x": "1"}), TOP],
            [
                _one(D.OPTION, "v-replicate-0", "on", "off", "eager-lock"),
                _one(D.OPTION, "v-replicate-0", None, "1", "x"),
            ],
        ),
        (
            [replace(LEFT, options={"remote-host": "a", "password": "other"}), RIGHT, SET, TOP],
            [_one(D.OPTION, "v-client-0", HIDDEN, HIDDEN, "password")],
        ),
        (
            [LEFT, RIGHT, replace(SET, type="cluster/disperse"), TOP],
            [_one(D.TYPE, "v-replicate-0", "cluster/replicate", "cluster/disperse")],
        ),
        (
            [LEFT, RIGHT, replace(SET, subvolumes=("v-client-1", "v-client-0")), TOP],
            [_one(D.SUBVOLUMES, "v-replicate-0", "v-client-0 v-client-1", "v-client-1 v-client-0")],
        ),
        (
            [LEFT, RIGHT, THIRD, replace(SET, subvolumes=("v-client-0", "v-client-1", "v-client-2")), TOP],
            [
                _one(
                    D.SUBVOLUMES, "v-replicate-0", "v-client-0 v-client-1", "v-client-0 v-client-1 v-client-2"
                ),
                _one(D.EXTRA, "v-client-2", None, "protocol/client"),
            ],
        ),
        (
            [LEFT, replace(SET, subvolumes=("v-client-0",)), TOP],
            [
                _one(D.MISSING, "v-client-1", "protocol/client", None),
                _one(D.SUBVOLUMES, "v-replicate-0", "v-client-0 v-client-1", "v-client-0"),
            ],
        ),
        (
            [LEFT, replace(THIRD, options={"remote-host": "b", "x": "1"}),
             replace(SET, subvolumes=("v-client-0", "v-client-2")), TOP],
            [
                _one(D.RENAMED, "v-client-1", "v-client-1", "v-client-2"),
                _one(D.OPTION, "v-client-1", None, "1", "x"),
            ],
        ),
        ([RIGHT, LEFT, SET, TOP], [_one(D.ORDER, "v-client-0", "", "v-client-1")]),
    ],
)  # fmt: skip
def test_each_way_to_differ_has_its_difference(ours: list[Xlator], found: list[Difference]) -> None:
    assert list(differences(GRAPH, Graph(tuple(ours)))) == found


def test_as_few_xlators_as_possible_count_as_moved() -> None:
    below = [Xlator(f"c{i}", "t") for i in range(40)]
    top = Xlator("top", "t", {}, tuple(x.name for x in below))
    theirs = Graph((*below, top))
    ours = Graph((*below[:5], *below[6:30], below[5], *below[30:], top))
    assert differences(theirs, ours) == (_one(D.ORDER, "c5", "c4", "c29"),)


def test_two_xlators_of_one_name_in_two_blanks_are_not_the_same_as_one() -> None:
    """A name may hold a blank: edges are compared as edges, not as text."""
    below = [Xlator(name, "t") for name in ("a", "b", "a b")]
    top = Xlator("top", "t", {}, ("a b", "a", "b"))
    theirs, ours = (
        Graph((*below, replace(top, subvolumes=s))) for s in (("a b", "a", "b"), ("a", "b", "a b"))
    )
    assert [one.kind for one in differences(theirs, ours)] == [D.SUBVOLUMES]
