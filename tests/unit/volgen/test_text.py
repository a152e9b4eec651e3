"""Reading volfiles: what is refused, and where the message points."""

from __future__ import annotations

import contextlib
import tracemalloc

import pytest

from reconciler.errors import VolfileError
from reconciler.volgen.graph import Graph, Xlator
from reconciler.volgen.text import MAX_TEXT, parse, write

GOOD = "volume a\n  type debug/io-stats\n  option k v\nend-volume\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "at least one xlator"),
        ("hello", "line 1: expected 'volume'"),
        (GOOD + "\nvolume a\n type x\nend-volume\n", "line 6: a second xlator called 'a'"),
        ("volume a\nend-volume\n", "line 1: xlator 'a' has no type"),
        ("volume a\n type x\n type y\nend-volume\n", "line 3: xlator 'a' has a second type"),
        ("volume a\n type x\n option k\nend-volume\n", "line 4: expected a value of 'k'"),
        ("volume a\n type x\n option k v w\nend-volume\n", "line 3: expected 'type'"),
        ("volume a\n type x\n subvolumes b\nend-volume\n", "line 3: subvolume 'b' is not defined above"),
        ("volume a\n type x\n", "line 1: the file ends inside"),
        ('volume a\n type "x\nend-volume\n', "line 2: unexpected character"),
        ("volume a\n type x\n option k `id`\nend-volume\n", "line 3: a word contains a backquote"),
        ("volume a\n type x\nend-volume\nvolume b\n type x\nend-volume\n", "nothing uses the xlator 'a'"),
    ],
)
def test_text_that_is_no_volfile_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(VolfileError) as caught:
        parse(text)
    assert message in caught.value.message
    said, _, _ = message.partition(":")
    assert caught.value.line == (int(said.removeprefix("line ")) if said.startswith("line ") else 0)


def test_comments_case_and_quotes_are_read_as_glusterfs_reads_them() -> None:
    text = '# top\nVolume a # name\n\ttype "x" option "k 1" "v \\"2\\"" # option z y\nEND-VOLUME\n'
    assert parse(text) == Graph((Xlator("a", "x", {"k 1": 'v "2"'}),))


def test_a_text_beyond_the_limit_is_refused_unread() -> None:
    with pytest.raises(VolfileError, match="more than"):
        parse(" " * (MAX_TEXT + 1))


@pytest.mark.parametrize(
    "start", ["", 'volume a\n type "', "volume a\n type x\n subvolumes ", "volume a\n type x\n "]
)
@pytest.mark.parametrize("filler", ["a ", "\\", '"', "option a b\n", "\\a"])
def test_reading_takes_no_more_memory_than_a_few_times_the_text(start: str, filler: str) -> None:
    size = 1 << 20
    text = start + filler * (size // len(filler))
    tracemalloc.start()
    with contextlib.suppress(VolfileError):
        parse(text)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * size


def test_a_refused_value_is_not_repeated_in_the_message() -> None:
    with pytest.raises(VolfileError) as caught:
        write(Graph((Xlator("a", "x", {"password": "s3cr3t\n"}),)))
    assert "s3cr3t" not in str(caught.value)


def test_words_that_glusterfs_would_misread_are_quoted() -> None:
    graph = Graph((Xlator("volume", "x", {"a b": "#c", "r": r"^\.x$"}),))
    assert write(graph) == (
        'volume "volume"\n    type x\n    option "a b" "#c"\n    option r "^\\\\.x$"\nend-volume\n'
    )
    assert "option r ^\\.x$\n" in write(graph, verbatim=True)


def test_a_graph_knows_its_top_and_its_topology_without_options() -> None:
    below = Xlator("a", "storage/posix", {"k": "1"})
    graph = Graph((below, Xlator("b", "debug/io-stats", {}, ("a",))))
    other = Graph((Xlator("a", "storage/posix", {"k": "2"}), graph.top))
    assert graph.top.name == "b"
    assert graph.topology == other.topology
    assert graph != other
    assert graph.of_type("storage/posix") == (below,)
    assert len({graph, other, Graph(graph.xlators)}) == 2


def test_options_of_an_xlator_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        Xlator("a", "x", {"k": "1"}).options["k"] = "2"  # type: ignore[index]  # the point of the test


@pytest.mark.parametrize(
    ("xlators", "message"),
    [
        ((Xlator("a", "x"), Xlator("a", "y", {}, ("a",))), "two xlators are called 'a'"),
        ((Xlator("a", "x"), Xlator("b", "y", {}, ("c",))), "'c', which is not defined"),
        ((Xlator("a", "x"), Xlator("b", "y")), "nothing uses the xlator 'a'"),
    ],
)
def test_a_graph_with_loose_or_tangled_ends_cannot_be_made(xlators: tuple[Xlator, ...], message: str) -> None:
    with pytest.raises(VolfileError, match=message):
        Graph(xlators)
