"""A session of known answers, so that commands are tested without a cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from reconciler.cli.session import Progress, StopRequest
from reconciler.errors import ReconcilerError
from reconciler.feature import Registry
from reconciler.model.cluster import Desired
from reconciler.model.ids import ClusterId, PeerName, StepId, TxnId
from reconciler.model.report import (
    ApplyResult,
    ClusterStatus,
    Connection,
    Outcome,
    ProgressEvent,
    ProgressKind,
    TxnSummary,
)
from reconciler.plan.step import Plan
from tests.plan_samples import CREATE

TXN = TxnSummary(
    txn=TxnId("t-1"),
    state="committed",
    plan_id="p-1",
    plan_digest="sha256:1",
    holder="ann",
    started_at=1,
    updated_at=2,
)


@dataclass
class FakeSession:
    """Returns what it was given and remembers what it was asked."""

    planned: Plan = CREATE
    end: ApplyResult = field(
        default_factory=lambda: ApplyResult(
            outcome=Outcome.COMMITTED, txn=TxnId("t-1"), exit_code=0, message="All is well."
        )
    )
    error: ReconcilerError | None = None
    unobserved: tuple[PeerName, ...] = ()
    during_apply: Callable[[StopRequest], None] = lambda stop: None
    asked: list[object] = field(default_factory=list)
    connection: Connection | None = None
    desired: Desired | None = None
    parallel: int = 0
    closed: int = 0

    # the composition root's part

    def connect(self, options: Connection, features: Registry) -> FakeSession:
        self.connection = options
        return self

    def run_agent(
        self,
        config: str,
        features: Registry,
        *,
        bind: str | None,
        steward: bool,
        boot_id: str | None = None,
    ) -> int:
        self.asked.append(("agent", config, bind, steward, boot_id))
        return 0

    def run_steward(self, config: str, agent: int | None) -> int:
        self.asked.append(("steward", config))
        return 0

    # the session's part

    def _ask(self, *what: object) -> None:
        self.asked.append(what)
        if self.error is not None:
            raise self.error

    def plan(self, desired: Desired, *, allow: tuple[str, ...], progress: Progress) -> Plan:
        progress(ProgressEvent(kind=ProgressKind.NOTE, text="observing gs1"))
        self.desired = desired
        self._ask("plan", desired.spec.name, allow)
        return self.planned

    def drift(self, desired: Desired | None, *, progress: Progress) -> Plan:
        self._ask("drift", desired.spec.name if desired else None)
        return self.planned

    def apply(self, plan: Plan, *, progress: Progress, stop: StopRequest, parallel: int) -> ApplyResult:
        self.parallel = parallel
        self._ask("apply", plan.plan_id)
        progress(ProgressEvent(kind=ProgressKind.STARTED, step=StepId(1), total=1, op="brick.start"))
        self.during_apply(stop)
        progress(
            ProgressEvent(kind=ProgressKind.DONE, step=StepId(1), total=1, op="brick.start", seconds=0.3)
        )
        return self.end

    def settle(self, txn: TxnId, *, rollback: bool, progress: Progress, stop: StopRequest) -> ApplyResult:
        self._ask("settle", txn, rollback)
        return self.end

    def status(self) -> ClusterStatus:
        self._ask("status")
        return ClusterStatus(
            cluster_id=ClusterId("c"),
            name="prod",
            revision=1,
            nodes=(),
            volumes=(),
            unobserved=self.unobserved,
        )

    def transactions(self) -> tuple[TxnSummary, ...]:
        self._ask("transactions")
        return (TXN,)

    def transaction(self, txn: TxnId) -> TxnSummary:
        self._ask("transaction", txn)
        return TXN

    def close(self) -> None:
        self.closed += 1
