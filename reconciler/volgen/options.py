"""Volume options as users meet them: what is wrong with a set of them, and what a new volume starts with.

Source of kinds and ranges: the option table. Source of creation defaults: glusterfs 10.3
xlators/mgmt/glusterd/src/glusterd-utils.c: glusterd_enable_default_options, glusterd-volume-ops.c:
glusterd_op_create_volume.
"""

from __future__ import annotations

import re
from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from reconciler.catalogue.known import known_options
from reconciler.diagnostics import Diagnostic, Severity
from reconciler.model.volume import VolumeType
from reconciler.volgen.native_names import canonical, only_native, split
from reconciler.volgen.option_table import OptionRow, Rule, rows, rows_by_name
from reconciler.volgen.settings import VolumeSettings, boolean, byte_count
from reconciler.volgen.text import unwritable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from reconciler.catalogue.index import Native, OptionIndex
    from reconciler.model.volume import Shape

_FREE = "user."  #: names below it belong to users; GlusterFS reads none of them
_OUTSIDE = frozenset({"mgmt/glusterd", "mgmt/ganesha", "nfs/server", "configuration"})
_NEVER = _OUTSIDE | {"features/bit-rot", "features/snapview-server", "cluster/nufa", "cluster/switch"}
_BY_SHAPE = {"cluster/replicate": VolumeType.REPLICATE, "cluster/disperse": VolumeType.DISPERSE}
SWITCHES = {
    "features/access-control": ("features.acl",),
    "features/cdc": ("network.compression",),
    "features/cloudsync": ("features.cloudsync",),
    "features/namespace": ("features.tag-namespaces",),
    "features/sdfs": ("features.sdfs",),
    "features/shard": ("features.shard",),
    "features/snapview-client": ("features.uss",),
    "features/utime": ("features.ctime",),
    "performance/io-cache": ("performance.io-cache",),
    "performance/md-cache": ("performance.stat-prefetch",),
    "performance/nl-cache": ("performance.nl-cache",),
    "performance/open-behind": ("performance.open-behind",),
    "performance/quick-read": ("performance.quick-read",),
    "performance/read-ahead": ("performance.read-ahead",),
    "performance/readdir-ahead": ("performance.readdir-ahead", "performance.parallel-readdir"),
    "performance/write-behind": ("performance.write-behind",),
}  #: xlators that a graph has only with one of these options on
_UNNAMED = {"arbiter", "barrier", "index", "leases", "marker", "selinux"}  #: in graphs, but in no row
_PLACED = _UNNAMED | {
    row.xlator.rpartition("/")[2] for row in rows() if row.xlator not in {*_OUTSIDE, "features/bit-rot"}
}  #: xlators that a volume's graphs may have, by the end of their types
_REFUSED = {
    ("replicate", "thin-arbiter"): "a thin arbiter needs a third party that this version does not know",
}  #: xlator and key of options that would break a volume by themselves

_THREADS = "performance.client-io-threads"

_TIME = re.compile(
    r"\d+(\.\d+)?\s*(s|sec|seconds?|m|min|minutes?|h|hr|hours?|d|days?|w|wk|weeks?)?",
    re.IGNORECASE | re.ASCII,
)
_PERCENT = re.compile(r"\d+(\.\d+)?%?", re.ASCII)
_INTEGER = re.compile(r"[+-]?(0x[0-9a-f]+|\d+)", re.IGNORECASE | re.ASCII)
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)


def creation_defaults(shape: Shape) -> tuple[tuple[str, str], ...]:
    """Return the options that a new volume of this shape is created with, sorted by name.

    They are stored with the volume and not implied by the graph rules, because volumes that were created
    without them, by older versions or before a conversion to replication, must keep their graphs:

    - ``transport.address-family`` ``inet``: without it, name resolution prefers IPv6 where a host has both.
    - ``cluster.granular-entry-heal`` ``on`` (replicate): changes what bricks record about pending entries,
      so it is switched on only where no older record can exist.
    - ``performance.client-io-threads`` ``off`` (replicate): its threads slow replication down.

    glusterd stores two more that change no graph: ``nfs.disable`` (there is no NFS server to disable) and
    ``storage.fips-mode-rchecksum`` (every brick graph has it on).
    """
    defaults = {"transport.address-family": "inet"}
    if shape.type is VolumeType.REPLICATE:
        defaults |= {"cluster.granular-entry-heal": "on", _THREADS: "off"}
    return tuple(sorted(defaults.items()))


def converted_defaults(
    pinned: tuple[tuple[str, str], ...], before: Shape, after: Shape
) -> tuple[tuple[str, str], ...]:
    """Return what is left of `creation_defaults` when a volume's shape changes.

    Only ``performance.client-io-threads`` follows the type, as in glusterfs 10.3 glusterd-brick-ops.c:
    glusterd_op_perform_add_bricks, glusterd_op_remove_brick. ``cluster.granular-entry-heal`` does not: older
    records of pending entries may exist.
    """
    if before.type is after.type:
        return pinned
    kept = dict(pinned)
    kept.pop(_THREADS, None)
    if after.type is VolumeType.REPLICATE:
        kept[_THREADS] = "off"
    return tuple(sorted(kept.items()))


def check_options(
    options: Mapping[str, str],
    shape: Shape | None = None,
    natives: Callable[[], OptionIndex] = known_options,
    vouched: Collection[str] = (),
) -> tuple[Diagnostic, ...]:
    """Return everything wrong with the options of one volume, by name.

    Checks names, and values by themselves and against each other. A bad value is an error where an xlator
    would read it, and a warning where the volume has no such xlator, as glusterd accepts it there: without
    `shape` the volume is taken to have every kind of cluster xlator. `Diagnostic.path` is the option's name.

    `natives` gives what libraries know, for ``XLATOR.OPTION`` names; it is called only if there are any.
    Those in `vouched` pass: see `Desired.vouched`.
    """
    settings = VolumeSettings(options)
    found = [
        problem
        for name, value in sorted(options.items())
        if (
            problem := _check(name, value, settings, shape)
            or (None if name in vouched else _check_native(name, value, options, natives))
        )
    ]
    return (*found, *_same_settings(options), *_contradictions(settings))


def may_be_set(native: Native) -> bool:
    """Return whether administrators may set an option by the name that its library has for it."""
    placed = native.option.setkey is None and not any("*" in key for key in native.option.keys)
    return native.option.settable and placed


def suggestions(name: str) -> tuple[str, ...]:
    """Return known option names close to `name`, best first, at most three."""
    known = rows_by_name()
    if "." not in name:
        same_key = [other for other in known if other.partition(".")[2] == name]
        if same_key:
            return tuple(sorted(same_key)[:3])
    return tuple(get_close_matches(name, known, n=3, cutoff=0.6))


def _check(name: str, value: str, settings: VolumeSettings, shape: Shape | None) -> Diagnostic | None:
    if problem := unwritable(value):
        return _error(name, f"the value of option {name} {problem}")
    if name.startswith(_FREE):
        return None
    known = canonical(name)
    if known not in rows_by_name():
        return None if split(name) else _unknown(name, suggestions(name))
    found = (
        _unsupported(known, value)
        or _bad_value(known, value, settings, shape)
        or _without_effect(known, value)
    )
    return found and replace(found, path=name, summary=found.summary.replace(known, name, 1))


def _check_native(
    name: str, value: str, options: Mapping[str, str], natives: Callable[[], OptionIndex]
) -> Diagnostic | None:
    """Check an option that the table does not have by what the library of its xlator says."""
    parts = split(name)
    if parts is None or not only_native(name):
        return None
    found = natives().native(name)
    if found is None:
        return _unknown(name, tuple(dict.fromkeys((*suggestions(name), *natives().close(name))))[:3])
    if refusal := _refusal(name, parts, found):
        return refusal
    if wanted := _wanted(_native_row(found), value):
        return _error(name, f"option {name}: {value!r} is not {wanted}")
    if parts[0] in _PLACED or f"user.xlator.{parts[0]}" in options:
        return None
    summary = f"option {name} has no effect: no graph of the volume has an xlator {parts[0]}"
    return Diagnostic(severity=Severity.WARNING, summary=summary, path=name)


def _refusal(name: str, parts: tuple[str, str], found: Native) -> Diagnostic | None:
    """Refuse what belongs to the graph, and what would break a volume by itself."""
    if not may_be_set(found):
        hint = "Where administrators may set it, it has a name of its own: gluster-state options list"
        return _error(name, f"option {name} is set by the graph, not by administrators", hint)
    if parts in _REFUSED:
        return _error(name, f"option {name} is not supported: {_REFUSED[parts]}")
    return None


def _native_row(native: Native) -> OptionRow:
    """Return what a library says of values in the words of the table."""
    option = native.option
    choices = option.values if option.type.value == "text" else ()
    kind = "choice" if choices else option.type.value if option.type.value in {*_KINDS, "path"} else ""
    return OptionRow(
        name=native.name, xlator="", kind=kind, low=option.lowest, high=option.highest, choices=choices
    )


def _unknown(name: str, close: tuple[str, ...]) -> Diagnostic:
    return _error(name, f"there is no option {name}", f"Did you mean {' or '.join(close)}?" if close else "")


def _unsupported(name: str, value: str) -> Diagnostic | None:
    """Refuse what would need a part that does not exist here: ignoring it would be a broken promise."""
    if name == "cluster.server-quorum-type" and value != "none" and boolean(value) is not False:
        hint = (
            "Server quorum lived in glusterd, which does not run here. Use cluster.quorum-type for replicas."
        )
    elif name == "config.transport" and value != "tcp":
        hint = "The only transport is tcp."
    else:
        return None
    return _error(name, f"option {name}: {value!r} is not supported", hint)


def _bad_value(name: str, value: str, settings: VolumeSettings, shape: Shape | None) -> Diagnostic | None:
    bad = [(row, words) for row in rows_by_name()[name] if (words := _wanted(row, value))]
    if not bad:
        return None
    read = [words for row, words in bad if row.rule is Rule.PERF or _reads(row.xlator, settings, shape)]
    return Diagnostic(
        severity=Severity.ERROR if read or not bad[0][0].key else Severity.WARNING,
        summary=f"option {name}: {value!r} is not {bad[0][1]}",
        path=name,
    )


def _reads(xlator: str, settings: VolumeSettings, shape: Shape | None) -> bool:
    """Return whether some graph of the volume has an xlator of this type."""
    if xlator in _BY_SHAPE:
        return shape is None or shape.type is _BY_SHAPE[xlator]
    if xlator in _NEVER:
        return False
    switches = SWITCHES.get(xlator, ())
    return not switches or any(boolean(settings.value(switch) or "off") for switch in switches)


def _without_effect(name: str, value: str) -> Diagnostic | None:
    harmless = (name == "nfs.disable" and boolean(value)) or name == "config.transport"
    outside = all(
        row.xlator in _OUTSIDE or (row.rule is Rule.TOGGLE and name.startswith("performance.nfs."))
        for row in rows_by_name()[name]
    )
    if harmless or not outside:
        return None
    summary = f"option {name} has no effect: what it controls does not run here"
    return Diagnostic(severity=Severity.WARNING, summary=summary, path=name)


def _wanted(row: OptionRow, value: str) -> str:
    """Return what the row wants instead of `value`, or an empty string if it is fine."""
    if row.rule is Rule.DEBUG or not row.kind:
        return ""
    if row.kind == "choice":
        return "" if value in row.choices else f"one of {', '.join(row.choices)}"
    if row.kind == "path":
        return "" if value.startswith("/") else "an absolute path"
    read, words = _KINDS[row.kind]
    number = read(value)
    if number is None:
        return words
    # Ranges of `percent-or-size` mean one or the other, and time has units: only plain ones are judged.
    if row.kind in {"int", "size", "number"}:
        low, high = row.low, row.high
        if (low is not None and number < low) or (high is not None and number > high):
            return f"{words} {_span(low, high)}"
    return ""


def _span(low: float | None, high: float | None) -> str:
    if low is None:
        return f"up to {high:.15g}"
    return f"from {low:.15g}" if high is None else f"from {low:.15g} to {high:.15g}"


def _integer(text: str) -> float | None:
    """Read as C does: a leading 0x is hexadecimal, a leading 0 octal (file modes are written so)."""
    if not _INTEGER.fullmatch(text) or len(text) >= 40:
        return None
    digits = text.lstrip("+-")
    base = 16 if digits[:2].lower() == "0x" else 8 if digits.startswith("0") else 10
    try:
        return int(text, base)
    except ValueError:  # an 8 or 9 in an octal number
        return None


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) and len(text) < 40 else None


def _time(text: str) -> float | None:
    return 0.0 if _TIME.fullmatch(text) else None


def _percent(text: str) -> float | None:
    return float(text.rstrip("%")) if _PERCENT.fullmatch(text) and len(text) < 40 else None


def _percent_or_size(text: str) -> float | None:
    percent = _percent(text)
    return byte_count(text) if percent is None else percent


_KINDS: dict[str, tuple[Callable[[str], float | None], str]] = {
    "bool": (boolean, "on or off"),
    "int": (_integer, "an integer"),
    "number": (_number, "a number"),
    "size": (byte_count, "a size such as 64KB or 1GB"),
    "time": (_time, "a time such as 30, 10min or 2hr"),
    "percent": (_percent, "a percentage"),
    "percent-or-size": (_percent_or_size, "a percentage or a size"),
}


def _same_settings(options: Mapping[str, str]) -> list[Diagnostic]:
    """Return the options that set what another one sets to another value, under another name."""
    found: list[Diagnostic] = []
    seen: dict[str, str] = {}
    for name, value in sorted(options.items()):
        first = seen.setdefault(canonical(name), name)
        if options[first] != value:
            found.append(_error(name, f"option {name} is {first} by another name, and their values differ"))
    return found


def _contradictions(settings: VolumeSettings) -> list[Diagnostic]:
    def on(name: str) -> bool:
        return boolean(settings.declared(name) or "off") is True

    pairs = (
        ("features.read-only", "features.worm"),
        ("features.read-only", "features.worm-file-level"),
        ("cluster.nufa", "cluster.switch"),
    )
    return [_error(a, f"options {a} and {b} cannot both be on") for a, b in pairs if on(a) and on(b)]


def _error(name: str, summary: str, hint: str = "") -> Diagnostic:
    return Diagnostic(severity=Severity.ERROR, summary=summary, hint=hint, path=name)
