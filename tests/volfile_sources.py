"""A VolfileSource for tests: serves what it was given and remembers what it was told. Thread-safe."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from reconciler.ports.volfiles import SpecReply, SpecRequest


class RecordedSource:
    """Serves `open_specs` to everybody and `local_specs` to trusted connections only."""

    def __init__(self, *, servers: tuple[str, ...] = ()) -> None:
        self.open_specs: dict[str, str] = {}
        self.local_specs: dict[str, str] = {}
        self.uuids: dict[str, str] = {}
        self.ports: dict[str, int] = {}
        self.servers = servers
        self.requests: list[SpecRequest] = []
        self.events: list[tuple[object, ...]] = []
        self._changed = threading.Condition()

    def getspec(self, request: SpecRequest) -> SpecReply:
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
        specs = {**self.open_specs, **self.local_specs} if request.trusted else self.open_specs
        text = specs.get(request.key)
        return SpecReply(error=2) if text is None else SpecReply(text=text, servers=self.servers)

    def port_of(self, brick: str) -> int:
        return self.ports.get(brick, 0)

    def volume_uuid(self, volume: str) -> str:
        return self.uuids.get(volume, "")

    def signed_in(self, connection: int, brick: str, port: int, pid: int) -> None:
        self.ports[brick] = port
        self._note("signed_in", connection, brick, port, pid)

    def signed_out(self, connection: int, brick: str) -> None:
        self.ports.pop(brick, None)
        self._note("signed_out", connection, brick)

    def disconnected(self, connection: int) -> None:
        self._note("disconnected", connection)

    def notified(self, connection: int, operation: int, values: dict[str, str]) -> None:
        self._note("notified", connection, operation, values)

    def asked(self, key: str, *, trusted: bool | None = None) -> int:
        """Return how often `key` was asked for."""
        return sum(r.key == key and trusted in (None, r.trusted) for r in list(self.requests))

    def told(self, event: str) -> list[tuple[object, ...]]:
        """Return what was told of one kind of event, in order, without its name."""
        return [entry[1:] for entry in list(self.events) if entry[0] == event]

    def wait_for(self, condition: Callable[[], bool], what: str, timeout_s: float = 10) -> None:
        """Wait until something that this source is told makes `condition` true."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not condition():
                assert time.monotonic() < deadline, f"{what}: {self.events} {self.requests}"
                self._changed.wait(0.1)

    def _note(self, *event: object) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()
