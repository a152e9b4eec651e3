"""Any graphs, for property tests."""

from __future__ import annotations

from hypothesis import strategies as st

from reconciler.volgen.graph import Graph, Xlator

plain = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="`"), min_size=1
)
"""Words that a volfile can hold."""


@st.composite
def graphs(
    draw: st.DrawFn, names: st.SearchStrategy[str] = plain, types: st.SearchStrategy[str] = plain
) -> Graph:
    """Draw a graph of up to six xlators in which every one but the top is used."""
    chosen = draw(st.lists(names, min_size=1, max_size=6, unique=True))
    options = st.dictionaries(plain, plain, max_size=4)
    made: list[Xlator] = []
    loose: list[str] = []
    for name in chosen[:-1]:
        take = draw(st.integers(0, len(loose)))
        made.append(Xlator(name, draw(types), draw(options), tuple(loose[:take])))
        loose = [*loose[take:], name]
    made.append(Xlator(chosen[-1], draw(types), draw(options), tuple(loose)))
    return Graph(tuple(made))
