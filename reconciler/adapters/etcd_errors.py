"""What a failed call to etcd means: the one place that reads gRPC codes and etcd's texts. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from grpc import StatusCode

from reconciler.errors import StoreError


class Verdict(Enum):
    """What a failed call means for the caller."""

    REFUSED = "refused"  # understood and answered with no: the same call will fail again
    FORBIDDEN = "forbidden"  # refused by access control
    STALE_LOGIN = "stale login"  # certainly not applied: log in again
    NOT_APPLIED = "not applied"  # certainly not applied: try again
    UNKNOWN = "unknown"  # may have been applied


class Refused(StoreError):
    """Etcd understood the request and refused it; nothing was written. `code` is the gRPC status."""

    def __init__(self, message: str, code: StatusCode) -> None:
        hint = "what answers there is no etcd" if code is StatusCode.UNIMPLEMENTED else ""
        super().__init__(message, hint=hint)
        self.code = code


class CallFailed(Exception):
    """One try failed; lives only between the try and the decision what to do about it."""

    def __init__(self, message: str, verdict: Verdict, code: StatusCode) -> None:
        super().__init__(message)
        self.verdict = verdict
        self.code = code


# The first row that fits decides. Texts are those of etcd 3.4 to 3.6 api/v3rpc/rpctypes/error.go and, for
# the connection's own, of grpc 1.66 to 1.85, in lower case.
_BY_TEXT = (
    ("user name", Verdict.FORBIDDEN),
    ("authentication failed", Verdict.FORBIDDEN),
    ("permission denied", Verdict.FORBIDDEN),
    ("invalid auth token", Verdict.STALE_LOGIN),
    ("revision of auth store is old", Verdict.STALE_LOGIN),
    ("no leader", Verdict.NOT_APPLIED),
    ("not leader", Verdict.NOT_APPLIED),
    ("not capable", Verdict.NOT_APPLIED),
    ("too many requests", Verdict.NOT_APPLIED),
    ("failed to connect", Verdict.NOT_APPLIED),
    ("dns resolution failed", Verdict.NOT_APPLIED),
)
_BY_CODE = {
    StatusCode.PERMISSION_DENIED: Verdict.FORBIDDEN,
    StatusCode.UNAUTHENTICATED: Verdict.STALE_LOGIN,
    StatusCode.INVALID_ARGUMENT: Verdict.REFUSED,
    StatusCode.FAILED_PRECONDITION: Verdict.REFUSED,
    StatusCode.OUT_OF_RANGE: Verdict.REFUSED,
    StatusCode.NOT_FOUND: Verdict.REFUSED,
    StatusCode.ALREADY_EXISTS: Verdict.REFUSED,
    StatusCode.UNIMPLEMENTED: Verdict.REFUSED,
}


def classify(code: StatusCode, details: str) -> Verdict:
    """Say what a gRPC status from etcd, or from the channel to it, means.

    Unknown is the safe answer and therefore the default. Three that look certain are not: "server
    stopped" and "request timed out" may come after the request was proposed (etcd ``v3_server.go``:
    processInternalRaftRequestOnce, parseProposeCtxErr), and "database space exceeded" after it was
    applied (``apply.go``: quotaApplierV3.Txn applies first and then returns ErrNoSpace).
    """
    lowered = details.lower()
    for text, verdict in _BY_TEXT:
        if text in lowered:
            return verdict
    return _BY_CODE.get(code, Verdict.UNKNOWN)


_AILMENTS = (
    (
        "nospace",
        "etcd has no space left: compact its history, defragment each member, then disarm the alarm"
        " (docs/operations.md)",
    ),
    ("corrupt", "etcd has found that a member's data is damaged: replace that member"),
    ("no leader", "etcd has no leader: most of its members do not run, or do not reach each other"),
)


def ailment(error: str) -> str:
    """Say what an error in a member's status means (etcd ``v3rpc/maintenance.go``: Status)."""
    lowered = error.lower()
    return next((text for word, text in _AILMENTS if word in lowered), f"etcd says: {error}")


def remedy(message: str, hosts: Sequence[str]) -> str:
    """Say what to look at when nobody answers. `message` is gRPC's, which names TLS by its TSI codes."""
    if "TSI_" in message or "handshake" in message:
        return "TLS failed: check the CA, and whether etcd wants a client certificate that it trusts"
    return f"is etcd running at {', '.join(hosts)}?"
