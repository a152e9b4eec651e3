"""Clocks for laws: a time that is noted must not make two nodes differ, nor hide that it was noted twice."""

from __future__ import annotations

import time
from dataclasses import dataclass

READY_S = 60.0  #: for a process to come up, on a machine that has much else to do


class StoppedClock:
    """It is always the same second: what is written again is the same."""

    def now(self) -> int:
        return 1_700_000_000

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass
class HurriedClock(StoppedClock):
    """Every look is a second later: nothing is noted twice without being seen."""

    looks: int = 0

    def now(self) -> int:
        self.looks += 1
        return super().now() + self.looks
