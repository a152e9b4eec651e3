"""Words for messages: what was probably meant, and untrusted text shown safely."""

from __future__ import annotations

import re
from collections.abc import Collection

_MAX_DISTANCE = 2
_MAX_WORD = 64  # longer words are not compared
_SHOWN = 60  # characters of a value repeated in a message
_MOST_CHOICES = 1000  # with more, comparing every word with every choice would take too long
_SIMPLE = re.compile(r"[A-Za-z0-9_./*:-]+")


def quoted(text: str) -> str:
    """Return `text` in quotes, printable ASCII only and short: it may come from an attacker's file."""
    shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
    return ascii(shown)


def shown(text: str) -> str:
    """Return `text` as it is if it is a short plain word, else in quotes."""
    return text if len(text) <= _SHOWN and _SIMPLE.fullmatch(text) else quoted(text)


def closest(word: str, choices: Collection[str]) -> str:
    """Return the choice that differs from `word` by at most two edits (case aside), or an empty string."""
    if len(word) > _MAX_WORD or len(choices) > _MOST_CHOICES:
        return ""
    folded = word.casefold()
    best, best_distance = "", _MAX_DISTANCE + 1
    for choice in sorted(choices):
        if abs(len(choice) - len(word)) > _MAX_DISTANCE:
            continue
        distance = _distance(folded, choice.casefold())
        # A two-letter word is two edits away from every other one.
        if distance < best_distance and distance < max(len(choice), 2):
            best, best_distance = choice, distance
    return best


def did_you_mean(word: str, choices: Collection[str]) -> str:
    """Return ``did you mean X?``, or an empty string if nothing is close."""
    found = closest(word, choices)
    return f"did you mean {found}?" if found else ""


def _distance(left: str, right: str) -> int:
    """Return the number of insertions, deletions, replacements and swaps of neighbours between two words."""
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, a in enumerate(left):
        current = [i + 1]
        for j, b in enumerate(right):
            cost = min(row[j + 1] + 1, current[j] + 1, row[j] + (a != b))
            if before and j and a == right[j - 1] and left[i - 1] == b:
                cost = min(cost, before[j - 1] + 1)
            current.append(cost)
        before, row = row, current
    return row[-1]
