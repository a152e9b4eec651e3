"""The options of one volume as the graph rules read them: declared values over the table's defaults."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from reconciler.errors import VolfileError
from reconciler.volgen.native_names import canonical, means, split
from reconciler.volgen.option_table import OptionRow, Rule, rows_by_name, rows_by_rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reconciler.volgen.graph import Draft

IO_STATS = "debug/io-stats"

_TRUE = frozenset({"1", "on", "yes", "true", "enable"})
_FALSE = frozenset({"0", "off", "no", "false", "disable"})
_UNITS = {"": 0, "b": 0, "kb": 1, "mb": 2, "gb": 3, "tb": 4, "pb": 5}
_SIZE = re.compile(r"\s*\+?([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([a-z]*)", re.IGNORECASE | re.ASCII)


class VolumeSettings:
    """Declared options of a volume, with defaults where the table has any. Never changed in place.

    An option is known by the table's name for it, also if it was declared by the xlator's own.
    """

    def __init__(self, declared: Mapping[str, str]) -> None:
        self._declared = {canonical(name): value for name, value in sorted(declared.items())}

    def declared(self, name: str) -> str | None:
        """Return the declared value, or None if only a default could apply."""
        return self._declared.get(name)

    def names(self) -> tuple[str, ...]:
        """Return the declared names, sorted."""
        return tuple(sorted(self._declared))

    def value(self, name: str) -> str | None:
        """Return the declared value or else the table's default, or None."""
        if name in self._declared:
            return self._declared[name]
        defaults = [row.default for row in rows_by_name().get(name, ()) if row.default is not None]
        return defaults[-1] if defaults else None

    def is_on(self, name: str) -> bool:
        """Return whether a switch is on; one without value and default is off.

        Raises:
            VolfileError: the value is no boolean.
        """
        value = self.value(name)
        if value is None:
            return False
        switch = boolean(value)
        if switch is None:
            raise VolfileError(f"option {name}: {value!r} is neither on nor off")
        return switch

    def switch(self, name: str) -> bool | None:
        """Return as `is_on` whether a switch is on, and None where that raises."""
        return boolean(self.value(name) or "off")

    def size_bytes(self, name: str) -> int:
        """Return a size in bytes.

        Raises:
            VolfileError: there is no value, or it is no size.
        """
        value = self.value(name)
        size = None if value is None else byte_count(value)
        if size is None:
            raise VolfileError(f"option {name}: {value!r} is no size such as 10MB")
        return size

    def changed(self, changes: Mapping[str, str]) -> VolumeSettings:
        """Return these settings with `changes` on top."""
        return VolumeSettings({**self._declared, **changes})

    def rows(self, rule: Rule) -> Iterator[tuple[OptionRow, str]]:
        """Yield the rows of a rule that have a value, with it, in table order."""
        for row in rows_by_rule()[rule]:
            value = self._declared.get(row.name, row.default)
            if value is not None:
                yield row, value

    def apply(self, draft: Draft) -> None:
        """Set every plain option on the xlators that know it."""
        for row, value in self.rows(Rule.SET):
            draft.set(row.xlator, row.key, value)
        self.apply_natives(draft)

    def apply_natives(self, draft: Draft) -> None:
        """Set the options that only xlators have names for, on every xlator of that name."""
        for name, value in self._declared.items():
            parts = split(name)
            for xlator in draft.types if parts else ():
                if parts and means(parts[0], xlator):
                    draft.set(xlator, parts[1], value)

    def apply_stats(self, draft: Draft, rule: Rule) -> None:
        """Set the options of io-stats that only one side has (`rule` says which)."""
        for row, value in self.rows(rule):
            draft.set(IO_STATS, row.key, value)

    def tls(self) -> dict[str, str]:
        """Return the declared TLS transport options by xlator key."""
        return {row.key: value for row, value in self.rows(Rule.TLS)}

    def debug_types(self, position: str) -> tuple[str, ...]:
        """Return the types of debugging xlators to put above `position`.

        glusterd 10.3 (glusterd-volgen.c: check_and_add_debug_xl) lets any one of the debug options name
        the place and then adds every debugging xlator that is not off; a volume that relied on it would
        otherwise change its graph.
        """
        chosen = list(self.rows(Rule.DEBUG))
        if not any(value == position for _, value in chosen):
            return ()
        return tuple(row.xlator for row, value in chosen if boolean(value) is not False)


def boolean(text: str) -> bool | None:
    """Return what GlusterFS takes `text` for, or None if it is no boolean.

    Source: glusterfs 10.3 libglusterfs/src/common-utils.c: gf_string2boolean.
    """
    low = text.lower()
    if low in _TRUE:
        return True
    return False if low in _FALSE else None


def byte_count(text: str) -> int | None:
    """Return a size in bytes, or None if `text` is no size.

    Source: glusterfs 10.3 libglusterfs/src/common-utils.c: gf_string2bytesize_range (binary units up to
    PB, fractions allowed, at most 2**63 - 1).
    """
    found = _SIZE.fullmatch(text)
    if not found or found[2].lower() not in _UNITS or len(found[1]) > 40:
        return None
    unit = 1024 ** _UNITS[found[2].lower()]
    size = int(float(found[1]) * unit) if "." in found[1] else int(found[1]) * unit
    return size if size < 1 << 63 else None


def size_text(count: int) -> str:
    """Return a size as `byte_count` reads it, in the largest unit that says it without a fraction."""
    units = sorted(_UNITS.items(), key=lambda unit: -unit[1])
    word = next(word for word, power in units if word and not count % 1024**power)
    return f"{count // 1024 ** _UNITS[word]}{word.upper()}"
