"""Who is next: in turn, at random, or as it was another time."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import groupby
from typing import Protocol


class Process(Protocol):
    """Something that a schedule picks."""

    name: str
    alive: bool
    stopped: bool

    def ready(self) -> bool: ...
    def step(self) -> None: ...
    def wakes_at(self) -> float | None: ...
    def kill(self) -> None: ...
    def lose_lease(self) -> None: ...
    def ask_to_stop(self) -> None: ...


class Schedule(Protocol):
    """Who is next."""

    def pick(self, ready: list[Process]) -> Process: ...


class InTurn:
    """Everybody after the other."""

    def __init__(self) -> None:
        self._turn = 0

    def pick(self, ready: list[Process]) -> Process:
        self._turn += 1
        return ready[self._turn % len(ready)]


class AtRandom:
    """By a seed; now and then somebody is kept waiting for a long time. `picked` is what came of it."""

    def __init__(self, rng: random.Random) -> None:
        self.picked: list[str] = []
        self._rng = rng
        self._slow: tuple[str, int] = ("", 0)

    def pick(self, ready: list[Process]) -> Process:
        name, left = self._slow
        if left <= 0 and self._rng.random() < 0.02:
            name, left = self._rng.choice(ready).name, self._rng.randrange(5, 120)
        self._slow = (name, left - 1)
        others = [p for p in ready if p.name != name] if left > 0 else ready
        chosen = self._rng.choice(others or ready)
        self.picked.append(chosen.name)
        return chosen


def order(text: str) -> tuple[str, ...]:
    """Return the names in a text such as ``applier*3 agent1``."""
    words = (word.partition("*") for word in text.split())
    return tuple(name for name, _, times in words for _ in range(int(times or "1")))


def order_text(names: Sequence[str]) -> str:
    """Return the text from which `order` makes these names."""
    runs = [(name, len(list(group))) for name, group in groupby(names)]
    return " ".join(name if times == 1 else f"{name}*{times}" for name, times in runs)


class AsPicked:
    """As another run went, by names; in turn where that does not fit, and after its end."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = iter(names)
        self._otherwise = InTurn()

    def pick(self, ready: list[Process]) -> Process:
        name = next(self._names, None)
        for process in ready:
            if process.name == name:
                return process
        return self._otherwise.pick(ready)
