"""Starting without the store: who speaks for and against it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.agent.isolation import (
    Generations,
    KnownGeneration,
    LocalVolume,
    Verdict,
    decide,
    generations_text,
    parse_generations,
)
from reconciler.errors import WireError
from reconciler.model import codec
from reconciler.model.cluster import IsolatedStart
from reconciler.model.configured import VolumeRecord
from reconciler.model.ids import ClusterId
from tests.volume_samples import CLUSTER, volume

HOME = volume(generation=5)


def knows(*records: VolumeRecord, revision: int = 10) -> Generations:
    volumes = {
        r.volume_id: KnownGeneration(name=r.name, generation=r.generation, state=r.state) for r in records
    }
    return Generations(cluster=CLUSTER, revision=revision, volumes=volumes)


OWN = knows(HOME)


def one(
    answers: dict[str, Generations | None],
    policy: IsolatedStart = IsolatedStart.WAIT,
    local: LocalVolume | None = None,
) -> Verdict:
    (verdict,) = decide(OWN, [local or LocalVolume(record=HOME)], answers, policy)
    return verdict


def test_a_peer_that_knows_nothing_newer_is_enough() -> None:
    for known in (5, 4):
        verdict = one({"gs2": knows(replace(HOME, generation=known)), "gs3": None})
        assert verdict.start
        assert "1 peer answered" in verdict.reason


def test_one_peer_that_knows_a_newer_generation_is_enough_to_wait() -> None:
    verdict = one(
        {"gs2": OWN, "gs3": knows(replace(HOME, generation=6))},
        IsolatedStart.START,
    )
    assert not verdict.start
    assert verdict.reason == "gs3 knows generation 6, this node only 5"


def test_a_volume_that_a_peer_at_our_revision_or_later_does_not_have_was_removed() -> None:
    for revision in (10, 11):
        verdict = one({"gs2": OWN, "gs3": knows(revision=revision)})
        assert not verdict.start
        assert "removed" in verdict.reason


def test_a_peer_that_slept_longer_than_we_says_nothing_by_silence_about_a_volume() -> None:
    assert one({"gs2": knows(revision=9)}).start


def test_without_any_answer_the_policy_decides() -> None:
    strangers = replace(OWN, cluster=ClusterId("99999999-2222-4333-8444-555555555555"))
    for answers in ({}, {"gs2": None}, {"gs2": strangers}):
        assert not one(answers).start
        assert "isolatedStart is wait" in one(answers).reason
        assert one(answers, IsolatedStart.START).start


@pytest.mark.parametrize("field", ["staged", "doubtful"])
def test_an_unfinished_transaction_or_a_damaged_file_waits_for_etcd_whatever_peers_say(field: str) -> None:
    local = LocalVolume(record=HOME, **{field: True})
    for answers in ({}, {"gs2": OWN}):
        assert not one(answers, IsolatedStart.START, local).start


def test_verdicts_are_in_the_order_of_names_whatever_the_order_of_input() -> None:
    records = [volume(name) for name in ("b", "a", "c")]
    verdicts = decide(OWN, [LocalVolume(record=r) for r in records], {}, IsolatedStart.WAIT)
    assert [v.volume_id for v in verdicts] == [volume(name).volume_id for name in ("a", "b", "c")]


def test_an_answer_reads_back() -> None:
    assert parse_generations(generations_text(OWN)) == OWN


@pytest.mark.parametrize(
    "text",
    [
        "",
        "volume x\nend-volume\n",
        "[]",
        "{}",
        '{"cluster":"c","revision":"1"}',
        codec.canonical({"cluster": "c", "revision": 1, "volumes": {}, "more": 1}),
        "[" * 100_000,
        "x" * (16 * 1024 * 1024 + 1),
    ],
)
def test_nonsense_from_a_peer_is_a_wire_error(text: str) -> None:
    with pytest.raises(WireError):
        parse_generations(text)
