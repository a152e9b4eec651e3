"""The volfile server: two doors, an asyncio loop in a thread of its own, start and stop.

The TCP port is for the world: read-only, with limits on everything a stranger can make us hold. The unix
socket is for processes of root on this machine: bricks and daemons, which fetch trusted volfiles and sign
in there. What is served comes from a VolfileSource, which is called from this thread only.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.errors import EnvironmentProblem
from reconciler.volserver.connection import ConnectionTable, Limits
from reconciler.volserver.listen import BACKLOG, LocalSocket, listen_tcp, listen_unix
from reconciler.wire.programs import VOLFILE_PORT

if TYPE_CHECKING:
    import socket

    from reconciler.ports.volfiles import VolfileSource

DEFAULT_LIMITS = Limits()
_JOIN_S = 10.0


class VolfileServer:
    """Serves `source` on ``address:port`` and on a unix socket, from `start` to `stop`.

    Args:
        source: what to serve; not called before `start`, nor after `stop` has returned.
        address: the one address to listen on, IPv4 or IPv6.
        port: 24007 except in tests; 0 takes a free one.
        unix_socket: path of the root-only socket, None for none.
        limits: how much strangers may use.
    """

    def __init__(
        self,
        source: VolfileSource,
        *,
        address: str,
        port: int = VOLFILE_PORT,
        unix_socket: Path | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._address = address
        self._port = port
        self._unix_path = unix_socket
        self._limits = limits
        self._connections = ConnectionTable(source, limits)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending: asyncio.Event | None = None

    @property
    def port(self) -> int:
        """Return the TCP port; after `start` the one that is listened on."""
        return self._port

    @property
    def running(self) -> bool:
        """Return whether the server's thread is alive."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Bind both sockets and serve. Once per object.

        Raises:
            EnvironmentProblem: a socket cannot be bound; nothing is left behind.
        """
        assert self._thread is None, "started twice"
        listener = listen_tcp(self._address, self._port)
        local: LocalSocket | None = None
        try:
            if self._unix_path is not None:
                local = listen_unix(self._unix_path)
        except EnvironmentProblem:
            listener.close()
            raise
        self._port = int(listener.getsockname()[1])
        serving = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(listener, local, serving), name=f"volserver-{self._address}", daemon=True
        )
        self._thread.start()
        serving.wait(_JOIN_S)

    def stop(self) -> None:
        """Close all connections and sockets; the source hears nothing of it. May be called twice."""
        if self._thread is None:
            return
        if self._ending is not None:
            self._call_soon(self._ending.set)
        self._thread.join(_JOIN_S)

    def broadcast_fetchspec(self) -> None:
        """Tell every connection that ever asked for a volfile to ask again.

        From any thread, at any time; after `stop` it does nothing. Returns before they were told.
        """
        self._call_soon(self._connections.broadcast)

    def _call_soon(self, callback: Callable[[], None]) -> None:
        """Run `callback` in the server's thread, unless that has ended."""
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(callback)

    def _run(self, listener: socket.socket, local: LocalSocket | None, serving: threading.Event) -> None:
        """Be the thread. However it ends, both sockets are closed and the path is free again."""
        try:
            asyncio.run(self._serve(listener, local, serving))
        finally:
            serving.set()
            listener.close()
            if local is not None:
                local.release()

    async def _serve(
        self, listener: socket.socket, local: LocalSocket | None, serving: threading.Event
    ) -> None:
        self._loop = loop = asyncio.get_running_loop()
        self._ending = ending = asyncio.Event()
        connections = self._connections
        doors = [await loop.create_server(connections.stranger, sock=listener, backlog=BACKLOG)]
        if local is not None:
            doors.append(
                await loop.create_unix_server(connections.local, sock=local.listener, backlog=BACKLOG)
            )
        serving.set()
        pause_s = min(1.0, self._limits.first_record_s / 4)
        while not ending.is_set():
            connections.sweep(loop.time())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await ending.wait()
        await _finish_accepting(doors)
        for door in doors:
            door.close()
        connections.close_all()
        await asyncio.sleep(0)  # the transports close in the next two turns of the loop
        await asyncio.sleep(0)


async def _finish_accepting(doors: Iterable[asyncio.Server]) -> None:
    """Accept nobody more, and wait until those who just are have become connections.

    Until then each is a task of the loop, which would forget its socket if its door were closed (Python 3.11
    asyncio/base_events.py: Server._attach).
    """
    for door in doors:
        for listener in door.sockets:
            asyncio.get_running_loop().remove_reader(listener.fileno())
    await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}, return_exceptions=True)
