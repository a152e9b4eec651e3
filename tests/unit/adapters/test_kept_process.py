"""A kept process is started again whenever it ends, until it is to end."""

from __future__ import annotations

import os
import signal
import time

from reconciler.adapters.kept_process import KeptProcess


def test_a_killed_one_is_started_again_and_an_ended_one_is_not() -> None:
    kept = KeptProcess("sleeper", ["sleep", "60"], pause_s=0.01)
    try:
        for _ in range(2):
            first = kept.pid
            os.kill(first, signal.SIGKILL)
            deadline = time.monotonic() + 20
            while kept.pid == first:
                assert time.monotonic() < deadline
                time.sleep(0.01)
    finally:
        kept.end()
    try:
        os.kill(kept.pid, 0)
    except ProcessLookupError:
        return
    raise AssertionError("it still runs")
