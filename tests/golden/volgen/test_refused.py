"""What a real glusterd 10.3 refused on the volumes of the oracle cases: we refuse it too.

What differs on purpose: docs/decisions/0023-what-is-refused-of-options.md.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.diagnostics import Severity
from reconciler.volgen.option_table import names, rows_by_name
from reconciler.volgen.options import Named, check_options
from tests.golden.volgen.oracle_case import RECORDED_VERSION, load_case
from tests.golden.volgen.test_oracle import CASES, HERE

#: refused by glusterd for its two cores, or for what was set before, and taken here (decision 0023)
TAKEN = {("cluster.rebal-throttle", "4"), ("performance.read-after-open", "off")}

REFUSED = [
    pytest.param(path, name, value, id=f"{path.stem}-{name}")
    for path in CASES
    for name, value, _ in json.loads(path.read_text(encoding="utf-8"))["rejected"]
]
NAMES = {
    words[0]: words[1:]
    for line in (HERE / "names-10.3.txt").read_text(encoding="utf-8").splitlines()
    if (words := line.split()) and words[0] != "#"
}


def refused(path: Path, name: str, value: str) -> bool:
    volume = load_case(path).volume
    count = len(volume.bricks) // volume.shape.bricks_per_subvolume
    options = {**volume.effective_options(), name: value}
    problems = check_options(options, volume.shape, volume=Named(name=volume.name, subvolumes=count))
    return any(p.severity is Severity.ERROR and name in p.summary for p in problems)


def test_the_checked_in_cases_have_refusals() -> None:
    cases = [json.loads(path.read_text(encoding="utf-8")) for path in (HERE / "cases").glob("*.json")]
    assert sum(len(case["rejected"]) for case in cases) >= 12


@pytest.mark.parametrize(("path", "name", "value"), REFUSED)
def test_what_glusterd_refused_is_refused(path: Path, name: str, value: str) -> None:
    assert refused(path, name, value) is ((name, value) not in TAKEN)


def test_every_name_of_glusterd_is_known_with_the_version_that_it_came_with() -> None:
    assert len(NAMES) == 389
    assert sum(words[1:] == ["help"] for words in NAMES.values()) == 254
    assert rows_by_name().keys() == names().keys()
    known = {name: facts for name, facts in names().items() if facts.op_version <= RECORDED_VERSION}
    assert {name: str(facts.op_version) for name, facts in known.items()} == {
        name: words[0] for name, words in NAMES.items()
    }
