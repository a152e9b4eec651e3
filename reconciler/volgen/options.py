"""Volume options as users meet them: what is wrong with a set of them, and what a new volume starts with.

Source of kinds and ranges: the option table. Source of creation defaults: glusterfs 10.3
xlators/mgmt/glusterd/src/glusterd-utils.c: glusterd_enable_default_options, glusterd-volume-ops.c:
glusterd_op_create_volume.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING

from reconciler.catalogue.known import known_options
from reconciler.diagnostics import Diagnostic, Severity
from reconciler.model.volume import VolumeType
from reconciler.volgen.native_names import canonical, only_native, split
from reconciler.volgen.option_rules import across, shape_problem, unstartable
from reconciler.volgen.option_table import OptionRow, Rule, names, rows, rows_by_name, rows_by_rule
from reconciler.volgen.option_values import judged, wanted
from reconciler.volgen.settings import VolumeSettings, boolean
from reconciler.volgen.switches import SWITCHES
from reconciler.volgen.text import unwritable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from reconciler.catalogue.index import Native, OptionIndex
    from reconciler.model.volume import Shape

_FREE = "user."  #: names below it belong to users
OWN_XLATOR = "user.xlator."  #: and of those below this GlusterFS makes xlators of bricks
_WORDS = re.compile(r"[^\s.]+(\.[^\s.]+)*")  #: words that can stand in a volfile as type and key
_OUTSIDE = frozenset({"mgmt/glusterd", "mgmt/ganesha", "nfs/server", "configuration"})
_NEVER = _OUTSIDE | {"features/bit-rot", "features/snapview-server", "cluster/nufa", "cluster/switch"}
_BY_SHAPE = {"cluster/replicate": VolumeType.REPLICATE, "cluster/disperse": VolumeType.DISPERSE}
_DEBUGGING = {
    "debug/trace": "debug.trace",
    "debug/error-gen": "debug.error-gen",
    "debug/delay-gen": "debug.delay-gen",
}
_UNNAMED = {"arbiter", "barrier", "index", "leases", "marker", "selinux"}  #: in graphs, but in no row
_PLACED = _UNNAMED | {
    row.xlator.rpartition("/")[2] for row in rows() if row.xlator not in {*_OUTSIDE, "features/bit-rot"}
}  #: xlators that a volume's graphs may have, by the end of their types
_REFUSED = {
    ("replicate", "thin-arbiter"): "a thin arbiter needs a third party that this version does not know",
}  #: xlator and key of options that would break a volume by themselves

_THREADS = "performance.client-io-threads"
#: options that glusterd 10.3 stores with every volume, and that `volume reset` leaves
_STORED_BY_GLUSTERD = frozenset({"nfs.disable", "storage.fips-mode-rchecksum", "transport.address-family"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A volume's name, and how many subvolumes it has; 0 and nothing if that is not known."""

    name: str = ""
    subvolumes: int = 0


UNNAMED = Named()


@dataclass(frozen=True, slots=True)
class _Site:
    """The volume whose options are checked."""

    settings: VolumeSettings
    shape: Shape | None
    volume: Named


def creation_defaults(shape: Shape, declared: Collection[str] = ()) -> tuple[tuple[str, str], ...]:
    """Return the options that a new volume of this shape is created with, sorted by name.

    They are stored with the volume and not implied by the graph rules, because volumes that were created
    without them, by older versions or before a conversion to replication, must keep their graphs:

    - ``transport.address-family`` ``inet``: without it, name resolution prefers IPv6 where a host has both.
    - ``cluster.granular-entry-heal`` ``on`` (replicate): changes what bricks record about pending entries,
      so it is switched on only where no older record can exist.
    - ``performance.client-io-threads`` ``off`` (replicate): its threads slow replication down.

    glusterd stores two more that change no graph: ``nfs.disable`` (there is no NFS server to disable) and
    ``storage.fips-mode-rchecksum`` (every brick graph has it on). A declaration with all the names that every
    volume of glusterd has stored is the copy of such a volume's options, and complete: what is not there was
    reset, and no default comes on top.
    """
    if set(declared) >= _STORED_BY_GLUSTERD:
        return ()
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
    volume: Named = UNNAMED,
) -> tuple[Diagnostic, ...]:
    """Return everything wrong with the options of one volume, by name.

    Checks names, and values by themselves and against each other. A bad value is an error where an xlator
    would read it, and a warning where the volume has no such xlator, as glusterd accepts it there: without
    `shape` the volume is taken to have every kind of cluster xlator. `Diagnostic.path` is the option's name.

    A warning with a risk code is about what makes the volfiles that glusterd makes, from which no process
    starts: plans refuse it.

    `natives` gives what libraries know, for ``XLATOR.OPTION`` names; it is called only if there are any.
    Those in `vouched` pass: see `Desired.vouched`.
    """
    site = _Site(VolumeSettings(options), shape, volume)
    found = [
        problem
        for name, value in sorted(options.items())
        if (
            problem := _check(name, value, site)
            or (None if name in vouched else _check_native(name, value, options, natives))
        )
    ]
    declared = {canonical(name): name for name in sorted(options)}
    seen_together = (_as_declared(problem, declared) for problem in across(site.settings))
    return (*found, *_same_settings(options), *seen_together)


def may_be_set(native: Native) -> bool:
    """Return whether administrators may set an option by the name that its library has for it."""
    placed = native.option.setkey is None and not any("*" in key for key in native.option.keys)
    return native.option.settable and placed


def suggestions(name: str) -> tuple[str, ...]:
    """Return known option names close to `name`, best first, at most three.

    ``performance.md-cache`` means the option that brings this xlator, whatever that is called.
    """
    known, wanted_name = rows_by_name(), name.lower()
    key = wanted_name.partition(".")[2]
    if not key:
        same_key = [other for other in known if other.partition(".")[2] == wanted_name]
        if same_key:
            return tuple(sorted(same_key)[:3])
    switch = [row.name for row in rows_by_rule()[Rule.PERF] if row.xlator.rpartition("/")[2] == key]
    close = get_close_matches(wanted_name, known, n=3, cutoff=0.6)
    return tuple(dict.fromkeys((*switch, *close)))[:3]


def _check(name: str, value: str, site: _Site) -> Diagnostic | None:
    if problem := _unwritable(name, value):
        return problem
    if name.startswith(_FREE):
        return None
    if value.isspace():
        return _error(name, f"the value of option {name} is nothing but blanks")
    known = canonical(name)
    if known not in rows_by_name():
        return None if split(name) else _unknown(name, suggestions(name))
    found = (
        _unsupported(known, value)
        or (shape_problem(known, value, site.shape, site.volume.subvolumes) if site.shape else None)
        or _bad_value(known, value, site)
        or _without_effect(known, value)
    )
    return found and _as_declared(found, {known: name})


def _unwritable(name: str, value: str) -> Diagnostic | None:
    """Refuse what cannot stand in a volfile, by itself or as the xlator that it would become."""
    if problem := unwritable(name):
        return _error(name, f"an option's name {problem}")
    if problem := unwritable(value):
        return _error(name, f"the value of option {name} {problem}")
    if name.startswith(OWN_XLATOR) and not _WORDS.fullmatch(name.removeprefix(OWN_XLATOR)):
        hint = f"It is {OWN_XLATOR}XLATOR, or {OWN_XLATOR}XLATOR.OPTION, without blanks."
        return _error(name, f"option {name} names no xlator", hint)
    return None


def _as_declared(found: Diagnostic, declared: Mapping[str, str]) -> Diagnostic:
    """Say an option's name as the declaration has it, where rules know it by the table's name."""
    name = declared[found.path]
    return replace(found, path=name, summary=found.summary.replace(found.path, name, 1))


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
    placed = parts[0] in _PLACED or f"{OWN_XLATOR}{parts[0]}" in options
    return _native_value(name, value, parts, found) or _native_effect(name, parts, found, placed=placed)


def _native_value(name: str, value: str, parts: tuple[str, str], found: Native) -> Diagnostic | None:
    words = wanted(_processes().get(parts) or _native_row(found), value)
    return _error(name, f"option {name}: {value!r} is not {words}") if words else None


def _native_effect(name: str, parts: tuple[str, str], found: Native, *, placed: bool) -> Diagnostic | None:
    """Say what an option does not do without an xlator, or by a second name (`native_names.KEYS`)."""
    if not placed:
        summary = f"option {name} has no effect: no graph of the volume has an xlator {parts[0]}"
        return Diagnostic(severity=Severity.WARNING, summary=summary, path=name)
    first = found.option.keys[0]
    if parts[1] == first:
        return None
    summary = f"option {name} has no effect on processes that run: {first} is the xlator's first name for it"
    hint = f"Write {name.partition('.')[0]}.{first}."
    return Diagnostic(severity=Severity.WARNING, summary=summary, hint=hint, path=name)


def _refusal(name: str, parts: tuple[str, str], found: Native) -> Diagnostic | None:
    """Refuse what belongs to the graph, and what would break a volume by itself."""
    if not may_be_set(found):
        hint = "Where administrators may set it, it has a name of its own: gluster-state options list"
        return _error(name, f"option {name} is set by the graph, not by administrators", hint)
    if parts in _REFUSED:
        return _error(name, f"option {name} is not supported: {_REFUSED[parts]}")
    return None


@cache
def _processes() -> dict[tuple[str, str], OptionRow]:
    """Return what processes take of keys of which their libraries say more, by the parts of a native name."""
    return {(row.xlator.rpartition("/")[2], row.key): row.process for row in rows() if row.process}


def _native_row(native: Native) -> OptionRow:
    """Return what a library says of values in the words of the table."""
    option = native.option
    choices = option.values if option.type.value == "text" else ()
    kind = "choice" if choices else option.type.value if judged(option.type.value) else ""
    return OptionRow(
        name=native.name, xlator="", kind=kind, low=option.lowest, high=option.highest, choices=choices
    )


def _unknown(name: str, close: tuple[str, ...]) -> Diagnostic:
    hint = "If an xlator has it that is installed here: --catalogue installed" if split(name) else ""
    return _error(
        name, f"there is no option {name}", f"Did you mean {' or '.join(close)}?" if close else hint
    )


def _unsupported(name: str, value: str) -> Diagnostic | None:
    """Refuse what would need a part that does not exist here: ignoring it would be a broken promise."""
    if names()[name].pool:
        return _error(name, f"option {name} is no option of a volume: it is about all of a glusterd's pool")
    if name == "cluster.server-quorum-type" and value == "server":
        # Volfiles are right without it, so whoever compares them is only warned; a plan refuses it.
        summary = f"option {name}: server quorum lived in glusterd, which does not run here"
        hint = "plan refuses it; cluster.quorum-type is for replicas"
        return Diagnostic(severity=Severity.WARNING, summary=summary, path=name, hint=hint, code="GS407")
    if name == "ganesha.enable" and boolean(value):
        hint = "There is no NFS-Ganesha here."
    elif name == "config.transport" and value != "tcp":
        hint = "The only transport is tcp."
    else:
        return None
    return _error(name, f"option {name}: {value!r} is not supported", hint)


def _bad_value(name: str, value: str, site: _Site) -> Diagnostic | None:
    bad = [(row, words) for row in rows_by_name()[name] if (words := wanted(row, value, site.volume.name))]
    if not bad:
        return _never_starts(name, value, site)
    read = any(row.rule is Rule.PERF or not row.key or _reads(row.xlator, site) for row, _ in bad)
    return Diagnostic(
        severity=Severity.ERROR if read or names()[name].always else Severity.WARNING,
        summary=f"option {name}: {value!r} is not {bad[0][1]}",
        path=name,
    )


def _never_starts(name: str, value: str, site: _Site) -> Diagnostic | None:
    """Find a value that glusterd takes and an xlator of the volume does not."""
    for row in rows_by_name()[name]:
        words = wanted(row.process, value) if row.process else ""
        if words and (not row.key or _reads(row.xlator, site)):
            return unstartable(name, f"option {name}: {value!r} is not {words}")
    return None


def _reads(xlator: str, site: _Site) -> bool:
    """Return whether some graph of the volume has an xlator of this type."""
    if xlator in _BY_SHAPE:
        return site.shape is None or site.shape.type is _BY_SHAPE[xlator]
    if xlator in _NEVER:
        return False
    if xlator in _DEBUGGING:  # the value is a place: whatever is not off may bring it
        return site.settings.switch(_DEBUGGING[xlator]) is not False
    switches = SWITCHES.get(xlator, ())
    return not switches or any(site.settings.switch(switch) for switch in switches)


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


def _same_settings(options: Mapping[str, str]) -> list[Diagnostic]:
    """Return the options that set what another one sets to another value, under another name."""
    found: list[Diagnostic] = []
    seen: dict[str, str] = {}
    for name, value in sorted(options.items()):
        first = seen.setdefault(canonical(name), name)
        if options[first] != value:
            found.append(_error(name, f"option {name} is {first} by another name, and their values differ"))
    return found


def _error(name: str, summary: str, hint: str = "") -> Diagnostic:
    return Diagnostic(severity=Severity.ERROR, summary=summary, hint=hint, path=name)
