"""What a stranger can do to port 24007, all at once: ``python -m tests.strangers HOST PORT SECONDS``.

A program, so that it can run inside a lab's network namespace. Says ``begun`` once everything is under way.
"""

from __future__ import annotations

import contextlib
import resource
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence

from reconciler.wire import programs, rpc

IDLE = 2000
DUMP = rpc.frame(rpc.Call(xid=1, program=programs.Program.DUMP, version=1, procedure=1).encode())
WRONG = rpc.frame(rpc.Call(xid=1, program=1238463, version=2, procedure=1).encode())
GETSPEC = rpc.frame(
    rpc.Call(
        xid=2,
        program=programs.Program.HANDSHAKE,
        version=2,
        procedure=2,
        body=programs.GetspecRequest(key="/keep").encode(),
    ).encode()
)
GARBAGE = (
    b"GET / HTTP/1.1\r\n\r\n",
    b"\xff\xff\xff\xff" + bytes(1000),  # a giant length
    b"\x7f\xff\xff\xff" + bytes(70_000),  # a giant first fragment
    bytes(400_000),  # fragments of nothing
    GETSPEC[:-3],  # cut short
    DUMP + WRONG * 50 + b"\x80\x00\x00\x08garbage!",  # garbage behind valid calls
    WRONG * 200,
)


class Strangers:
    """Threads that misbehave towards one server until `end`."""

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._end = threading.Event()
        self._idle: list[socket.socket] = []

    def idle(self) -> None:
        """Open many connections and say nothing."""
        for _ in range(IDLE):
            with contextlib.suppress(OSError):
                self._idle.append(socket.create_connection(self._to, 5))

    def until_the_end(self, act: Callable[[], None]) -> None:
        """Repeat an act in a thread."""

        def run() -> None:
            while not self._end.is_set():
                with contextlib.suppress(OSError):
                    act()
                self._end.wait(0.01)

        threading.Thread(target=run, daemon=True).start()

    def send(self, streams: Sequence[bytes]) -> None:
        """Send each stream on a connection of its own; half-close, do not read."""
        for stream in streams:
            with socket.create_connection(self._to, 5) as connection, contextlib.suppress(OSError):
                connection.settimeout(1)
                connection.sendall(stream)
                connection.shutdown(socket.SHUT_WR)

    def trickle(self) -> None:
        """Send a call in single bytes."""
        with socket.create_connection(self._to, 5) as connection:
            for byte in GETSPEC:
                connection.send(bytes([byte]))
                if self._end.wait(0.05):
                    return

    def never_read(self) -> None:
        """Ask for the volfile over and over and read nothing."""
        with socket.create_connection(self._to, 5) as connection:
            connection.settimeout(1)
            for _ in range(10_000):
                connection.sendall(GETSPEC)

    def end(self) -> None:
        """Stop misbehaving."""
        self._end.set()


def main(host: str, port: int, seconds: float) -> None:
    """Do everything at once for some seconds."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
    strangers = Strangers(host, port)
    strangers.idle()
    strangers.until_the_end(lambda: strangers.send(GARBAGE))
    for _ in range(8):
        strangers.until_the_end(strangers.trickle)
        strangers.until_the_end(strangers.never_read)
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    time.sleep(seconds)
    strangers.end()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
