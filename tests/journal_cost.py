"""What a transaction has written into its journal: bytes and commits, what was overwritten included."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from reconciler.model.ids import TxnId
from reconciler.plan.step import Plan
from reconciler.ports.store import Change, Changes, Commit, Put, Store, WatchEnded
from tests.labs import eventually

PER_STEP = 2048  #: bytes; the bound of invariant 16 in what the protocol promises
COMMITS = 3  #: of one step in one direction: command, claim, report
AROUND = 3  #: commits of a transaction besides its steps: a plan in one chunk, the head, its end
_JOURNAL = re.compile(
    r"/gluster-state/[^/]+/(?:txn/(?P<txn>[^/]+)/(?P<own>plan|head|step)|node/[^/]+/(?P<node>.+))"
)


@dataclass(frozen=True, slots=True)
class Cost:
    """Bytes of keys and values, bytes of values alone, and revisions in which there was any of them.

    `kinds` counts writes by what they are: plan, head, step (a record), cmd, barrier, barrier-request;
    `dispatches` are the revisions that held commands.
    """

    size: int
    values: int
    commits: int
    dispatches: int
    kinds: Counter[str]


def history(store: Store, since: int = 0) -> list[Change]:
    """Return everything that was written after a revision, until now."""
    seen: list[Change] = []

    def note(batch: Changes | WatchEnded) -> None:
        assert isinstance(batch, Changes), batch
        seen.extend(batch.changes)

    watch = store.watch("", since, note)
    last = store.commit(Commit(when=(), then=(Put("/end", "x"),))).revision
    eventually(lambda: seen and seen[-1].mod_revision == last, "the whole history", 60)
    watch.close()
    return seen


def cost_of(changes: Iterable[Change], txn: TxnId) -> Cost:
    """Return what a transaction has cost, from the history of its store (other keys do not count)."""
    size = values = 0
    revisions, dispatches, kinds = set(), set(), Counter[str]()
    for change in changes:
        kind = _kind(change.key, txn)
        if kind and change.value is not None:
            value = len(change.value.encode())
            size, values = size + len(change.key) + value, values + value
            revisions.add(change.mod_revision)
            kinds[kind] += 1
            if kind == "cmd":
                dispatches.add(change.mod_revision)
    return Cost(size, values, len(revisions), len(dispatches), kinds)


def _kind(key: str, txn: TxnId) -> str:
    """Return what kind of entry a key is in the journal of a transaction, or an empty text."""
    found = _JOURNAL.match(key)
    if found is None:
        return ""
    if found["own"]:
        return found["own"] if found["txn"] == txn else ""
    parts = found["node"].split("/")
    if parts[0] in ("barrier", "barrier-request"):
        return parts[0]  # no transaction is in it: a store in which there is one besides is no measure
    return parts[0] if parts[0] in ("cmd", "step") and parts[1] == txn else ""


def assert_within_bounds(cost: Cost, plan: Plan) -> None:
    """Fail if a plan has cost more than is promised, whether it was committed or undone."""
    steps = len(plan.steps)
    undos = sum(1 for step in plan.steps if step.undo)
    turned = cost.kinds["barrier-request"] > 0
    ways = steps + undos if turned else steps
    barriers = cost.kinds["barrier"] + cost.kinds["barrier-request"]
    assert cost.size <= PER_STEP * ways, f"{cost} for {steps} steps"
    assert cost.values <= PER_STEP * steps, f"{cost} for {steps} steps"
    assert cost.commits <= COMMITS * ways + AROUND + cost.kinds["plan"] - 1 + turned + barriers, cost
