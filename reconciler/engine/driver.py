"""Performs the engine's effects for real: the only place where the engine meets store, clock and queue."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from reconciler import failpoints
from reconciler.engine.messages import (
    Answered,
    Effect,
    End,
    Event,
    Loaded,
    LockGone,
    Reload,
    StopAsked,
    Tell,
    Tick,
    Write,
)
from reconciler.engine.points import hit_write
from reconciler.engine.telling import Trouble
from reconciler.errors import OutcomeUnknown, StoreError, StoreUnavailable
from reconciler.model import keys
from reconciler.model.report import ProgressEvent, ProgressKind
from reconciler.ports.store import Snapshot, Store, WatchEnded

if TYPE_CHECKING:
    from reconciler.engine.applier import Applier
    from reconciler.model.ids import ClusterId
    from reconciler.ports.node import Clock
    from reconciler.txn.record import Head

TICK_S = 0.25
AT_A_SAFE_POINT = StopAsked()


class Driver:
    """Runs one Applier until it ends. One thread; the watch and the lease only put events into a queue."""

    def __init__(
        self,
        store: Store,
        cluster: ClusterId,
        clock: Clock,
        tell: Callable[[ProgressEvent], None],
        stop: Callable[[], bool],
        *,
        on_stop: Event = AT_A_SAFE_POINT,
    ) -> None:
        """Make a driver.

        Args:
            store: where the transaction is.
            cluster: whose.
            clock: time.
            tell: called with what happens, in order.
            stop: whether to stop; asked again and again.
            on_stop: what the engine hears then: to pause at a safe point, or to let go at once.
        """
        self._store, self._cluster, self._clock = store, cluster, clock
        self._tell, self._stop, self._on_stop = tell, stop, on_stop
        self._events: queue.SimpleQueue[Event | WatchEnded] = queue.SimpleQueue()
        self._unanswered: tuple[Event, ...] = ()
        self._trouble = Trouble()
        self._result: Head | None = None
        self._over = False

    def lock_lost(self) -> None:
        """Tell the engine that the lease is gone. Callable from any thread."""
        self._events.put(LockGone())

    def run(self, applier: Applier) -> Head | None:
        """Drive to the end; return the head as it was last seen, or None if the lock was lost."""
        self._dispatch(applier, self._tick())
        snapshot = self._list()
        watch = self._store.watch(keys.cluster_prefix(self._cluster), snapshot.revision, self._events.put)
        try:
            self._dispatch(applier, Loaded(snapshot))
            asked = False
            while not self._over:
                heard = self._hear()
                events = [event for event in heard if not isinstance(event, WatchEnded)]
                if len(events) < len(heard):
                    watch.close()
                    snapshot = self._list()
                    prefix = keys.cluster_prefix(self._cluster)
                    watch = self._store.watch(prefix, snapshot.revision, self._events.put)
                    events.append(Loaded(snapshot))
                if not self._over:
                    unanswered, self._unanswered = self._unanswered, ()
                    self._dispatch(applier, self._tick(), *events, *unanswered)
                if self._stop() and not asked and not self._over:
                    asked = True
                    self._dispatch(applier, self._on_stop)
        finally:
            watch.close()
        return self._result

    def _hear(self) -> list[Event | WatchEnded]:
        """Return everything there is to hear; nothing if nothing comes for a while."""
        heard = []
        with suppress(queue.Empty):
            heard.append(self._events.get(timeout=TICK_S))
            while True:
                heard.append(self._events.get_nowait())
        return heard

    def _dispatch(self, applier: Applier, *events: Event) -> None:
        """Hand events over and perform what comes of them, until nothing does.

        A write that got no answer is handed over later, after what was heard in the meantime: a store that
        is full or gone would be asked without a pause, and a stop or a lost lock would never be heard.
        """
        pending = events
        while pending and not self._over:
            answers = (self._perform(effect) for effect in applier.handle(*pending))
            pending = tuple(answer for answer in answers if answer is not None)
            if any(isinstance(one, Answered) and one.committed is None for one in pending):
                self._unanswered += pending
                return

    def _perform(self, effect: Effect) -> Event | None:
        match effect:
            case Tell(event=event):
                if event.kind is ProgressKind.DONE:
                    failpoints.hit("engine.result.seen")
                self._tell(event)
                if event.kind is ProgressKind.WAITING:
                    self._tell_of_store("")
                return None
            case End(head=head):
                self._result, self._over = head, True
                return None
            case Reload():
                return Loaded(self._list())
            case Write(tag=tag, commit=commit):
                hit_write(commit, "before")
                try:
                    answer = Answered(tag, self._store.commit(commit))
                except (OutcomeUnknown, StoreUnavailable) as error:
                    self._tell_of_store(error.message)
                    return Answered(tag, None)
                hit_write(commit, "after")
                return answer

    def _tick(self) -> Tick:
        return Tick(self._clock.monotonic(), self._clock.now())

    def _list(self) -> Snapshot:
        """List the cluster, for as long as it takes: without the store nothing can be decided."""
        while True:
            try:
                return self._store.read_prefix(keys.cluster_prefix(self._cluster))
            except StoreUnavailable as error:
                if self._lost():
                    self._over = True
                    return Snapshot(revision=0, entries=())
                self._tell_of_store(error.message)
                time.sleep(TICK_S)

    def _tell_of_store(self, error: str) -> None:
        """Say what the store suffers from, by its own word or else by what a call has met, now and then."""
        if not self._trouble.due(self._clock.monotonic(), failed=bool(error)):
            return
        ailment = ""
        with suppress(StoreError):
            ailment = self._store.ailment()
        if text := ailment or error:
            self._tell(ProgressEvent(kind=ProgressKind.WAITING, text=text))

    def _lost(self) -> bool:
        """Return true if the lease went away while the store did not answer."""
        waiting: list[Event | WatchEnded] = []
        while not self._events.empty():
            waiting.append(self._events.get())
        for event in waiting:
            self._events.put(event)
        return any(isinstance(e, LockGone) for e in waiting)
