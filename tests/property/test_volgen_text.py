"""Properties of volfile text that hold for any graph and any option value."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import VolfileError
from reconciler.volgen.graph import Graph, Xlator
from reconciler.volgen.text import parse, write
from tests.graph_strategies import graphs

CONTROLS = ["x\nend-volume", "a\r\nb", "a\x85b", "a\u2028b", "\x00"]
SYNTAX = ["end-volume", "volume", "Option", "subvolumes x", "\\", '"', "#", "# x", "", " "]
hostile = st.sampled_from([*CONTROLS, *SYNTAX, "`id`", "\\`id\\`"])
words = st.text(min_size=1, max_size=12) | hostile


@given(graphs())
def test_parsing_what_was_written_gives_the_same_graph(graph: Graph) -> None:
    assert parse(write(graph)) == graph


@given(graphs())
def test_the_order_in_which_options_were_set_does_not_show(graph: Graph) -> None:
    turned = Graph(
        tuple(Xlator(x.name, x.type, dict(reversed(list(x.options.items()))), x.subvolumes) for x in graph)
    )
    assert write(turned) == write(graph)


@given(key=words, value=words, name=words, verbatim=st.booleans())
def test_no_name_key_or_value_adds_a_line_or_runs_a_command(
    key: str, value: str, name: str, *, verbatim: bool
) -> None:
    graph = Graph((Xlator(name, "debug/io-stats", {key: value, "zz": "last"}),))
    try:
        text = write(graph, verbatim=verbatim)
    except VolfileError:
        return
    assert len(text.splitlines()) == 5
    assert text.count("\n") == 5
    assert "`" not in text
    if not verbatim:
        assert parse(text) == graph


@given(st.text(max_size=200) | st.lists(hostile | st.sampled_from(["type", "\n"])).map(" ".join))
def test_any_text_is_a_graph_or_a_volfile_error(text: str) -> None:
    try:
        graph = parse(text)
    except VolfileError:
        return
    assert parse(write(graph)) == graph
