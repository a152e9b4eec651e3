"""Nodes whose steps take no time: the real driver and the real agents' links on any store, without bricks.

What is left is what the protocol itself costs, and what it writes.
"""

from __future__ import annotations

import threading
import types
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast
from unittest.mock import patch

from reconciler.adapters.clock import SystemClock
from reconciler.agent import link
from reconciler.agent.facts import Report
from reconciler.agent.link import Link
from reconciler.agent.memory import NodeMemory
from reconciler.engine.applier import Applier
from reconciler.engine.driver import Driver
from reconciler.engine.journal import begin, frozen_plan, txn_of
from reconciler.engine.lock import acquire
from reconciler.errors import StepError, StoreError
from reconciler.model import keys
from reconciler.model.configured import Secret
from reconciler.model.ids import ClusterId, NodeId, PeerName, StepId
from reconciler.model.observed import NodeFact
from reconciler.plan.planner import Stamp, make_plan
from reconciler.ports.node import Call, Checked, Effect
from reconciler.ports.store import Absent, Commit, Put
from reconciler.txn.record import Head, HeadState, LockRecord, Phase
from tests.big_plan import big
from tests.labs import eventually
from tests.volume_samples import MemoryFiles

if TYPE_CHECKING:
    from reconciler.agent.node import Node
    from reconciler.plan.step import Args, Plan
    from reconciler.ports.store import Store

Connect = Callable[[], "Store"]


def creation(volumes: int, nodes: int, name: str = "1") -> Plan:
    """Return a plan that makes volumes of three bricks on that many nodes, of a cluster of that name."""
    made = make_plan(big(volumes, nodes), Stamp(plan_id=f"p-{name}", now=1, tool_version="0"))
    return replace(made, cluster_id=str(uuid.uuid5(uuid.NAMESPACE_DNS, name)), cluster_name=name)


@dataclass(slots=True)
class Instant:
    """An action that looks as brick.prepare does, does nothing, and fails the steps it is told to."""

    failing: Collection[StepId] = ()
    done: list[StepId] = field(default_factory=list)  #: in their order, on all nodes
    undone: list[StepId] = field(default_factory=list)

    def check(self, call: Call) -> Checked:
        image = {"volume_id": False, "identity": False, "hidden": False, "hidden_used": False}
        path = f"/bricks/{call.step.step_id:06}/b0"
        return Checked(effect=Effect.ABSENT, before={**image, "attributes": [], "made": [path]})

    def do(self, call: Call, before: Args) -> Args:
        del before
        if call.step.step_id in self.failing:
            raise StepError("no space left on device", hint="make room on the brick's filesystem")
        self.done.append(call.step.step_id)
        return {}

    def undo(self, call: Call, before: Args) -> None:
        assert before["made"] == [f"/bricks/{call.step.step_id:06}/b0"]
        self.undone.append(call.step.step_id)


class _Table:
    """A node's table that holds no volume."""

    def set_connected(self, connected: bool) -> None: ...

    def commit(self, *_: object) -> None: ...

    def learn(self, *_: object) -> None: ...

    def committed(self, _: object) -> None: ...

    def volumes(self) -> dict[object, object]:
        return {}


def _node(node: NodeId, peer: PeerName, kinds: Collection[str], action: Instant) -> Node:
    about = NodeFact(
        node_id=node,
        peer=peer,
        address="10.0.0.1",
        boot_id="b",
        agent_version="0",
        gluster_version="10.3",
        started_at=1,
    )
    parts = types.SimpleNamespace(
        node=node,
        memory=NodeMemory(MemoryFiles()),
        table=_Table(),
        actions=dict.fromkeys(kinds, action),
        clock=SystemClock(),
    )
    return cast("Node", types.SimpleNamespace(parts=parts, report=lambda: Report(node=about)))


class _Once:
    """Reads the plan of a transaction once."""

    def __init__(self) -> None:
        self._lock, self._known = threading.Lock(), dict[str, "Plan"]()

    def __call__(self, store: Store, cluster: ClusterId, head: Head) -> Plan:
        with self._lock:
            if head.plan_digest not in self._known:
                self._known[head.plan_digest] = frozen_plan(store, cluster, head)
            return self._known[head.plan_digest]


@contextmanager
def agents(connect: Connect, plan: Plan, action: Instant) -> Iterator[None]:
    """Run an agent's link for every node of a plan, each with a store of its own; after its end, another.

    They share one interpreter, so one of them reads and checks the plan for all: on machines of their own
    they do that side by side.
    """
    cluster, stop = ClusterId(plan.cluster_id), threading.Event()
    store = connect()
    claim = keys.claim(plan.cluster_name)
    store.commit(Commit(when=(Absent(claim),), then=(Put(claim, cluster),)))
    nodes = {step.node: step.peer for step in plan.steps if step.node is not None and step.peer is not None}
    kinds = {step.kind for step in plan.steps}

    def run(node: NodeId, peer: PeerName) -> None:
        made = _node(node, peer, kinds, action)
        while not stop.is_set():
            own = connect()
            with suppress(StoreError):
                Link(made, own, cluster_name=plan.cluster_name, peer=peer, instance="f" * 16).run(stop)
            own.close()
            stop.wait(1.0)

    threads = [threading.Thread(target=run, args=one, name=f"agent {one[1]}") for one in nodes.items()]
    reading = patch.object(link, "frozen_plan", _Once())
    reading.start()
    for thread in threads:
        thread.start()
    try:
        live = [keys.live(cluster, node) for node in nodes]
        eventually(lambda: all(store.read(key) for key in live), "all agents are there", 60)
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
        reading.stop()
        store.close()


def carry_out(store: Store, plan: Plan) -> Head:
    """Apply a plan as `gluster-state apply` does; return the head it ends with."""
    cluster, clock = ClusterId(plan.cluster_id), SystemClock()
    driver = Driver(store, cluster, clock, lambda _: None, lambda: False)
    record = LockRecord(holder="me", op_id=plan.plan_id, since=1)
    with acquire(store, cluster, record, timeout_s=15, on_lost=driver.lock_lost) as lock:
        fresh = Head(
            txn=txn_of(plan), state=HeadState.RUNNING, phase=Phase(lock.epoch, 0), plan_id="",
            plan_digest="", chunks=0, started_at=clock.now(), holder="root@gs1.example.com pid 12345",
            summary="16 to add, 0 to change, 0 to remove",
        )  # fmt: skip
        head = begin(store, cluster, plan, fresh, lock.epoch)
        applier = Applier(cluster, head.txn, plan, epoch=lock.epoch, holder="me", secret=_secret)
        end = driver.run(applier)
    assert end is not None, "the lock was lost"
    return end


def _secret() -> Secret:
    return Secret(username="u" * 36, password="p" * 36)
