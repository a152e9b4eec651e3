"""Bytes of a file -> text. Refused: what a reviewer would not see, and what YAML tools disagree on."""

from __future__ import annotations

import re

from reconciler.desired.tree import pack, span_of
from reconciler.diagnostics import Diagnostic, Severity

MAX_BYTES = 8 * 1024 * 1024  #: longest file
_MAX_FINDINGS = 20  # a file indented with tabs has one on every line

# What libyaml's reader accepts, less the tab, less line ends that editors do not count (NEL, LS, PS), less
# characters that change the order in which text is shown (a review would see another value than we read).
_REFUSED = re.compile(
    "[^\n\r\x20-\x7e\xa0-\u200d\u2010-\u2027\u202f-\u2065\u206a-\ud7ff\ue000-\ufefe\uff00-\ufffd"
    "\U00010000-\U0010ffff]|(?:\\A|(?<=[\n\r]))%"
)
_REFUSED_VALUE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_LINE_END = re.compile("\r\n|\n|\r")  # as libyaml and editors count them, now that the others are refused


def decode(file: str, data: bytes) -> tuple[str, list[Diagnostic]]:
    """Return the text without its byte order mark, and what is wrong with it (then it is not to be used)."""
    if len(data) > MAX_BYTES:
        summary = f"file is longer than {MAX_BYTES // 1024 // 1024} MiB"
        return "", [_error(file, 0, 0, summary, "split it")]
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return "", [_error(file, 0, 0, "file is UTF-16 text", "save it as UTF-8")]
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        good = data[: exc.start].decode("utf-8-sig", errors="replace")
        line, start = _line_at(good, 0, len(good), 0, 0)
        summary = f"byte 0x{data[exc.start]:02x} is not valid UTF-8"
        return "", [_error(file, line, len(good) - start, summary, "save the file as UTF-8")]
    return text, _refused(file, text)


def holds_control(value: str) -> bool:
    """Return true if a value holds, by way of an escape, a control character (line ends and tabs may)."""
    return bool(_REFUSED_VALUE.search(value))


def _refused(file: str, text: str) -> list[Diagnostic]:
    findings: list[Diagnostic] = []
    line, line_start, previous = 0, 0, 0
    for match in _REFUSED.finditer(text):
        index = match.start()
        line, line_start = _line_at(text, previous, index, line, line_start)
        previous = index
        findings.append(_error(file, line, index - line_start, *_refusal(match.group())))
        if len(findings) >= _MAX_FINDINGS:
            break
    return findings


def _line_at(text: str, begin: int, end: int, line: int, line_start: int) -> tuple[int, int]:
    """Return the 0-based line of `end` and where it starts, counting on from what is known at `begin`."""
    for match in _LINE_END.finditer(text, begin, end):
        line, line_start = line + 1, match.end()
    return line, line_start


def _refusal(char: str) -> tuple[str, str]:
    if char == "\t":
        return "tab character", 'indent with spaces; inside a double-quoted text write "\\t"'
    if char == "%":
        return "a line may not begin with '%'", "YAML directives are not supported; remove the line"
    if char == "\0":
        return "NUL character", "this is no text file (UTF-16?); save it as UTF-8"
    return (
        f"character U+{ord(char):04X} is not allowed",
        "remove it, or write it as an escape in double quotes",
    )


def _error(file: str, line: int, column: int, summary: str, hint: str) -> Diagnostic:
    mark = pack(line, column)
    return Diagnostic(severity=Severity.ERROR, summary=summary, span=span_of(file, mark, mark), hint=hint)
