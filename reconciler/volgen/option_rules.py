"""Rules of options that look beyond one value: at the volume's shape, and at other options.

Source: glusterfs 10.3 xlators/mgmt/glusterd/src/glusterd-volume-set.c (what its table's validators compare),
glusterd-op-sm.c: glusterd_op_stage_set_volume, glusterd-volgen.c: brick_graph_add_worm,
volgen_graph_build_dht_cluster. Warnings without a rule of glusterd say where they come from.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.diagnostics import Diagnostic, Severity
from reconciler.model.volume import VolumeType
from reconciler.volgen.brick import PLACES
from reconciler.volgen.native_names import canonical
from reconciler.volgen.option_table import names
from reconciler.volgen.option_values import integer
from reconciler.volgen.settings import VolumeSettings, boolean, byte_count
from reconciler.volgen.text import unwritable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from reconciler.model.volume import Shape

#: switches of which only one may be on, and the words for both
_EXCLUSIVE = (
    ("features.read-only", "features.worm"),
    ("features.read-only", "features.worm-file-level"),
    ("cluster.nufa", "cluster.switch"),
)


@dataclass(frozen=True, slots=True)
class _AtMost:
    """A size that must not be above another one.

    `unset` is what the larger one is if nobody sets it, `switch` what brings the xlator that compares them as
    it starts; glusterd compares them too if `compared` and both are set.
    """

    low: str
    high: str
    unset: str
    switch: str
    compared: bool = False


#: Source: the init functions of glusterfs 10.3 performance/io-cache and performance/write-behind
_AT_MOST = (
    _AtMost(
        "performance.cache-min-file-size",
        "performance.cache-max-file-size",
        "0",
        "performance.io-cache",
        compared=True,
    ),
    _AtMost(
        "performance.aggregate-size",
        "performance.write-behind-window-size",
        "1MB",
        "performance.write-behind",
    ),
)
_VERSION = re.compile(r"(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?", re.ASCII)
_LEAST = -(1 << 63)  #: what GlusterFS reads: no limit
_DEFAULT_UPCALL_S = 60  #: of features.cache-invalidation-timeout; glusterfs 10.3 features/upcall


def shape_problem(name: str, value: str, shape: Shape, subvolumes: int) -> Diagnostic | None:
    """Return what is wrong with an option of the table on a volume of this shape.

    `subvolumes` is how many the volume has; 0 if that is not known.
    """
    only = names()[name].only
    if only and shape.type is not VolumeType(only):
        hint = f"It is for {only} volumes only."
        return _error(name, f"option {name} cannot be set on a {shape.type.value} volume", hint)
    limits = _LIMITS.get(name)
    low, high, words = limits(shape, subvolumes) if limits else (0, 0, "")
    number = integer(value)
    if not high or number is None or low <= number <= high:
        return None
    span = f"up to {high}" if low == _LEAST else f"from {low} to {high}"
    summary = f"option {name}: {value!r} is not {span}, {words}"
    return unstartable(name, summary) if name in _UNCOMPARED else _error(name, summary)


def too_new(options: Iterable[str], version: str) -> tuple[str, ...]:
    """Return which options of the table glusterd of this version of GlusterFS would not take yet, sorted.

    A version is ``10.3`` or ``3.12.15``; of one that reads otherwise, as of development, nothing is too new.
    """
    found = _VERSION.match(version)
    if not found:
        return ()
    parts = [int(part or 0) for part in found.groups()]
    has = sum(part * weight for part, weight in zip(parts, (10000, 100, 1), strict=True))
    known = {name: names().get(canonical(name)) for name in options}
    return tuple(sorted(name for name, facts in known.items() if facts and facts.op_version > has))


def across(settings: VolumeSettings) -> Iterator[Diagnostic]:
    """Yield what is wrong with options seen together, by name."""
    for name in settings.names():
        yield from _switched(name, settings)
    for one, other in _EXCLUSIVE:
        if _on(settings, one) and _on(settings, other):
            yield _error(one, f"options {one} and {other} cannot both be on")
    for sizes in _AT_MOST:
        yield from _too_large(sizes, settings)
    yield from _stale_caches(settings)
    yield from _one_sided(settings)
    yield from _misplaced(settings)
    yield from _overruled(settings)


def _switched(name: str, settings: VolumeSettings) -> Iterator[Diagnostic]:
    """Find an option without its switch. One that was switched off may be kept for later: it does nothing."""
    known = names().get(name)
    switch = (known.needs or known.wants) if known else ""
    if not known or not switch or _on(settings, switch):
        return
    if known.needs and settings.declared(switch) is None:
        yield _error(name, f"option {name} needs {switch} on")
    else:
        yield _warning(name, f"option {name} has no effect: {switch} is not on")


def _too_large(sizes: _AtMost, settings: VolumeSettings) -> Iterator[Diagnostic]:
    """Find a size above another one, set or not."""
    value, limit = settings.declared(sizes.low), settings.declared(sizes.high)
    small, large = byte_count(value or "0"), byte_count(limit or sizes.unset)
    if small is None or large is None or small <= large:
        return
    if sizes.compared and limit is not None:
        yield _error(sizes.low, f"option {sizes.low}: {value!r} is more than {sizes.high}")
    elif settings.switch(sizes.switch):
        what = f"{sizes.high}, which is {limit or sizes.unset}"
        yield unstartable(sizes.low, f"option {sizes.low}: {value!r} is more than {what}")


def unstartable(name: str, summary: str) -> Diagnostic:
    """Return a warning of what glusterd takes and processes do not: by its code, plans refuse it."""
    return Diagnostic(
        severity=Severity.WARNING,
        summary=f"{summary}: glusterd 10.3 takes it, but processes that read it do not start",
        hint="plan refuses it",
        code="GS405",
        path=name,
    )


def _stale_caches(settings: VolumeSettings) -> Iterator[Diagnostic]:
    """Find clients that trust their caches for longer than bricks tell them of changes.

    Source: glusterfs 10.3 xlators/features/upcall/src/upcall-internal.c: a client that was not seen for
    cache-invalidation-timeout is told nothing more.
    """
    name, told = "performance.cache-invalidation", "features.cache-invalidation"
    if not _on(settings, name):
        return
    if not _on(settings, told):
        yield _warning(name, f"option {name} has no effect: {told} is not on")
        return
    timeout = integer(settings.declared("performance.md-cache-timeout") or "")
    limit = integer(settings.declared(f"{told}-timeout") or str(_DEFAULT_UPCALL_S))
    if timeout is not None and limit is not None and timeout > limit:
        summary = f"option performance.md-cache-timeout: {timeout} is more than {told}-timeout, {limit}"
        hint = "Bricks forget a client after the latter; it may see old attributes until the former."
        yield _warning("performance.md-cache-timeout", summary, hint)


def _one_sided(settings: VolumeSettings) -> Iterator[Diagnostic]:
    """Find two options of which each needs the other to mean what it says."""
    for one, other in (("client.ssl", "server.ssl"), ("server.ssl", "client.ssl")):
        if _on(settings, one) and not _on(settings, other):
            yield _warning(one, f"option {one} is on and {other} is not: no client can connect to a brick")
    if settings.declared("cluster.quorum-type") == "fixed" and not settings.declared("cluster.quorum-count"):
        name = "cluster.quorum-type"
        yield _warning(name, f"option {name}: fixed asks for no brick at all without cluster.quorum-count")


def _misplaced(settings: VolumeSettings) -> Iterator[Diagnostic]:
    """Find own xlators at a place that no brick has, or with the name of one that bricks have."""
    for name in settings.names():
        if not name.startswith("user.xlator.") or name.count(".") != 2:  # three: an option of such an xlator
            continue
        place, own = settings.declared(name), name.rpartition(".")[2]
        if not own or unwritable(name):  # said of the name by itself
            continue
        if place not in PLACES:
            hint = f"It goes above one of {', '.join(sorted(PLACES))}."
            yield _error(name, f"option {name}: a brick has no xlator {place!r} to put it on", hint)
        if own in {*PLACES, "server"}:
            yield _error(name, f"option {name}: {own!r} cannot be an xlator of one's own")


def _overruled(settings: VolumeSettings) -> Iterator[Diagnostic]:
    """Find what the graph of a mount does not follow: see `client` on squashed roots."""
    name = "performance.read-after-open"
    if _on(settings, "server.root-squash") and boolean(settings.declared(name) or "on") is False:
        yield _warning(name, f"option {name} has no effect: server.root-squash keeps it on")


def _on(settings: VolumeSettings, name: str) -> bool:
    return boolean(settings.declared(name) or "off") is True


def _replicas(shape: Shape, _subvolumes: int) -> tuple[int, int, str]:
    return 1, shape.replica, "the number of replicas"


def _copies(shape: Shape, _subvolumes: int) -> tuple[int, int, str]:
    return _LEAST, shape.replica - 1, "the number of a subvolume's last brick"


def _fragments(shape: Shape, _subvolumes: int) -> tuple[int, int, str]:
    return shape.data, shape.data + shape.redundancy, "from the data bricks to all bricks of a subvolume"


def _subvolumes(_shape: Shape, subvolumes: int) -> tuple[int, int, str]:
    return 1, subvolumes, "the number of subvolumes"


#: option -> lowest and highest number on a volume of this shape (0: not known), and what they are
_LIMITS: dict[str, Callable[[Shape, int], tuple[int, int, str]]] = {
    "cluster.quorum-count": _replicas,
    "cluster.read-subvolume-index": _copies,
    "cluster.subvols-per-directory": _subvolumes,
    "disperse.quorum-count": _fragments,
}


_UNCOMPARED = frozenset(
    {"cluster.read-subvolume-index"}
)  #: of these, what only xlators compare as they start


def _error(name: str, summary: str, hint: str = "") -> Diagnostic:
    return Diagnostic(severity=Severity.ERROR, summary=summary, hint=hint, path=name)


def _warning(name: str, summary: str, hint: str = "") -> Diagnostic:
    return Diagnostic(severity=Severity.WARNING, summary=summary, hint=hint, path=name)
