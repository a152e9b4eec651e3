"""What makes thousands of runs affordable: no waiting, no noise, no text decoded twice."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING

from reconciler.agent import daemons, executor
from reconciler.engine import journal, lock
from reconciler.plan.document import canonical_text, digest
from tests.sim.world import decoded

if TYPE_CHECKING:
    import pytest

    from reconciler.plan.step import Plan

_PARSED = lru_cache(maxsize=64)(journal.parse_document)
_WRITTEN: dict[int, tuple[Plan, str, str]] = {}


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the lock poll without sleeping, each plan and record be parsed once, and takeovers be silent."""
    monkeypatch.setattr(lock, "POLL_S", 0.0)
    monkeypatch.setattr(daemons, "_POLL_S", 0.0)
    monkeypatch.setattr(journal, "parse_document", _PARSED)
    for module in (executor, journal):
        monkeypatch.setattr(module, "decode", decoded)
    monkeypatch.setattr(journal, "canonical_text", lambda plan: _known(plan)[1])
    monkeypatch.setattr(journal, "digest", lambda plan: _known(plan)[2])
    steward = logging.getLogger("gluster-state.steward")
    monkeypatch.setattr(steward, "level", logging.CRITICAL)
    monkeypatch.setattr(steward, "_cache", {})


def _known(plan: Plan) -> tuple[Plan, str, str]:
    if id(plan) not in _WRITTEN:
        _WRITTEN[id(plan)] = (plan, canonical_text(plan), digest(plan))
    return _WRITTEN[id(plan)]
