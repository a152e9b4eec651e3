"""``--was``: the record of a volume that earlier declarations made, and the last one changes. Offline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reconciler.cli.app import App
from reconciler.cli.declaration import Declaration, Rejected, accept, read
from reconciler.errors import DesiredStateError, UsageError
from reconciler.model.cluster import Desired, VolumeSpec
from reconciler.model.configured import VolumeRecord
from reconciler.model.ids import VolumeName
from reconciler.model.volume import VolumeState
from reconciler.plan.succession import offline_creation, offline_successor


def read_earlier(was: Sequence[str], file: Sequence[str], app: App) -> list[Declaration]:
    """Return the declarations that `was` names, one each. Their warnings were told in their time.

    Raises:
        UsageError: a path is no declaration, or standard input is to be several of them.
        Rejected: one of them has errors.
    """
    if [*was, *file].count("-") > 1:
        raise UsageError("standard input can be one declaration only", hint="give the others as files")
    earlier = [read((path,), app) for path in was]
    for declaration in earlier:
        accept(declaration, app, warn=False)
    return earlier


def record_of(name: str, row: Sequence[Declaration]) -> VolumeRecord:
    """Return the record of a volume after a row of declarations without errors, oldest first.

    Raises:
        UsageError: one of them does not declare the volume with bricks, or another cluster.
        Rejected: a change that no plan could make.
    """
    steps = [(one, desired, _volume(name, desired)) for one in row if (desired := one.desired)]
    (_, first, spec), *changes = steps
    known = next((spec.volume_id for _, _, spec in steps if spec.volume_id), None)
    if changes and spec.volume_id is None:  # until it is declared, it is made up
        first = _with(first, replace(spec, volume_id=known))
    record = offline_creation(first, VolumeName(name))
    assert record is not None
    for declaration, desired, spec in changes:
        _same_cluster(first, desired)
        if VolumeState.ABSENT in (spec.state, record.state):
            raise UsageError(
                f"volume {name} is absent in one of the declarations",
                hint="what is declared after that is a new volume: leave the earlier ones out",
            )
        try:
            record = offline_successor(record, desired, spec)
        except DesiredStateError as exc:
            raise Rejected(replace(declaration, desired=None, findings=exc.diagnostics)) from exc
    return record


def _volume(name: str, desired: Desired) -> VolumeSpec:
    specs = {spec.name: spec for spec in desired.spec.volumes if spec.shape and spec.bricks}
    found = specs.get(VolumeName(name))
    if found is None:
        known = ", ".join(sorted(specs)) or "none"
        raise UsageError(
            f"no volume {name!r} with bricks is declared", hint=f"{_names(desired)} declares: {known}"
        )
    return found


def _with(desired: Desired, spec: VolumeSpec) -> Desired:
    volumes = tuple(spec if one.name == spec.name else one for one in desired.spec.volumes)
    return replace(desired, spec=replace(desired.spec, volumes=volumes))


def _same_cluster(first: Desired, desired: Desired) -> None:
    if first.spec.name != desired.spec.name:
        raise UsageError(
            f"{_names(desired)} declares cluster {desired.spec.name}, and not {first.spec.name}",
            hint="--was takes earlier declarations of the same cluster",
        )


def _names(desired: Desired) -> str:
    first, *others = desired.files
    return f"{first} (and {len(others)} more)" if others else first
