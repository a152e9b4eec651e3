"""Findings for people (with the source line and a caret), for programs, and as GitHub annotations. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from reconciler.cli.style import Style, counted, paint
from reconciler.diagnostics import Diagnostic, Severity, SourceSpan
from reconciler.model.codec import Json
from reconciler.plan.codes import CODES
from reconciler.plan.document import FORMAT_VERSION, diagnostic_json

#: Lines of each file that diagnostics point into.
Sources = Mapping[str, Sequence[str]]

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}
_GITHUB = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}
_MARGIN = 5  #: columns of the line number
_LONGEST = 160  #: characters of a source line that are shown


def count(found: Iterable[Diagnostic], severity: Severity) -> int:
    """Return how many findings have a severity."""
    return sum(one.severity is severity for one in found)


def render(found: Sequence[Diagnostic], sources: Sources, style: Style) -> list[str]:
    """Return every finding as lines; its first begins ``FILE:LINE:COL:`` so that editors can jump."""
    lines: list[str] = []
    for one in found:
        lines += _one(one, sources, style)
    return lines


def tally(found: Sequence[Diagnostic], files: int, elapsed_s: float) -> str:
    """Return the last line: what was found, in how many files, in which time."""
    errors, warnings = count(found, Severity.ERROR), count(found, Severity.WARNING)
    found_words = f"{counted(errors, 'error')}, {counted(warnings, 'warning')}"
    return f"{found_words} in {counted(files, 'file')} ({elapsed_s:.2f}s)"


def _one(found: Diagnostic, sources: Sources, style: Style) -> list[str]:
    place = f"{found.span}: " if found.span else ""
    code = f" [{found.code}]" if found.code else ""
    word = paint(found.severity.value, _COLOURS[found.severity])
    lines = [f"{place}{word}: {found.summary}{code}"]
    source = sources.get(found.span.file, ()) if found.span else ()
    hint = found.hint.splitlines()
    if found.span and 1 <= found.span.line <= len(source):
        lines += _snippet(found.span, source, hint[:1])
        hint = hint[1:]
    for text in hint:
        lines += style.wrap(text, " " * (_MARGIN + 2))
    lines += _help(found, style)
    return lines


def _help(found: Diagnostic, style: Style) -> list[str]:
    parts = [f"at: {found.path}"] if found.path and found.span else []
    if found.code in CODES and style.hints:
        parts.append(f"help: gluster-state explain {found.code}")
    return [paint("   " + "   ".join(parts), "dim")] if parts else []


def _snippet(span: SourceSpan, source: Sequence[str], hint: Sequence[str]) -> list[str]:
    """Return the line before, the line with a caret under the place, and the line after."""
    lines = []
    for number in range(max(1, span.line - 1), min(len(source), span.line + 1) + 1):
        lines.append(f"{number:>{_MARGIN}} | {_shown(source[number - 1])}".rstrip())
        if number == span.line:
            lines.append(_caret(span, source[number - 1], hint))
    return lines


def _shown(line: str) -> str:
    """Return a source line with tabs as one blank, so that the caret stands where it belongs."""
    flat = line.replace("\t", " ")
    return flat if len(flat) <= _LONGEST else flat[: _LONGEST - 1] + "…"


def _caret(span: SourceSpan, line: str, hint: Sequence[str]) -> str:
    start = min(max(1, span.column), _LONGEST, len(line) + 1)
    end = span.end_column if span.end_line in (0, span.line) else len(line) + 1
    width = max(1, min(end, len(line) + 1, _LONGEST) - start)
    text = f" {hint[0]}" if hint else ""
    return " " * _MARGIN + " | " + " " * (start - 1) + paint("^" * width, "red") + text


def as_json(found: Sequence[Diagnostic], sources: Sources) -> dict[str, Json]:
    """Return the findings in the shape of ``terraform validate -json``, snippets included."""
    errors = count(found, Severity.ERROR)
    return {
        "format_version": FORMAT_VERSION,
        "valid": errors == 0,
        "error_count": errors,
        "warning_count": count(found, Severity.WARNING),
        "diagnostics": [_json(one, sources) for one in found],
    }


def _json(found: Diagnostic, sources: Sources) -> Json:
    plain = diagnostic_json(found)
    assert isinstance(plain, dict)
    span = found.span
    source = sources.get(span.file, ()) if span else ()
    if span and 1 <= span.line <= len(source):
        code = source[span.line - 1]
        same_line = span.end_line in (0, span.line)
        plain["snippet"] = {
            "context": found.path or None,
            "code": code[:_LONGEST],
            "start_line": span.line,
            "highlight_start_offset": span.column - 1,
            "highlight_end_offset": max(span.column, span.end_column - 1 if same_line else len(code)),
            "values": [],
        }
    return plain


def as_github(found: Iterable[Diagnostic]) -> list[str]:
    """Return workflow commands, one line each: GitHub shows them on the diff.

    Source: docs.github.com, "Workflow commands for GitHub Actions": percent-encode ``%``, CR, LF in
    messages, and also ``:`` and ``,`` in properties.
    """
    lines = []
    for one in found:
        where = ""
        if one.span:
            name = _encoded(one.span.file).replace(":", "%3A").replace(",", "%2C")
            where = f" file={name},line={one.span.line},col={one.span.column}"
        text = one.summary + (f"\n{one.hint}" if one.hint else "")
        lines.append(f"::{_GITHUB[one.severity]}{where}::{_encoded(text)}")
    return lines


def _encoded(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
