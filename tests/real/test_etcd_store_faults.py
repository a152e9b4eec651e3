"""The etcd store while etcd dies, hangs, forgets and refuses. Everything here is a real etcd."""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest

from reconciler.adapters.etcd_store import EtcdEndpoint, EtcdStore
from reconciler.errors import (
    EnvironmentProblem,
    OutcomeUnknown,
    StoreError,
    StorePermission,
    StoreUnavailable,
)
from reconciler.ports.store import Changes, Commit, Put, WatchEnded
from tests.servers import EtcdProcess, TlsFiles, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.real


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[EtcdProcess]:
    with EtcdProcess(tmp_path / "etcd") as process:
        yield process


@pytest.fixture
def store(etcd: EtcdProcess) -> Iterator[EtcdStore]:
    store = EtcdStore(etcd.endpoint)
    yield store
    store.close()


class Sink:
    def __init__(self) -> None:
        self.messages: list[Changes | WatchEnded] = []
        self._arrived = threading.Condition()

    def __call__(self, message: Changes | WatchEnded) -> None:
        with self._arrived:
            self.messages.append(message)
            self._arrived.notify_all()

    @property
    def batches(self) -> list[Changes]:
        return [message for message in self.messages if isinstance(message, Changes)]

    @property
    def values(self) -> list[str | None]:
        return [change.value for batch in self.batches for change in batch.changes]

    @property
    def ended(self) -> WatchEnded | None:
        return next((message for message in self.messages if isinstance(message, WatchEnded)), None)

    def wait_for_more_than(self, count: int) -> None:
        self.wait(lambda: len(self.values) > count)

    def wait(self, condition: Callable[[], object], timeout_s: float = 15.0) -> None:
        with self._arrived:
            assert self._arrived.wait_for(lambda: bool(condition()), timeout_s), self.messages


class Timed:
    """Runs a call in a thread of its own and keeps its outcome and how long it took."""

    def __init__(self, call: Callable[[], object]) -> None:
        self.outcome: object = None
        self.seconds = 0.0
        self._call = call
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        started = time.monotonic()
        try:
            self.outcome = self._call()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self.outcome = error
        self.seconds = time.monotonic() - started

    def join(self) -> object:
        self._thread.join(20)
        assert not self._thread.is_alive(), "the call hangs"
        return self.outcome


def put(store: EtcdStore, key: str, value: str, lease: int = 0) -> int:
    return store.commit(Commit(when=(), then=(Put(key, value, lease),))).revision


def test_a_watch_across_kill_and_restart_loses_nothing_and_doubles_nothing(
    etcd: EtcdProcess, store: EtcdStore
) -> None:
    start = put(store, "/w/start", "0")
    sink = Sink()
    store.watch("/w/", start, sink)
    done = threading.Event()

    def write() -> None:
        writer = EtcdStore(etcd.endpoint)
        for number in itertools.count():
            if done.is_set():
                break
            try:
                put(writer, f"/w/{number % 7}", str(number))
            except (StoreUnavailable, OutcomeUnknown):
                continue
        put(writer, "/w/end", "end")
        writer.close()

    thread = threading.Thread(target=write)
    thread.start()
    for _ in range(3):
        seen = len(sink.values)
        sink.wait_for_more_than(seen + 50)
        etcd.kill()
        etcd.start()
    done.set()
    thread.join(15)
    sink.wait(lambda: "end" in sink.values)

    truth = Sink()
    other = EtcdStore(etcd.endpoint)
    other.watch("/w/", start, truth)
    truth.wait(lambda: "end" in truth.values)
    other.close()
    assert sink.values == truth.values
    revisions = [batch.revision for batch in sink.batches]
    assert revisions == sorted(set(revisions))


def test_an_outage_costs_no_processor_time(etcd: EtcdProcess, store: EtcdStore) -> None:
    store.watch("/w/", put(store, "/w/start", "0"), Sink())
    lease = store.lease(60)
    etcd.kill()
    time.sleep(0.3)
    before = time.process_time()
    time.sleep(2.0)
    assert time.process_time() - before < 0.3
    etcd.start()
    lease.close()


def test_a_dead_etcd_is_unavailable_and_certainly_wrote_nothing(etcd: EtcdProcess) -> None:
    store = EtcdStore(etcd.endpoint, call_timeout_s=2.0)
    put(store, "/a", "1")
    etcd.kill()
    calls = [
        Timed(lambda: store.read("/a")),
        Timed(lambda: put(store, "/a", "2")),
        Timed(lambda: store.lease(5)),
    ]
    for call in calls:
        call.join()
        assert isinstance(call.outcome, StoreUnavailable)
        assert etcd.host in str(call.outcome)
        assert call.seconds < 3.0
    etcd.start()
    assert store.read("/a").value == "1"  # type: ignore[union-attr]  # written above
    store.close()


def test_a_hanging_etcd_hangs_nobody(etcd: EtcdProcess, store: EtcdStore) -> None:
    start = put(store, "/a", "1")
    sink = Sink()
    store.watch("/", start, sink)
    put(store, "/a", "2")
    sink.wait(lambda: sink.values == ["2"])
    lost_at: list[float] = []
    granted = time.monotonic()
    lease = store.lease(4, lambda: lost_at.append(time.monotonic()))
    put(store, "/alive", "x", lease.lease_id)
    untouched = EtcdStore(etcd.endpoint)
    hasty = EtcdStore(etcd.endpoint, call_timeout_s=1.5)
    hasty.read("/a")
    time.sleep(1.6)  # so that one renewal has moved the end of the lease

    etcd.pause()
    paused = time.monotonic()
    in_a_row = Timed(lambda: [type(Timed(lambda: put(hasty, "/d", "1")).join()) for _ in range(2)])
    read, first, listing, written = (
        Timed(call)
        for call in (
            lambda: store.read("/a"),
            lambda: put(untouched, "/b", "1"),
            lambda: untouched.read_prefix("/"),
            lambda: put(store, "/c", "1"),
        )
    )
    for call in (read, first, written):
        call.join()
        assert call.seconds < 6.5
    assert isinstance(read.outcome, StoreUnavailable)
    assert isinstance(first.outcome, StoreUnavailable), "nothing was sent over a connection never made"
    assert isinstance(written.outcome, OutcomeUnknown)
    in_a_row.join()
    assert in_a_row.outcome == [OutcomeUnknown, StoreUnavailable], "the second one must not be sent"
    assert lease.lost
    assert len(lost_at) == 1
    assert granted + 4 < lost_at[0] < paused + 4.0 - 0.4, (
        "renewed once, then lost before etcd could expire it"
    )

    etcd.resume()
    listing.join()
    put(store, "/a", "3")
    sink.wait(lambda: sink.values[-1] == "3")
    assert sink.values.count("3") == 1
    assert sink.ended is None
    untouched.close()
    hasty.close()
    assert len(lost_at) == 1


def test_a_store_closes_quickly_while_etcd_hangs(etcd: EtcdProcess) -> None:
    before = set(threading.enumerate())
    store = EtcdStore(etcd.endpoint)
    store.watch("/", put(store, "/a", "1"), Sink())
    store.lease(2)
    etcd.pause()
    waiting = Timed(lambda: store.read("/a"))
    time.sleep(0.5)
    started = time.monotonic()
    store.close()
    assert time.monotonic() - started < 2.2
    waiting.join()
    assert isinstance(waiting.outcome, StoreUnavailable)
    while set(threading.enumerate()) - before:
        assert time.monotonic() - started < 3.0, set(threading.enumerate()) - before
        time.sleep(0.02)


def test_a_lease_survives_a_restart_of_etcd(etcd: EtcdProcess, store: EtcdStore) -> None:
    lease = store.lease(2)
    put(store, "/alive", "x", lease.lease_id)
    etcd.kill()
    etcd.start()
    time.sleep(2.5)
    assert not lease.lost
    assert store.read("/alive") is not None
    lease.close()
    assert store.read("/alive") is None


def test_history_compacted_during_an_outage_ends_the_watch(
    etcd: EtcdProcess, store: EtcdStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reconciler.adapters.etcd_watch.pauses", lambda: itertools.repeat(1.5))
    sink = Sink()
    store.watch("/", put(store, "/a", "1"), sink)
    put(store, "/a", "2")
    sink.wait(lambda: sink.values == ["2"])
    etcd.kill()
    etcd.start()
    put(store, "/a", "3")
    compacted = put(store, "/a", "4")
    client = etcd.client()
    client.compact(compacted)
    client.close()
    sink.wait(lambda: sink.ended)
    assert sink.ended.compacted == compacted  # type: ignore[union-attr]  # waited for
    assert sink.values == ["2"]


def test_another_cluster_behind_the_address_is_refused(etcd: EtcdProcess, store: EtcdStore) -> None:
    sink = Sink()
    store.watch("/", put(store, "/a", "1"), sink)
    put(store, "/a", "2")
    sink.wait(lambda: sink.values == ["2"])
    etcd.kill()
    etcd.wipe()
    etcd.start()
    sink.wait(lambda: sink.ended)
    assert "answers as cluster" in sink.ended.reason  # type: ignore[union-attr]  # waited for
    for call in (lambda: store.read("/a"), lambda: put(store, "/a", "3"), lambda: store.lease(5)):
        with pytest.raises(StoreError, match="answers as cluster"):
            call()


def test_an_older_copy_of_the_data_is_refused(etcd: EtcdProcess, store: EtcdStore, tmp_path: Path) -> None:
    put(store, "/a", "1")
    etcd.stop()
    etcd.copy_data(etcd.data, tmp_path / "backup")
    etcd.start()
    sink = Sink()
    seen = put(store, "/a", "2")
    store.watch("/", seen - 1, sink)
    sink.wait(lambda: sink.values == ["2"])
    etcd.kill()
    etcd.copy_data(tmp_path / "backup", etcd.data)
    etcd.start()
    sink.wait(lambda: sink.ended)
    assert f"went back from {seen} to {seen - 1}" in sink.ended.reason  # type: ignore[union-attr]  # waited for
    with pytest.raises(StoreError, match="went back"):
        store.read("/a")


def test_a_dead_member_does_not_matter_while_another_answers(etcd: EtcdProcess) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    store = EtcdStore(EtcdEndpoint(hosts=(nobody, etcd.host)))
    started = time.monotonic()
    revision = put(store, "/a", "1")
    sink = Sink()
    store.watch("/", revision - 1, sink)
    sink.wait(lambda: sink.values == ["1"])
    lease = store.lease(5)
    assert not lease.lost
    assert time.monotonic() - started < 3.0
    store.close()


def test_tls_verifies_both_sides(tmp_path: Path) -> None:
    tls, foreign = TlsFiles.create(tmp_path / "tls"), TlsFiles.create(tmp_path / "foreign")
    with EtcdProcess(tmp_path / "etcd", tls=tls) as etcd:
        store = EtcdStore(etcd.endpoint)
        sink = Sink()
        store.watch("/", put(store, "/a", "1") - 1, sink)
        sink.wait(lambda: sink.values == ["1"])
        with_lease = store.lease(5)
        with_lease.close()
        store.close()
        strangers = (
            replace(etcd.endpoint, ca=foreign.ca),
            replace(etcd.endpoint, cert=foreign.client_cert, key=foreign.client_key),
            replace(etcd.endpoint, cert=None, key=None),
            EtcdEndpoint(hosts=(etcd.host,)),
        )
        stores = [EtcdStore(endpoint, call_timeout_s=1.5) for endpoint in strangers]
        attempts = [Timed(partial(put, one, "/b", "1")) for one in stores]
        for attempt in attempts:
            attempt.join()
            assert isinstance(attempt.outcome, StoreUnavailable)
        for one in stores:
            one.close()
    with pytest.raises(EnvironmentProblem, match=r"nothing\.pem"):
        EtcdStore(EtcdEndpoint(hosts=("127.0.0.1:1",), ca=tmp_path / "nothing.pem"))


def test_users_are_contained_and_survive_a_restart(etcd: EtcdProcess) -> None:
    for command in (
        "user add root:r",
        "user grant-role root root",
        "role add agent",
        "role grant-permission agent --prefix=true readwrite /mine/",
        "user add agent:secret",
        "user grant-role agent agent",
        "auth enable",
    ):
        etcd.control(command)
    agent = EtcdStore(replace(etcd.endpoint, user="agent", password="secret"))
    revision = put(agent, "/mine/a", "1")
    mine, theirs = Sink(), Sink()
    agent.watch("/mine/", revision, mine)
    agent.watch("/theirs/", revision, theirs)
    theirs.wait(lambda: theirs.ended)
    assert "permission denied" in theirs.ended.reason  # type: ignore[union-attr]  # waited for
    for call in (
        lambda: put(agent, "/theirs/a", "1"),
        lambda: agent.read("/theirs/a"),
        lambda: agent.read_prefix("/"),
    ):
        with pytest.raises(StorePermission):
            call()

    etcd.kill()  # etcd forgets the tokens it gave out
    etcd.start()
    etcd.control("--user root:r put /mine/a 2")
    mine.wait(lambda: mine.values == ["2"])
    etcd.kill()
    etcd.start()
    put(agent, "/mine/a", "3")
    mine.wait(lambda: mine.values == ["2", "3"])
    assert mine.ended is None
    agent.close()

    for user, password in (("agent", "wrong"), (None, None)):
        stranger = EtcdStore(replace(etcd.endpoint, user=user, password=password))
        with pytest.raises(StorePermission):
            put(stranger, "/mine/a", "3")
        stranger.close()
