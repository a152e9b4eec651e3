"""A small plan and its records, for tests of the machine, the engine and the executor, event by event."""

from __future__ import annotations

from dataclasses import replace

from reconciler.adapters.memory_store import MemoryStore
from reconciler.engine.journal import begin, take_over, txn_of
from reconciler.model import keys
from reconciler.model.codec import encode
from reconciler.model.ids import Address, ClusterId, NodeId, PeerName, StepId
from reconciler.plan.step import Plan, Step, StepClass
from reconciler.ports.store import Commit, Delete, Put
from reconciler.txn.record import Command, Head, HeadState, LockRecord, Mark, Phase, StepRecord
from tests.plan_samples import EMPTY, node

CLUSTER = ClusterId(EMPTY.cluster_id)
A, B = node(1), node(2)


def step(number: int, on: NodeId | None, *needs: int, **more: object) -> Step:
    """Return a step of kind ``x.do`` on a node, undone by saying so unless `more` says otherwise."""
    made = Step(
        step_id=StepId(number),
        kind="x.do",
        address=Address(f"volume/v{number}"),
        title=f"do {number}",
        node=on,
        peer=PeerName("gs1" if on == A else "gs2") if on else None,
        needs=tuple(StepId(n) for n in needs),
        undo="undo it",
    )
    return replace(made, **more)  # type: ignore[arg-type]


#: Two nodes side by side, then one of them again, then the engine's write that makes it count.
STEPS = (
    step(1, A),
    step(2, B),
    step(3, A, 1, 2),
    step(4, None, 3, kind="config.settings", undo="", step_class=StepClass.RETRIABLE),
)
PLAN: Plan = replace(EMPTY, read_set=(), steps=STEPS)
TXN = txn_of(PLAN)


def head(phase: Phase, state: HeadState = HeadState.RUNNING, **more: object) -> Head:
    """Return a head."""
    made = Head(
        txn=TXN, state=state, phase=phase, plan_id="", plan_digest="d", chunks=1, started_at=1, holder="me"
    )
    return replace(made, **more)  # type: ignore[arg-type]


def record(number: int, mark: Mark, phase: Phase, **more: object) -> StepRecord:
    """Return a step's record."""
    return replace(StepRecord(step=StepId(number), mark=mark, phase=phase), **more)  # type: ignore[arg-type]


class Journal:
    """A store with the lock held, the plan frozen and the head written."""

    def __init__(self, plan: Plan = PLAN) -> None:
        self.plan = plan
        self.store = MemoryStore(inline=True)
        self.epoch = self.lock("first")
        self.phase = Phase(self.epoch, 0)
        self.head = begin(self.store, CLUSTER, plan, head(self.phase), self.epoch)

    def lock(self, holder: str) -> int:
        """Take the lock away from whoever has it; return the new epoch."""
        key = keys.lock(CLUSTER)
        self.put(key, "gone")
        with_lease = self.store.lease(10)
        entry = self.store.read(key)
        assert entry is not None
        self.delete(key)
        value = encode(LockRecord(holder=holder, op_id=holder, since=1))
        self.store.commit(Commit(when=(), then=(Put(key, value, with_lease.lease_id),)))
        entry = self.store.read(key)
        assert entry is not None
        return entry.create_revision

    def take_over(self) -> int:
        """Have a steward take the transaction over; return its epoch."""
        epoch = self.lock("second")
        self.head = take_over(self.store, CLUSTER, self.head, epoch, "second")
        return epoch

    def put(self, key: str, value: str) -> int:
        """Write past every guard; return the revision."""
        return self.store.commit(Commit(when=(), then=(Put(key, value),))).revision

    def delete(self, key: str) -> None:
        """Remove a key past every guard."""
        self.store.commit(Commit(when=(), then=(Delete(key),)))

    def write_head(self, state: HeadState, phase: Phase) -> None:
        """Write the head past every guard."""
        self.head = replace(self.head, state=state, phase=phase)
        self.put(keys.head(CLUSTER, TXN), encode(self.head))

    def command(self, number: int, phase: Phase, attempt: int = 1) -> Command:
        """Give a command to the step's node."""
        made = Command(
            txn=TXN, step=StepId(number), phase=phase, attempt=attempt, plan_digest=self.head.plan_digest
        )
        on = STEPS[number - 1].node
        assert on is not None
        self.put(keys.command(CLUSTER, on, TXN, StepId(number)), encode(made))
        return made

    def write_record(self, number: int, mark: Mark, phase: Phase, **more: object) -> None:
        """Write a step's record past every guard."""
        on = STEPS[number - 1].node
        assert on is not None
        self.put(
            keys.node_step(CLUSTER, on, TXN, StepId(number)), encode(record(number, mark, phase, **more))
        )

    def live(self, *nodes: NodeId) -> None:
        """Have agents live."""
        for one in nodes:
            self.put(keys.live(CLUSTER, one), "agent")
