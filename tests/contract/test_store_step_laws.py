"""The laws of every kind of store step, in random configurations, on etcd and on its twin in memory."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.adapters.etcd_store import EtcdStore
from reconciler.adapters.memory_store import MemoryStore
from reconciler.engine.store_steps import STORE_STEPS, Job, StoreEffect, effect_of, undo_of
from reconciler.errors import JournalError
from reconciler.model import keys
from reconciler.model.configured import Secret
from reconciler.plan.step import Args
from reconciler.ports.store import Commit, Delete, Operation, Put, Store
from tests.laws.store_worlds import STORE_WORLDS, StoreCase, StoreGround
from tests.servers import EtcdProcess

NOW = 1_790_000_777


@pytest.fixture(scope="module", params=["memory", pytest.param("etcd", marks=pytest.mark.real)])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    if request.param == "memory":
        yield MemoryStore()
        return
    place: Path = tmp_path_factory.mktemp("etcd")
    with EtcdProcess(place) as etcd:
        opened = EtcdStore(etcd.endpoint)
        yield opened
        opened.close()


@dataclass
class Trial:
    """A step, and how the engine carries it out: batch by batch, from what is in the store by then."""

    at: StoreGround
    case: StoreCase
    made: int = field(default=0)

    def everything(self) -> dict[str, str]:
        """Return what is in the store of this cluster, and of those beside it."""
        prefix = keys.cluster_prefix(self.at.cluster)
        return {e.key: e.value for e in self.at.store.read_prefix(prefix[:-2]).entries}

    def effect(self) -> StoreEffect:
        entries = {e.key: e for e in self.at.store.read_prefix(keys.cluster_prefix(self.at.cluster)).entries}
        return effect_of(self.case.step, self.case.plan, entries, now=NOW, secret=self._secret)

    def do(self, batches: int = 1000) -> StoreEffect:
        """Do the step, or its first batches only."""
        effect = self.effect()
        for batch in [*effect.early, effect.operations][:batches]:
            self.commit(batch)
        return effect

    def commit(self, operations: tuple[Operation, ...]) -> None:
        assert self.at.store.commit(Commit(when=(), then=operations)).succeeded

    def _secret(self) -> Secret:
        self.made += 1
        return Secret(username=f"u{self.made}", password="p")


def assert_confined(trial: Trial, before: dict[str, str]) -> dict[str, str]:
    """Assert that only the step's own keys differ; return what is there now."""
    case, after = trial.case, trial.everything()
    job = Job(
        step=case.step, plan=case.plan, entries={}, now=NOW, secret=lambda: Secret(username="", password="")
    )
    own = STORE_STEPS[case.step.kind].footprint(job)
    changed = {key for key in {*before, *after} if before.get(key) != after.get(key)}
    outside = [k for k in changed if not any(k == o or (o[-1] == "*" and k.startswith(o[:-1])) for o in own)]
    assert not outside, f"{case.step.kind} changed {outside}"
    return after


def _there_and_back(trial: Trial, before: dict[str, str], image: Args) -> None:
    back = undo_of(trial.case.step, trial.case.plan, image)
    trial.commit(back)
    assert trial.everything() == before, "undo of a step that never ran changed something"
    trial.do()
    done = assert_confined(trial, before)
    trial.do()
    assert trial.everything() == done, "do twice is not do"
    for _ in range(2):
        trial.commit(back)
        assert trial.everything() == before, "undo, once and again"


def _forward_only(trial: Trial, before: dict[str, str]) -> None:
    with pytest.raises(JournalError, match="is not undone"):
        undo_of(trial.case.step, trial.case.plan, {})
    effect = trial.effect()
    for batches in range(len(effect.early) + 1):  # whoever does it dies after so many, and another goes on
        trial.do(batches)
        assert_confined(trial, before)
    trial.do()
    done = assert_confined(trial, before)
    trial.do()
    assert trial.everything() == done, "do twice is not do"
    trial.at.put(*(Delete(key) for key in done if key not in before))
    trial.at.put(*(Put(key, value) for key, value in before.items()))
    trial.do()
    assert trial.everything() == done, "begun and finished by others is not done by one"


@pytest.mark.parametrize("kind", sorted(STORE_WORLDS))
def test_the_laws_hold(kind: str, store: Store) -> None:
    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
    @given(seed=st.integers(0, 2**32))
    def try_one(seed: int) -> None:
        at = StoreGround(store, random.Random(seed))
        at.bystanders()
        trial = Trial(at, STORE_WORLDS[kind](at))
        before = trial.everything()
        image = trial.effect().before
        assert trial.everything() == before, "looking changed something"
        if STORE_STEPS[kind].irrevocable:
            _forward_only(trial, before)
        else:
            _there_and_back(trial, before, image)

    try_one()
