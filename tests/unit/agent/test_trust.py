"""Which store a node follows: the one that it knows, as it was or later."""

from __future__ import annotations

import pytest

from reconciler.adapters.memory_store import MemoryStore
from reconciler.agent.memory import NodeMemory
from reconciler.agent.trust import trust
from reconciler.errors import StoreRestored
from reconciler.model import keys
from reconciler.model.codec import encode
from reconciler.model.ids import PeerName, TxnId
from reconciler.observe import doubts_in, refuse_doubted
from reconciler.ports.store import Commit, Put
from reconciler.txn.record import Barrier, Phase
from tests.plan_samples import node
from tests.txn_samples import CLUSTER
from tests.volume_samples import MemoryFiles

ME, PEER = node(1), PeerName("gs1")


def put(store: MemoryStore, key: str, value: str = "x") -> None:
    store.commit(Commit(when=(), then=(Put(key, value),)))


def ask(store: MemoryStore, phase: Phase) -> None:
    put(store, keys.barrier_request(CLUSTER, ME), encode(Barrier(txn=TxnId("t"), phase=phase)))


def trusting(files: MemoryFiles, store: MemoryStore) -> str:
    """Meet the store as an agent that has just started, with what the disk holds."""
    return trust(store, NodeMemory(files), CLUSTER, ME, PEER)


def assert_doubts(files: MemoryFiles, store: MemoryStore, reason: str) -> None:
    for _ in range(2):
        with pytest.raises(StoreRestored, match=reason):
            trusting(files, store)
    listed = store.read_prefix(keys.cluster_prefix(CLUSTER))
    assert [doubt.peer for doubt in doubts_in(listed, CLUSTER)] == [PEER]
    with pytest.raises(StoreRestored, match=f"gs1 says: .*{reason}"):
        refuse_doubted(listed, CLUSTER)


def test_the_same_store_is_trusted_and_so_is_a_later_one() -> None:
    files, store = MemoryFiles(), MemoryStore()
    identity = trusting(files, store)
    put(store, "/later")
    ask(store, Phase(2, 1))
    NodeMemory(files).enter_phase(Barrier(txn=TxnId("t"), phase=Phase(2, 1)))
    assert trusting(files, store) == identity
    refuse_doubted(store.read_prefix(keys.cluster_prefix(CLUSTER)), CLUSTER)


def test_another_store_is_doubted() -> None:
    files = MemoryFiles()
    known, other = MemoryStore(), MemoryStore()
    trusting(files, known)
    for number in range(9):
        put(other, f"/{number}")
    assert_doubts(files, other, "etcd is cluster")
    assert trusting(files, known), "nothing was changed on the disk: the right one is trusted again"


def test_an_older_history_is_doubted_even_when_its_revision_has_been_passed() -> None:
    files, store = MemoryFiles(), MemoryStore()
    memory = NodeMemory(files)
    memory.keep_store(store.identity(), 5)
    memory.keep_store(store.identity(), 4)
    assert_doubts(files, store, "was at 5 before")
    for number in range(9):
        put(store, f"/{number}")
    assert_doubts(files, store, "was at 5 before")


@pytest.mark.parametrize("asked", [None, Phase(3, 0)])
def test_a_store_that_knows_less_than_the_phase_entered_is_doubted(asked: Phase | None) -> None:
    files, store = MemoryFiles(), MemoryStore()
    NodeMemory(files).enter_phase(Barrier(txn=TxnId("t"), phase=Phase(3, 1)))
    if asked:
        ask(store, asked)
    assert_doubts(files, store, r"phase 3\.1")


def test_a_doubt_ends_when_the_memory_of_the_store_is_set_aside() -> None:
    files, store = MemoryFiles(), MemoryStore()
    NodeMemory(files).keep_store("another", 1)
    assert_doubts(files, store, "etcd is cluster")
    files.remove("store")
    trusting(files, store)
    refuse_doubted(store.read_prefix(keys.cluster_prefix(CLUSTER)), CLUSTER)
