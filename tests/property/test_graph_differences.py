"""Two graphs have a difference if, and only if, they are not equal."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from reconciler.volgen.graph import Graph
from reconciler.volgen.graph_diff import HIDDEN, Difference, DifferenceKind, differences
from tests.graph_strategies import graphs

# Few names and types, so that two graphs have something in common.
alike = graphs(st.sampled_from("abcdefgh"), st.sampled_from("xy"))


@given(alike, alike)
def test_graphs_differ_exactly_if_a_difference_is_found(theirs: Graph, ours: Graph) -> None:
    assert (differences(theirs, ours) == ()) == (theirs == ours)


@given(graphs())
def test_a_graph_does_not_differ_from_itself(graph: Graph) -> None:
    assert differences(graph, graph) == ()


@given(alike)
def test_another_order_of_the_same_xlators_is_an_order_and_nothing_else(graph: Graph) -> None:
    """Leaves may stand anywhere below what uses them; here they go to the front in another order."""
    leaves = [xlator for xlator in graph.xlators[:-1] if not xlator.subvolumes]
    turned = Graph((*reversed(leaves), *(xlator for xlator in graph if xlator not in leaves)))
    found = differences(graph, turned)
    assert {one.kind for one in found} <= {DifferenceKind.ORDER}
    assert bool(found) == (graph != turned)


@given(alike, alike)
def test_seen_from_the_other_side_the_same_differs(theirs: Graph, ours: Graph) -> None:
    def turned(one: Difference) -> Difference:
        back = {DifferenceKind.MISSING: DifferenceKind.EXTRA, DifferenceKind.EXTRA: DifferenceKind.MISSING}
        return replace(one, kind=back.get(one.kind, one.kind), theirs=one.ours, ours=one.theirs, xlator="")

    def kinds(found: tuple[Difference, ...]) -> set[Difference]:
        return {replace(one, xlator="") for one in found if one.kind is not DifferenceKind.ORDER}

    there, back = differences(theirs, ours), differences(ours, theirs)
    assert kinds(there) == {turned(one) for one in back if one.kind is not DifferenceKind.ORDER}


secrets = st.text("0123456789abcdef", min_size=12, max_size=12)


@given(alike, secrets, secrets, st.sampled_from(["username", "password"]))
def test_no_credential_is_in_a_difference(graph: Graph, theirs: str, ours: str, key: str) -> None:
    def with_login(name: str) -> Graph:
        login = {"auth.login.b.allow": name, f"auth.login.{name}.password": name, key: name}
        top = replace(graph.top, options={**graph.top.options, **login})
        return Graph((*graph.xlators[:-1], top))

    found = differences(with_login(theirs), with_login(ours))
    assert {one.theirs for one in found} == ({HIDDEN} if theirs != ours else set())
    assert theirs not in repr(found)
    assert ours not in repr(found)
