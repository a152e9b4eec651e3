"""Paths on the command line -> names and bytes for `reconciler.desired.load`. Reads, decides nothing.

A directory means its ``*.yaml`` and ``*.yml`` files, sorted, without its subdirectories; names that begin
with ``.`` or ``_`` are left out.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

from reconciler.desired.characters import MAX_BYTES
from reconciler.diagnostics import Diagnostic, Severity
from reconciler.errors import DesiredStateError, UsageError

MAX_FILES = 10_000  #: most files in one run
_SUFFIXES = frozenset({".yaml", ".yml"})


def read_files(paths: Sequence[str]) -> tuple[tuple[str, bytes], ...]:
    """Return (name, content) of every file that `paths` mean; ``-`` is standard input. Each file once.

    At most one byte more than the loader accepts is read of each file, so that it can refuse it.

    Raises:
        UsageError: a path is missing or no regular file or directory, or no path is given.
        DesiredStateError: a directory holds no declaration, or a file cannot be read.
    """
    if not paths:
        raise UsageError("no declaration given", hint="name a file or a directory with -f")
    found: dict[Path, str] = {}
    result: list[tuple[str, bytes]] = []
    for text in paths:
        if text == "-":
            result.append(("<stdin>", sys.stdin.buffer.read(MAX_BYTES + 1)))
            continue
        for path in _expand(Path(text)):
            found.setdefault(path.resolve(), str(path))
    if len(found) > MAX_FILES:
        raise UsageError(f"{len(found)} files are more than {MAX_FILES}")
    result += [(name, _read(name)) for name in found.values()]
    return tuple(result)


def _expand(path: Path) -> list[Path]:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as exc:
        raise UsageError(f"{path}: no such file or directory") from exc
    except (OSError, ValueError) as exc:
        raise UsageError(f"{path}: {_reason(exc)}") from exc
    if stat.S_ISREG(mode):
        return [path]
    if not stat.S_ISDIR(mode):
        raise UsageError(f"{path}: neither a file nor a directory")
    try:
        names = sorted(
            entry
            for entry in path.iterdir()
            if entry.suffix in _SUFFIXES and entry.name[0] not in "._" and not entry.is_dir()
        )
    except OSError as exc:
        raise _unreadable(str(path), _reason(exc)) from exc
    if not names:
        raise _unreadable(str(path), "no *.yaml or *.yml file in this directory", hint="an empty checkout?")
    return names


def _read(name: str) -> bytes:
    try:
        # Without O_NONBLOCK the open of a FIFO would wait for a writer.
        with os.fdopen(os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise _unreadable(name, "not a regular file")
            return file.read(MAX_BYTES + 1)
    except OSError as exc:
        raise _unreadable(name, _reason(exc)) from exc


def _reason(exc: OSError | ValueError) -> str:
    text = exc.strerror if isinstance(exc, OSError) else str(exc)
    return (text or type(exc).__name__).lower()


def _unreadable(name: str, reason: str, *, hint: str = "") -> DesiredStateError:
    return DesiredStateError([Diagnostic(severity=Severity.ERROR, summary=f"{name}: {reason}", hint=hint)])
