"""What every store must do: one suite, run on etcd and on its twin in memory."""

from __future__ import annotations

import threading
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import pytest

from reconciler.adapters.etcd_store import EtcdStore
from reconciler.adapters.memory_store import MemoryStore
from reconciler.errors import OutcomeUnknown, StoreError, StoreUnavailable
from reconciler.ports.store import (
    MAX_OPS,
    MAX_VALUE_BYTES,
    Absent,
    Changes,
    Commit,
    CreatedAt,
    Delete,
    ModifiedAt,
    Put,
    WatchEnded,
)
from tests.servers import EtcdProcess, Relay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from reconciler.ports.store import Change, Committed, Store

WAIT_S = 5.0


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdProcess]:
    with EtcdProcess(tmp_path_factory.mktemp("etcd")) as process:
        yield process


@dataclass
class Stores:
    """Two clients of the same data, a prefix of our own, and what a test can do behind their backs.

    `cut` cuts `other` off, until `mend`.
    """

    store: Store
    other: Store
    compact: Callable[[int], None]
    revoke: Callable[[int], None]
    cut: Callable[[], None]
    mend: Callable[[], None]
    prefix: str = field(default_factory=lambda: f"/test/{uuid.uuid4().hex}/")


@pytest.fixture(params=["memory", "memory inline", pytest.param("etcd", marks=pytest.mark.real)])
def stores(request: pytest.FixtureRequest) -> Iterator[Stores]:
    if request.param == "etcd":
        yield from _on_etcd(request.getfixturevalue("etcd"))
        return
    store = MemoryStore(inline=request.param == "memory inline")
    other = store.another()
    yield Stores(store, other, store.compact, store.expire, other.cut, other.mend)
    other.close()
    store.close()


def _on_etcd(etcd: EtcdProcess) -> Iterator[Stores]:
    with Relay(etcd.host) as relay:
        store = EtcdStore(etcd.endpoint)
        other = EtcdStore(replace(etcd.endpoint, hosts=(relay.host,)), call_timeout_s=2.0)
        client = etcd.client()
        yield Stores(store, other, client.compact, client.revoke_lease, relay.cut, relay.mend)
        client.close()
        other.close()
        store.close()


@dataclass
class Narrow:
    """A store that a test can fill up, and empty again."""

    store: Store
    fill: Callable[[], None]
    make_room: Callable[[], None]


@pytest.fixture(params=["memory", pytest.param("etcd", marks=pytest.mark.real)])
def narrow(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Narrow]:
    if request.param == "memory":
        twin = MemoryStore(inline=True)
        yield Narrow(twin, partial(twin.set_full, True), partial(twin.set_full, False))
        twin.close()
        return
    with EtcdProcess(tmp_path / "narrow", extra=("--quota-backend-bytes", str(4 * 1024 * 1024))) as etcd:
        store, client = EtcdStore(etcd.endpoint, call_timeout_s=2.0), etcd.client()

        def fill() -> None:
            with suppress(OutcomeUnknown):  # the last one, which raises the alarm
                for number in range(100):
                    put(store, f"/fill/{number}", "x" * MAX_VALUE_BYTES)

        def make_room() -> None:
            names = [entry.key for entry in store.read_prefix("/fill/").entries]
            revision = store.commit(Commit(when=(), then=tuple(Delete(name) for name in names))).revision
            client.compact(revision, physical=True)
            etcd.control("defrag")
            etcd.control("alarm disarm")

        yield Narrow(store, fill, make_room)
        client.close()
        store.close()


class Sink:
    """Collects what a watch delivers, and notes when two calls overlap."""

    def __init__(self) -> None:
        self.messages: list[Changes | WatchEnded] = []
        self.overlapped = False
        self._busy = threading.Lock()
        self._arrived = threading.Condition()

    def __call__(self, message: Changes | WatchEnded) -> None:
        if not self._busy.acquire(blocking=False):
            self.overlapped = True
        with self._arrived:
            self.messages.append(message)
            self._arrived.notify_all()
        self._busy.release()

    def batches(self) -> list[Changes]:
        return [message for message in self.messages if isinstance(message, Changes)]

    def changes(self) -> list[Change]:
        return [one for batch in self.batches() for one in batch.changes]

    def ended(self) -> WatchEnded | None:
        return next((message for message in self.messages if isinstance(message, WatchEnded)), None)

    def wait(self, condition: Callable[[], object], timeout_s: float = WAIT_S) -> None:
        with self._arrived:
            assert self._arrived.wait_for(lambda: bool(condition()), timeout_s), self.messages


def put(store: Store, key: str, value: str, lease: int = 0) -> Committed:
    return store.commit(Commit(when=(), then=(Put(key, value, lease),)))


def eventually(condition: Callable[[], object], timeout_s: float = WAIT_S) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "did not come about in time"
        time.sleep(0.01)


# --- reading and writing -----------------------------------------------------------------------------


def test_an_absent_key_reads_as_none(stores: Stores) -> None:
    assert stores.store.read(stores.prefix + "nothing") is None


def test_another_client_reads_what_was_written_with_its_revisions(stores: Stores) -> None:
    key = stores.prefix + "a"
    first = put(stores.store, key, "één")
    second = put(stores.store, key, "two")
    entry = stores.other.read(key)
    assert entry is not None
    assert (entry.key, entry.value, entry.lease) == (key, "two", 0)
    assert (entry.create_revision, entry.mod_revision) == (first.revision, second.revision)
    assert second.revision == first.revision + 1


def test_a_deleted_and_recreated_key_is_another_creation(stores: Stores) -> None:
    key = stores.prefix + "a"
    before = put(stores.store, key, "1")
    stores.store.commit(Commit(when=(), then=(Delete(key),)))
    assert stores.store.read(key) is None
    after = put(stores.store, key, "1")
    entry = stores.store.read(key)
    assert entry is not None
    assert entry.create_revision == after.revision != before.revision


def test_a_listing_is_sorted_and_of_one_revision_and_of_the_prefix_only(stores: Stores) -> None:
    for name in ("b", "a", "é", "c/d", "c"):
        put(stores.store, stores.prefix + name, name)
    last = put(stores.store, stores.prefix[:-1] + "0", "the first key after the prefix")
    snapshot = stores.other.read_prefix(stores.prefix)
    assert [entry.value for entry in snapshot.entries] == ["a", "b", "c", "c/d", "é"]
    assert snapshot.revision == last.revision


def test_a_listing_of_several_pages_is_complete(stores: Stores) -> None:
    keys = [f"{stores.prefix}{number:05}" for number in range(2050)]
    for start in range(0, len(keys), MAX_OPS):
        batch = tuple(Put(key, key) for key in keys[start : start + MAX_OPS])
        stores.store.commit(Commit(when=(), then=batch))
    snapshot = stores.other.read_prefix(stores.prefix)
    assert [entry.key for entry in snapshot.entries] == keys


def test_a_listing_of_several_pages_is_of_one_revision_while_others_write(stores: Stores) -> None:
    first = tuple(Put(f"{stores.prefix}{number:05}", "0") for number in range(MAX_OPS))
    for start in range(0, 1500, MAX_OPS):
        names = tuple(f"{stores.prefix}{number:05}" for number in range(start, start + MAX_OPS))
        stores.store.commit(Commit(when=(), then=tuple(Put(name, "0") for name in names)))
    stop = threading.Event()

    def write_both_ends() -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            ends = (Put(first[0].key, str(turn)), Put(f"{stores.prefix}01499", str(turn)))
            stores.other.commit(Commit(when=(), then=ends))

    writer = threading.Thread(target=write_both_ends)
    writer.start()
    try:
        for _ in range(5):
            entries = stores.store.read_prefix(stores.prefix).entries
            assert entries[0].value == entries[-1].value
    finally:
        stop.set()
        writer.join()


def test_a_failed_comparison_changes_nothing(stores: Stores) -> None:
    key = stores.prefix + "a"
    made = put(stores.store, key, "1")
    for compare in (Absent(key), CreatedAt(key, made.revision + 1), ModifiedAt(key, 0)):
        answer = stores.store.commit(
            Commit(when=(compare,), then=(Put(key, "2"), Put(key + "b", "2"), Delete(key + "c")))
        )
        assert not answer.succeeded
        assert answer.revision == made.revision
    assert [entry.value for entry in stores.store.read_prefix(stores.prefix).entries] == ["1"]


def test_all_comparisons_must_hold(stores: Stores) -> None:
    key, new = stores.prefix + "a", stores.prefix + "new"
    made = put(stores.store, key, "1")
    holding = (Absent(new), ModifiedAt(new, 0), CreatedAt(key, made.revision), ModifiedAt(key, made.revision))
    assert not stores.store.commit(Commit(when=(*holding, Absent(key)), then=(Put(new, "x"),))).succeeded
    assert stores.store.commit(Commit(when=holding, then=(Put(new, "x"),))).succeeded


def test_created_at_does_not_hold_for_an_absent_key(stores: Stores) -> None:
    gone = CreatedAt(stores.prefix + "a", 7)
    assert not stores.store.commit(Commit(when=(gone,), then=())).succeeded


def test_created_at_holds_after_a_modification_and_modified_at_does_not(stores: Stores) -> None:
    key = stores.prefix + "a"
    made = put(stores.store, key, "1")
    put(stores.store, key, "2")
    assert stores.store.commit(Commit(when=(CreatedAt(key, made.revision),), then=())).succeeded
    assert not stores.store.commit(Commit(when=(ModifiedAt(key, made.revision),), then=())).succeeded


def test_deleting_an_absent_key_is_no_revision(stores: Stores) -> None:
    before = put(stores.store, stores.prefix + "a", "1")
    answer = stores.store.commit(Commit(when=(), then=(Delete(stores.prefix + "b"),)))
    assert answer.succeeded
    assert answer.revision == before.revision


def test_one_of_two_competing_creations_wins(stores: Stores) -> None:
    key = stores.prefix + "lock"
    answers = []

    def compete(store: Store) -> None:
        answers.append(store.commit(Commit(when=(Absent(key),), then=(Put(key, "mine"),))))

    threads = [threading.Thread(target=compete, args=(store,)) for store in (stores.store, stores.other) * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.succeeded for answer in answers].count(True) == 1


@pytest.mark.parametrize(
    "commit",
    [
        Commit(when=(), then=(Put("/a", "x" * (MAX_VALUE_BYTES + 1)),)),
        Commit(when=(), then=(Put("/a", "é" * (MAX_VALUE_BYTES // 2 + 1)),)),
        Commit(when=(), then=tuple(Put(f"/{number}", "") for number in range(MAX_OPS + 1))),
        Commit(when=tuple(Absent(f"/{number}") for number in range(MAX_OPS + 1)), then=()),
        Commit(when=(), then=(Put("/a", ""), Delete("/a"))),
        Commit(when=(CreatedAt("/a", 0),), then=()),
        Commit(when=(ModifiedAt("/a", -1),), then=()),
        Commit(when=(), then=(Put("", ""),)),
        Commit(when=(Absent(""),), then=()),
    ],
)
def test_a_commit_beyond_the_limits_is_refused(stores: Stores, commit: Commit) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each message names its own fact
        stores.store.commit(commit)


def test_the_largest_commit_is_accepted(stores: Stores) -> None:
    half = tuple(Put(f"{stores.prefix}{number:03}", "v") for number in range(MAX_OPS))
    assert stores.store.commit(Commit(when=tuple(Absent(one.key) for one in half), then=half)).succeeded
    assert put(stores.store, stores.prefix + "big", "x" * MAX_VALUE_BYTES).succeeded
    entry = stores.other.read(stores.prefix + "big")
    assert entry is not None
    assert len(entry.value) == MAX_VALUE_BYTES


# --- watches -----------------------------------------------------------------------------------------


def test_a_watch_delivers_history_and_then_news_in_order_and_once(stores: Stores) -> None:
    start = put(stores.store, stores.prefix + "before", "not wanted").revision
    put(stores.store, stores.prefix + "a", "1")
    sink = Sink()
    watch = stores.other.watch(stores.prefix, start, sink)
    put(stores.store, stores.prefix[:-1] + "0", "outside")
    put(stores.store, stores.prefix + "a", "2")
    stores.store.commit(Commit(when=(), then=(Delete(stores.prefix + "a"),)))
    sink.wait(lambda: len(sink.changes()) == 3)
    put(stores.store, stores.prefix + "a", "4")
    sink.wait(lambda: len(sink.changes()) == 4)
    assert [one.value for one in sink.changes()] == ["1", "2", None, "4"]
    assert [one.mod_revision for one in sink.changes()] == [start + 1, start + 3, start + 4, start + 5]
    assert [one.create_revision for one in sink.changes()] == [start + 1, start + 1, 0, start + 5]
    assert all(batch.revision == batch.changes[-1].mod_revision for batch in sink.batches())
    assert not sink.overlapped
    watch.close()


def test_a_commit_arrives_as_one_batch(stores: Stores) -> None:
    sink = Sink()
    watch = stores.other.watch(stores.prefix, stores.store.read_prefix("/").revision, sink)
    many = tuple(Put(f"{stores.prefix}{number}", "x" * 30_000) for number in range(40))
    stores.store.commit(Commit(when=(), then=many))
    sink.wait(lambda: sink.messages)
    assert len(sink.messages) == 1
    assert len(sink.changes()) == 40
    watch.close()


def test_a_long_history_arrives_whole_and_no_commit_is_torn(stores: Stores) -> None:
    start = stores.store.read_prefix(stores.prefix).revision
    for _ in range(12):  # 3.6 MB: etcd sends 2 MB, which are 20 of these events, and then the rest
        three = tuple(Put(f"{stores.prefix}{name}", "x" * 100_000) for name in "abc")
        stores.store.commit(Commit(when=(), then=three))
    sink = Sink()
    stores.other.watch(stores.prefix, start, sink)
    sink.wait(lambda: len(sink.changes()) == 36)
    assert [one.mod_revision - start for one in sink.changes()] == [n for n in range(1, 13) for _ in "abc"]
    for batch in sink.messages:
        assert isinstance(batch, Changes)
        assert len(batch.changes) % 3 == 0


def test_a_closed_watch_is_silent_and_closing_twice_is_fine(stores: Stores) -> None:
    sink = Sink()
    watch = stores.other.watch(stores.prefix, stores.store.read_prefix("/").revision, sink)
    put(stores.store, stores.prefix + "a", "1")
    sink.wait(sink.changes)
    watch.close()
    put(stores.store, stores.prefix + "a", "2")
    watch.close()
    time.sleep(0.1)
    assert len(sink.changes()) == 1


def test_a_sink_may_close_its_watch_and_may_write(stores: Stores) -> None:
    seen = []
    started = threading.Event()

    def sink(message: Changes | WatchEnded) -> None:
        started.wait(WAIT_S)
        seen.append(message)
        put(stores.other, stores.prefix + "from the sink", "x")
        watch.close()

    watch = stores.other.watch(stores.prefix, stores.store.read_prefix("/").revision, sink)
    started.set()
    put(stores.store, stores.prefix + "a", "1")
    eventually(lambda: stores.store.read(stores.prefix + "from the sink"))
    time.sleep(0.1)
    assert len(seen) == 1


def test_a_watch_from_compacted_history_ends_with_the_revision(stores: Stores) -> None:
    key = stores.prefix + "a"
    start = put(stores.store, key, "1").revision
    put(stores.store, key, "2")
    compacted = put(stores.store, key, "3").revision
    put(stores.store, key, "4")
    stores.compact(compacted)
    late, exact = Sink(), Sink()
    stores.other.watch(stores.prefix, start, late)
    late.wait(late.ended)
    assert late.messages == [WatchEnded(reason=late.ended().reason, compacted=compacted)]  # type: ignore[union-attr]  # waited for
    stores.other.watch(stores.prefix, compacted - 1, exact)
    exact.wait(lambda: len(exact.changes()) == 2)
    assert [one.value for one in exact.changes()] == ["3", "4"]


def test_a_watch_of_a_future_that_the_store_never_had_ends_with_a_reason(stores: Stores) -> None:
    sink = Sink()
    now = stores.store.read_prefix(stores.prefix).revision
    stores.other.watch(stores.prefix, now + 1000, sink)
    sink.wait(sink.ended)
    assert f"from {now + 1000} to {now}" in sink.ended().reason  # type: ignore[union-attr]  # waited for


def test_two_watches_of_one_client_are_independent(stores: Stores) -> None:
    start = stores.store.read_prefix("/").revision
    left, right = Sink(), Sink()
    first = stores.other.watch(stores.prefix + "l/", start, left)
    stores.other.watch(stores.prefix + "r/", start, right)
    put(stores.store, stores.prefix + "l/a", "1")
    left.wait(left.changes)
    first.close()
    put(stores.store, stores.prefix + "r/a", "2")
    right.wait(right.changes)
    assert [one.value for one in left.changes() + right.changes()] == ["1", "2"]


# --- leases ------------------------------------------------------------------------------------------


def test_a_key_with_a_lease_goes_when_the_lease_is_closed(stores: Stores) -> None:
    key = stores.prefix + "alive"
    lost = []
    lease = stores.store.lease(10, lambda: lost.append(1))
    put(stores.store, key, "x", lease.lease_id)
    entry = stores.other.read(key)
    assert entry is not None
    assert entry.lease == lease.lease_id != 0
    lost_before = lease.lost
    lease.close()
    lease.close()
    assert stores.other.read(key) is None
    assert (lost_before, lease.lost) == (False, True)
    assert lost == []


def test_all_keys_of_a_lease_go_in_one_batch(stores: Stores) -> None:
    lease = stores.store.lease(10)
    for name in ("b", "a"):
        put(stores.store, stores.prefix + name, "x", lease.lease_id)
    sink = Sink()
    stores.other.watch(stores.prefix, stores.store.read_prefix("/").revision, sink)
    lease.close()
    sink.wait(sink.changes)
    assert len(sink.messages) == 1
    assert [(one.key[-1], one.value) for one in sink.changes()] == [("a", None), ("b", None)]


def test_a_key_rewritten_without_the_lease_stays(stores: Stores) -> None:
    key = stores.prefix + "alive"
    lease = stores.store.lease(10)
    put(stores.store, key, "x", lease.lease_id)
    put(stores.store, key, "y")
    lease.close()
    entry = stores.other.read(key)
    assert entry is not None
    assert (entry.value, entry.lease) == ("y", 0)


def test_a_lease_revoked_by_somebody_else_is_declared_lost_once(stores: Stores) -> None:
    lost = []
    lease = stores.store.lease(2, lambda: lost.append(lease.lost))
    put(stores.store, stores.prefix + "alive", "x", lease.lease_id)
    stores.revoke(lease.lease_id)
    eventually(lambda: lost)
    assert lease.lost
    assert stores.other.read(stores.prefix + "alive") is None
    lease.close()
    time.sleep(0.1)
    assert lost == [True]


def test_a_write_with_a_lease_that_is_gone_is_refused_and_changes_nothing(stores: Stores) -> None:
    lease = stores.store.lease(10)
    lease.close()
    with pytest.raises(StoreError, match="lease") as raised:
        stores.store.commit(
            Commit(
                when=(), then=(Put(stores.prefix + "a", "x"), Put(stores.prefix + "b", "x", lease.lease_id))
            )
        )
    assert not isinstance(raised.value, StoreUnavailable), "a retry would not help"
    assert stores.store.read_prefix(stores.prefix).entries == ()


def test_the_lease_is_not_looked_at_when_the_comparison_fails(stores: Stores) -> None:
    put(stores.store, stores.prefix + "a", "1")
    lease = stores.store.lease(10)
    lease.close()
    guarded = Commit(
        when=(Absent(stores.prefix + "a"),), then=(Put(stores.prefix + "a", "2", lease.lease_id),)
    )
    assert not stores.store.commit(guarded).succeeded


# --- a bad connection, and no space -------------------------------------------------------------------


def test_a_watch_that_was_cut_off_catches_up_in_order_and_once(stores: Stores) -> None:
    start = put(stores.store, stores.prefix + "a", "1").revision
    sink = Sink()
    stores.other.watch(stores.prefix, start, sink)
    put(stores.store, stores.prefix + "a", "2")
    sink.wait(sink.changes)
    stores.cut()
    put(stores.store, stores.prefix + "a", "3")
    stores.store.commit(Commit(when=(), then=(Delete(stores.prefix + "a"),)))
    put(stores.store, stores.prefix + "b", "4")
    with pytest.raises(StoreUnavailable):
        stores.other.read(stores.prefix + "a")
    time.sleep(0.1)
    assert len(sink.changes()) == 1
    stores.mend()
    stores.mend()
    put(stores.store, stores.prefix + "b", "5")
    sink.wait(lambda: len(sink.changes()) == 5)
    assert [one.value for one in sink.changes()] == ["2", "3", None, "4", "5"]
    assert stores.other.read(stores.prefix + "b") is not None


def test_a_write_while_cut_off_is_not_there_or_unknown(stores: Stores) -> None:
    put(stores.other, stores.prefix + "a", "1")
    stores.cut()
    with pytest.raises((StoreUnavailable, OutcomeUnknown)):
        put(stores.other, stores.prefix + "a", "2")
    with pytest.raises(StoreUnavailable):
        put(stores.other, stores.prefix + "a", "3")
    entry = stores.store.read(stores.prefix + "a")
    assert entry is not None
    assert entry.value == "1"
    stores.mend()
    assert put(stores.other, stores.prefix + "a", "4").succeeded


def test_a_watch_opened_while_cut_off_begins_when_it_can(stores: Stores) -> None:
    start = put(stores.store, stores.prefix + "a", "1").revision
    stores.cut()
    sink = Sink()
    watch = stores.other.watch(stores.prefix, start, sink)
    gone = Sink()
    stores.other.watch(stores.prefix, start, gone).close()
    put(stores.store, stores.prefix + "a", "2")
    stores.mend()
    sink.wait(sink.changes)
    assert [one.value for one in sink.changes()] == ["2"]
    assert gone.messages == []
    watch.close()


def test_history_compacted_while_cut_off_ends_the_watch(stores: Stores) -> None:
    start = put(stores.store, stores.prefix + "a", "1").revision
    sink, following = Sink(), Sink()
    stores.other.watch(stores.prefix, start, sink)
    stores.store.watch(stores.prefix, start, following)
    stores.cut()
    put(stores.store, stores.prefix + "a", "2")
    compacted = put(stores.store, stores.prefix + "a", "3").revision
    following.wait(lambda: len(following.changes()) == 2)
    stores.compact(compacted)
    stores.mend()
    sink.wait(sink.ended)
    assert sink.ended().compacted == compacted  # type: ignore[union-attr]  # waited for
    assert sink.changes() == []
    put(stores.store, stores.prefix + "a", "4")
    following.wait(lambda: len(following.changes()) == 3)
    assert following.ended() is None, "who has kept up does not notice"


def test_a_lease_that_is_cut_off_is_lost_before_its_key_goes(stores: Stores) -> None:
    key = stores.prefix + "alive"
    lost: list[int] = []
    lease = stores.other.lease(2, lambda: lost.append(1))
    kept = stores.store.lease(2)
    put(stores.other, key, "x", lease.lease_id)
    put(stores.store, stores.prefix + "kept", "x", kept.lease_id)
    stores.cut()
    eventually(lambda: stores.store.read(key) is None, 10.0)
    assert lost == [1]
    assert lease.lost
    assert stores.store.read(stores.prefix + "kept") is not None
    stores.mend()
    assert stores.other.read(key) is None


def test_a_short_cut_costs_no_lease(stores: Stores) -> None:
    lost: list[int] = []
    lease = stores.other.lease(3, lambda: lost.append(1))
    put(stores.other, stores.prefix + "alive", "x", lease.lease_id)
    stores.cut()
    time.sleep(0.2)
    stores.mend()
    time.sleep(3.5)
    assert (lost, lease.lost) == ([], False)
    assert stores.store.read(stores.prefix + "alive") is not None


def test_a_full_store_takes_nothing_that_grows_it_and_says_that_it_may_have(narrow: Narrow) -> None:
    store = narrow.store
    put(store, "/a", "1")
    lease = store.lease(60)
    put(store, "/alive", "x", lease.lease_id)
    start = put(store, "/old", "x").revision
    assert store.ailment() == ""
    narrow.fill()
    assert "no space left" in store.ailment()
    for when in ((), (Absent("/a"),)):
        with pytest.raises(OutcomeUnknown):
            store.commit(Commit(when=when, then=(Delete("/old"), Put("/a", "2"))))
    with pytest.raises(StoreUnavailable):
        store.lease(60)
    entry = store.read("/a")
    assert entry is not None
    assert entry.value == "1"
    sink = Sink()
    store.watch("/old", start, sink)
    assert store.commit(Commit(when=(ModifiedAt("/old", start),), then=(Delete("/old"),))).succeeded
    sink.wait(sink.changes)
    assert not lease.lost
    lease.close()
    assert store.read("/alive") is None
    narrow.make_room()
    assert store.ailment() == ""
    assert put(store, "/a", "3").succeeded
    assert not store.lease(60).lost


# --- closing -----------------------------------------------------------------------------------------


def test_a_closed_store_ends_its_watches_and_threads_and_refuses_calls(stores: Stores) -> None:
    threads_before = set(threading.enumerate())
    sink = Sink()
    put(stores.other, stores.prefix + "mine", "x", stores.other.lease(60).lease_id)
    stores.other.watch(stores.prefix, stores.store.read_prefix("/").revision, sink)
    put(stores.store, stores.prefix + "a", "1")
    sink.wait(sink.changes)
    started = time.monotonic()
    stores.other.close()
    stores.other.close()
    assert time.monotonic() - started < 2.0
    eventually(lambda: set(threading.enumerate()) <= threads_before, 2.0)
    put(stores.store, stores.prefix + "a", "2")
    time.sleep(0.1)
    assert len(sink.messages) == 1
    for call in (
        lambda: stores.other.read("/a"),
        lambda: stores.other.read_prefix("/a"),
        lambda: put(stores.other, "/a", ""),
        lambda: stores.other.watch("/a", 0, sink),
        lambda: stores.other.lease(5),
    ):
        with pytest.raises(StoreUnavailable):
            call()
    assert stores.store.read(stores.prefix + "mine") is not None, "closing must not revoke"


def test_the_twin_lets_leases_of_a_closed_client_end_by_the_clock() -> None:
    now = [100.0]
    store = MemoryStore(lambda: now[0], inline=True)
    gone = store.another()
    put(store, "/kept", "x", store.lease(10).lease_id)
    put(gone, "/mine", "x", gone.lease(10).lease_id)
    now[0] += 60
    assert store.read("/mine") is not None, "an open client keeps its lease alive"
    gone.close()
    now[0] += 9.9
    assert store.read("/mine") is not None
    sink = Sink()
    store.watch("/", store.read_prefix("/").revision, sink)
    now[0] += 0.2
    store.tick()
    assert [(one.key, one.value) for one in sink.changes()] == [("/mine", None)]
    assert store.read("/kept") is not None


@pytest.mark.real
def test_the_server_version_is_told(etcd: EtcdProcess) -> None:
    store = EtcdStore(etcd.endpoint)
    assert store.server_version()[:2] == "3."
    store.close()
