"""What can happen to a run, as values that can be printed and read back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Point:
    """Something that happens to one call: `who`'s `number`-th of its kind.

    `what`: ``before`` or ``after`` (the process is killed), ``unsent`` or ``unheard`` (no answer; the
    write did not or did happen), ``late`` (no answer; it happens later), ``stop`` (it stands still,
    before the call, until it is woken).
    """

    who: str
    number: int
    what: str
    later: int = 40  #: for ``late``: steps of the simulation until it arrives,
    seconds: float = 0.0  #: or, if not 0, seconds


@dataclass(frozen=True, slots=True)
class Mishap:
    """Something that happens at a step of the simulation, to a process or to the store, and may last.

    `what`, of a process: ``kill``, ``stop`` (SIGSTOP; it goes on after `seconds`), ``lease`` (its lease is
    revoked), ``ask`` (it is asked to stop), ``cut`` (it cannot reach the store), ``lag`` (its watches tell
    nothing for a while). Of the store: ``full`` (NOSPACE), ``outage`` (nobody can reach it), ``compact``
    (history up to now goes), ``outlive`` (leases live longer than asked for), ``unlock`` (somebody removes
    the lock's key).
    """

    at: int
    what: str
    who: str = ""
    seconds: float = 0.0
