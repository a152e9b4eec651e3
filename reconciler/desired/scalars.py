"""The meaning of plain scalars: YAML 1.2 core schema, with ambiguous and unbounded numbers refused.

Source: YAML 1.2.2, section 10.3.2 (tag resolution of the core schema). So ``on``, ``no``, ``12:30`` and
``2026-01-01`` are text. Beyond it, an integer with a leading zero is an error, because YAML 1.1 tools read it
as octal and YAML 1.2 as decimal; so are infinities, NaN and integers that do not fit 64 bits.
"""

from __future__ import annotations

import re

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
TRUES = frozenset({"true", "True", "TRUE"})
_FALSES = frozenset({"false", "False", "FALSE"})
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]")
_LONGEST = 40  # characters of a number; checked before converting, so that a megabyte of digits costs nothing
_MAX_INT = 2**63 - 1

Value = None | bool | int | float | str


class ScalarError(Exception):
    """A plain scalar whose meaning is refused.

    Args:
        summary: what is wrong.
        hint: what to write instead.
    """

    def __init__(self, summary: str, hint: str) -> None:
        super().__init__(summary)
        self.summary = summary
        self.hint = hint


def resolve(text: str) -> Value:
    """Return the value of a plain scalar.

    Raises:
        ScalarError: a number that is ambiguous, not finite or out of range.
    """
    if text in _NULLS:
        return None
    if text in TRUES or text in _FALSES:
        return text in TRUES
    if text[0] not in "+-.0123456789":
        return text
    if _NOT_FINITE.fullmatch(text):
        raise ScalarError(f"{text} is not a finite number", "write a number, or quote it if it is text")
    if _FLOAT.fullmatch(text) or _BASED.fullmatch(text):
        return _number(text)
    return text


def _number(text: str) -> int | float:
    shown = text if len(text) <= _LONGEST else text[:12] + "…"
    if len(text) > _LONGEST:
        raise ScalarError(f"number {shown} is too long", "quote it if it is text")
    if _LEADING_ZERO.match(text):
        raise ScalarError(
            f"number {shown} has a leading zero",
            "YAML versions disagree on its value: remove the zero, or quote it if it is text",
        )
    if _BASED.fullmatch(text):
        number = int(text, 0)
    elif _DECIMAL.fullmatch(text):
        number = int(text)
    else:
        value = float(text)
        if value in {float("inf"), float("-inf")}:
            raise ScalarError(f"number {shown} is out of range", "quote it if it is text")
        return value
    if not -_MAX_INT - 1 <= number <= _MAX_INT:
        raise ScalarError(f"number {shown} does not fit 64 bits", "quote it if it is text")
    return number


_SIZE = re.compile(r"([0-9]+)(?:\.([0-9]+))?([KMGTPE]?)(i?)B")


def size_bytes(text: str) -> int:
    """Return the whole bytes of a size such as ``64MiB`` or ``2TB`` (the schema guarantees its form)."""
    match = _SIZE.fullmatch(text)
    assert match is not None, text
    whole, fraction, prefix, binary = match.groups(default="")
    base, power = (1024 if binary else 1000), " KMGTPE".index(prefix or " ")
    unit: int = base**power
    tens: int = 10 ** len(fraction)
    return int(whole + fraction) * unit // tens


_DURATION = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def duration_s(text: str) -> float:
    """Return the seconds of a duration such as ``3s``, ``1h30m`` or ``500ms`` (the schema guarantees its form)."""  # noqa: E501
    return sum(int(count) * _SECONDS[unit] for count, unit in _DURATION.findall(text))
