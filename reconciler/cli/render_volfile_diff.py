"""Differences of graphs for people and for programs. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.cli.style import Style, counted, paint, table
from reconciler.cli.volfile_diff import Compared, Comparison, Match
from reconciler.model.codec import Json, to_json
from reconciler.plan.document import FORMAT_VERSION
from reconciler.volgen.graph_diff import Difference, DifferenceKind

_LONGEST = 120  #: characters of a value that people get to see
_OF_DECLARATION = {"username", "password", "volume-id"}  #: options whose values only a declaration can give


def exit_code(found: Comparison) -> int:
    """Return 0 if everything is equal, else 2."""
    return 0 if found.equal else 2


def render(found: Comparison, style: Style) -> list[str]:
    """Return what `volfile --diff` prints."""
    lines = [f"volume {found.volume}   theirs: the files   ours: what the declaration gives", ""]
    width = max((len(one.graph) for one in found.compared), default=0)
    for one in found.compared:
        lines.append(f"  {one.graph:<{width}}   {_verdict(one)}")
        lines += table([_cells(difference) for difference in one.differences], indent=" " * 6)
    lines += [f"  {path}   not compared: no graph of this volume" for path in found.others]
    lines += ["", _last(found)]
    return lines + [f"  {line}" for line in _hints(found)] if style.hints else lines


def as_json(found: Comparison) -> dict[str, Json]:
    """Return the same for programs."""
    return {
        "format_version": FORMAT_VERSION,
        "kind": "VolfileDiff",
        "volume": found.volume,
        "equal": found.equal,
        "compared": to_json(found.compared),
        "others": list(found.others),
        "exit_code": exit_code(found),
    }


def _verdict(one: Compared) -> str:
    match one.match:
        case Match.EQUAL:
            return paint("equal", "green") + f" ({counted(one.xlators, 'xlator')})"
        case Match.DIFFERENT:
            return paint(counted(len(one.differences), "difference"), "yellow")
        case Match.NO_FILE:
            return paint(f"no such file: {one.path}", "yellow")
        case Match.NO_GRAPH:
            return paint(f"the declaration gives no such graph: {one.path}", "yellow")


def _cells(one: Difference) -> list[str]:
    match one.kind:
        case DifferenceKind.MISSING:
            return [one.xlator, "missing in ours", f"type: {_short(one.theirs)}"]
        case DifferenceKind.EXTRA:
            return [one.xlator, "only in ours", f"type: {_short(one.ours)}"]
        case DifferenceKind.ORDER:
            sides = [f"after {_short(name)}" if name else "first" for name in (one.theirs, one.ours)]
        case _:
            sides = [_short(side) for side in (one.theirs, one.ours)]
    what = f"option {one.key}" if one.kind is DifferenceKind.OPTION else one.kind.value
    return [one.xlator, what, f"theirs: {sides[0]}", f"ours: {sides[1]}"]


def _short(text: str | None) -> str:
    if not text:
        return "(none)"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)"


def _last(found: Comparison) -> str:
    graphs = len(found.compared)
    if found.equal:
        xlators = sum(one.xlators for one in found.compared)
        return f"No differences. {counted(graphs, 'graph')} with {counted(xlators, 'xlator')} equal."
    different = [one for one in found.compared if one.match is not Match.EQUAL]
    number = sum(max(1, len(one.differences)) for one in different)
    return f"Different: {len(different)} of {counted(graphs, 'graph')}, {counted(number, 'difference')}"


def _hints(found: Comparison) -> Iterator[str]:
    """Yield what is probably wrong with the question, rather than with a graph."""
    every = (difference for one in found.compared for difference in one.differences)
    keys = {one.key for one in every if one.theirs is not None and one.ours is not None}
    if keys & _OF_DECLARATION or any(key.startswith("auth.login.") for key in keys):
        yield "give id: and auth: in the declaration, as in the file info of glusterd's directory"
    if "shared-brick-count" in keys:
        yield "shared-brick-count is about one node's bricks: say with --node PEER whose files these are,"
        yield "and with mount: or fsUUID: which bricks have a filesystem of their own"
