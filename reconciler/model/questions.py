"""What an observer asks a node through the store, and what it answers. Both vanish with the asker's lease."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.observed import PathProbe

MAX_PATHS = 500  #: in one question; keeps the answer under the longest value


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Look again, write what changed, probe these paths, then answer. `lease` is the answer's lease."""

    question: str
    lease: int
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Facts in the store are as of now; here is what stands at the paths.

    Attributes:
        at: wall-clock second of the look.
        ports_in_use: TCP ports of the brick range that something listens on.
    """

    at: int
    probes: tuple[PathProbe, ...] = ()
    ports_in_use: tuple[int, ...] = ()
