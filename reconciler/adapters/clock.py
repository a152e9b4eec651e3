"""Time from this machine, as reconciler.ports.node.Clock."""

from __future__ import annotations

import time


class SystemClock:
    """The machine's clocks."""

    def now(self) -> int:
        """Return the wall-clock second since the epoch."""
        return int(time.time())

    def monotonic(self) -> float:
        """Return seconds that only go forward."""
        return time.monotonic()
