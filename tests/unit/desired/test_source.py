"""The strict reader: positions, refusals, bounds."""

from __future__ import annotations

import subprocess
import sys

import pytest

from reconciler.desired import source
from reconciler.desired.characters import MAX_BYTES
from reconciler.desired.source import Budget, read
from reconciler.desired.tree import ListNode, MapNode, ScalarNode


def problems(data: bytes | str) -> list[str]:
    raw = data.encode() if isinstance(data, str) else data
    found = read("f.yaml", raw, Budget()).findings
    return [f"{d.span.line}:{d.span.column} {d.summary}" for d in found if d.span]


def test_every_scalar_knows_its_place_and_whether_it_was_quoted() -> None:
    (document,) = read("f.yaml", b"a: one\nb:\n  - 'two'\n  - \"tab \\t\"\n", Budget()).documents
    root = document.root
    assert isinstance(root, MapNode)
    items = root.get("b")
    assert isinstance(items, ListNode)
    two = items.items[0]
    assert isinstance(two, ScalarNode)
    assert (two.text, two.plain) == ("two", False)
    assert str(document.span(two)) == "f.yaml:3:5"
    assert document.span(two).end_column == 10
    one = root.get("a")
    assert isinstance(one, ScalarNode)
    assert one.plain


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", ["3:1 duplicate key 'a'"]),
        ("a: &x 1\n", ["1:4 anchor x: anchors are not supported"]),
        ("a: *x\n", ["1:4 alias x: aliases are not supported"]),
        ("a: !!str 1\n", ["1:4 tag 'tag:yaml.org,2002:str': tags are not supported"]),
        ("a: !x [1]\n", ["1:4 tag '!x': tags are not supported"]),
        ("<<: {a: 1}\nb: 2\n", ["1:1 merge keys (<<) are not supported"]),
        ("1: a\n", ["1:1 key '1' is not text"]),
        ("true: a\n", ["1:1 key 'true' is not text"]),
        ("010: a\n", ["1:1 key '010' is not text"]),
        ("? [a]\n: b\n", ["1:3 a key must be text, not a list or mapping"]),
        ("a:\n\tb: 1\n", ["2:1 tab character"]),
        ("a: b\0c\n", ["1:5 NUL character"]),
        ("%YAML 1.2\n---\na: 1\n", ["1:1 a line may not begin with '%'"]),
        ("a: 1\r%TAG ! x\r", ["2:1 a line may not begin with '%'"]),
        ("a: \u202egnp\n", ["1:4 character U+202E is not allowed"]),
        ('a: "\\u202e"\n', ["1:4 text holds a control character: '\\u202e'"]),
        ("a: [1\n", ["2:1 not valid YAML: did not find expected ',' or ']'"]),
    ],
)
def test_what_is_more_than_plain_data_is_refused_with_its_position(text: str, expected: list[str]) -> None:
    assert problems(text) == expected


def test_all_problems_of_form_are_reported_at_once() -> None:
    assert len(problems("a: &x 1\na: 2\nb: !t 3\n? {c: d}\n: e\n")) == 4


@pytest.mark.parametrize("key", ["on", "no", "12:30", "2026-01-01", "0x", "1_0", '"1"', "'true'"])
def test_keys_that_yaml_1_2_reads_as_text_are_fine(key: str) -> None:
    assert problems(f"{key}: a\n") == []


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("a: 1\n".encode("utf-16"), "1:1 file is UTF-16 text"),
        (b"a: 1\nb: \xc3\xa9\xff\n", "2:5 byte 0xff is not valid UTF-8"),
        (b"x" * (MAX_BYTES + 1), "1:1 file is longer than 8 MiB"),
    ],
)
def test_other_encodings_and_sizes_are_refused(data: bytes, expected: str) -> None:
    assert problems(data) == [expected]


def test_a_byte_order_mark_and_dos_line_ends_are_fine_and_do_not_move_positions() -> None:
    result = read("f.yaml", b"\xef\xbb\xbfa: 1\r\nb: 2\r\nb: 3\r\n", Budget())
    assert [str(d.span) for d in result.findings] == ["f.yaml:3:1"]


def test_several_documents_stand_in_one_file_and_empty_ones_are_skipped() -> None:
    assert len(read("f.yaml", b"---\n---\na: 1\n---\n~\n---\nb: 2\n", Budget()).documents) == 2


def test_depth_32_is_read_and_33_is_refused() -> None:
    assert problems("[" * 32 + "]" * 32) == []
    assert problems("[" * 33 + "]" * 33) == ["1:33 nested deeper than 32 levels"]
    assert problems("- " * 33 + "x") == ["1:65 nested deeper than 32 levels"]


def test_the_number_of_values_is_bounded_over_all_files() -> None:
    budget = Budget(nodes=5)
    assert not read("a.yaml", b"[1, 2]", budget).findings
    (found,) = read("b.yaml", b"[1, 2]", budget).findings
    assert (found.span and str(found.span)) == "b.yaml:1:5"
    assert "more than" in found.summary


def test_the_number_of_documents_is_bounded() -> None:
    (found,) = read("f.yaml", b"---\n" * (source.MAX_DOCUMENTS + 1), Budget()).findings
    assert "documents" in found.summary


@pytest.mark.parametrize(
    "bomb", ["[" * 100_000, "{" * 100_000, "- " * 100_000, "? " * 100_000, "a: " * 100_000]
)
def test_nesting_bombs_neither_crash_nor_take_long(bomb: str) -> None:
    # A child: a crash of the C scanner would take the test run with it. Limits: 2 s of CPU, 512 MiB.
    code = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (2, 2))\n"
        "resource.setrlimit(resource.RLIMIT_AS, (512 << 20, 512 << 20))\n"
        "from reconciler.desired.source import Budget, read\n"
        "sys.exit(len(read('f', sys.stdin.buffer.read(), Budget()).findings) != 1)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], input=bomb.encode(), check=False, timeout=60)
    assert done.returncode == 0
