"""The table of volume options: which name ends up as which key of which xlator.

The rows are data, in ``options.json``, one per line. Their order is meaningful: of two rows that set the
same key the later one wins. Where xlators stand is said by the tables of layers (`layer`), not here.

A row holds ``name`` (as users write it), ``xlator`` (type), ``key`` (the xlator's own name for it),
``default`` (written even when nobody set the option), ``rule`` (see `Rule`) and, for checking,
``kind`` with ``low``, ``high`` and ``choices``: what glusterd takes. ``process`` has the same where processes
start with less than that. ``slot`` names the slot (`slots`) without which a switch that is on makes a wrong
graph. A name can have several rows.

What is true of a name whatever its rows, such as the version that it came with, is in ``option_names.json``
(see `OptionName`).

Source: names, renames and defaults are those glusterd 10.3 accepts (xlators/mgmt/glusterd/src/
glusterd-volume-set.c); kinds and ranges are those of the option structures in the 10.3 xlator libraries.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from enum import Enum
from functools import cache
from importlib import resources
from typing import Any


class Rule(Enum):
    """How a row reaches a graph."""

    SET = "set"  #: set `key` on every xlator of type `xlator`
    PERF = "perf"  #: the value says whether the client stack has `xlator`
    DEBUG = "debug"  #: the value says above which xlator a debugging xlator goes
    AUTH = "auth"  #: ``auth.addr.BRICK.key`` of the brick's server
    BRICK_STATS = "brick-stats"  #: set `key` on io-stats of bricks only
    CLIENT_STATS = "client-stats"  #: set `key` on io-stats of everything but bricks
    SHD = "shd"  #: set `key` only in the self-heal daemon's graph
    TLS = "tls"  #: set `key` on clients and brick servers, if declared
    TOGGLE = "toggle"  #: decides structure in code, or does nothing in a volfile


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionRow:
    """One row. `kind` is ``choice``, ``xlator``, one that `option_values` knows, or empty (any value).

    `process` is the same row with the values that a process starts with, where glusterd takes others too.
    """

    name: str
    xlator: str
    key: str = ""
    default: str | None = None
    rule: Rule = Rule.SET
    kind: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    slot: str = ""
    process: OptionRow | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionName:
    """What is true of a name, whatever its rows.

    Attributes:
        op_version: the operating version that glusterd wants before it takes the name; 1 is older than all.
        only: the type of volume that has it (a `VolumeType`); empty for all.
        needs: a switch without which it is refused; empty for none.
        wants: a switch without which it does nothing; empty for none.
        pool: whether it is about a whole pool of glusterds and no volume can have it.
        always: whether its value must be good even where no xlator of the volume reads it.
        about: what it does, for people; empty where the library of its xlator says so.
    """

    op_version: int
    only: str = ""
    needs: str = ""
    wants: str = ""
    pool: bool = False
    always: bool = False
    about: str = ""


@cache
def rows() -> tuple[OptionRow, ...]:
    """Return all rows in order."""
    return tuple(_row(row) for row in _data("options.json"))


@cache
def names() -> dict[str, OptionName]:
    """Return what is true of each name. Callers do not change the mapping."""
    return {name: OptionName(**facts) for name, facts in _data("option_names.json").items()}


@cache
def rows_by_rule() -> dict[Rule, tuple[OptionRow, ...]]:
    """Return the rows of each rule, in order. Callers do not change the mapping."""
    return {rule: tuple(row for row in rows() if row.rule is rule) for rule in Rule}


@cache
def rows_by_name() -> dict[str, tuple[OptionRow, ...]]:
    """Return the rows of each option name. Callers do not change the mapping."""
    found: dict[str, tuple[OptionRow, ...]] = {}
    for row in rows():
        found[row.name] = (*found.get(row.name, ()), row)
    return found


def _row(facts: dict[str, Any]) -> OptionRow:
    starts = facts.get("process")
    plain = {**facts, "rule": Rule(facts.get("rule", "set")), "choices": tuple(facts.get("choices", ()))}
    row = OptionRow(**{**plain, "process": None})
    if not starts:
        return row
    choices = tuple(starts.get("choices", ()))
    kind, low, high = starts["kind"], starts.get("low"), starts.get("high")
    return replace(row, process=replace(row, kind=kind, low=low, high=high, choices=choices))


def _data(name: str) -> Any:
    return json.loads(resources.files("reconciler.volgen").joinpath(name).read_text(encoding="utf-8"))
