"""Where a plan's changes are declared, and which revision it is made from."""

from __future__ import annotations

from dataclasses import replace

from reconciler.cli.render_plan import render
from reconciler.cli.style import Style
from reconciler.diagnostics import SourceSpan
from reconciler.model.ids import Address
from reconciler.plan.basis import newest
from reconciler.plan.document import canonical_text, document, parse_document
from reconciler.plan.planner import Stamp, make_plan
from reconciler.plan.provenance import traced
from reconciler.plan.step import ReadKey
from tests.plan_samples import CREATE
from tests.plan_world import World, simulate
from tests.unit.desired.declarations import REP3, cluster, desired

SPAN = SourceSpan(file="clusters/prod/prod.yaml", line=31, column=7, end_line=31, end_column=20)


def test_a_change_names_its_place_in_the_document_and_on_the_screen() -> None:
    address = CREATE.changes[0].address
    plan = traced(CREATE, {address: SPAN})
    (changed,) = [one for one in document(plan)["changes"] if "range" in one]  # type: ignore[union-attr,operator]
    assert changed["range"] == {  # type: ignore[index,call-overload]
        "filename": "clusters/prod/prod.yaml",
        "start": {"line": 31, "column": 7},
        "end": {"line": 31, "column": 20},
    }
    style = Style(color=False, ascii=False, width=100, hints=True)
    (line,) = [one for one in render(plan, style) if "prod.yaml:31" in one]
    assert address in line
    assert parse_document(canonical_text(plan)) == plan


def test_the_revision_is_that_of_what_was_read_whatever_the_store_has_come_to_since() -> None:
    keys = (
        ReadKey(address=Address("settings"), mod_revision=0),
        ReadKey(address=Address("volume/a"), mod_revision=7),
    )
    assert newest(keys) == 7
    assert newest(()) == 0
    at = simulate(World().plan(desired(cluster(REP3))), World())
    given = at.given(desired(cluster(REP3 + "options: {storage.reserve: 3}\n")))
    stamp = Stamp(plan_id="p-1", now=1, tool_version="0")
    read = set()
    for revision in (100, 101):
        plan = make_plan(replace(given, configured=replace(given.configured, revision=revision)), stamp)
        assert plan.revision == newest(plan.read_set)
        read.add(plan.revision)
    assert len(read) == 1
