"""What every crash test needs: no waiting, no noise, no text decoded twice."""

import logging
from collections.abc import Iterator
from functools import lru_cache

import pytest

from reconciler.agent import executor
from reconciler.engine import journal, lock
from reconciler.plan.document import canonical_text, digest
from reconciler.plan.step import Plan
from tests.sim.world import decoded

_PARSED = lru_cache(maxsize=64)(journal.parse_document)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have the lock poll without sleeping, each plan and record be parsed once, and takeovers be silent."""
    monkeypatch.setattr(lock, "POLL_S", 0.0)
    monkeypatch.setattr(journal, "parse_document", _PARSED)
    for module in (executor, journal):
        monkeypatch.setattr(module, "decode", decoded)
    written: dict[int, tuple[Plan, str, str]] = {}

    def known(plan: Plan) -> tuple[Plan, str, str]:
        if id(plan) not in written:
            written[id(plan)] = (plan, canonical_text(plan), digest(plan))
        return written[id(plan)]

    monkeypatch.setattr(journal, "canonical_text", lambda plan: known(plan)[1])
    monkeypatch.setattr(journal, "digest", lambda plan: known(plan)[2])
    steward = logging.getLogger("gluster-state.steward")
    level = steward.level
    steward.setLevel(logging.CRITICAL)
    yield
    steward.setLevel(level)
