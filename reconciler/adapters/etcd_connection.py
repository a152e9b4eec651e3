"""Calls to etcd with a deadline each, sorted by what their failure means.

The only place that imports `etcd3`. Of that package we use the client, its channel and its stubs; its
watch, lease, lock and password code is not used (no resume, no deadline, a busy loop while etcd is away).

One channel per endpoint, one endpoint in use at a time; a failed call moves on to the next one, so that
host names and TLS verification work per endpoint as they do for a single one.

Architecture invariant: nothing here repeats a write whose first try may have reached etcd.
"""

from __future__ import annotations

import random
import ssl
import threading
import time
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import grpc

from reconciler.adapters.etcd_errors import CallFailed, Refused, Verdict, classify, remedy
from reconciler.adapters.etcd_messages import etcdrpc, register
from reconciler.errors import (
    EnvironmentProblem,
    OutcomeUnknown,
    StorePermission,
    StoreRestored,
    StoreUnavailable,
)
from reconciler.ports.store import MAX_VALUE_BYTES

register()
import etcd3  # noqa: E402 - must find our messages registered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PAGE_KEYS = 1000  #: keys per page of a listing
CALL_TIMEOUT_S = 5.0  #: how long one call may take, all tries together
ATTEMPT_TIMEOUT_S = 2.0  #: how long one try of a repeatable call may take
_DEFAULT_PORT = "2379"

# keepalive_time and ping_timeout find a silent peer after 9 s; keepalive_timeout alone does not (grpc
# 1.85 took 68 s). Pings go out only while a call is open: etcd answers others with GOAWAY too_many_pings.
# The pools are kept apart because channels to one address would else share their back-off.
_CHANNEL_OPTIONS = (
    ("grpc.keepalive_time_ms", 6000),
    ("grpc.keepalive_timeout_ms", 3000),
    ("grpc.http2.ping_timeout_ms", 3000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", PAGE_KEYS * (MAX_VALUE_BYTES + 4096)),
)

RANGE = attrgetter("kv.Range")
TXN = attrgetter("kv.Txn")
LEASE_GRANT = attrgetter("lease.LeaseGrant")
LEASE_REVOKE = attrgetter("lease.LeaseRevoke")
STATUS = attrgetter("maintenance.Status")


@dataclass(frozen=True, slots=True, kw_only=True)
class EtcdEndpoint:
    """Where etcd is and who we are to it.

    Attributes:
        hosts: ``host:port`` of each member, IPv6 addresses in brackets; port 2379 if none is given.
        ca: certificates to verify the server with; None means a connection without TLS.
        cert, key: our certificate and its key (both or none).
        user, password: for etcd's own user accounts (both or none).
    """

    hosts: tuple[str, ...]
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    user: str | None = None
    password: str | None = None

    def __post_init__(self) -> None:
        if not self.hosts:
            raise ValueError("an etcd endpoint needs at least one host")
        if (self.cert is None) != (self.key is None) or (self.cert and not self.ca):
            raise ValueError("a client certificate needs its key, and a CA to verify the server with")
        if (self.user is None) != (self.password is None):
            raise ValueError("an etcd user needs a password")

    def __repr__(self) -> str:
        return f"EtcdEndpoint({', '.join(self.hosts)})"  # never the password


class _Host:
    """One endpoint's channel and stubs. `answered` while the last thing it did was to answer."""

    def __init__(self, endpoint: EtcdEndpoint, address: str) -> None:
        host, colon, port = address.rpartition(":")
        if not colon or port.endswith("]"):
            host, port = address, _DEFAULT_PORT
        self.address = f"{host}:{port}"
        self.client = etcd3.Etcd3Client(
            host=host,
            port=port,
            ca_cert=_text(endpoint.ca),
            cert_cert=_text(endpoint.cert),
            cert_key=_text(endpoint.key),
            timeout=ATTEMPT_TIMEOUT_S,
            grpc_options=_CHANNEL_OPTIONS,
        )
        self.kv = self.client.kvstub
        self.lease = self.client.leasestub
        self.maintenance = self.client.maintenancestub
        self.watch = etcdrpc.WatchStub(self.client.channel)
        self.auth = etcdrpc.AuthStub(self.client.channel)
        self.answered = False


def _check_tls_files(endpoint: EtcdEndpoint) -> None:
    """Refuse files that gRPC would only complain about on stderr. Raises OSError, EnvironmentProblem."""
    for path in filter(None, (endpoint.ca, endpoint.cert, endpoint.key)):
        path.read_bytes()  # its error names the file; that of the ssl module does not
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    shown = endpoint.ca
    try:
        if endpoint.ca is not None:
            context.load_verify_locations(cafile=endpoint.ca)
        shown = endpoint.cert
        if endpoint.cert is not None:
            # An encrypted key would be asked about on the terminal; gRPC cannot use one either.
            context.load_cert_chain(endpoint.cert, endpoint.key, password=lambda: "")
    except ssl.SSLError as error:
        raise EnvironmentProblem(
            f"{shown}: no PEM certificate, or its key does not belong to it ({error.reason or 'not PEM'})",
            hint="check the files of the etcd connection: CA, certificate, key",
        ) from error


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _words(code: grpc.StatusCode) -> str:
    return str(code.name).lower().replace("_", " ")


def pauses() -> Iterator[float]:
    """Yield seconds to wait between tries: 0.05 doubling up to 1, each varied by half."""
    pause = 0.05
    while True:
        yield pause * random.uniform(0.5, 1.5)  # noqa: S311 - spreads load, no secret
        pause = min(pause * 2, 1.0)


class EtcdConnection:
    """Channels to one etcd cluster. Thread-safe. Connects with the first call, not before.

    It remembers the cluster's id and the highest revision seen, and raises StoreRestored once etcd answers
    as another cluster or with an older history: someone restored or replaced it, and comparing our
    revisions with its would be meaningless.
    """

    def __init__(self, endpoint: EtcdEndpoint, *, call_timeout_s: float = CALL_TIMEOUT_S) -> None:
        self._endpoint = endpoint
        self._call_timeout_s = call_timeout_s
        try:
            _check_tls_files(endpoint)
            self._hosts = tuple(_Host(endpoint, address) for address in endpoint.hosts)
        except OSError as error:
            raise EnvironmentProblem(
                f"cannot read a TLS file of the etcd connection: {error}",
                hint="check the paths of the CA, the certificate and its key, and who may read them",
            ) from error
        self._lock = threading.Lock()
        self._current = 0
        self._token: str | None = None
        self._cluster_id = 0
        self._revision = 0
        self._closed = threading.Event()

    def close(self) -> None:
        """Cancel every call and close the channels. May be called twice."""
        self._closed.set()
        for host in self._hosts:
            host.client.close()

    # --- calls -------------------------------------------------------------------------------------

    def ask(self, rpc: Callable[[_Host], Any], request: Any, timeout_s: float | None = None) -> Any:
        """Call as often as needed within `timeout_s` (None: the connection's). For what may happen twice.

        Raises StoreUnavailable, StorePermission, Refused.
        """
        return self._call(rpc, request, timeout_s or self._call_timeout_s, repeatable=True)

    def read(self, request: Any) -> Any:
        """Range, linearizable, and check that history did not go backwards (StoreError)."""
        floor = self._revision
        answer = self.ask(RANGE, request)
        self.admit(answer.header, floor)
        return answer

    def write(self, request: Any) -> Any:
        """Txn, tried again only while it certainly was not applied.

        Raises OutcomeUnknown in addition to what `ask` raises.
        """
        floor = self._revision
        answer = self._call(TXN, request, self._call_timeout_s, repeatable=False)
        self.admit(answer.header, floor)
        return answer

    def renew(self, lease_id: int, timeout_s: float) -> int:
        """Renew a lease, one try. Returns the seconds it has from now, 0 if it is gone.

        Raises StoreUnavailable, StorePermission, Refused.
        """

        def first_answer(host: _Host) -> Callable[..., Any]:
            return lambda request, **how: next(host.lease.LeaseKeepAlive(iter((request,)), **how), None)

        request = etcdrpc.LeaseKeepAliveRequest(ID=lease_id)
        host = self._hosts[self._current]
        try:
            answer = self._attempt(host, first_answer, request, timeout_s)
        except CallFailed as failure:
            self._react(host, failure)
            raise StoreUnavailable(str(failure)) from failure
        if answer is None:
            self.suspect(host)
            raise StoreUnavailable(f"etcd at {host.address} ended a renewal without an answer")
        self.admit(answer.header)
        return int(answer.TTL)

    def open_watch(self, requests: Iterator[Any]) -> tuple[_Host, Any]:
        """Return an endpoint and its open watch stream. The stream has no deadline: pings watch over it.

        Raises StoreUnavailable, StorePermission (when logging in fails).
        """
        host = self._hosts[self._current]
        try:
            stream = host.watch.Watch(requests, metadata=self._metadata(host, ATTEMPT_TIMEOUT_S))
        except grpc.RpcError as error:
            failure = self._failure(host, error)
            self._react(host, failure)
            raise StoreUnavailable(str(failure)) from failure
        except ValueError as error:
            raise self._closed_error() from error
        return host, stream

    # --- what was learnt from answers ----------------------------------------------------------------

    def admit(self, header: Any, floor: int = 0) -> None:
        """Take note of an answer's header, or refuse it.

        Raises StoreRestored if it is from another cluster, or from a history that ends before `floor`.
        """
        with self._lock:
            self._cluster_id = self._cluster_id or header.cluster_id
            expected = self._cluster_id
            if header.cluster_id == expected and header.revision >= floor:
                self._revision = max(self._revision, header.revision)
                return
        if header.cluster_id != expected:
            raise StoreRestored(f"etcd answers as cluster {header.cluster_id:x}, it was {expected:x} before")
        raise StoreRestored(f"etcd's revision went back from {floor} to {header.revision}")

    def suspect(self, host: _Host) -> None:
        """Use another endpoint from now on, if there is one, because `host` did not answer."""
        with self._lock:
            host.answered = False
            if self._hosts[self._current] is host:
                self._current = (self._current + 1) % len(self._hosts)

    def forget_token(self) -> bool:
        """Log in again before the next call. Returns false if we have no user to log in as."""
        with self._lock:
            self._token = None
        return self._endpoint.user is not None

    # --- inside --------------------------------------------------------------------------------------

    def _call(self, rpc: Callable[[_Host], Any], request: Any, timeout_s: float, *, repeatable: bool) -> Any:
        end = time.monotonic() + timeout_s
        logins = 0
        for pause in pauses():
            if not repeatable:
                self._reach(end - time.monotonic())
            host = self._hosts[self._current]
            left = max(end - time.monotonic(), 0.01)
            try:
                return self._attempt(host, rpc, request, min(ATTEMPT_TIMEOUT_S, left) if repeatable else left)
            except CallFailed as failure:
                logins += failure.verdict is Verdict.STALE_LOGIN
                if logins > 1:
                    raise StorePermission(str(failure)) from failure
                self._react(host, failure)
                if failure.verdict is Verdict.UNKNOWN and not repeatable:
                    raise OutcomeUnknown(
                        str(failure), hint="read back what was written before deciding what to do"
                    ) from failure
                if time.monotonic() + pause >= end:
                    raise StoreUnavailable(
                        str(failure), hint=remedy(str(failure), self._endpoint.hosts)
                    ) from failure
            self._closed.wait(pause)
        raise AssertionError("pauses never end")

    def _reach(self, timeout_s: float) -> None:
        """Make sure that somebody answers, so that a write is not lost in a connection never made."""
        if not self._hosts[self._current].answered:
            self.ask(STATUS, etcdrpc.StatusRequest(), timeout_s)

    def _attempt(self, host: _Host, rpc: Callable[[_Host], Any], request: Any, timeout_s: float) -> Any:
        try:
            metadata = self._metadata(host, timeout_s)
        except grpc.RpcError as error:
            raise self._failure(host, error, logging_in=True) from error
        except ValueError as error:
            raise self._closed_error() from error
        try:
            answer = rpc(host)(request, timeout=timeout_s, metadata=metadata)
        except grpc.RpcError as error:
            raise self._failure(host, error) from error
        except ValueError as error:
            raise self._closed_error() from error
        host.answered = True
        return answer

    def _react(self, host: _Host, failure: CallFailed) -> None:
        """Draw the consequences of a failed try; raise if another try cannot help."""
        if self._closed.is_set():
            raise self._closed_error() from failure
        if failure.verdict is Verdict.FORBIDDEN or (
            failure.verdict is Verdict.STALE_LOGIN and not self.forget_token()
        ):
            raise StorePermission(
                str(failure), hint="check the user, its roles and the client certificate in etcd"
            ) from failure
        if failure.verdict is Verdict.REFUSED:
            raise Refused(str(failure), failure.code) from failure
        if failure.verdict is not Verdict.STALE_LOGIN:
            self.suspect(host)

    def _failure(self, host: _Host, error: Any, *, logging_in: bool = False) -> CallFailed:
        code, details = error.code(), error.details() or ""
        verdict = classify(code, details)
        if logging_in and verdict is Verdict.UNKNOWN:
            verdict = Verdict.NOT_APPLIED  # the request itself was not sent yet
        return CallFailed(f"etcd at {host.address}: {_words(code)}: {details}", verdict, code)

    def _closed_error(self) -> StoreUnavailable:
        """Return the error for a call on a closed connection (grpc raises a bare ValueError)."""
        assert self._closed.is_set(), "grpc refused a call although the connection is open"
        return StoreUnavailable("the connection to etcd is closed")

    def _metadata(self, host: _Host, timeout_s: float) -> tuple[tuple[str, str], ...]:
        """Return what goes with every call.

        ``hasleader`` makes a member that lost its leader refuse at once, and end its streams, instead of
        staying silent (etcd ``server/etcdserver/api/v3rpc/interceptor.go``).
        """
        if self._endpoint.user is None:
            return (("hasleader", "true"),)
        with self._lock:
            token = self._token
        if token is None:
            request = etcdrpc.AuthenticateRequest(name=self._endpoint.user, password=self._endpoint.password)
            token = str(host.auth.Authenticate(request, timeout=timeout_s).token)
            with self._lock:
                self._token = token
        return (("hasleader", "true"), ("token", token))
