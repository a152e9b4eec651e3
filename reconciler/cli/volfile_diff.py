"""Volfiles on the disk against the graphs that a declaration would produce: which belongs to which.

glusterd keeps the volfiles of a volume in one directory, for the client graphs, each brick and the volume's
daemons; those of daemons that serve all volumes are elsewhere, and no part of a volume's graphs.

Source: glusterfs 10.3 xlators/mgmt/glusterd/src/glusterd-volgen.c (get_vol_tstamp_file, get_client_filepath,
get_brick_filepath), glusterd-svc-helper.c: names of volfiles.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from reconciler.adapters.regular_files import read_regular, reason_of
from reconciler.cli.style import escaped
from reconciler.errors import UsageError, VolfileError
from reconciler.volgen.graph import Graph
from reconciler.volgen.graph_diff import Difference, differences
from reconciler.volgen.text import MAX_TEXT, parse

_SUFFIX = ".vol"
_DAEMONS = ("shd", "rebalance", "snapd", "tierd")  #: VOLUME-DAEMON.vol


class Match(Enum):
    """How a file and a graph fit together."""

    EQUAL = "equal"
    DIFFERENT = "different"
    NO_FILE = "no-file"  #: we have the graph, there is no such file
    NO_GRAPH = "no-graph"  #: it is a volfile of the volume, and we have no such graph


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A graph and a file; `graph` is its name (glusterd's file name, or that of --graph)."""

    graph: str
    path: str
    match: Match
    xlators: int = 0  #: in our graph
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What was compared, and the volfiles that were found and belong to no graph of the volume."""

    volume: str
    compared: tuple[Compared, ...]
    others: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Return true if every file is the same graph as ours, and none is missing on either side."""
        return all(one.match is Match.EQUAL for one in self.compared)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """The graphs to compare with: all of a volume under glusterd's file names, or one that was `chosen`."""

    volume: str
    graphs: Mapping[str, Graph]
    chosen: bool


def compare(paths: Sequence[str], ours: Ours) -> Comparison:
    """Return how the volfiles that `paths` mean differ from our graphs.

    A file is compared with the graph that was chosen, else with the one that has its name; a directory with
    all of them. All problems are reported at once.

    Raises:
        UsageError: a path is missing, cannot be read, or nothing says what to compare with it.
        VolfileError: a file is no volfile; the message has its name and line.
    """
    compared: list[Compared] = []
    others: list[str] = []
    unusable: list[str] = []
    broken: list[str] = []
    for place in _places(paths, ours, unusable):
        others += place.others
        for name, path in place.pairs:
            try:
                compared.append(_compared(name, path, ours.graphs.get(name)))
            except VolfileError as exc:
                where = f"{escaped(path)}:{exc.line}" if exc.line else escaped(path)
                broken.append(f"{where}: {exc.message.removeprefix(f'line {exc.line}: ')}")
            except (OSError, ValueError) as exc:
                unusable.append(f"{escaped(path)}: {reason_of(exc)}")
    if unusable:
        raise UsageError("\n".join(unusable), hint="--diff takes a volfile or a directory of volfiles")
    if broken:
        raise VolfileError("\n".join(broken))
    return Comparison(volume=ours.volume, compared=tuple(compared), others=tuple(others))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """What a path on the command line means: graphs' names with files, and files that are not compared."""

    pairs: tuple[tuple[str, str], ...]
    others: tuple[str, ...] = ()


def _places(paths: Sequence[str], ours: Ours, unusable: list[str]) -> Iterator[_Place]:
    """Yield what the paths mean, each path once; append to `unusable` what they cannot."""
    for path in dict.fromkeys(paths):
        try:
            # os.stat: an empty path, as an unset variable leaves it, is the current directory to Path
            yield (_directory if stat.S_ISDIR(os.stat(path).st_mode) else _file)(path, ours)  # noqa: PTH116
        except (OSError, ValueError) as exc:
            unusable.append(f"{escaped(path) or repr(path)}: {reason_of(exc)}")


def _directory(path: str, ours: Ours) -> _Place:
    """Pair every graph with its file; one of the volume's that is not there is paired all the same.

    Graphs that a node has for all of its volumes are elsewhere with glusterd: compared if their file is here.

    Raises ValueError if that makes no sense, OSError if the directory cannot be read.
    """
    if ours.chosen:
        raise ValueError("one graph is compared with a file, not with a directory: leave --graph out")
    there = sorted(entry.name for entry in Path(path).iterdir() if entry.name.endswith(_SUFFIX))
    if not there:
        raise ValueError(f"there is no *{_SUFFIX} file in this directory")
    wanted = {name for name in (*ours.graphs, *there) if _belongs(name, ours.volume)}
    names = sorted(wanted | (ours.graphs.keys() & set(there)))
    others = tuple(str(Path(path, name)) for name in there if name not in names)
    return _Place(pairs=tuple((name, str(Path(path, name))) for name in names), others=others)


def _file(path: str, ours: Ours) -> _Place:
    """Pair a file with the graph that was chosen, else with that of its name. ValueError if there is none."""
    if ours.chosen:
        return _Place(pairs=tuple((name, path) for name in ours.graphs))
    name = Path(path).name
    if name not in ours.graphs and not _belongs(name, ours.volume):
        raise ValueError(f"no graph of volume {ours.volume} has this file name: say which one with --graph")
    return _Place(pairs=((name, path),))


def _belongs(name: str, volume: str) -> bool:
    """Return whether glusterd would give this name to a volfile of the volume."""
    services = {f"{volume}-{daemon}{_SUFFIX}" for daemon in _DAEMONS}
    return name.removeprefix("trusted-").startswith(f"{volume}.") or name in services


def _compared(name: str, path: str, graph: Graph | None) -> Compared:
    """Compare a file with our graph, None if we have none.

    Raises OSError and ValueError for a file that cannot be read, VolfileError for one that is no volfile.
    """
    if graph is None:
        return Compared(graph=name, path=path, match=Match.NO_GRAPH)
    try:
        theirs = _read(path)
    except FileNotFoundError:
        return Compared(graph=name, path=path, match=Match.NO_FILE, xlators=len(graph.xlators))
    found = differences(theirs, graph)
    return Compared(
        graph=name,
        path=path,
        match=Match.DIFFERENT if found else Match.EQUAL,
        xlators=len(graph.xlators),
        differences=found,
    )


def _read(path: str) -> Graph:
    data = read_regular(path, MAX_TEXT + 1)
    if len(data) > MAX_TEXT:
        raise VolfileError(f"longer than {MAX_TEXT // 1024 // 1024} MiB, so it is no volfile")
    return parse(data.decode("utf-8", "surrogateescape"))  # a byte that is no text: refused with its line
