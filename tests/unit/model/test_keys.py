"""Keys: each at its place, and no part can leave its place."""

from __future__ import annotations

import inspect
import typing

import pytest

from reconciler.model import keys
from reconciler.model.ids import ClusterId, NodeId, PeerName, StepId, TxnId

C = ClusterId("11111111-2222-4333-8444-555555555555")
BASE = f"/gluster-state/{C}/"


def _functions() -> list[typing.Callable[..., str]]:
    found = inspect.getmembers(keys, inspect.isfunction)
    return [f for name, f in found if not name.startswith("_") and name != "parts_below"]


def _arguments(function: typing.Callable[..., str]) -> list[object]:
    numbered = {"number", "step"}
    return [7 if name in numbered else f"part-{name}" for name in inspect.signature(function).parameters]


def test_keys_are_where_the_documents_say() -> None:
    t, n = TxnId("t1"), NodeId("n1")
    assert keys.claim("prod") == "/gluster-state/names/prod"
    assert keys.lock(C) == BASE + "lock"
    assert keys.settings(C) == BASE + "config/settings"
    assert keys.peer(C, PeerName("gs1")) == BASE + "config/peers/gs1"
    assert keys.head(C, t) == BASE + "txn/t1/head"
    assert keys.plan_chunk(C, t, 3) == BASE + "txn/t1/plan/000003"
    assert keys.engine_step(C, t, StepId(12)) == BASE + "txn/t1/step/000012"
    assert keys.command(C, n, t, StepId(2)) == BASE + "node/n1/cmd/t1/000002"
    assert keys.node_step(C, n, t, StepId(2)) == BASE + "node/n1/step/t1/000002"
    assert keys.barrier(C, n) == BASE + "node/n1/barrier"
    assert keys.barrier_request(C, n) == BASE + "node/n1/barrier-request"
    assert keys.answer(C, n, "q", "node") == BASE + "node/n1/answer/q/node"
    assert keys.join(C, PeerName("gs1")) == BASE + "join/gs1"


def test_no_two_functions_give_the_same_key() -> None:
    made = {function.__name__: function(*_arguments(function)) for function in _functions()}
    assert len(set(made.values())) == len(made) > 30


def test_prefixes_end_with_a_slash_and_nothing_else_does() -> None:
    for function in _functions():
        made = function(*_arguments(function))
        assert made.endswith("/") == function.__name__.endswith("_prefix"), function.__name__


@pytest.mark.parametrize("bad", ["", "a/b", "..//", "a b", "a\nb", "a\0", "x" * 256, "a\u2028b"])
def test_no_part_can_leave_its_place(bad: str) -> None:
    for function in _functions():
        names = list(inspect.signature(function).parameters)
        for place, name in enumerate(names):
            if name in {"number", "step"}:
                continue
            arguments = _arguments(function)
            arguments[place] = bad
            with pytest.raises(ValueError, match="cannot be part of a key"):
                function(*arguments)


def test_numbers_sort_and_have_an_end() -> None:
    made = [keys.plan_chunk(C, TxnId("t"), number) for number in (0, 9, 10, 99_999, 999_999)]
    assert made == sorted(made)
    for bad in (-1, 1_000_000):
        with pytest.raises(ValueError, match="cannot be part of a key"):
            keys.plan_chunk(C, TxnId("t"), bad)


def test_the_configuration_prefix_covers_no_secret() -> None:
    assert not keys.secrets_prefix(C).startswith(keys.config_prefix(C))


def test_parts_below_a_prefix() -> None:
    assert keys.parts_below("/a/b/", "/a/b/c/d") == ("c", "d")
    assert keys.parts_below("/a/b/", "/a/bc/d") == ()
    assert keys.parts_below("/a/b/", "/a/b/") == ()
    with pytest.raises(ValueError, match="must end with a slash"):
        keys.parts_below("/a/b", "/a/b/c")
