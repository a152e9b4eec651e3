"""SIGINT and SIGTERM: the first asks, the second leaves, the third does not wait for anything.

Inside `graceful` (an apply) the first signal only sets `requested`; the engine stops at the next safe
point. Elsewhere nothing is at stake and the first signal leaves.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from types import FrameType


class Interrupted(BaseException):
    """The user wants out now. `code` is 128 + the signal's number, as shells count.

    Not a KeyboardInterrupt: click would take it for an answer to a prompt.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.code = 128 + number


class Interrupts:
    """The process's reaction to SIGINT and SIGTERM; a StopRequest for the engine.

    Args:
        announce: called (in the main thread, between two bytecodes) when a stop is first asked for.
    """

    def __init__(self, announce: Callable[[], None] = lambda: None) -> None:
        self._announce = announce
        self._graceful = False
        self._seen = 0

    @property
    def requested(self) -> bool:
        """Return true once a stop was asked for."""
        return self._seen > 0

    @contextlib.contextmanager
    def installed(self) -> Iterator[Interrupts]:
        """Handle both signals inside the block; the former handlers come back after it."""
        former = {number: signal.signal(number, self._arrived) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def graceful(self, announce: Callable[[], None]) -> Iterator[Interrupts]:
        """Let the first signal inside the block be a request."""
        self._announce, self._graceful = announce, True
        try:
            yield self
        finally:
            self._graceful = False

    def _arrived(self, number: int, _frame: FrameType | None) -> None:
        self._seen += 1
        if self._seen == 1 and self._graceful:
            self._announce()
            return
        if self._seen > 2:
            os._exit(128 + number)  # cleaning up hangs: the journal is what makes this safe
        raise Interrupted(number)
