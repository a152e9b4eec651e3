"""Places where a test makes a process die, stop or wait: what survives a crash is tried at each of them.

The shells call `hit(NAME)`; that does nothing unless the environment variable `GLUSTER_STATE_FAILPOINTS` is
set. Its grammar, in the manner of gofail: ``NAME=ACTION[@N]``, several separated by ``;``, where N is the hit
of that name in this process at which the action is taken (1 if not given; ``*``: every one). The actions are

* ``kill``: SIGKILL to itself; ``stop``: SIGSTOP to itself, until somebody continues it;
* ``sleep(MS)``: wait; ``exit(N)``: end at once with this code;
* ``log``: say that the place was reached, at every hit. ``*=log`` does it for all places.

``@FILE`` instead names a file with such a text, which is read again whenever it changes and may be missing.
It is good for one firing among all processes that name it: whoever fires first renames it to ``FILE.PID``.

Architecture invariant: only shells call this, and no decision of the product depends on it.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import MappingProxyType

from reconciler.errors import UsageError

LOG = logging.getLogger("gluster-state.failpoints")
VARIABLE = "GLUSTER_STATE_FAILPOINTS"
_TERM = re.compile(r"(?P<name>[a-z.*-]+)=(?P<action>[a-z]+)(\((?P<number>\d+)\))?(@(?P<hit>\d+|\*))?")
EVERY = 0  #: instead of the number of a hit


class Where(Enum):
    """Which process reaches a point."""

    APPLY = "apply"
    ENGINE = "apply, or the steward that has taken over"
    STEWARD = "steward"
    AGENT = "agent"


class Stage(Enum):
    """How far the transaction is at a point."""

    NOT_BEGUN = "nothing of the transaction is in the journal that counts"
    FORWARD = "it runs forward"
    BACKWARD = "it is on its way back"
    PARTLY = "it is on its way back, but for the parts that are committed"
    OVER = "it has ended"


@dataclass(frozen=True, slots=True)
class Point:
    """A place: who reaches it, how far the transaction is, and what has happened by then."""

    where: Where
    stage: Stage
    happened: str


def _around(where: Where, stage: Stage, name: str, before: str, after: str) -> dict[str, Point]:
    return {
        f"{name}.before": Point(where, stage, before),
        f"{name}.after": Point(where, stage, after),
    }


_A, _E, _S, _N = Where.APPLY, Where.ENGINE, Where.STEWARD, Where.AGENT
_FORWARD, _BACK, _PARTLY = Stage.FORWARD, Stage.BACKWARD, Stage.PARTLY

#: Every place by its name. Names are permanent: test runs of other versions refer to them.
POINTS: Mapping[str, Point] = MappingProxyType(
    {
        "apply.plan.loaded": Point(
            _A, Stage.NOT_BEGUN, "the plan is read and found good; nothing is written"
        ),
        **_around(
            _A, Stage.NOT_BEGUN, "lock.write", "a lease exists, the lock is not taken", "the lock is ours"
        ),
        "begin.chunk.after": Point(_A, Stage.NOT_BEGUN, "a part of the frozen plan is written, no head"),
        "begin.head.before": Point(_A, Stage.NOT_BEGUN, "the whole plan is frozen, no head"),
        "begin.head.after": Point(_A, _FORWARD, "the head says: running; no step is commanded"),
        **_around(_E, _FORWARD, "engine.dispatch", "steps are ready, not commanded", "a step is commanded"),
        "engine.result.seen": Point(_E, _FORWARD, "a node's report is seen, nothing has followed from it"),
        **_around(
            _E,
            _FORWARD,
            "engine.perform",
            "a step in the store is ready",
            "the store step and its record are written, in one commit",
        ),
        **_around(
            _E,
            _BACK,
            "engine.turn",
            "a step has failed, the head says: running",
            "the head says: rolling back",
        ),
        **_around(
            _E, _BACK, "engine.barrier", "a node has to confirm the new phase, not asked", "the node is asked"
        ),
        **_around(
            _E, _BACK, "engine.undo-dispatch", "an undo is ready, not commanded", "an undo is commanded"
        ),
        **_around(
            _E,
            _BACK,
            "engine.undo-perform",
            "a store step is ready to be undone",
            "it is undone, with its record, in one commit",
        ),
        **_around(
            _E,
            _FORWARD,
            "engine.commit",
            "all steps are done, the head says: running",
            "the head says: committed; the lock is still held",
        ),
        **_around(
            _E,
            _BACK,
            "engine.rolled-back",
            "all is undone, the head says: rolling back",
            "the head says: rolled back; the lock is still held",
        ),
        **_around(
            _E,
            _PARTLY,
            "engine.partly-committed",
            "what is not committed is undone, the head says: rolling back",
            "the head says: partly committed; the lock is still held",
        ),
        **_around(
            _E,
            Stage.OVER,
            "lock.release",
            "the outcome is written, the lock is held",
            "the lock is given back",
        ),
        "steward.orphan.seen": Point(_S, _FORWARD, "the lock of the dead is gone, and not taken"),
        **_around(
            _S,
            _FORWARD,
            "engine.takeover",
            "a new epoch, the head has the old one",
            "the head has the new epoch, and counts the attempt; the plan is not read",
        ),
        "steward.plan.loaded": Point(_S, _FORWARD, "the plan is read; nothing is commanded in the new epoch"),
        "agent.command.seen": Point(_N, _FORWARD, "the command is seen; nothing is read or checked"),
        **_around(
            _N,
            _FORWARD,
            "agent.claim",
            "the check is done, no record",
            "claimed, with the before-image; no effect yet",
        ),
        **_around(
            _N,
            _FORWARD,
            "agent.do",
            "claimed, the effect is about to begin",
            "the effect is there, not reported",
        ),
        **_around(
            _N,
            _FORWARD,
            "agent.report",
            "the effect is there, the report is not",
            "the report is written, not seen",
        ),
        "agent.phase.before": Point(_N, _BACK, "asked for the new phase, not on the disk"),
        "agent.phase.after": Point(_N, _BACK, "the new phase is on the disk, not confirmed"),
        **_around(_N, _BACK, "agent.barrier", "the new phase is on the disk, not confirmed", "confirmed"),
        **_around(
            _N, _BACK, "agent.undo-claim", "an undo is commanded, not claimed", "claimed, nothing undone"
        ),
        **_around(_N, _BACK, "agent.undo", "claimed, the undo is about to begin", "undone, not reported"),
        **_around(_N, _BACK, "agent.undo-report", "undone, the report is not written", "reported, not seen"),
    }
)


# ---------------------------------------------------------------- what is armed


@dataclass(frozen=True, slots=True)
class Armed:
    """What happens at a point: `action`, with its number, at the `at`-th hit, or at `EVERY` one."""

    action: str
    number: int = 0
    at: int = 1


@dataclass(slots=True)
class _Given:
    """What a text has armed, and how often each point was hit since."""

    armed: Mapping[str, Armed]
    hits: dict[str, int] = field(default_factory=dict)

    def due(self, name: str) -> Armed | None:
        """Count a hit; return what has to happen at it."""
        armed = self.armed.get(name) or self.armed.get("*")
        if armed is None:
            return None
        self.hits[name] = self.hits.get(name, 0) + 1
        return armed if armed.at in (EVERY, self.hits[name]) else None


@dataclass(slots=True)
class _Watched:
    """The same from a file that may come, change and go."""

    path: Path
    seen: tuple[int, int] | None = None
    given: _Given = field(default_factory=lambda: _Given({}))

    def due(self, name: str) -> Armed | None:
        """Count a hit; return what has to happen at it, if nobody else has fired first."""
        try:
            now = self.path.stat()
            if (now.st_ino, now.st_mtime_ns) != self.seen:
                text = self.path.read_text(encoding="ascii")
                self.seen, self.given = (now.st_ino, now.st_mtime_ns), _Given(parse(text))
            armed = self.given.due(name)
            if armed is not None and armed.action != "log":
                self.path.rename(f"{self.path}.{os.getpid()}")
        except FileNotFoundError:
            self.seen, self.given = None, _Given({})
            return None
        return armed


_source: _Given | _Watched | None = None
_lock = threading.Lock()


def arm(text: str | None) -> None:
    """Take the value of the environment variable; None or an empty one disarms.

    Raises:
        UsageError: it is not as the grammar says, or names a point that does not exist.
    """
    global _source  # noqa: PLW0603  one process, one environment
    _source = None
    if not text:
        return
    _source = _Watched(Path(text[1:])) if text.startswith("@") else _Given(parse(text))
    LOG.warning("%s is set: this process may be made to fail on purpose: %s", VARIABLE, text)


def armed() -> bool:
    """Return true if anything may happen at a point: what only names points need not be done otherwise."""
    return _source is not None


def hit(name: str) -> None:
    """Say that a point is reached, and do what is armed for it. Callable from any thread."""
    if _source is None:
        return
    assert name in POINTS, name
    with _lock:
        due = _source.due(name)
    if due is not None:
        _ACTIONS[due.action](due, name)


def parse(text: str) -> dict[str, Armed]:
    """Return what a text arms, by the names of points.

    Raises:
        UsageError: it is not as the grammar says, or names a point that does not exist.
    """
    found: dict[str, Armed] = {}
    for term in filter(None, (part.strip() for part in text.split(";"))):
        match = _TERM.fullmatch(term)
        known = match is not None and (match["name"] in POINTS or term == "*=log")
        if match is None or not known or match["action"] not in _ACTIONS:
            raise UsageError(
                f"{VARIABLE}: {term!r} is not NAME=ACTION[@N] of a point that exists",
                hint="See reconciler/failpoints.py for the points and the actions.",
            )
        every = match["hit"] == "*" or match["action"] == "log"
        hit = EVERY if every else int(match["hit"] or 1)
        found[match["name"]] = Armed(match["action"], int(match["number"] or 0), hit)
    return found


def _signal(number: signal.Signals) -> None:
    # To this thread: a signal to the process may be taken by another thread while this one goes on.
    signal.pthread_kill(threading.get_ident(), number)


_ACTIONS: Mapping[str, Callable[[Armed, str], None]] = MappingProxyType(
    {
        "kill": lambda _, __: _signal(signal.SIGKILL),
        "stop": lambda _, __: _signal(signal.SIGSTOP),
        "sleep": lambda due, _: time.sleep(due.number / 1000),
        "exit": lambda due, _: os._exit(due.number),
        "log": lambda _, name: LOG.warning("failpoint %s", name),
    }
)
