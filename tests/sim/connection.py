"""A process' connection to the store, on which the simulation's faults act."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reconciler.adapters.memory_store import MemoryLease, MemoryStore, MemoryWatch
from reconciler.model import keys
from reconciler.ports.store import (
    Absent,
    Changes,
    Commit,
    Committed,
    CreatedAt,
    Entry,
    ModifiedAt,
    Snapshot,
    WatchEnded,
)
from tests.sim.invariants import must
from tests.sim.scenarios import CLUSTER

if TYPE_CHECKING:
    from tests.sim.simulation import Simulation

Sink = Callable[[Changes | WatchEnded], None]


@dataclass(slots=True)
class Telling:
    """What a watch tells: nothing while its process is said to lag, and then all of it, in order."""

    sim: Simulation
    who: str
    prefix: str
    sink: Sink
    last: int
    waiting: list[Changes | WatchEnded] = field(default_factory=list)

    def __call__(self, message: Changes | WatchEnded) -> None:
        if isinstance(message, Changes):
            missed = self.sim.changes_between(self.last, message.revision, self.prefix)
            must(39, message.revision > self.last, self.who, "heard", message.revision, "after", self.last)
            must(39, missed == message.changes, self.who, "was not told all of", message.revision)
            self.last = message.revision
        if self.waiting or self.sim.lags(self.who):
            self.waiting.append(message)
            self.sim.telling(self)
        else:
            self.sink(message)

    def deliver(self) -> None:
        """Tell what had to wait."""
        waiting, self.waiting = self.waiting, []
        for message in waiting:
            self.sink(message)


@dataclass(slots=True)
class Client:
    """A `ports.store.Store`."""

    sim: Simulation
    who: str
    store: MemoryStore

    def ailment(self) -> str:
        return self.store.ailment()

    def read(self, key: str) -> Entry | None:
        return self.store.read(key)

    def read_prefix(self, prefix: str) -> Snapshot:
        return self.store.read_prefix(prefix)

    def commit(self, commit: Commit) -> Committed:
        guarded = any(
            isinstance(one, CreatedAt | Absent) and one.key == keys.lock(CLUSTER) for one in commit.when
        )
        compared = {one.key for one in commit.when if isinstance(one, ModifiedAt | Absent)}
        blind = [] if guarded else [op.key for op in commit.then if op.key not in compared]
        must(2, not blind, self.who, "writes blindly:", blind)
        return self.sim.act(self.who, lambda: self.store.commit(commit), commit)

    def watch(self, prefix: str, after: int, sink: Sink) -> MemoryWatch:
        return self.store.watch(prefix, after, Telling(self.sim, self.who, prefix, sink, after))

    def lease(self, ttl_s: int, on_lost: Callable[[], None] | None = None) -> MemoryLease:
        return self.store.lease(ttl_s, on_lost)

    def close(self) -> None:
        self.store.close()
