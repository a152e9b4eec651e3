"""What a plan must not do: live conditions and protection, as blockers that name what was found. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from reconciler.diff.change import LayoutChanged, VolumeRemoved
from reconciler.model.cluster import Acknowledgement, ClusterSpec, VolumeSpec
from reconciler.model.configured import BrickRecord, VolumeRecord
from reconciler.model.ids import Address
from reconciler.model.observed import ObservedCluster, PathProbe
from reconciler.model.volume import DeletionPolicy, VolumeType
from reconciler.plan.step import Blocker
from reconciler.volgen.options import check_options


def new_brick_blockers(volume: VolumeRecord, observed: ObservedCluster) -> Iterator[Blocker]:
    """Yield why bricks of a new volume cannot be used, from what stands at their paths."""
    for brick in volume.bricks:
        address = volume.brick_address(brick)
        if not brick.port:
            yield Blocker(
                address=address,
                code="GS405",
                summary=f"no free brick port for {brick.peer}:{brick.path}",
                hint="Widen spec.ports.bricks, or choose another port for the brick.",
            )
        node = observed.nodes.get(brick.peer)
        probe = node.probes.get(brick.path) if node else None
        if probe is not None and (found := _found(volume, brick, probe)):
            yield Blocker(
                address=address,
                code="GS203" if probe.kind == "absent" else "GS504",
                summary=f"{brick.peer}:{brick.path} cannot become a brick: {found}",
                hint="Nothing on a brick's path is ever overwritten. Choose another path, or clear this one.",
            )


def _found(volume: VolumeRecord, brick: BrickRecord, probe: PathProbe) -> str:
    """Say what stands in the way at a path; empty if nothing does."""
    checks = (
        (bool(probe.problem), probe.problem),
        (probe.kind not in ("absent", "directory"), f"it is a {probe.kind}"),
        (
            bool(probe.volume_id) and probe.volume_id != volume.volume_id,
            f"it is a brick of another volume, {probe.volume_id}",
        ),
        (
            bool(probe.identity) and probe.identity != brick.uuid,
            f"it is another brick, {probe.identity}",
        ),
        (bool(probe.parent_volume), f"it lies inside the brick {probe.parent_volume}"),
        (
            bool(probe.entries) and not probe.volume_id,
            f"the directory is not empty (it has {', '.join(probe.entries)})",
        ),
        (
            bool(brick.mount) and brick.mount != probe.mount,
            f"it is on the filesystem mounted at {probe.mount}, declared is {brick.mount}",
        ),
        (
            bool(brick.fs_uuid) and brick.fs_uuid != probe.fs_uuid,
            f"its filesystem is {probe.fs_uuid or 'without UUID'}, declared is {brick.fs_uuid}",
        ),
        (
            probe.mount == "/" and brick.mount != "/",
            "it is on the root filesystem (is its disk mounted?)",
        ),
    )
    return next((text for wrong, text in checks if wrong), "")


def risk_blockers(spec: VolumeSpec, allowed: frozenset[str], now: int) -> Iterator[Blocker]:
    """Yield risks of a volume's shape that nobody has accepted (GS204, GS205)."""
    shape = spec.shape
    if shape is None:
        return
    address = Address(f"volume/{spec.name}")
    code = why = ""
    if shape.type is VolumeType.DISTRIBUTE:
        code, why = "GS204", "has no redundancy: a lost brick is lost files"
    elif shape.type is VolumeType.REPLICATE and shape.replica == 2:
        code, why = "GS205", "has two copies and nobody to decide between them: prone to split-brain"
    if code and f"{code}={address}" not in allowed and not _accepted(spec.acknowledge, code, now):
        yield Blocker(
            address=address,
            code=code,
            summary=f"the volume {why}",
            hint=f"Accept it where it is declared:  acknowledge: [{{code: {code}, reason: ...}}]",
        )


def _accepted(acknowledged: tuple[Acknowledgement, ...], code: str, now: int) -> bool:
    today = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d")
    return any(a.code == code and (not a.until or a.until >= today) for a in acknowledged)


def option_blockers(spec: VolumeSpec, vouched: frozenset[str]) -> Iterator[Blocker]:
    """Yield options that GlusterFS does not have or values it would not take; see `Desired.vouched`."""
    for found in check_options({o.name: o.value for o in spec.options}, spec.shape, vouched=vouched):
        if found.severity.value == "error":
            yield Blocker(
                address=Address(f"volume/{spec.name}"),
                code=found.code or "GS401",
                summary=found.summary,
                hint=found.hint,
            )


def layout_blocker(change: LayoutChanged) -> Blocker:
    """Return the refusal of a change that would move data or change redundancy."""
    return Blocker(
        address=change.record.address,
        code="GS102",
        summary=f"its layout cannot be changed by this version: {change.what}",
        hint="Declare the bricks as they are; expanding, shrinking and replacing come with a later version.",
    )


def removal_blockers(
    change: VolumeRemoved, cluster: ClusterSpec, allowed: frozenset[str], now: int
) -> Iterator[Blocker]:
    """Yield why a tombstone is refused: protection first (it is stored in the cluster), consent last."""
    record, spec = change.record, change.spec
    address = record.address

    def blocked(summary: str, hint: str) -> Blocker:
        return Blocker(address=address, code="GS101", summary=summary, hint=hint)

    if spec.confirm != record.volume_id:
        yield blocked(
            f"confirm: {spec.confirm} is not the id of the live volume",
            f"The live volume is {record.volume_id}; confirm that id if it is the one to delete.",
        )
        return
    if record.deletion_policy is DeletionPolicy.PROTECT:
        yield blocked(
            "the volume is protected and cannot be deleted",
            "Protection is stored in the cluster; removing lines from YAML does not lift it. First apply "
            "deletionPolicy: Delete (nothing is deleted), then, "
            f"{cluster.unprotect_delay_s:g} s later, the tombstone with --allow GS101={address}",
        )
        return
    age = now - record.policy_since
    if age < cluster.unprotect_delay_s:
        yield blocked(
            f"deletionPolicy {record.deletion_policy.value} is live for {age} s only",
            f"It must be live for {cluster.unprotect_delay_s:g} s (spec.unprotectDelay) before a deletion.",
        )
    if spec.data == "wipe":
        yield blocked(
            "data: wipe is not supported: no part of this program deletes users' data",
            "Use data: retain; the bricks keep their content and can be cleaned by hand.",
        )
    if f"GS101={address}" not in allowed:
        yield blocked("deleting a volume needs consent", f"Apply with  --allow GS101={address}")
