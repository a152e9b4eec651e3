"""What the engine costs by itself: plans of growing size, a store in memory, nodes that answer at once.

Prints steps, seconds of processor and microseconds a step. Exits 1 if a step of the largest plan costs more
than eight times one of the smallest: the engine's part must not grow with the square of the plan.

Run: ``make bench``, or ``python -m benchmarks.engine_steps``
"""

from __future__ import annotations

import sys
import time

from reconciler.adapters.memory_store import MemoryStore
from reconciler.engine.applier import Applier
from reconciler.engine.journal import begin, txn_of
from reconciler.engine.lock import acquire
from reconciler.engine.messages import Answered, End, Event, Loaded, Reload, Tick, Write
from reconciler.model import keys
from reconciler.model.codec import decode, encode
from reconciler.model.configured import Secret
from reconciler.model.ids import ClusterId, NodeId
from reconciler.plan.planner import Stamp, make_plan
from reconciler.plan.step import Plan
from reconciler.ports.store import Absent, Changes, Commit, Put
from reconciler.txn.record import Command, Head, HeadState, LockRecord, Mark, Phase, StepRecord
from tests.big_plan import big

SIZES = ((6, 6), (16, 10), (60, 30))  #: volumes and nodes
MOST = 8.0


def main() -> int:
    """Measure and print; return the exit code."""
    costs = []
    for volumes, nodes in SIZES:
        plan = make_plan(big(volumes, nodes), Stamp(plan_id="p-1", now=1, tool_version="0"))
        seconds = _run(plan)
        costs.append(seconds / len(plan.steps))
        print(f"{len(plan.steps):6} steps  {seconds:6.2f} s  {costs[-1] * 1e6:5.0f} us a step")
    ratio = costs[-1] / costs[0]
    print(f"a step of the largest plan costs {ratio:.1f} times one of the smallest (at most {MOST:g})")
    return int(ratio > MOST)


def _run(plan: Plan) -> float:
    """Carry a plan out and return the seconds of processor that took."""
    cluster, store = ClusterId(plan.cluster_id), MemoryStore(inline=True)
    record = LockRecord(holder="bench", op_id="1", since=1)
    lock = acquire(store, cluster, record, timeout_s=0, on_lost=lambda: None)
    for node in {step.node for step in plan.steps if step.node is not None}:
        key = keys.live(cluster, node)
        store.commit(Commit(when=(Absent(key),), then=(Put(key, "agent"),)))
    head = Head(
        txn=txn_of(plan), state=HeadState.RUNNING, phase=Phase(lock.epoch, 0), plan_id=plan.plan_id,
        plan_digest="", chunks=0, started_at=1, holder="bench",
    )  # fmt: skip
    head = begin(store, cluster, plan, head, lock.epoch)
    applier = Applier(cluster, head.txn, plan, epoch=lock.epoch, holder="bench", secret=_secret)
    heard: list[Changes] = []
    store.watch(keys.cluster_prefix(cluster), 0, heard.append)  # type: ignore[arg-type]  # it never ends here
    heard.clear()
    events: list[Event] = [Tick(0.0, 1), Loaded(store.read_prefix(keys.cluster_prefix(cluster)))]
    began = time.process_time()
    while True:
        answers: list[Event] = []
        for effect in applier.handle(*events):
            match effect:
                case Write(tag=tag, commit=commit):
                    answers.append(Answered(tag, store.commit(commit)))
                case Reload():
                    answers.append(Loaded(store.read_prefix(keys.cluster_prefix(cluster))))
                case End(head=end):
                    assert end is not None
                    assert end.state is HeadState.COMMITTED
                    return time.process_time() - began
        told = list(heard)
        heard.clear()
        _answer(store, cluster, told)  # whose records are heard in the next round
        events = [*answers, *told]
        assert events or heard, "the engine waits for nothing"


def _secret() -> Secret:
    return Secret(username="u", password="p")


def _answer(store: MemoryStore, cluster: ClusterId, heard: list[Changes]) -> None:
    """Do what nodes do about new commands."""
    mark = keys.nodes_prefix(cluster)
    for change in [c for changes in heard for c in changes.changes]:
        node, _, rest = change.key.removeprefix(mark).partition("/")
        if change.value is not None and rest.startswith("cmd/"):
            command = decode(Command, change.value)
            key = keys.node_step(cluster, NodeId(node), command.txn, command.step)
            record = StepRecord(
                step=command.step, mark=Mark.DONE, phase=command.phase, attempt=command.attempt
            )
            store.commit(Commit(when=(Absent(key),), then=(Put(key, encode(record)),)))


if __name__ == "__main__":
    sys.exit(main())
