"""Which texts are values of which kind, as GlusterFS itself judges them.

Source: glusterfs 10.3 libglusterfs/src/options.c (xlator_option_validate and what it calls) and
libglusterfs/src/common-utils.c (gf_string2time, gf_string2percent, valid_internet_address and others).
Kinds that only glusterd judges: xlators/mgmt/glusterd/src/glusterd-volume-set.c.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from reconciler.volgen.settings import boolean, byte_count

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.volgen.option_table import OptionRow

_LONG = 1 << 63  #: one more than the largest integer that GlusterFS reads
_INT = (1 << 31) - 1  #: the largest of an ``int32_t``
_MAX_DIGITS = 40  #: far more than any number that fits has
_MAX_HOST = 255
_MAX_OCTET, _MAX_GROUP, _MAX_MASK = 255, 0xFFFF, 32
_OCTETS, _GROUPS = 4, 8

_INTEGER = re.compile(r"\s*[+-]?(0x[0-9a-f]+|\d+)", re.IGNORECASE | re.ASCII)
_DECIMAL = re.compile(r"\s*\+?\d+", re.ASCII)
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)
_PERCENT = re.compile(r"\s*\+?(\d+\.?\d*|\.\d+)%?", re.ASCII)
_SHARE_OR_SIZE = re.compile(r"\s*\+?(\d+\.?\d*|\.\d+)(%|[kmgtp]b)?", re.IGNORECASE | re.ASCII)
_TIME = re.compile(r"\s*\+?(0x[0-9a-f]+|\d+)(s|sec|m|min|h|hr|d|days|w|wk)?", re.ASCII)
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_LABEL = re.compile(r"[0-9a-z]([0-9a-z-]*[0-9a-z])?", re.IGNORECASE | re.ASCII)
_SNAPSHOT_DIRECTORY = re.compile(r"\.[0-9A-Za-z_-]{1,254}", re.ASCII)
_THROTTLES = frozenset({"lazy", "normal", "aggressive"})


def wanted(row: OptionRow, value: str, volume: str = "") -> str:
    """Return what the row wants instead of `value`, or an empty string if it is fine.

    `volume` is the name of the volume, for values that name an xlator of its graphs; empty if not known.
    """
    if not row.kind:
        return ""
    if row.kind == "choice":
        return "" if value in row.choices else f"one of {', '.join(row.choices)}"
    if row.kind == "xlator":
        named = not volume or value == volume or value.startswith(f"{volume}-")
        return "" if named else f"an xlator of the volume's graphs, such as {volume}-client-0"
    if row.kind in _FORMS:
        fits, words = _FORMS[row.kind]
        return "" if fits(value) else words
    return _wanted_number(row, value)


def judged(kind: str) -> bool:
    """Return whether values of this kind can be judged without a row of the table that lists them."""
    return kind in _FORMS or kind in _NUMBERS


def integer(text: str) -> int | None:
    """Return an integer as C reads it, or None: 0x is hexadecimal, a leading 0 octal (file modes)."""
    if not _INTEGER.fullmatch(text) or len(text) > _MAX_DIGITS:
        return None
    digits = text.strip().lstrip("+-")
    base = 16 if digits[:2].lower() == "0x" else 8 if digits.startswith("0") else 10
    try:
        number = int(digits, base)
    except ValueError:  # an 8 or 9 in an octal number
        return None
    negative = "-" in text
    if number >= _LONG or (negative and not number):  # GlusterFS refuses -0 in so many words
        return None
    return -number if negative else number


def _decimal(text: str) -> int | None:
    """Read what is the same to a reader of sizes, which knows no 0x, and to one of plain numbers."""
    return int(text) if _DECIMAL.fullmatch(text) and len(text) <= _MAX_DIGITS else None


def _wanted_number(row: OptionRow, value: str) -> str:
    read, words = _NUMBERS[row.kind]
    number = read(value)
    if number is None:
        return words
    low, high = row.low, row.high
    if row.kind == "percent-or-size" and "%" in value:  # the range, if there is one, is that of sizes
        low, high = 0, 100
    if (low is not None and number < low) or (high is not None and number > high):
        return f"{words} {_span(low, high)}"
    return ""


def _span(low: float | None, high: float | None) -> str:
    if low is None:
        return f"up to {high:.15g}"
    return f"from {low:.15g}" if high is None else f"from {low:.15g} to {high:.15g}"


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) and len(text) <= _MAX_DIGITS else None


def _time(text: str) -> float | None:
    found = _TIME.fullmatch(text)
    number = integer(found[1]) if found else None
    return None if found is None or number is None else number * _SECONDS[(found[2] or "")[:1]]


def _percent(text: str) -> float | None:
    if not _PERCENT.fullmatch(text) or len(text) > _MAX_DIGITS:
        return None
    number = float(text.rstrip("%"))
    return number if number <= 100 else None


def _percent_or_size(text: str) -> float | None:
    """Read a number with a sign of percent or a unit; a size may have no other decimals than zeros."""
    found = _SHARE_OR_SIZE.fullmatch(text)
    if not found or len(text) > _MAX_DIGITS:
        return None
    number, unit = float(found[1]), (found[2] or "").lower()
    if unit != "%":
        if text.partition(".")[2].strip("0"):  # GlusterFS counts the unit as a decimal too
            return None
        number *= 1024 ** ("kmgtp".index(unit[0]) + 1 if unit else 0)
    return number if number < 1 << 64 else None


def _path(text: str) -> bool:
    return text.startswith("/") and "../" not in text


def _name(text: str) -> bool:
    return "/" not in text


def _throttle(text: str) -> bool:
    """Accept any positive number of threads: how many cores there are, only each node knows."""
    count = integer(text)
    return text.lower() in _THROTTLES or (count is not None and 0 < count <= _INT)


def _priorities(text: str) -> bool:
    """Accept ``PATTERN:NUMBER,…``; what follows a second colon is not read."""
    parts = [[word for word in part.split(":") if word] for part in text.split(",") if part]
    return bool(parts) and all(len(words) > 1 and _fits_int(words[1]) for words in parts)


def _fits_int(text: str) -> bool:
    number = integer(text)
    return number is not None and -_INT - 1 <= number <= _INT


def _addresses(text: str) -> bool:
    """Accept ``ADDRESS,…`` and, with directories, ``/DIR(ADDRESS|…),…``."""
    parts = [part for part in text.split(",") if part]
    if not text.startswith("/") and "(" not in text:
        return all(_address(part) for part in parts)
    return all(_directory(part) for part in parts)


def _directory(text: str) -> bool:
    folder, _, rest = text.partition("(")
    inside = [word for word in rest.partition(")")[0].split("|") if word]
    return folder.startswith("/") and bool(inside) and all(_address(word) for word in inside)


def _address(text: str) -> bool:
    """Accept an address, a network, a pattern of addresses, or a name of a host."""
    host, slash, mask = text.partition("/")
    if slash:
        return mask.isdecimal() and 1 <= int(mask[:9]) <= _MAX_MASK and _ipv4(host)
    return _ipv4(text) or _ipv6(text) or _host(text)


def _ipv4(text: str) -> bool:
    parts = [part for part in text.split(".") if part]
    if ".." in text or not parts or not (text[-1].isdecimal() or text.endswith("*")):
        return False
    numbers = [part for part in parts if part != "*"]
    known = all(part.isascii() and part.isdecimal() and int(part[:9]) <= _MAX_OCTET for part in numbers)
    return known and (len(parts) == _OCTETS or (len(parts) < _OCTETS and len(numbers) < len(parts)))


def _ipv6(text: str) -> bool:
    text = text.partition("%")[0]
    if not text or text.endswith(":") or text.count("::") > 1 or ":::" in text:
        return False
    parts = [part for part in text.split(":") if part]
    groups = [part for part in parts if part != "*"]
    if not all(re.fullmatch("0*[0-9a-f]{1,4}", part, re.IGNORECASE) for part in groups):
        return False
    short = "::" in text or len(groups) < len(parts)
    return len(parts) == _GROUPS or (len(parts) < _GROUPS and short)


def _host(text: str) -> bool:
    labels = [label for label in text.split(".") if label]
    sound = 0 < len(text) <= _MAX_HOST and ".." not in text and not text.endswith(".")
    return sound and bool(labels) and all(_LABEL.fullmatch(label) for label in labels)


_NUMBERS: dict[str, tuple[Callable[[str], float | None], str]] = {
    "int": (integer, "an integer"),
    "decimal": (_decimal, "a decimal number without a unit"),
    "number": (_number, "a number"),
    "size": (byte_count, "a size such as 64KB or 1GB"),
    "time": (_time, "a time such as 30, 10min or 2hr"),
    "percent": (_percent, "a percentage"),
    "percent-or-size": (_percent_or_size, "a percentage or a size"),
}  #: kind of a number -> how to read it, what it is called
_FORMS: dict[str, tuple[Callable[[str], bool], str]] = {
    "bool": (lambda text: boolean(text) is not None, "on or off"),
    "path": (_path, "an absolute path without ../"),
    "name": (_name, "a name without slashes"),
    "throttle": (_throttle, "lazy, normal, aggressive or a number of threads"),
    "snapshot-directory": (
        lambda text: _SNAPSHOT_DIRECTORY.fullmatch(text) is not None,
        "a dot with at least one letter, digit, '-' or '_' after it",
    ),
    "priority-list": (_priorities, "a list of patterns with priorities, such as *.jpg:2,*.tmp:1"),
    "address-list": (_addresses, "a list of addresses, such as 10.0.*,192.168.1.0/24,client.example"),
}  #: kind of any other value -> whether a text is one, what it is called
