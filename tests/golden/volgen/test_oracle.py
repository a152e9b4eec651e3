"""Our graphs against the volfiles that a real glusterd 10.3 generated for the same volumes.

A dozen cases are checked in. A directory ``../shared/oracle`` beside the repository, if there is one, adds
all of its cases.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.diagnostics import Severity
from reconciler.volgen.options import check_options
from reconciler.volgen.text import parse, write
from tests.glusterd_cases import rendered
from tests.golden.volgen.oracle_case import load_case

HERE = Path(__file__).parent
MORE = HERE.parents[2].parent / "shared" / "oracle" / "volfiles"
CASES = sorted({p.name: p for p in [*MORE.glob("*.json"), *(HERE / "cases").glob("*.json")]}.values())

each_case = pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)


def test_the_checked_in_cases_are_there() -> None:
    assert len(list((HERE / "cases").glob("*.json"))) >= 12


@each_case
def test_every_graph_equals_the_one_of_glusterd(path: Path) -> None:
    case = load_case(path)
    ours = rendered(case)
    assert sorted(ours) == sorted(case.volfiles)
    for name, text in case.volfiles.items():
        theirs = parse(text)
        # Xlator by xlator first: the difference then fits on the screen.
        assert [(x.name, x.type, x.subvolumes) for x in ours[name]] == [
            (x.name, x.type, x.subvolumes) for x in theirs
        ], name
        for got, wanted in zip(ours[name], theirs, strict=True):
            assert dict(got.options) == dict(wanted.options), f"{name}: {got.name}"


@each_case
def test_what_we_write_reads_back_as_the_same_graph(path: Path) -> None:
    case = load_case(path)
    for name, graph in rendered(case).items():
        assert parse(write(graph)) == graph, name
        assert parse(write(graph, verbatim=True)) == graph, name


@each_case
def test_no_option_that_glusterd_accepted_is_refused(path: Path) -> None:
    volume = load_case(path).volume
    problems = check_options(volume.effective_options(), volume.shape)
    assert [p.summary for p in problems if p.severity is Severity.ERROR] == []


@each_case
def test_every_option_line_of_glusterd_is_a_line_of_ours(path: Path) -> None:
    case = load_case(path)
    for name, graph in rendered(case).items():
        ours = write(graph, verbatim=True)
        assert sorted(ours.splitlines()) == sorted(case.volfiles[name].splitlines()), name
