"""Options by the names that xlators have for them: ``XLATOR.OPTION``, such as ``replicate.eager-lock``.

They set OPTION on every xlator of that name in every graph, so they need no row in the option table. Where
the table has a name for exactly the same setting, that name is meant: graph rules that read or override it
must see one setting, however it was written.

Source: GlusterD2, glusterd2/options (``<xlator>.<option>``).
"""

from __future__ import annotations

from functools import cache

from reconciler.volgen.option_table import OptionRow, Rule, rows, rows_by_name

#: xlators that a volfile calls by another name than their file's: file -> end of the type
FILES = {
    "afr": "replicate",
    "dht": "distribute",
    "ec": "disperse",
    "posix-acl": "access-control",
    "posix-locks": "locks",
    "stat-prefetch": "md-cache",
}
#: second names of keys: xlator and second name -> first name. GlusterFS takes them for the first ones when it
#: makes a graph and ignores them when options of a running one change (glusterfs 10.3
#: libglusterfs/src/options.c: xl_opt_validate; graph.c: glusterfs_graph_reconfigure does not call it).
KEYS = {
    ("client", "rpc-timeout"): "frame-timeout",
    ("bit-rot", "scrub"): "scrubber",
    ("error-gen", "error-fops"): "enable",
    ("io-cache", "force-revalidate-timeout"): "cache-timeout",
    ("write-behind", "window-size"): "cache-size",
}
_FREE = "user."


def split(name: str) -> tuple[str, str] | None:
    """Return xlator and first key of a name that is not in the table; None for names that are not such."""
    word, _, key = name.partition(".")
    if name in rows_by_name() or name.startswith(_FREE) or word in _families() or not word or not key:
        return None
    xlator = FILES.get(word, word)
    return xlator, KEYS.get((xlator, key), key)


def canonical(name: str) -> str:
    """Return the table's name for the same setting if there is one, else the name itself."""
    parts = split(name)
    return name if parts is None else _table_names().get(parts, name)


def only_native(name: str) -> bool:
    """Return whether only an xlator has this name, so that a catalogue must say whether it exists."""
    return split(name) is not None and canonical(name) == name


def means(word: str, xlator: str) -> bool:
    """Return whether the first part of a name, as `split` gives it, is for an xlator of this type."""
    return xlator.rpartition("/")[2] == word


@cache
def _families() -> frozenset[str]:
    """Return the first words of the table's names that are no xlators, such as ``performance``."""
    words = {name.partition(".")[0] for name in rows_by_name()}
    return frozenset(words - {row.xlator.rpartition("/")[2] for row in rows()} - FILES.keys())


@cache
def _table_names() -> dict[tuple[str, str], str]:
    """Return the table's names for settings of one key of one xlator, by the two parts of a native name."""
    found: dict[tuple[str, str], str] = {}
    for row in rows():
        word = row.xlator.rpartition("/")[2]
        key = word if _switches(row, word) else row.key
        alone = len({(other.xlator, other.key) for other in rows_by_name()[row.name]}) == 1
        whole = row.rule in {Rule.SET, Rule.SHD, Rule.PERF} or _switches(row, word)
        if key and alone and whole and not row.name.startswith("performance.nfs."):
            found.setdefault((word, key), row.name)
    return found


def _switches(row: OptionRow, word: str) -> bool:
    """Return whether a row's value says that a graph has the xlator; libraries name such a key after it."""
    return row.rule is Rule.PERF or (row.rule is Rule.TOGGLE and row.name == f"features.{word}")
