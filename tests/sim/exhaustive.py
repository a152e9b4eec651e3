"""Every state that a small cluster can get into: `make sim` explores it breadth first, to the end.

What is left out against the random simulation: time (an agent that is gone is waited for) and the beginning
of a transaction.

It is complete for its size: every state is judged, every state without a move is a transaction at rest, and
from every state such a rest can be reached.
"""

from __future__ import annotations

import sys
import time
from array import array
from collections import Counter, deque
from dataclasses import dataclass, field

import pytest

from reconciler.errors import ReconcilerError
from reconciler.plan.step import Plan, StepClass
from reconciler.txn.record import HeadState
from tests.sim.hurry import hurry
from tests.sim.invariants import must
from tests.sim.journal import ENDED
from tests.sim.small_model import Budget, State, fingerprint, small_plan
from tests.sim.small_moves import beginning, head_of, moves
from tests.sim.world import RUNS, cell_of


@dataclass(slots=True)
class Explored:
    """What was found: how many states and moves, and how the transaction ended in those at rest."""

    states: int = 0
    moves: int = 0
    ends: Counter[str] = field(default_factory=Counter)


class Unsound(AssertionError):
    """A state that must not be, with the moves that lead there."""


def explore(plan: Plan, budget: Budget, *, most: int = 10_000_000, unfenced: bool = False) -> Explored:
    """Visit every state. Raises Unsound for one that breaks an invariant, or without a way on.

    Args:
        plan: what is carried out.
        budget: what may go wrong.
        most: states; more are an AssertionError.
        unfenced: carry engines along that have lost the lock, in every order, instead of leaving them out.
    """
    found = Explored()
    first = beginning(plan, budget)
    seen: dict[bytes, int] = {fingerprint(first): 0}
    parents, labels = array("q", [-1]), [""]
    edges: tuple[array[int], array[int]] = (array("q"), array("q"))
    rests: list[int] = []
    queue = deque([(0, first)])
    while queue:
        number, state = queue.popleft()
        label = "at rest"
        count = 0
        try:
            judge(state, plan)
            for label, after in moves(state, plan, unfenced=unfenced):
                count += 1
                mark = fingerprint(after)
                known = seen.get(mark)
                if known is None:
                    known = seen[mark] = len(seen)
                    parents.append(number)
                    labels.append(label)
                    queue.append((known, after))
                edges[0].append(number)
                edges[1].append(known)
            if not count:
                rests.append(number)
                found.ends[at_rest(state, plan)] += 1
        except (AssertionError, ReconcilerError) as exc:
            raise Unsound(f"{exc}\n" + "\n".join([*_path(number, parents, labels), label])) from exc
        assert len(seen) <= most, f"more than {most} states"
        found.moves += count
    found.states = len(seen)
    stray = _cannot_rest(len(seen), edges, rests)
    if stray is not None:
        raise Unsound("no way to an end from here:\n" + "\n".join(_path(stray, parents, labels)))
    return found


def judge(state: State, plan: Plan) -> None:
    """Check what must hold of every state: all, or nothing, once the transaction has ended."""
    head = head_of(state, plan)
    if head is None or head.state not in ENDED:
        return
    done = {cell: RUNS for step in plan.steps if (cell := cell_of(step))}
    if head.state is HeadState.COMMITTED:
        must(17, state.cells == done, state.cells)
    else:
        must(22, state.cells == {}, state.cells)


def at_rest(state: State, plan: Plan) -> str:
    """Return how the transaction has ended; it must have, for nothing moves any more."""
    head = head_of(state, plan)
    must(50, head is not None and not head.state.active, "nothing moves any more with", head)
    assert head is not None
    return head.state.value


def _path(number: int, parents: array[int], labels: list[str]) -> list[str]:
    path: list[str] = []
    while number > 0:
        path.append(labels[number])
        number = parents[number]
    return path[::-1]


def _cannot_rest(size: int, edges: tuple[array[int], array[int]], rests: list[int]) -> int | None:
    """Return a state from which no state at rest can be reached, if there is one."""
    before: list[list[int]] = [[] for _ in range(size)]
    for source, target in zip(*edges, strict=True):
        before[target].append(source)
    good = bytearray(size)
    queue = deque(rests)
    for number in rests:
        good[number] = 1
    while queue:
        for source in before[queue.popleft()]:
            if not good[source]:
                good[source] = 1
                queue.append(source)
    bad = good.find(0)
    return None if bad < 0 else bad


#: What is explored completely. Each adds up to 2 agents, 3 steps, and what may go wrong in one run.
MODELS: dict[str, tuple[StepClass, Budget]] = {
    "undisturbed": (StepClass.COMPENSATABLE, Budget()),
    "rollback": (StepClass.COMPENSATABLE, Budget(failures=1)),
    "takeover": (StepClass.COMPENSATABLE, Budget(takeovers=1)),
    "pivot": (StepClass.PIVOT, Budget(failures=1)),
    "stuck": (StepClass.COMPENSATABLE, Budget(failures=1, undo_failures=1)),
    "lost answers": (StepClass.COMPENSATABLE, Budget(unheard=1, unsent=1)),
    "killed agent": (StepClass.COMPENSATABLE, Budget(kills=1)),
    "takeover and rollback": (StepClass.COMPENSATABLE, Budget(takeovers=1, failures=1)),
    "takeover and killed agent": (StepClass.COMPENSATABLE, Budget(takeovers=1, kills=1)),
    "killed agent and rollback": (StepClass.COMPENSATABLE, Budget(kills=1, failures=1)),
}


def main(names: list[str]) -> int:
    """Explore and print."""
    for name in names or list(MODELS):
        last, budget = MODELS[name]
        began = time.process_time()
        with pytest.MonkeyPatch.context() as monkeypatch:
            hurry(monkeypatch)
            found = explore(small_plan(last), budget)
        took = time.process_time() - began
        ends = ", ".join(f"{count} {state}" for state, count in sorted(found.ends.items()))
        print(
            f"{name}: {found.states} states, {found.moves} moves; at rest: {ends}; {took:.0f} s", flush=True
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
