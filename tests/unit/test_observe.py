"""The store -> configured and observed: all that is there, nothing that is not, unknown keys refused."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Self

import pytest

from reconciler import observe
from reconciler.adapters.memory_store import MemoryStore
from reconciler.errors import JournalError, PlanError
from reconciler.model import keys
from reconciler.model.cluster import IsolatedStart
from reconciler.model.codec import decode, encode
from reconciler.model.configured import PeerRecord, Retained, Settings
from reconciler.model.ids import ClusterId, NodeId, PeerName
from reconciler.model.observed import BrickFact, BrickState, NodeFact, PathProbe, VolumeFact
from reconciler.model.questions import Answer, Question
from reconciler.observe import ask, claim_cluster, cluster_id, configured_in, joined_in, observed_in
from reconciler.ports.store import Commit, Put
from tests.volume_samples import CLUSTER, NODES, volume

GS1, GS2 = PeerName("gs1"), PeerName("gs2")
OTHER = ClusterId("99999999-2222-4333-8444-555555555555")


@pytest.fixture(name="store")
def _store() -> Iterator[MemoryStore]:
    store = MemoryStore()
    yield store
    store.close()


def put(store: MemoryStore, *pairs: tuple[str, str]) -> None:
    assert store.commit(Commit(when=(), then=tuple(Put(k, v) for k, v in pairs))).succeeded


def listed(store: MemoryStore, cluster: ClusterId = CLUSTER) -> observe.Snapshot:
    return store.read_prefix(keys.cluster_prefix(cluster))


# ---------------------------------------------------------------- which cluster


def test_an_unknown_cluster_is_an_error_that_says_what_to_check(store: MemoryStore) -> None:
    with pytest.raises(PlanError, match="there is no cluster 'prod'") as caught:
        cluster_id(store, "prod")
    assert "--cluster" in caught.value.hint


def test_a_name_is_claimed_once_whoever_comes_first(store: MemoryStore) -> None:
    first = claim_cluster(store, "prod")
    assert claim_cluster(store, "prod") == first == cluster_id(store, "prod")
    assert claim_cluster(store, "test") != first


def test_two_that_claim_at_once_get_the_same_id(store: MemoryStore) -> None:
    class Slow(MemoryStore):
        """Somebody else claims the name between our look and our write."""

        def __init__(self) -> None:
            super().__init__()
            self.theirs = ""

        def commit(self, commit: Commit) -> object:  # type: ignore[override]
            if not self.theirs:
                self.theirs = "11111111-0000-4000-8000-000000000000"
                super().commit(Commit(when=(), then=(Put(keys.claim("prod"), self.theirs),)))
            return super().commit(commit)

    slow = Slow()
    assert claim_cluster(slow, "prod") == slow.theirs
    slow.close()


# ---------------------------------------------------------------- what is configured

PEER = PeerRecord(name=GS1, address="10.0.0.11", zone="a", node_id=NODES[0])
SETTINGS = Settings(generation=3, isolated_start=IsolatedStart.START)


def configure(store: MemoryStore, *names: str, bricks: int = 3) -> None:
    for name in names:
        record = volume(name, bricks=bricks)
        held = encode(record.__class__(**{**_fields(record), "bricks": ()}))
        put(store, (keys.volume(CLUSTER, record.volume_id), held))
        put(store, (keys.incarnation(CLUSTER, record.name), "4"))
        for brick in reversed(record.bricks):
            put(store, (keys.brick(CLUSTER, record.volume_id, brick.uuid), encode(brick)))


def _fields(record: object) -> dict[str, object]:
    return {name: getattr(record, name) for name in record.__slots__}  # type: ignore[attr-defined]


def test_the_configuration_is_read_back_whole_with_bricks_in_their_places(store: MemoryStore) -> None:
    configure(store, "home")
    configure(store, "many", bricks=36)  # slots 10.0 and 9.0: numbers, not text
    put(store, (keys.settings(CLUSTER), encode(SETTINGS)), (keys.peer(CLUSTER, GS1), encode(PEER)))
    gone = Retained(volume=volume("gone"), deleted_at=5)
    put(store, (keys.retained(CLUSTER, gone.volume.volume_id), encode(gone)))
    found = configured_in(listed(store), CLUSTER, "prod")
    assert found.volumes == {"home": volume("home"), "many": volume("many", bricks=36)}
    assert (found.settings, found.peers, found.retained) == (SETTINGS, {GS1: PEER}, (gone,))
    assert found.incarnations == {"home": 4, "many": 4}
    assert (found.cluster_id, found.name) == (CLUSTER, "prod")


def test_revisions_are_those_of_the_objects_themselves(store: MemoryStore) -> None:
    put(store, (keys.settings(CLUSTER), encode(SETTINGS)), (keys.peer(CLUSTER, GS1), encode(PEER)))
    configure(store, "home")
    found = configured_in(listed(store), CLUSTER, "prod")
    volume_key = keys.volume(CLUSTER, volume("home").volume_id)
    entries = {e.key: e.mod_revision for e in listed(store).entries}
    assert found.mod_revisions == {
        "settings": entries[keys.settings(CLUSTER)],
        "peer/gs1": entries[keys.peer(CLUSTER, GS1)],
        "volume/home": entries[volume_key],
    }
    assert found.revision == listed(store).revision > entries[volume_key]


def test_bricks_without_their_volume_are_not_there(store: MemoryStore) -> None:
    record = volume("home")
    put(store, (keys.brick(CLUSTER, record.volume_id, record.bricks[0].uuid), encode(record.bricks[0])))
    assert configured_in(listed(store), CLUSTER, "prod").volumes == {}


def test_other_clusters_and_other_kinds_of_keys_are_left_out(store: MemoryStore) -> None:
    put(store, (keys.settings(OTHER), encode(SETTINGS)), (keys.live(CLUSTER, NODES[0]), "x"))
    everything = store.read_prefix(keys.ROOT)
    found = configured_in(everything, CLUSTER, "prod")
    assert (found.settings, found.peers, found.volumes, found.mod_revisions) == (Settings(), {}, {}, {})


def test_a_key_of_the_configuration_that_nobody_knows_is_never_passed_over(store: MemoryStore) -> None:
    put(store, (keys.config_prefix(CLUSTER) + "quotas/home", "{}"))
    with pytest.raises(JournalError, match="quotas/home is no key of the configuration"):
        configured_in(listed(store), CLUSTER, "prod")


def test_a_damaged_record_is_an_error_and_no_gap(store: MemoryStore) -> None:
    put(store, (keys.peer(CLUSTER, GS1), "{}"))
    with pytest.raises(JournalError):
        configured_in(listed(store), CLUSTER, "prod")


# ---------------------------------------------------------------- what is observed


def report(store: MemoryStore, node: NodeId, *, live: bool = True) -> tuple[NodeFact, BrickFact, VolumeFact]:
    record = volume("home")
    fact = NodeFact(
        node_id=node, peer=GS1, address="a", boot_id="b", agent_version="1", gluster_version="2", started_at=3
    )
    brick = BrickFact(
        uuid=record.bricks[0].uuid, volume_id_configured=record.volume_id, state=BrickState.RUNNING
    )
    served = VolumeFact(volume_id=record.volume_id, generation=1, served=True)
    put(
        store,
        (keys.node_fact(CLUSTER, node), encode(fact)),
        (keys.brick_fact(CLUSTER, node, brick.uuid), encode(brick)),
        (keys.volume_fact(CLUSTER, node, served.volume_id), encode(served)),
    )
    if live:
        put(store, (keys.live(CLUSTER, node), "yes"))
    return fact, brick, served


def test_only_joined_nodes_are_observed_each_with_its_own_facts(store: MemoryStore) -> None:
    fact, brick, served = report(store, NODES[0])
    report(store, NODES[2])  # runs, and has not joined
    put(store, (keys.join(CLUSTER, GS1), NODES[0]), (keys.join(CLUSTER, GS2), NODES[1]))
    joined = joined_in(listed(store), CLUSTER)
    assert joined == {GS1: NODES[0], GS2: NODES[1]}
    seen = observed_in(listed(store), CLUSTER, joined, now=9)
    assert (seen.observed_at, seen.revision, list(seen.nodes)) == (9, listed(store).revision, [GS1, GS2])
    first, second = seen.nodes[GS1], seen.nodes[GS2]
    assert (first.live, first.answered, first.fact) == (True, False, fact)
    assert (first.bricks, first.volumes) == ({brick.uuid: brick}, {served.volume_id: served})
    assert (second.live, second.fact, second.bricks, second.volumes) == (False, None, {}, {})
    assert seen.answering == frozenset()


def test_an_answer_brings_probes_and_ports_and_makes_the_facts_fresh(store: MemoryStore) -> None:
    report(store, NODES[0])
    report(store, NODES[1], live=False)
    joined = {GS1: NODES[0], GS2: NODES[1]}
    probe = PathProbe(peer=GS1, path="/b/x")
    answers = {NODES[0]: Answer(at=1, probes=(probe,), ports_in_use=(61000,)), NODES[1]: Answer(at=1)}
    seen = observed_in(listed(store), CLUSTER, joined, now=9, answers=answers)
    assert seen.nodes[GS1].probes == {"/b/x": probe}
    assert seen.nodes[GS1].ports_in_use == (61000,)
    assert (seen.nodes[GS2].answered, seen.nodes[GS2].live) == (True, False)
    assert seen.answering == {GS1}


# ---------------------------------------------------------------- asking


class Nodes(threading.Thread):
    """Agents on a store of their own connection: each answers after its delay, or never (None)."""

    def __init__(self, store: MemoryStore, delays: dict[NodeId, float | None]) -> None:
        super().__init__(daemon=True)
        self.store, self.delays = store.another(), delays
        self.questions: dict[NodeId, Question] = {}
        self.ending = threading.Event()

    def run(self) -> None:
        began = time.monotonic()
        while not self.ending.wait(0.01):
            for node, delay in self.delays.items():
                entries = self.store.read_prefix(keys.asks_prefix(CLUSTER, node)).entries
                if node in self.questions or not entries:
                    continue
                question = decode(Question, entries[0].value)
                if delay is not None and time.monotonic() - began >= delay:
                    self.questions[node] = question
                    answer = Answer(at=1, probes=tuple(PathProbe(peer=GS1, path=p) for p in question.paths))
                    key = keys.answer(CLUSTER, node, question.question, "all")
                    self.store.commit(Commit(when=(), then=(Put(key, encode(answer), question.lease),)))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ending.set()
        self.join()
        self.store.close()


def test_every_node_is_asked_for_its_paths_and_answers_are_kept_by_node(store: MemoryStore) -> None:
    began = time.monotonic()
    with Nodes(store, {NODES[0]: 0.0, NODES[1]: 0.3}) as nodes:
        answers = ask(store, CLUSTER, {NODES[0]: ("/b/x", "/b/y"), NODES[1]: ()})
    assert {n: [p.path for p in a.probes] for n, a in answers.items()} == {
        NODES[0]: ["/b/x", "/b/y"],
        NODES[1]: [],
    }
    assert len({q.question for q in nodes.questions.values()}) == 1
    assert time.monotonic() - began < observe.ANSWER_TIMEOUT_S


def test_who_answers_too_late_or_never_is_left_out_and_nobody_waits_longer(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observe, "ANSWER_TIMEOUT_S", 0.5)
    began = time.monotonic()
    with Nodes(store, {NODES[0]: 0.0, NODES[1]: 30.0, NODES[2]: None}):
        answers = ask(store, CLUSTER, dict.fromkeys(NODES, ()))
    assert list(answers) == [NODES[0]]
    assert 0.5 <= time.monotonic() - began < 10


def test_question_and_answer_vanish_with_the_asker(store: MemoryStore) -> None:
    with Nodes(store, {NODES[0]: 0.0}) as nodes:
        ask(store, CLUSTER, {NODES[0]: ("/b/x",)})
    assert nodes.questions
    assert listed(store).entries == ()


def test_an_answer_to_an_earlier_question_does_not_count(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observe, "ANSWER_TIMEOUT_S", 0.2)
    put(store, (keys.answer(CLUSTER, NODES[0], "0123456789abcdef", "all"), encode(Answer(at=1))))
    assert ask(store, CLUSTER, {NODES[0]: ()}) == {}


def test_a_damaged_answer_is_an_error_and_leaves_no_question_behind(store: MemoryStore) -> None:
    class Broken(MemoryStore):
        def read(self, key: str) -> object:  # type: ignore[override]
            if "/answer/" in key:
                put(self, (key, "{}"))
            return super().read(key)

    broken = Broken()
    with pytest.raises(JournalError):
        ask(broken, CLUSTER, {NODES[0]: ()})
    assert not [e for e in listed(broken).entries if "/ask/" in e.key]
    broken.close()
