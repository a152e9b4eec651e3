"""Every exception the product raises on purpose, as one tree.

The tree says what the *caller* should do next, and the exit code says it to the shell
(docs/exit-codes.md)::

    ReconcilerError                exit 1   error, nothing was changed
    ├─ UsageError                  exit 64  wrong flags or arguments
    ├─ DesiredStateError           exit 65  the declaration is invalid; carries diagnostics
    ├─ PlanError                   exit 1
    │  ├─ Blocked                  exit 3   protection, risk code or a live condition says no
    │  ├─ StalePlan                exit 4   the cluster moved on since the plan was made
    │  └─ NotObserved              exit 10  could not see enough to decide
    ├─ StoreError                  exit 69
    │  ├─ StoreUnavailable         certainly not applied, or a read: safe to retry
    │  ├─ OutcomeUnknown           a write that may or may not have happened: read back, never repeat blindly
    │  ├─ StoreRestored            another etcd, or an older history: nothing is done until that is settled
    │  ├─ Compacted                the watch's history is gone: list again
    │  └─ StorePermission          exit 77
    ├─ LockHeld                    exit 7   somebody else applies
    ├─ LockLost                    exit 7   our lease ended: another process took over
    ├─ JournalError                exit 6   illegal or unknown record: never guess
    ├─ StepError                   a step's effect did not come about; carries `retryable`
    ├─ WireError                   their bytes: close that connection, nothing else
    ├─ VolfileError                a graph that cannot be built or text that is no volfile
    ├─ NativeError                 a library or catalogue of GlusterFS whose options cannot be read
    └─ EnvironmentProblem          exit 69  this machine lacks something (a package, a port, a right)

Not in the tree: bugs. They use `assert` and crash.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.diagnostics import Diagnostic


class ReconcilerError(Exception):
    """An error with a remedy.

    Args:
        message: what happened, with the facts.
        hint: what the reader can do about it; empty when nothing sensible can be said.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(ReconcilerError):
    """The command line makes no sense."""

    exit_code = 64


class DesiredStateError(ReconcilerError):
    """The declaration has errors; `diagnostics` holds all of them, sorted by position."""

    exit_code = 65

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        super().__init__(f"{len(diagnostics)} problem(s) in the desired state")
        self.diagnostics = tuple(diagnostics)


class PlanError(ReconcilerError):
    """No plan could be made, or the plan cannot be used."""


class Blocked(PlanError):
    """Protection, policy or a live condition forbids the change (the text names the code or the path)."""

    exit_code = 3


class StalePlan(PlanError):
    """The saved plan was made against another state, was used already, or has expired."""

    exit_code = 4


class NotObserved(PlanError):
    """Something needed for the decision could not be seen. Unknown is not the same as absent."""

    exit_code = 10


class StoreError(ReconcilerError):
    """The shared store (etcd) did not do what was asked."""

    exit_code = 69


class StoreUnavailable(StoreError):
    """No answer in time, and certainly nothing was written: retry at will."""


class OutcomeUnknown(StoreError):
    """A write was sent and no answer came. It may have been applied, now or later. Read back."""


class StoreRestored(StoreError):
    """The store is another one, or has an older history, than before: replaced, or restored from a backup."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        way = "Nothing is changed until that is settled: see docs/operations.md, about etcd restored."
        super().__init__(message, hint=hint or way)


class Compacted(StoreError):
    """History before `revision` is gone; list the prefix again and watch from there."""

    def __init__(self, revision: int) -> None:
        super().__init__(f"the store has compacted its history up to revision {revision}")
        self.revision = revision


class StorePermission(StoreError):
    """The store's access control refused the request."""

    exit_code = 77


class LockHeld(ReconcilerError):
    """Another process holds the cluster's lock."""

    exit_code = 7


class LockLost(ReconcilerError):
    """Our lease on the lock ended; whoever took over continues the transaction."""

    exit_code = 7


class JournalError(ReconcilerError):
    """A stored record is illegal, of an unknown version, or does not match its digest."""

    exit_code = 6


class StepError(ReconcilerError):
    """A step's effect did not come about.

    Args:
        message: what was found, naming the path, process or key.
        retryable: true when trying the same step again later may succeed.
        hint: the remedy.
    """

    def __init__(self, message: str, *, retryable: bool = False, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.retryable = retryable


class WireError(ReconcilerError):
    """Bytes from a peer that are not what the protocol says. Only that connection suffers."""


class VolfileError(ReconcilerError):
    """A volume's graph cannot be built, or a text is not a volfile.

    Args:
        message: what is wrong; begins with ``line N:`` if a line is to blame.
        hint: the remedy.
        line: that line, from 1; 0 if none is.
    """

    def __init__(self, message: str, *, hint: str = "", line: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.line = line


class NativeError(ReconcilerError):
    """A library of GlusterFS, or a catalogue made of them, holds no options that can be trusted."""


class EnvironmentProblem(ReconcilerError):
    """This machine lacks something the command needs: a package, a free port, a right."""

    exit_code = 69
