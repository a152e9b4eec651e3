"""A process of ours that is started again whenever it ends, until it is to end."""

from __future__ import annotations

import logging
import subprocess
import threading
from collections.abc import Sequence

LOG = logging.getLogger("gluster-state")
PAUSE_S = 1.0  #: before it is started again, doubled each time up to the longest
LONGEST_PAUSE_S = 30.0


class KeptProcess:
    """Runs one command from its making to `end`. A thread waits for it."""

    def __init__(self, name: str, words: Sequence[str], *, pause_s: float = PAUSE_S) -> None:
        """Start it.

        Args:
            name: what it is, for people.
            words: the command.
            pause_s: how long it stays down the first time that it has ended by itself.
        """
        self._name, self._words, self._pause_s = name, list(words), pause_s
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._process = self._start()
        self._thread = threading.Thread(target=self._keep, name=name, daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        """Return the present process's id."""
        return self._process.pid

    def end(self) -> None:
        """Ask it to end, and wait until it has."""
        with self._lock:
            self._ending.set()
            self._process.terminate()
        self._thread.join()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._words, stdin=subprocess.DEVNULL)  # noqa: S603  words of ours, no shell

    def _keep(self) -> None:
        pause = self._pause_s
        while True:
            code = self._process.wait()
            if self._ending.wait(pause):
                return
            LOG.warning("the %s has ended with %d and is started again", self._name, code)
            pause = min(LONGEST_PAUSE_S, pause * 2)
            with self._lock:
                if self._ending.is_set():
                    return
                self._process = self._start()
