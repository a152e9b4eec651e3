"""Findings are returned, not raised: all of them, with position and remedy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Severity(Enum):
    """How bad a finding is. Only errors stop a run."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class SourceSpan:
    """A place in a text. `line` and `column` count from 1; `end_*` is one past the last character."""

    file: str
    line: int
    column: int
    end_line: int = 0
    end_column: int = 0

    def __str__(self) -> str:
        # A file's name may hold anything but NUL and "/": a line end in it must not begin a line of ours.
        name = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in self.file)
        return f"{name}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One finding.

    Attributes:
        severity: only ERROR makes the command fail.
        summary: one line, without position: what is wrong, naming the value found.
        span: where; None when the finding is about no text (for example a live condition).
        hint: what to do, possibly several lines.
        code: a risk code such as ``GS204``, or empty.
        path: address inside the document such as ``spec.volumes[1].replica``, or an object's address.
    """

    severity: Severity
    summary: str
    span: SourceSpan | None = None
    hint: str = ""
    code: str = ""
    path: str = ""
