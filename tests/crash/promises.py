"""What follows a crash at a failpoint: the same data make the table of docs/transactions.md and the asserts.

``python -m tests.crash.promises`` writes the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from reconciler.failpoints import POINTS, Point, Stage, Where
from tests.generated import between

DOCUMENT = Path(__file__).parents[2] / "docs" / "transactions.md"
BEGIN, END = "<!-- crash table -->", "<!-- end -->"
TAKEOVER_S = 15.0  #: the lock's TTL of 10 s and 5 s
RESUMED_S = 5.0


class Victim(Enum):
    """Who dies while a process is at the point."""

    APPLIER = "apply"
    AGENT = "agent"
    STEWARD = "steward"
    ETCD = "etcd"


@dataclass(frozen=True, slots=True)
class Promise:
    """What follows.

    Attributes:
        ends: how the transaction may stand at the end; ``none``: it has never begun.
        text: the same for people.
        takeover: a steward goes on within `TAKEOVER_S` of the death.
    """

    ends: frozenset[str]
    text: str
    takeover: bool = False


_NONE, _COMMITTED, _BACK, _PARTLY = (
    frozenset({end}) for end in ("none", "committed", "rolled-back", "partly-committed")
)
_AFTER_THE_END = ("engine.commit.after", "engine.rolled-back.after", "engine.partly-committed.after")


def promise(name: str, victim: Victim) -> Promise | None:
    """Return what follows if `victim` dies at a point, or None if it is no party there."""
    point = POINTS[name]
    match victim:
        case Victim.APPLIER if point.where is Where.STEWARD or name.startswith("engine.takeover"):
            return None  # it is dead already
        case Victim.STEWARD if point.where not in (Where.STEWARD, Where.ENGINE):
            return None
    return _PROMISES[victim](name, point)


def _of_driver(name: str, point: Point) -> Promise:
    if point.stage is Stage.NOT_BEGUN:
        return Promise(_NONE, "nothing has happened; the lock is free when its lease ends")
    end = _end_of(point)
    if point.stage is Stage.OVER or name in _AFTER_THE_END:
        return Promise(end, "nothing more is to do; the lock is free when its lease ends")
    way = "finishes it" if end == _COMMITTED else "rolls it back"
    return Promise(end, f"a steward {way}, within {TAKEOVER_S:g} s", takeover=True)


def _of_steward(name: str, point: Point) -> Promise:
    of_driver = _of_driver(name, point)
    return Promise(of_driver.ends, of_driver.text.replace("a steward", "another steward"))


def _of_agent(name: str, point: Point) -> Promise:
    end = _COMMITTED if point.stage is Stage.NOT_BEGUN else _end_of(point)
    if point.stage is Stage.NOT_BEGUN:
        return Promise(end, "it is back before it is needed, or waited for")
    if point.where is not Where.AGENT:
        return Promise(end, "what it was at is done again, to the same end")
    return Promise(end, f"resumed within {RESUMED_S:g} s: claimed again with the first before-image")


def _of_etcd(name: str, point: Point) -> Promise:
    if point.stage is Stage.NOT_BEGUN:
        return Promise(_NONE | _COMMITTED, "apply goes on, or says that nothing was begun")
    return Promise(_end_of(point), "all wait; whoever has the lock goes on")


def _end_of(point: Point) -> frozenset[str]:
    return {Stage.BACKWARD: _BACK, Stage.PARTLY: _PARTLY}.get(point.stage, _COMMITTED)


_PROMISES = {
    Victim.APPLIER: _of_driver,
    Victim.AGENT: _of_agent,
    Victim.STEWARD: _of_steward,
    Victim.ETCD: _of_etcd,
}


def table() -> str:
    """Return the crash table in Markdown."""
    lines = [
        "| point | who is there | happened by then | apply dies | agent dies | steward dies | etcd dies |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, point in POINTS.items():
        found = (promise(name, victim) for victim in Victim)
        cells = (p.text if p else "-" for p in found)
        lines.append(f"| `{name}` | {point.where.value} | {point.happened} | {' | '.join(cells)} |")
    return "\n".join(lines)


def with_table(text: str) -> str:
    """Return a document with the present table between its marks."""
    return between(text, BEGIN, END, table())


if __name__ == "__main__":
    DOCUMENT.write_text(with_table(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
