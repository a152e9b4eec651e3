"""Whether the cluster shows what was committed: seen again and again until it does, or time is up.

The transaction is over by then. What cannot be seen any more changes nothing about that, and is said.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from reconciler.errors import JournalError, StoreError
from reconciler.model.report import ApplyResult, Outcome, PartReport
from reconciler.plan.drift import find_drift

if TYPE_CHECKING:
    from reconciler.model.configured import ConfiguredCluster
    from reconciler.model.ids import TxnId
    from reconciler.model.observed import ObservedCluster
    from reconciler.plan.step import Plan

CONVERGE_S = 15.0  #: how long facts may take to show what was applied
AGAIN_S = 0.5


class Sight(Protocol):
    """Configuration and facts at one revision."""

    @property
    def configured(self) -> ConfiguredCluster:
        """Return what is configured."""
        ...

    @property
    def observed(self) -> ObservedCluster:
        """Return what nodes reported."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Convergence:
    """What was seen last: `remaining` differences, one line each, or why nothing could be seen (`unseen`)."""

    remaining: tuple[str, ...] = ()
    unseen: str = ""

    @property
    def converged(self) -> bool | None:
        """Return whether the cluster shows everything; None if it could not be seen."""
        return None if self.unseen else not self.remaining


def converge(plan: Plan, look: Callable[[], Sight]) -> Convergence:
    """Look until everything the plan worked on is as it should be, or time is up.

    A store that does not answer is asked again: it may be back in time.
    """
    names = {record.name for record in plan.volumes.values()}
    deadline = time.monotonic() + CONVERGE_S
    while True:
        try:
            seen = look()
        except (StoreError, JournalError) as exc:
            found = Convergence(unseen=exc.message)
        else:
            items = find_drift(seen.configured, seen.observed, {})
            found = Convergence(
                remaining=tuple(
                    f"{i.address}: {i.summary}" for i in items if i.address.split("/")[1] in names
                )
            )
        if found.converged or time.monotonic() > deadline:
            return found
        time.sleep(AGAIN_S)


def committed(
    name: str, txn: TxnId, found: Convergence, parts: tuple[PartReport, ...], seconds: float
) -> ApplyResult:
    """Return the result of an apply of the cluster called `name` that was committed.

    It never says less than that, whatever could not be seen afterwards.
    """
    message = {
        True: f"Cluster {name} is as declared.",
        False: "The cluster does not show it yet.",
        None: f"Whether cluster {name} shows it could not be seen: {found.unseen}. "
        "Once etcd answers: gluster-state drift",
    }[found.converged]
    return ApplyResult(
        outcome=Outcome.COMMITTED,
        txn=txn,
        exit_code=0 if found.converged else 12,
        message=message,
        converged=found.converged,
        remaining=found.remaining,
        seconds=seconds,
        parts=parts,
    )
