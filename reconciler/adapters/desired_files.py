"""Paths on the command line -> names and bytes for `reconciler.desired.load`. Reads, decides nothing.

A directory means its ``*.yaml`` and ``*.yml`` files, sorted, without its subdirectories; names that begin
with ``.`` or ``_`` are left out.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.adapters.regular_files import read_regular, reason_of
from reconciler.desired.characters import MAX_BYTES
from reconciler.diagnostics import Diagnostic, Severity, SourceSpan
from reconciler.errors import UsageError

MAX_FILES = 10_000  #: most files in one run
MAX_TOTAL_BYTES = 64 * 1024 * 1024  #: most bytes of all files together
_SUFFIXES = frozenset({".yaml", ".yml"})
_STDIN = "<stdin>"


@dataclass(slots=True)
class GivenFiles:
    """What `paths` mean: (name, content) of every file, and a finding for each that could not be read."""

    files: list[tuple[str, bytes]] = field(default_factory=list)
    unreadable: list[Diagnostic] = field(default_factory=list)


def read_files(paths: Sequence[str]) -> GivenFiles:
    """Return every file that `paths` mean, each once; ``-`` is standard input.

    At most one byte more than the loader accepts is read of each file, so that it can refuse it. A directory
    without a declaration counts as unreadable, for an empty checkout must not look like an empty cluster.

    Raises:
        UsageError: no path is given, or some are missing or no regular file or directory; it names them all.
    """
    if not paths:
        raise UsageError("no declaration given", hint="name a file or a directory with -f")
    given = GivenFiles()
    found: dict[str, str] = {}
    refused: list[str] = []
    for text in paths:
        if text == "-":
            found.setdefault(text, _STDIN)
            continue
        try:
            for path in _expand(text, given):
                found.setdefault(os.path.realpath(path), str(path))
        except _NoDeclaration as exc:
            refused.append(str(exc))
    if refused:
        raise UsageError("\n".join(refused))
    if len(found) > MAX_FILES:
        raise UsageError(f"{len(found)} files are more than {MAX_FILES}")
    _read_all(found.values(), given)
    return given


class _NoDeclaration(Exception):
    """A path on the command line that can be none; the message names it."""


def _expand(text: str, given: GivenFiles) -> Iterator[Path]:
    """Yield the files that a path means."""
    if not text:  # as an unset variable leaves it; Path would read the current directory
        raise _NoDeclaration("an empty path")
    path = Path(text)
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as exc:
        raise _NoDeclaration(f"{text}: {reason_of(exc)}") from exc
    if stat.S_ISREG(mode):
        yield path
        return
    if not stat.S_ISDIR(mode):
        raise _NoDeclaration(f"{path}: neither a file nor a directory")
    try:
        names = sorted(
            entry
            for entry in path.iterdir()
            if entry.suffix in _SUFFIXES and entry.name[0] not in "._" and not entry.is_dir()
        )
    except OSError as exc:
        given.unreadable.append(_unreadable(text, reason_of(exc)))
        return
    if not names:
        reason = "there is no *.yaml or *.yml file in this directory"
        given.unreadable.append(_unreadable(text, reason, hint="an empty checkout?"))
    yield from names


def _read_all(names: Iterable[str], given: GivenFiles) -> None:
    left = MAX_TOTAL_BYTES
    for name in names:
        try:
            data = _read(name)
        except (OSError, ValueError) as exc:
            given.unreadable.append(_unreadable(name, reason_of(exc)))
            continue
        left -= len(data)
        if left < 0:
            reason = f"the files together are longer than {MAX_TOTAL_BYTES // 1024 // 1024} MiB"
            given.unreadable.append(_unreadable(name, reason))
            return
        given.files.append((name, data))


def _read(name: str) -> bytes:
    """Return the content of a file, at most a byte more than it may have."""
    if name == _STDIN:
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    return read_regular(name, MAX_BYTES + 1)


def _unreadable(name: str, reason: str, *, hint: str = "") -> Diagnostic:
    top = SourceSpan(file=name, line=1, column=1, end_line=1, end_column=1)
    return Diagnostic(severity=Severity.ERROR, summary=f"cannot be read: {reason}", span=top, hint=hint)
