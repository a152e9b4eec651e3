"""Files -> Desired, or all their errors at once. The front door of this floor."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from reconciler.desired import rules, schema, source
from reconciler.desired.build import build
from reconciler.desired.collect import Collection, collect
from reconciler.desired.feature_key import FeatureKey
from reconciler.desired.places import Places
from reconciler.desired.source import MAX_FINDINGS, Budget
from reconciler.desired.tree import Document
from reconciler.diagnostics import Diagnostic, Severity, SourceSpan
from reconciler.errors import DesiredStateError
from reconciler.model.cluster import ClusterSpec, Desired, VolumeSpec
from reconciler.model.ids import Address

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


@dataclass(frozen=True, slots=True)
class Examined:
    """What could be made of files.

    Attributes:
        spec: without the objects that have an error inside; None if there is no cluster.
        spans: where objects and settings stand, by address.
        findings: everything that is wrong, sorted by position.
        files: the names.
    """

    spec: ClusterSpec | None
    spans: Mapping[Address, SourceSpan]
    findings: tuple[Diagnostic, ...]
    files: tuple[str, ...]

    def desired(self) -> Desired:
        """Return the declaration. Raises DesiredStateError, with all findings, if one of them is an error."""
        if self.spec is None or any(finding.severity is Severity.ERROR for finding in self.findings):
            raise DesiredStateError(_capped(self.findings))
        return Desired(
            spec=self.spec,
            spans=self.spans,
            digest=digest(self.spec),
            files=self.files,
            warnings=self.findings,
        )

    def also(self, more: Sequence[Diagnostic]) -> Examined:
        """Return the same with more findings."""
        return replace(self, findings=_sorted((*self.findings, *more)))


def load(files: Sequence[tuple[str, bytes]], features: Iterable[FeatureKey] = ()) -> Desired:
    """Return the desired state that the files declare together.

    Args:
        files: name and content; names are used in messages and for order, nothing is read.
        features: those whose keys a volume may have; without them the core alone.

    Raises:
        DesiredStateError: with every error and warning found, sorted by position. No other exception, for
            any input; time and memory are bounded by the limits of `source`.
    """
    return examine(files, features).desired()


def examine(
    files: Sequence[tuple[str, bytes]],
    features: Iterable[FeatureKey] = (),
    unreadable: Sequence[Diagnostic] = (),
) -> Examined:
    """Return what the files declare with everything that is wrong with it, for checks that go further.

    Args:
        files: name and content, as for `load`.
        features: as for `load`.
        unreadable: findings about files that could not be read; with any, nothing is said about objects that
            are not there.
    """
    files, features = sorted(files), tuple(features)
    places = Places(findings=list(unreadable))
    documents, complete = _read(files, places)
    checked = [(document, schema.check(document, features)) for document in documents]
    for _, result in checked:
        places.findings += result.findings
    collection = collect(checked, places, complete=complete and not unreadable)
    names = tuple(name for name, _ in files)
    spec = _spec(collection, places, features)
    if spec is None and collection.complete:
        places.findings.append(_no_cluster(names))
    return Examined(
        spec=spec,
        spans={address: place.span for address, place in sorted(places.by_address.items())},
        findings=_sorted(places.findings),
        files=names,
    )


def _read(files: Sequence[tuple[str, bytes]], places: Places) -> tuple[list[Document], bool]:
    """Return all documents, and whether everything could be read."""
    documents: list[Document] = []
    complete, budget = True, Budget()
    for name, data in files:
        result = source.read(name, data, budget)
        places.findings += result.findings
        documents += result.documents
        complete = complete and result.complete
        if result.complete and not result.documents and not result.findings:
            # Half a checkout must not look like a smaller cluster.
            places.findings.append(
                _at_top(name, "file holds no document", "remove it, or begin its name with _ to leave it out")
            )
    return documents, complete


def _spec(collection: Collection, places: Places, features: tuple[FeatureKey, ...]) -> ClusterSpec | None:
    """Return the spec, or None if there is no Cluster."""
    if collection.root is None:
        return None
    built = build(collection, collection.root, places, features)
    rules.check(built, collection, places, features)
    return built.spec


def _no_cluster(names: Sequence[str]) -> Diagnostic:
    if not names:
        return Diagnostic(severity=Severity.ERROR, summary="no files to read")
    return _at_top(names[0], "no document of kind Cluster", "one file must declare the cluster itself")


def _at_top(file: str, summary: str, hint: str) -> Diagnostic:
    span = SourceSpan(file=file, line=1, column=1, end_line=1, end_column=1)
    return Diagnostic(severity=Severity.ERROR, summary=summary, span=span, hint=hint)


def _sorted(findings: Sequence[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Return the findings by position, each once."""

    def position(finding: Diagnostic) -> tuple[str, int, int, str, str]:
        span = finding.span
        return (
            (span.file, span.line, span.column, finding.code, finding.summary)
            if span
            else ("", 0, 0, finding.code, finding.summary)
        )

    return tuple(sorted(dict.fromkeys(findings), key=position))


def _capped(findings: Sequence[Diagnostic]) -> Sequence[Diagnostic]:
    """Return at most MAX_FINDINGS findings, errors before warnings where not all fit, and say so."""
    if len(findings) <= MAX_FINDINGS:
        return findings
    first = sorted(findings, key=lambda finding: finding.severity is not Severity.ERROR)[:MAX_FINDINGS]
    more = f"only {MAX_FINDINGS} of {len(findings)} findings are shown"
    return [*_sorted(first), Diagnostic(severity=Severity.NOTE, summary=more)]


# ---------------------------------------------------------------------------- canonical form


def canonical(spec: ClusterSpec) -> dict[str, Json]:
    """Return the meaning of a declaration as plain JSON values.

    Left out: where an option's value came from, and offline credentials, which are no part of a cluster.
    """
    return {
        "name": spec.name,
        "labels": dict(spec.labels),
        "failureDomain": spec.failure_domain,
        "brickPorts": list(spec.brick_ports),
        "unprotectDelay": spec.unprotect_delay_s,
        "isolatedStart": spec.isolated_start.value,
        "peers": [
            {"name": peer.name, "address": peer.address, "zone": peer.zone, "state": peer.state.value}
            for peer in spec.peers
        ],
        "volumes": [_canonical_volume(volume) for volume in spec.volumes],
    }


def _canonical_volume(volume: VolumeSpec) -> Json:
    shape = volume.shape
    return {
        "name": volume.name,
        "state": volume.state.value,
        "shape": [shape.type.value, shape.replica, shape.arbiter, shape.data, shape.redundancy]
        if shape
        else None,
        "bricks": [[b.peer, b.path, b.mount, b.fs_uuid, b.brick_id, b.port] for b in volume.bricks],
        "options": {option.name: option.value for option in volume.options},
        "features": {option.name: option.feature for option in volume.options if option.feature},
        "id": volume.volume_id,
        "deletionPolicy": volume.deletion_policy.value,
        "data": volume.data,
        "confirm": volume.confirm,
        "restart": [volume.restart.policy.value, volume.restart.delay_s],
        "acknowledge": [[item.code, item.reason, item.until] for item in volume.acknowledge],
        "ignoreDrift": list(volume.ignore_drift),
        **({"thinArbiter": volume.thin_arbiter} if volume.thin_arbiter else {}),
    }


def digest(spec: ClusterSpec) -> str:
    """Return the sha256 (hex) of the canonical form."""
    text = json.dumps(canonical(spec), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()
