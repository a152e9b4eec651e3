"""The agent's link to the store: what a step's code may do to it."""

from __future__ import annotations

import types
from dataclasses import replace
from typing import Any, cast

import pytest

from reconciler.adapters.memory_store import MemoryStore
from reconciler.agent import messages as msg
from reconciler.agent.joining import find_cluster
from reconciler.agent.kept import Binding
from reconciler.agent.link import Link
from reconciler.agent.memory import NodeMemory
from reconciler.agent.node import Node
from reconciler.engine.frozen import packed, unpacked
from reconciler.errors import PlanError, StepError, StoreUnavailable
from reconciler.model import keys
from reconciler.model.codec import encode
from reconciler.model.configured import Retained
from reconciler.model.ids import ClusterId, PeerName, TxnId
from reconciler.ports.node import Call, Checked, Effect
from reconciler.ports.store import Entry
from reconciler.txn.record import HeadState
from tests.plan_samples import CREATE, node
from tests.txn_samples import CLUSTER, PLAN, TXN, Journal
from tests.volume_samples import MemoryFiles, volume

STEP = next(step for step in CREATE.steps if step.volume is not None and step.node is not None)


class Answering:
    """An action that does what it is told."""

    def __init__(self, trouble: Exception | None = None) -> None:
        self._trouble = trouble

    def check(self, call: Call) -> Checked:
        if self._trouble:
            raise self._trouble
        return Checked(effect=Effect.ABSENT)

    def do(self, call: Call, before: object) -> dict[str, Any]:
        self.check(call)
        return {"pid": 7}

    def undo(self, call: Call, before: object) -> None:
        self.check(call)


class Silent(MemoryStore):
    """A store that does not answer."""

    def read(self, key: str) -> Entry | None:
        raise StoreUnavailable("etcd does not answer")


def link(action: Answering | None, store: MemoryStore) -> Link:
    parts = types.SimpleNamespace(node=node(1), actions={STEP.kind: action} if action else {})
    made = Link(
        cast("Node", types.SimpleNamespace(parts=parts)),
        store,
        cluster_name="prod",
        peer=PeerName("gs1"),
        instance="i",
    )
    made._cluster = ClusterId(CREATE.cluster_id)
    return made


def answer(action: Answering | None, effect: msg.Check | msg.Run) -> object:
    made = link(action, MemoryStore())
    made._effect(effect)
    return made._queue.get(timeout=10)


CHECK = msg.Check(STEP, CREATE, TxnId("t"))
DO = msg.Run(STEP, CREATE, TxnId("t"), {}, undo=False)
UNDO = msg.Run(STEP, CREATE, TxnId("t"), {}, undo=True)


def test_an_action_answers_through_the_queue() -> None:
    assert answer(Answering(), CHECK) == msg.Looked(Checked(effect=Effect.ABSENT))
    assert answer(Answering(), DO) == msg.Ran({"pid": 7})
    assert answer(Answering(), UNDO) == msg.Ran({})


@pytest.mark.parametrize("effect", [CHECK, DO, UNDO])
def test_whatever_an_action_raises_is_the_failure_of_its_step(effect: msg.Check | msg.Run) -> None:
    kind = msg.Looked if effect is CHECK else msg.Ran
    foreseen = answer(Answering(StepError("it is full", hint="make room", retryable=True)), effect)
    assert foreseen == kind(msg.Failure("it is full", "make room", retryable=True))
    for error, words in ((OSError("no"), "OSError: no"), (KeyError("x"), "a bug in this agent")):
        got = answer(Answering(error), effect)
        assert isinstance(got, kind)
        assert isinstance(got.answer, msg.Failure)
        assert words in got.answer.error
        assert not got.answer.retryable


def test_a_step_of_an_unknown_kind_fails_by_name() -> None:
    got = answer(None, CHECK)
    assert isinstance(got, msg.Looked)
    assert isinstance(got.answer, msg.Failure)
    assert STEP.kind in got.answer.error


def test_trouble_with_the_store_is_no_failure_of_the_step() -> None:
    made = link(Answering(), Silent())
    with pytest.raises(StoreUnavailable):
        made._effect(DO)
    assert made._queue.empty()


def following(journal: Journal) -> Link:
    made = link(None, journal.store)
    made._cluster = CLUSTER
    return made


def test_an_altered_plan_is_no_plan_and_the_reason_is_passed_on() -> None:
    journal = Journal()
    made = following(journal)
    command = journal.command(1, journal.phase)
    context = made._context(command)
    assert (context.head, context.epoch, context.plan, context.problem) == (
        journal.head,
        journal.epoch,
        PLAN,
        "",
    )
    entry = journal.store.read(keys.plan_chunk(CLUSTER, TXN, 0))
    assert entry is not None
    (altered,) = packed(unpacked([entry.value]).replace("do 1", "do 9"))
    journal.put(entry.key, altered)
    again = following(journal)._context(command)
    assert again.plan is None
    assert "altered" in again.problem
    other = following(journal)._context(replace(command, plan_digest="sha256:0"))
    assert (other.plan, other.problem) == (None, ""), "a command of another plan: it is set aside"


def test_only_a_node_that_belongs_to_no_cluster_creates_one() -> None:
    memory, store = NodeMemory(MemoryFiles()), MemoryStore()
    first = find_cluster(store, memory, "prod")
    memory.bind(Binding(cluster_id=first, cluster_name="prod", peer=PeerName("gs1")))
    assert find_cluster(store, memory, "prod") == first
    emptied = MemoryStore()
    with pytest.raises(PlanError, match="there is no cluster 'prod' in this etcd"):
        find_cluster(emptied, memory, "prod")
    assert emptied.read_prefix("/").entries == ()


@pytest.mark.parametrize(
    ("state", "forgotten"),
    [(HeadState.RUNNING, False), (HeadState.COMMITTED, False), (HeadState.ROLLED_BACK, True), (None, True)],
)
def test_what_is_staged_goes_with_a_transaction_that_was_rolled_back_or_removed(
    state: HeadState | None, forgotten: bool
) -> None:
    journal = Journal()
    if state is None:
        journal.delete(keys.head(CLUSTER, TXN))
    else:
        journal.write_head(state, journal.phase)
    made = link(None, journal.store)
    unstaged: list[str] = []
    held = types.SimpleNamespace(staged=types.SimpleNamespace(txn=TXN))
    table = types.SimpleNamespace(volumes=lambda: {"v": held}, unstage=unstaged.append)
    made._node.parts.table = table  # type: ignore[misc]
    made._executor = types.SimpleNamespace(busy=False)  # type: ignore[assignment]
    made._settle_staged()
    assert bool(unstaged) is forgotten


@pytest.mark.parametrize(
    ("generation", "retained", "forgotten"),
    [(None, False, True), (1, False, True), (2, False, False), (None, True, False)],
)
def test_of_a_partly_committed_transaction_what_became_the_configuration_stays_staged_until_it_is_here(
    generation: int | None, retained: bool, forgotten: bool
) -> None:
    journal = Journal()
    journal.write_head(HeadState.PARTLY, journal.phase)
    record = volume("home", 2)
    if generation is not None:
        agreed = replace(record, generation=generation, bricks=())
        journal.put(keys.volume(CLUSTER, record.volume_id), encode(agreed))
    if retained:
        journal.put(keys.retained(CLUSTER, record.volume_id), encode(Retained(volume=record, deleted_at=1)))
    made = link(None, journal.store)
    unstaged: list[str] = []
    held = types.SimpleNamespace(staged=types.SimpleNamespace(txn=TXN, record=record))
    table = types.SimpleNamespace(volumes=lambda: {record.volume_id: held}, unstage=unstaged.append)
    made._node.parts.table = table  # type: ignore[misc]
    made._executor = types.SimpleNamespace(busy=False)  # type: ignore[assignment]
    made._settle_staged()
    assert bool(unstaged) is forgotten
