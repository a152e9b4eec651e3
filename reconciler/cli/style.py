"""How text looks on a terminal: colour, ASCII, width, and control characters made harmless.

Renderers return plain lines with marks from `paint`; `Style.text` turns lines into what is printed. Every
line passes through it, so no name, path or log text can move the cursor, change colours or forge a line.
Pure: the environment is passed in.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

# Marks are Unicode noncharacters: they occur in no text, and in none that is printed.
_OPEN, _MIDDLE, _CLOSE = "\ufdd0", "\ufdd1", "\ufdd2"
_PAINTED = re.compile(f"{_OPEN}([a-z]+){_MIDDLE}|{_CLOSE}")
_SGR: Mapping[str, str] = {
    "green": "\x1b[32m",
    "yellow": "\x1b[33m",
    "red": "\x1b[31m",
    "cyan": "\x1b[36m",
    "bold": "\x1b[1m",
    "dim": "\x1b[2m",
}
_RESET = "\x1b[0m"

# C0, DEL, C1, line and paragraph separators, direction controls (they reorder what is read), lone surrogates.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_ASCII = str.maketrans({"→": "->", "…": "...", "·": "|", "─": "-", "—": "-", "≥": ">=", "≈": "~"})

MIN_WIDTH = 40


def paint(text: str, colour: str) -> str:
    """Mark some text for a colour; `Style.text` applies or drops it."""
    return f"{_OPEN}{colour}{_MIDDLE}{text}{_CLOSE}"


def plain_length(text: str) -> int:
    """Return the length of a marked text as printed."""
    return len(_PAINTED.sub("", text))


def escaped(text: str) -> str:
    r"""Return a text in which every control character is visible, as ``\x1b``."""
    return _UNSAFE.sub(lambda found: _visible(found.group()), text)


def _visible(char: str) -> str:
    if char in "\n\t\r":
        return {"\n": "\\n", "\t": "\\t", "\r": "\\r"}[char]
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """What a stream can show. `hints`: suggest next commands (off in automation)."""

    color: bool = False
    ascii: bool = False
    width: int = 100
    hints: bool = True

    def text(self, lines: Iterable[str]) -> str:
        """Return the lines as they are written, each ended by a newline."""
        return "".join(self._line(line) + "\n" for line in lines)

    def _line(self, line: str) -> str:
        safe = escaped(line)
        if self.ascii:
            marked = safe.translate(_ASCII)
            safe = "".join(c if c.isascii() or c in _OPEN + _MIDDLE + _CLOSE else _visible(c) for c in marked)
        return _PAINTED.sub(self._mark, safe)

    def _mark(self, found: re.Match[str]) -> str:
        if not self.color:
            return ""
        return _SGR.get(found.group(1), "") if found.group(1) else _RESET

    def wrap(self, text: str, indent: str = "") -> list[str]:
        """Return a text of one or several lines, wrapped to the width, each line indented.

        A line's own indentation is kept for its continuation, so that numbered lists stay readable.
        """
        room = max(MIN_WIDTH, self.width) - len(indent)
        wrapped: list[str] = []
        for line in text.splitlines() or [""]:
            lead = " " * (len(line) - len(line.lstrip()))
            wrapped += textwrap.wrap(
                line, room, subsequent_indent=lead, break_long_words=False, break_on_hyphens=False
            ) or [""]
        return [f"{indent}{line}".rstrip() for line in wrapped]


def choose_style(
    wish: str, *, terminal: bool, environment: Mapping[str, str], utf8: bool, width: int
) -> Style:
    """Return the style for one stream.

    Args:
        wish: ``auto``, ``always`` or ``never`` (--color); auto follows NO_COLOR, FORCE_COLOR and TERM.
        terminal: whether the stream is one.
        environment: of the process.
        utf8: whether the stream takes UTF-8.
        width: of the terminal, in characters.
    """
    if environment.get("NO_COLOR"):
        auto = False
    elif environment.get("FORCE_COLOR"):
        auto = True
    else:
        auto = terminal and environment.get("TERM", "") not in ("", "dumb")
    return Style(
        color={"always": True, "never": False}.get(wish, auto),
        ascii=not utf8,
        width=width,
        hints=not in_automation(environment),
    )


def in_automation(environment: Mapping[str, str]) -> bool:
    """Return true if nobody is there to read hints or answer prompts."""
    on = ("1", "true", "yes", "on")
    return any(environment.get(name, "").lower() in on for name in ("GLUSTER_STATE_AUTOMATION", "CI"))


def table(rows: Sequence[Sequence[str]], indent: str = "  ", gap: str = "   ") -> list[str]:
    """Return rows of cells as lines with aligned columns; marks from `paint` do not count as width."""
    if not rows:
        return []
    widths = [max(plain_length(row[i]) for row in rows if i < len(row)) for i in range(max(map(len, rows)))]
    lines = []
    for row in rows:
        cells = [cell + " " * (widths[i] - plain_length(cell)) for i, cell in enumerate(row)]
        lines.append((indent + gap.join(cells)).rstrip())
    return lines


def seconds(value: float) -> str:
    """Return a duration as people write it: ``0.3s``, ``7m02s``, ``6h08m``, ``3d4h``."""
    if value < 60:
        return f"{value:.1f}s"
    minutes, rest = divmod(int(value), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02d}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m" if hours < 48 else f"{hours // 24}d{hours % 24}h"


def size(value: int) -> str:
    """Return a number of bytes with a binary unit: ``0 B``, ``3.9 TiB``."""
    amount = float(value)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB", "PiB"):
        if amount < 1024 or unit == "PiB":
            return f"{value} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    raise AssertionError("the last unit takes everything")


def counted(number: int, word: str) -> str:
    """Return a number with its noun: ``1 error``, ``2 errors``."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
