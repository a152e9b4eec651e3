"""Run a test in network and mount namespaces of its own, inside this process.

Namespaces belong to threads: a thread that leaves the shared ones takes its sockets, its children and the
threads it starts along. When the last of them has ended, mounts and addresses are gone by themselves.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import threading
from collections.abc import Callable

_CLONE_NEWNS = 0x00020000
_CLONE_NEWNET = 0x40000000
_MS_REC_PRIVATE = 0x4000 | 0x40000


def in_own_namespaces(body: Callable[[], None]) -> None:
    """Run `body` in a thread with its own network (loopback up) and mounts; raise what it raises."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            _leave_shared_namespaces()
            body()
        except BaseException as error:  # noqa: BLE001 - raised again by the caller
            failures.append(error)

    thread = threading.Thread(target=run, name="own-namespaces")
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


def _leave_shared_namespaces() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET | _CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    if libc.mount(b"none", b"/", None, _MS_REC_PRIVATE, None) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
