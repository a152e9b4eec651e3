"""What the commands ask of the program behind them: `reconciler.wiring` fits these protocols.

The command line parses, asks, renders. Everything with effects is behind `Session`, so that commands are
tested with a session of known answers.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, cast

from reconciler.model.cluster import Desired
from reconciler.model.ids import TxnId
from reconciler.model.report import ApplyResult, ClusterStatus, Connection, ProgressEvent, TxnSummary
from reconciler.plan.step import Plan

if TYPE_CHECKING:
    from reconciler.feature import Registry

Progress = Callable[[ProgressEvent], None]


class StopRequest(Protocol):
    """Whether the user asked to stop. Looked at between steps; never interrupts one."""

    @property
    def requested(self) -> bool:
        """Return true once a stop was asked for; it never turns back."""
        ...


class Session(Protocol):
    """A connection to one cluster. All methods raise ReconcilerError for what a user can act on."""

    def plan(self, desired: Desired, *, allow: tuple[str, ...], progress: Progress) -> Plan:
        """Observe and plan; changes nothing. Blocked objects are in the plan, not raised."""
        ...

    def drift(self, desired: Desired | None, *, progress: Progress) -> Plan:
        """Observe and compare with the configuration; `desired` only tells which drift is to be ignored.

        The findings are the plan's `drift`; its `checked` and `unobserved` say what was seen.
        """
        ...

    def apply(self, plan: Plan, *, progress: Progress, stop: StopRequest, parallel: int) -> ApplyResult:
        """Run a plan to its outcome, with so many commands under way at once.

        Raises StalePlan, Blocked, LockHeld before any effect.
        """
        ...

    def settle(self, txn: TxnId, *, rollback: bool, progress: Progress, stop: StopRequest) -> ApplyResult:
        """Bring an open transaction to its end: forward as it was, or back.

        Raises UsageError for an unknown or ended one, Blocked for a rollback past the point of no return.
        """
        ...

    def status(self) -> ClusterStatus:
        """Return what is known now, from reports already in the store."""
        ...

    def transactions(self) -> tuple[TxnSummary, ...]:
        """Return all transactions kept, newest first, without steps."""
        ...

    def transaction(self, txn: TxnId) -> TxnSummary:
        """Return one transaction with its steps; raises UsageError if there is none of that id."""
        ...

    def close(self) -> None:
        """Give back the connection. May be called twice."""
        ...


class Wiring(Protocol):
    """The composition root's functions that commands call."""

    def connect(self, options: Connection, features: Registry) -> Session:
        """Open a session; raises StoreError when the store does not answer, PlanError for an unknown name."""
        ...

    def run_agent(
        self,
        config: str,
        features: Registry,
        *,
        bind: str | None,
        steward: bool,
        boot_id: str | None = None,
    ) -> int:
        """Run an agent in the foreground until a signal; returns the exit code."""
        ...

    def run_steward(self, config: str, agent: int | None) -> int:
        """Run a steward alone in the foreground until a signal; returns the exit code."""
        ...


def installed_features() -> Registry:
    """Return the registry of this program's features: late, for it imports the rules of graphs."""
    return cast("Registry", importlib.import_module("reconciler.shipped").shipped_features())


def real_wiring() -> Wiring:
    """Import the composition root: late, for it pulls in gRPC and most of the program."""
    return cast("Wiring", importlib.import_module("reconciler.wiring"))
