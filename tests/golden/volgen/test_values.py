"""What a real glusterd 10.3 said to values of every option, one at a time: we say the same.

``values-10.3.json`` was recorded on three volumes, called ``rep`` (replica 3), ``dst`` (two bricks) and
``dsp`` (2+1), on which everything of `ON` was on. What differs on purpose:
docs/decisions/0023-what-is-refused-of-options.md.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from reconciler.diagnostics import Severity
from reconciler.model.volume import Shape, VolumeType
from reconciler.volgen import option_table
from reconciler.volgen.options import Named, check_options
from tests.golden.volgen.oracle_case import RECORDED_VERSION
from tests.golden.volgen.test_oracle import HERE

ON = dict.fromkeys(
    [
        *(
            f"performance.{name}"
            for name in (
                "write-behind",
                "read-ahead",
                "readdir-ahead",
                "io-cache",
                "open-behind",
                "quick-read",
            )
        ),
        *("performance.nl-cache", "performance.stat-prefetch", "performance.client-io-threads"),
        *("features.uss", "features.shard", "features.ctime", "features.cloudsync", "features.trash"),
        *("features.tag-namespaces", "features.sdfs", "network.compression"),
    ],
    "on",
) | {"debug.trace": "client"}
VOLUMES = {
    "rep": (Shape(type=VolumeType.REPLICATE, replica=3), 1),
    "dst": (Shape(type=VolumeType.DISTRIBUTE), 2),
    "dsp": (Shape(type=VolumeType.DISPERSE, data=2, redundancy=1), 1),
}
RECORDED: dict[str, dict[str, dict[str, list[str]]]] = json.loads(
    (HERE / "values-10.3.json").read_text(encoding="utf-8")
)

#: names of options that glusterd takes other values for than we do, and which values
WE_REFUSE = (
    (r"(client|server)\.ssl", "maybe|2"),
    (r"cluster\.nufa|cluster\.switch|features\.sdfs|features\.acl|performance\.nfs\..*", "maybe|2"),
    (r"cluster\.subvols-per-directory", "0x10"),  # atoi reads a 0
)
#: names that glusterd refuses values for that we take, and which values
WE_ACCEPT = (
    (r"features\.(quota|inode-quota|bitrot)", "on|Enable"),
    (r"server\.statedump-path", "/var/x"),  # no directory there
)


def differs(where: tuple[tuple[str, str], ...], name: str, value: str) -> bool:
    return any(re.fullmatch(names, name) and re.fullmatch(values, value) for names, values in where)


def accepted(volume: str, name: str, value: str) -> bool:
    shape, subvolumes = VOLUMES[volume]
    problems = check_options({**ON, name: value}, shape, volume=Named(name=volume, subvolumes=subvolumes))
    return not any(p.severity is Severity.ERROR and name in p.summary for p in problems)


def test_every_option_was_asked_about() -> None:
    known = {name for name, facts in option_table.names().items() if facts.op_version <= RECORDED_VERSION}
    assert RECORDED["rep"].keys() == known
    said: list[Any] = [words for names in RECORDED.values() for words in names.values()]
    assert sum(len(words.get("accepted", ())) for words in said) > 1000
    assert sum(len(words.get("refused", ())) for words in said) > 1000


@pytest.mark.parametrize("volume", RECORDED)
def test_what_glusterd_accepted_is_accepted(volume: str) -> None:
    refused = [
        (name, value)
        for name, said in RECORDED[volume].items()
        for value in said.get("accepted", ())
        if not accepted(volume, name, value) and not differs(WE_REFUSE, name, value)
    ]
    assert refused == []


@pytest.mark.parametrize("volume", RECORDED)
def test_what_glusterd_refused_is_refused_with_values_too(volume: str) -> None:
    taken = [
        (name, value)
        for name, said in RECORDED[volume].items()
        for value in said.get("refused", ())
        if accepted(volume, name, value) and not differs(WE_ACCEPT, name, value)
    ]
    assert taken == []


@pytest.mark.parametrize(("where", "word"), [(WE_REFUSE, "accepted"), (WE_ACCEPT, "refused")])
def test_every_exception_is_one(where: tuple[tuple[str, str], ...], word: str) -> None:
    for names, values in where:
        assert any(
            accepted("rep", name, value) is (word == "refused")
            for name, said in RECORDED["rep"].items()
            for value in said.get(word, ())
            if differs(((names, values),), name, value)
        ), names
