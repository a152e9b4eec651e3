"""Whatever bytes come: a Desired or a DesiredStateError, and messages that are safe to print."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.desired.load import load
from reconciler.diagnostics import Diagnostic, Severity
from reconciler.errors import DesiredStateError
from reconciler.shipped import shipped_features

EXAMPLE = Path("examples/clusters/reference.yaml").read_bytes()
#: Pieces of YAML, so that random texts reach beyond the scanner.
TOKENS = [
    "apiVersion: gluster-state.io/v1\n", "kind: Cluster\n", "kind: Volume\n", "metadata: {name: a}\n",
    "spec:\n", "spec: {}\n", "  peers:\n", "  volumes:\n", "    - name: v\n", "      type: replicate\n",
    "      replica: 3\n", "      bricks: [a:/b]\n", "    - {name: a, address: h}\n", "---\n", "...\n", "? ",
    ": ", "- ", "[", "]", "{", "}", ",", "&a ", "*a ", "!!x ", "<<: ", "|\n", ">-\n", "'", '"', "\\", "#",
    "%", "\t", "\n", "  ", "on", "010", ".nan", "~", "\u202e", "\x85", "\ufeff", "x-a: ",
]  # fmt: skip


def outcome(*files: bytes) -> tuple[Diagnostic, ...]:
    try:
        return load([(f"{i}.yaml", data) for i, data in enumerate(files)], shipped_features()).warnings
    except DesiredStateError as exc:
        return exc.diagnostics or pytest.fail("an error that says nothing")


def check(*files: bytes) -> None:
    for found in outcome(*files):
        assert found.summary
        for text in (found.summary, found.hint, found.path):
            assert len(text) < 2000
        assert found.summary.isprintable()
        assert found.path.isprintable()
        assert found.span is None or (found.span.line >= 1 and found.span.column >= 1)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=3))
def test_arbitrary_bytes(files: list[bytes]) -> None:
    check(*files)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=300))
def test_arbitrary_text(text: str) -> None:
    with contextlib.suppress(UnicodeEncodeError):  # lone surrogates are no text that a file could hold
        check(text.encode())


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(TOKENS), max_size=40))
def test_arbitrary_pieces_of_yaml(pieces: list[str]) -> None:
    check("".join(pieces).encode())


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(EXAMPLE)), st.integers(0, 60), st.sampled_from(TOKENS))
def test_a_good_file_with_a_piece_replaced(at: int, length: int, piece: str) -> None:
    check(EXAMPLE[:at] + piece.encode() + EXAMPLE[at + length :])


KEYS = ["name", "type", "bricks", "options", "state", "data", "peer", "path", "replica", "x-a"]
KINDS = ["Cluster", "Volume", "Peer", "Profile", "GeoReplication"]


def _values() -> st.SearchStrategy[Any]:
    numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    leaves = st.none() | st.booleans() | numbers | st.text(max_size=8)
    keys = st.sampled_from(KEYS) | st.text(max_size=5)
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
        max_leaves=12,
    )


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(KINDS), st.lists(st.tuples(st.integers(0, 40), _values()), max_size=4))
def test_any_value_at_any_place_of_a_document(kind: str, changes: list[tuple[int, Any]]) -> None:
    document: dict[str, Any] = {
        "apiVersion": "gluster-state.io/v1",
        "kind": "Cluster",
        "metadata": {"name": "c", "labels": {"a": "b"}},
        "spec": {
            "ports": {"bricks": "61000-61010"},
            "bricks": {"restart": {"policy": "never", "delay": "3s"}},
            "defaults": {"volume": {"profiles": ["p"], "options": {"a.b": "1"}, "restart": {"delay": "1s"}}},
            "peers": [{"name": "a", "address": "h", "zone": "z"}],
            "profiles": [{"name": "p", "extends": "builtin/virt", "options": {"c.d": "1"}}],
            "volumes": [
                {"name": "v", "type": "disperse", "data": 2, "redundancy": 1,
                 "auth": {"username": "u", "password": "p"},
                 "bricks": ["a:/1", {"peer": "a", "path": "/2", "mount": "/", "port": 61001}, "a:/3"],
                 "acknowledge": [{"code": "GS203", "reason": "r"}],
                 "quota": {"enabled": False, "limits": [{"path": "/"}]}},
            ],
            "geoReplication": [
                {"name": "g", "primary": "v", "secondary": {"host": "h", "volume": "w"}, "state": "absent"},
            ],
        },
    }  # fmt: skip
    document["kind"] = kind
    for number, value in changes:
        places = list(_places(document))
        holder, key = places[number % len(places)]
        holder[key] = value
    check(json.dumps(document).encode("utf-8", "replace"))


def _places(value: Any) -> Any:
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    for key in keys:
        yield value, key
        yield from _places(value[key])


#: What may be written in place of anything: every type, and texts that are wrong somewhere.
WRONG: list[Any] = [
    None, True, 0, -1, 10**30, 0.5, "", "x" * 48, "on", "../..", "a:/b/../c", "a'b\n", "\u202e", "\u0430",
    [], [None], [[]], {}, {"x": 1}, {"name": "x"}, {"x-a": []},
]  # fmt: skip


def test_every_place_of_the_reference_example_takes_values_of_other_types() -> None:
    documents = [json.loads(json.dumps(one, default=str)) for one in yaml.safe_load_all(EXAMPLE)]
    outcomes = {True: 0, False: 0}
    for document in documents:
        for number, (holder, key) in enumerate(list(_places(document))):
            kept = holder[key]
            for value in WRONG[number % 4 :: 4]:  # all of them at every place would take a minute
                holder[key] = value
                found = outcome("".join(f"---\n{json.dumps(one)}\n" for one in documents).encode())
                errors = [one for one in found if one.severity is Severity.ERROR]
                assert all(one.span for one in errors), (key, value)
                outcomes[not errors] += 1
            holder[key] = kept
    assert min(outcomes.values()) > 20  # both ends were reached
