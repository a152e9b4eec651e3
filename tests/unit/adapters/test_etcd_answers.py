"""How answers of etcd are read: errors, watch responses, messages. No server needed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from grpc import StatusCode

from reconciler.adapters.etcd_connection import EtcdConnection, EtcdEndpoint
from reconciler.adapters.etcd_errors import Verdict, ailment, classify, remedy
from reconciler.adapters.etcd_messages import etcdrpc, register
from reconciler.adapters.etcd_watch import WatchFold, key_range, text
from reconciler.errors import EnvironmentProblem
from reconciler.ports.store import Changes, WatchEnded


@pytest.mark.parametrize(
    ("code", "details", "verdict"),
    [
        (StatusCode.UNAVAILABLE, "etcdserver: no leader", Verdict.NOT_APPLIED),
        (StatusCode.UNAVAILABLE, "failed to connect to all addresses; last error: …", Verdict.NOT_APPLIED),
        (StatusCode.RESOURCE_EXHAUSTED, "etcdserver: too many requests", Verdict.NOT_APPLIED),
        (StatusCode.UNAVAILABLE, "Socket closed", Verdict.UNKNOWN),
        (StatusCode.UNAVAILABLE, "etcdserver: request timed out", Verdict.UNKNOWN),
        (StatusCode.UNAVAILABLE, "etcdserver: server stopped", Verdict.UNKNOWN),
        (StatusCode.UNAVAILABLE, "etcdserver: leader changed", Verdict.UNKNOWN),
        (StatusCode.RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded", Verdict.UNKNOWN),
        (StatusCode.RESOURCE_EXHAUSTED, "CLIENT: Received message larger than max", Verdict.UNKNOWN),
        (StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded", Verdict.UNKNOWN),
        (StatusCode.CANCELLED, "", Verdict.UNKNOWN),
        (StatusCode.PERMISSION_DENIED, "etcdserver: permission denied", Verdict.FORBIDDEN),
        (StatusCode.INVALID_ARGUMENT, "etcdserver: user name is empty", Verdict.FORBIDDEN),
        (
            StatusCode.INVALID_ARGUMENT,
            "etcdserver: authentication failed, invalid user ID or password",
            Verdict.FORBIDDEN,
        ),
        (StatusCode.UNAUTHENTICATED, "etcdserver: invalid auth token", Verdict.STALE_LOGIN),
        (StatusCode.INVALID_ARGUMENT, "etcdserver: revision of auth store is old", Verdict.STALE_LOGIN),
        (StatusCode.NOT_FOUND, "etcdserver: requested lease not found", Verdict.REFUSED),
        (StatusCode.INVALID_ARGUMENT, "etcdserver: request is too large", Verdict.REFUSED),
    ],
)
def test_only_certain_failures_are_called_certain(code: StatusCode, details: str, verdict: Verdict) -> None:
    assert classify(code, details) is verdict


def response(*revisions: int, **fields: Any) -> Any:
    events = [
        etcdrpc.Event(type=etcdrpc.Event.PUT, kv=etcdrpc.KeyValue(key=b"/k", value=b"v", mod_revision=one))
        for one in revisions
    ]
    return etcdrpc.WatchResponse(events=events, **fields)


def revisions(outcome: Changes | WatchEnded | None) -> list[int]:
    assert isinstance(outcome, Changes)
    return [change.mod_revision for change in outcome.changes]


def test_fragments_become_one_batch() -> None:
    fold = WatchFold(after=4)
    assert fold.take(response(5, 5, fragment=True)) is None
    assert fold.take(response(5, fragment=True)) is None
    assert fold.last == 4, "a reconnect now must ask for all of it again"
    assert revisions(fold.take(response(5, 6))) == [5, 5, 5, 5, 6]
    assert fold.last == 6


def test_a_reconnect_amid_fragments_delivers_nothing_twice() -> None:
    fold = WatchFold(after=4)
    assert fold.take(response(5, 5, fragment=True)) is None
    fold.reopened()
    assert revisions(fold.take(response(5, 5, 5))) == [5, 5, 5]


def test_what_was_delivered_before_is_dropped() -> None:
    fold = WatchFold(after=4)
    assert fold.take(response(3, 4)) is None
    assert revisions(fold.take(response(4, 5))) == [5]
    assert fold.take(response(5)) is None


def test_an_empty_response_does_not_advance() -> None:
    fold = WatchFold(after=4)
    assert fold.take(response(header=etcdrpc.ResponseHeader(revision=99))) is None
    assert fold.last == 4


def test_compaction_and_cancellation_end_the_watch() -> None:
    compacted = WatchFold(after=4).take(response(compact_revision=9, canceled=True))
    assert isinstance(compacted, WatchEnded)
    assert compacted.compacted == 9
    cancelled = WatchFold(after=4).take(response(canceled=True, cancel_reason="permission denied"))
    assert cancelled == WatchEnded(reason="permission denied")


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [("", (b"\0", b"\0")), ("/a/", (b"/a/", b"/a0")), ("é", (b"\xc3\xa9", b"\xc3\xaa"))],
)
def test_a_prefix_is_a_range(prefix: str, expected: tuple[bytes, bytes]) -> None:
    assert key_range(prefix) == expected


def test_the_last_code_point_still_has_an_end() -> None:
    first, end = key_range("\U0010ffff")
    assert first < "\U0010ffff/x".encode() < end


def test_foreign_bytes_do_not_break_a_listing() -> None:
    assert text(b"ok \xff") == "ok \\xff"


def test_a_comparison_with_zero_is_on_the_wire() -> None:
    message = etcdrpc.Compare(key=b"a", target=etcdrpc.Compare.MOD, mod_revision=0)
    assert message.SerializeToString() == b"\x10\x02\x1a\x01a\x30\x00"
    assert etcdrpc.Compare.FromString(b"\x20\x05").WhichOneof("target_union") == "version"


def test_etcd3_uses_our_messages_and_another_copy_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    register()
    assert sys.modules["etcd3"].etcdrpc is etcdrpc
    monkeypatch.setitem(sys.modules, "etcd3.etcdrpc", object())
    with pytest.raises(ImportError):
        register()


def test_an_endpoint_hides_its_password_and_refuses_halves(tmp_path: Any) -> None:
    assert "secret" not in repr(EtcdEndpoint(hosts=("a:1",), user="u", password="secret"))
    for wrong in (
        {"hosts": ()},
        {"hosts": ("a:1",), "user": "u"},
        {"hosts": ("a:1",), "cert": tmp_path, "ca": tmp_path},
        {"hosts": ("a:1",), "cert": tmp_path, "key": tmp_path},
    ):
        with pytest.raises(ValueError, match="needs"):
            EtcdEndpoint(**wrong)


def test_tls_files_that_are_none_are_named_before_grpc_sees_them(tmp_path: Path) -> None:
    bad = tmp_path / "ca.pem"
    bad.write_text("no certificate")
    with pytest.raises(EnvironmentProblem, match=f"{bad}: no PEM certificate"):
        EtcdConnection(EtcdEndpoint(hosts=("127.0.0.1:1",), ca=bad))
    with pytest.raises(EnvironmentProblem, match="cannot read a TLS file"):
        EtcdConnection(EtcdEndpoint(hosts=("127.0.0.1:1",), ca=tmp_path))


def test_the_remedy_for_no_answer_tells_tls_from_an_etcd_that_is_away() -> None:
    tls = "last error: UNAVAILABLE: ipv4:127.0.0.1:24579: Unwrap failed (TSI_DATA_CORRUPTED)"
    assert "client certificate" in remedy(tls, ("a:1",))
    assert remedy("last error: Connection refused", ("a:1", "b:2")) == "is etcd running at a:1, b:2?"


def test_what_a_member_suffers_from_is_told_with_the_way_out() -> None:
    # As etcd 3.4 to 3.6 write them: AlarmMember.String() and rpctypes.ErrNoLeader.
    assert "defragment" in ailment("memberID:13803658152347727308 alarm:NOSPACE ")
    assert "replace that member" in ailment("memberID:1 alarm:CORRUPT ")
    assert "no leader" in ailment("etcdserver: no leader")
    assert ailment("something new") == "etcd says: something new"
