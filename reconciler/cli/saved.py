"""Files that commands write: whole or not at all. Plan files are read with a bound."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from pathlib import Path

from reconciler.errors import PlanError, UsageError
from reconciler.plan.document import MAX_DOCUMENT_BYTES, canonical_text, parse_document
from reconciler.plan.step import Plan


def save(plan: Plan, path: str) -> None:
    """Write the plan's canonical text, readable by its owner only, replacing a file in one step.

    Raises UsageError if that is not possible; a former file is then untouched.
    """
    try:
        write_private(Path(path), canonical_text(plan))
    except OSError as exc:
        raise UsageError(f"{path}: the plan cannot be written: {exc.strerror}") from exc


def write_private(path: Path, text: str) -> None:
    """Write a file for its owner only, in one step: a crash or error leaves what was there before.

    Raises OSError, also for anything in that place but a regular file: a rename would put a file where
    /dev/stdout or another device was, and a link may lead anywhere.
    """
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(path.lstat().st_mode):
            raise OSError(errno.EEXIST, "there is something else than a regular file", str(path))
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".gs-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def load(path: str) -> Plan:
    """Return a saved plan. Raises UsageError if it cannot be read, PlanError or StalePlan if it is bad."""
    try:
        with Path(path).open("rb") as stream:
            data = stream.read(MAX_DOCUMENT_BYTES + 1)
    except OSError as exc:
        raise UsageError(f"{path}: {exc.strerror}", hint="check the path") from exc
    try:
        return parse_document(data.decode("utf-8"))
    except UnicodeDecodeError as exc:
        raise PlanError(f"{path}: this is no plan: it is not UTF-8 text") from exc
