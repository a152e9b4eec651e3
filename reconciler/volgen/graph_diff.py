"""Two graphs of the same thing -> what differs: ours, and one that somebody else made, such as glusterd's.

Graphs without a difference are equal: same xlators, names, types, order, edges and option values. Credentials
are compared and never shown, so no difference holds one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from reconciler.volgen.graph import Graph, Xlator

HIDDEN = "(not shown)"  #: in the place of a user name or password
_LOGIN = "auth.login."


class DifferenceKind(Enum):
    """What about an xlator differs."""

    MISSING = "missing"  #: they have it, we have not
    EXTRA = "extra"  #: we have it, they have not
    RENAMED = "renamed"
    TYPE = "type"
    SUBVOLUMES = "subvolumes"
    ORDER = "order"
    OPTION = "option"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One difference.

    Attributes:
        kind: what differs.
        xlator: its name in their graph; in ours, if they have no such xlator.
        key: the option, for OPTION.
        theirs: the type (MISSING, TYPE), the name (RENAMED), the names in order with blanks between them
            (SUBVOLUMES), the xlator before it or "" if it is the first one (ORDER), the value (OPTION). None
            if they have nothing there.
        ours: the same of our graph.
    """

    kind: DifferenceKind
    xlator: str
    key: str = ""
    theirs: str | None
    ours: str | None


def differences(theirs: Graph, ours: Graph) -> tuple[Difference, ...]:
    """Return what differs, in the order of their xlators, then what only we have; empty if they are equal.

    An xlator that they have and we have not is taken for a renamed one of ours if of its type as many are
    missing as there are extra ones: what stands in its place is then compared with it.
    """
    renamed = _renamed(theirs, ours)
    pairs = [(xlator, renamed.get(xlator.name, xlator.name)) for xlator in theirs]
    moved = _moved([name for _, name in pairs], [xlator.name for xlator in ours])
    left = {xlator.name: xlator for xlator in ours}
    found: list[Difference] = []
    for xlator, name in pairs:
        other = left.pop(name, None)
        if other is None:
            found.append(_difference(DifferenceKind.MISSING, xlator, xlator.type, None))
            continue
        found += _in_place(xlator, other, renamed)
        if name in moved:
            found.append(_difference(DifferenceKind.ORDER, xlator, *moved[name]))
        found += _options(xlator, other)
    found += [_difference(DifferenceKind.EXTRA, xlator, None, xlator.type) for xlator in left.values()]
    return tuple(found)


def _difference(kind: DifferenceKind, xlator: Xlator, theirs: str | None, ours: str | None) -> Difference:
    return Difference(kind=kind, xlator=xlator.name, theirs=theirs, ours=ours)


def _in_place(theirs: Xlator, ours: Xlator, renamed: Mapping[str, str]) -> Iterator[Difference]:
    """Yield differences of name, type and edges; a new name further down is no other edge."""
    if theirs.name != ours.name:
        yield _difference(DifferenceKind.RENAMED, theirs, theirs.name, ours.name)
    if theirs.type != ours.type:
        yield _difference(DifferenceKind.TYPE, theirs, theirs.type, ours.type)
    if tuple(renamed.get(name, name) for name in theirs.subvolumes) != ours.subvolumes:
        sides = (" ".join(theirs.subvolumes), " ".join(ours.subvolumes))
        yield _difference(DifferenceKind.SUBVOLUMES, theirs, *sides)


def _renamed(theirs: Graph, ours: Graph) -> Mapping[str, str]:
    """Return our name for each of their xlators that we have under another name."""
    missing, extra = _only_in(theirs, ours), _only_in(ours, theirs)
    return {
        old: new
        for kind, names in missing.items()
        if len(names) == len(extra[kind])
        for old, new in zip(names, extra[kind], strict=True)
    }


def _only_in(graph: Graph, other: Graph) -> defaultdict[str, list[str]]:
    """Return the names that only `graph` has, in order, by type."""
    known = {xlator.name for xlator in other}
    found: defaultdict[str, list[str]] = defaultdict(list)
    for xlator in graph:
        if xlator.name not in known:
            found[xlator.type].append(xlator.name)
    return found


def _moved(theirs: list[str], ours: list[str]) -> Mapping[str, tuple[str, str]]:
    """Return the fewest xlators that would have to move, each with the one before it, theirs and ours.

    The others are a longest series that has the same order in both lists (found as in patience sorting). One
    that follows the same xlator in both moves with that one and is left out.
    """
    position = {name: at for at, name in enumerate(ours)}
    common = [name for name in theirs if name in position]
    ends: list[int] = []  # the smallest last position of a series of each length
    length = {}
    for name in common:
        at = bisect_left(ends, position[name])
        ends[at : at + 1] = [position[name]]
        length[name] = at + 1
    wanted = len(ends)
    moved = []
    for name in reversed(common):
        if length[name] == wanted:  # the last one of this length also stands before the one found, in ours
            wanted -= 1
        else:
            moved.append(name)
    before_theirs, before_ours = _before(theirs), _before(ours)
    sides = {name: (before_theirs[name], before_ours[name]) for name in moved}
    return {name: (a, b) for name, (a, b) in sides.items() if a != b}


def _before(names: list[str]) -> Mapping[str, str]:
    return dict(zip(names, ["", *names], strict=False))


def _options(theirs: Xlator, ours: Xlator) -> list[Difference]:
    """Return the options that differ, by key."""
    left, right = _shown(theirs), _shown(ours)
    return [
        Difference(
            kind=DifferenceKind.OPTION,
            xlator=theirs.name,
            key=key,
            theirs=_visible(key, left.get(key)),
            ours=_visible(key, right.get(key)),
        )
        for key in sorted(left.keys() | right.keys())
        if left.get(key) != right.get(key)
    ]


def _shown(xlator: Xlator) -> Mapping[str, tuple[str, ...]]:
    """Return the options by keys that may be shown: ``auth.login.USER.password`` holds a user name itself."""
    found: dict[str, tuple[str, ...]] = {}
    for key, value in xlator.options.items():
        if key.startswith(_LOGIN) and key.endswith(".password"):
            shown = f"{_LOGIN}*.password"
            found[shown] = (*found.get(shown, ()), key, value)
        else:
            found[key] = (value,)
    return found


def _visible(key: str, value: tuple[str, ...] | None) -> str | None:
    secret = key in {"username", "password"} or key.startswith(_LOGIN)
    return None if value is None else HIDDEN if secret else value[0]
