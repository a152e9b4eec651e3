"""What goes into the engine and what comes out: events and effects. Values only."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.report import ProgressEvent
from reconciler.ports.store import Changes, Commit, Committed, Snapshot
from reconciler.txn.record import Head

# ---------------------------------------------------------------- events


@dataclass(frozen=True, slots=True)
class Loaded:
    """A full listing of the cluster's entries."""

    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to a Write; None if no answer came."""

    tag: str
    committed: Committed | None


@dataclass(frozen=True, slots=True)
class Tick:
    """Time went by: `monotonic` seconds, `wall` second for records."""

    monotonic: float
    wall: int


@dataclass(frozen=True, slots=True)
class StopAsked:
    """The user wants to stop at a safe point."""


@dataclass(frozen=True, slots=True)
class LockGone:
    """Our lease on the lock must be considered lost."""


Event = Loaded | Changes | Answered | Tick | StopAsked | LockGone


# ---------------------------------------------------------------- effects


@dataclass(frozen=True, slots=True)
class Write:
    """Run a guarded commit and hand the answer back under `tag`."""

    tag: str
    commit: Commit


@dataclass(frozen=True, slots=True)
class Reload:
    """List the cluster's entries again."""


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell the user."""

    event: ProgressEvent


@dataclass(frozen=True, slots=True)
class End:
    """The engine has nothing more to do. `head` is None when the lock was lost: somebody else goes on."""

    head: Head | None


Effect = Write | Reload | Tell | End
