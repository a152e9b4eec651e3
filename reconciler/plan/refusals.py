"""What a plan must not do: live conditions and protection, as blockers that name what was found. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from reconciler.desired.groups import is_builtin
from reconciler.diagnostics import Severity
from reconciler.diff.change import LayoutChanged, PeerAdded, PeerChanged, VolumeRemoved
from reconciler.errors import VolfileError
from reconciler.model.cluster import Acknowledgement, BrickSpec, ClusterSpec, Desired, VolumeSpec
from reconciler.model.configured import BrickRecord, ConfiguredCluster, Secret, Settings, VolumeRecord
from reconciler.model.ids import Address
from reconciler.model.observed import DISK_TYPES, BrickState, ObservedCluster, PathProbe
from reconciler.model.volume import DeletionPolicy, VolumeState, VolumeType
from reconciler.plan.basis import lost
from reconciler.plan.step import Blocker
from reconciler.volgen.brick import brick_graph
from reconciler.volgen.client import client_graph
from reconciler.volgen.option_rules import too_new
from reconciler.volgen.options import Named, check_options
from reconciler.volgen.services import shd_graph
from reconciler.volgen.settings import VolumeSettings
from reconciler.volgen.slots import Slots

NOBODY = Secret(username="-", password="-")  # noqa: S106  credentials do not change a graph's shape


def new_brick_blockers(
    spec: VolumeSpec, volume: VolumeRecord, observed: ObservedCluster
) -> Iterator[Blocker]:
    """Yield why bricks of a new volume cannot be used, from what stands at their paths.

    `spec` tells what was declared of them; the record holds what was observed where nothing was declared.
    """
    for declared, brick in zip(spec.bricks, volume.bricks, strict=True):
        address, where = volume.brick_address(brick), f"{brick.peer}:{brick.path}"
        if not brick.port:
            yield Blocker(
                address=address,
                code="GS313",
                summary=f"no free brick port for {where}",
                hint="Widen spec.ports.bricks, or choose another port for the brick.",
            )
        node = observed.nodes.get(brick.peer)
        probe = node.probes.get(brick.path) if node else None
        if probe is None:
            yield Blocker(
                address=address,
                code="GS601",
                summary=f"what stands at {where} is not known",
                hint="Nothing is made where nobody looked. Plan again.",
            )
        elif place := _wrong_place(declared, probe):
            yield Blocker(
                address=address,
                code="GS112",
                summary=f"{where} cannot become a brick: {place}",
                hint="Mount the brick's disk, or declare where it is: "
                f"{{peer: {brick.peer}, path: {brick.path}, mount: ...}}",
            )
        elif found := _found(volume, brick, probe):
            yield Blocker(
                address=address,
                code="GS111",
                summary=f"{where} cannot become a brick: {found}",
                hint="Nothing on a brick's path is ever overwritten. Choose another path, or clear this one.",
            )


def lost_peer_blockers(volume: VolumeSpec, cluster: ClusterSpec) -> Iterator[Blocker]:
    """Yield bricks of a new volume that would be on a peer of which the declaration says that it is gone."""
    gone = lost(cluster)
    size = volume.shape.bricks_per_subvolume if volume.shape else 1
    for number, brick in enumerate(volume.bricks):
        if brick.peer in gone:
            yield Blocker(
                address=Address(f"brick/{volume.name}/{number // size}.{number % size}"),
                code="GS601",
                summary=f"{brick.peer}:{brick.path} cannot become a brick: {brick.peer} is declared lost",
                hint=f"Choose another peer for the brick, or remove state: lost from {brick.peer}.",
            )


def skipped_peers(cluster: ClusterSpec) -> Iterator[str]:
    """Yield which peers a plan leaves out, in words."""
    names = ", ".join(sorted(lost(cluster)))
    if names:
        yield (
            f"skipped   {names}: declared lost, so no step runs there; an agent that returns there after "
            "all takes over what was decided meanwhile"
        )


def _wrong_place(declared: BrickSpec, probe: PathProbe) -> str:
    """Say why a path is not on the filesystem meant for it; empty if it is, or if that cannot be judged."""
    fs_uuid = (declared.fs_uuid or "").lower()
    checks = (
        (bool(probe.problem), ""),
        (
            declared.mount is not None and declared.mount != probe.mount,
            f"it is on the filesystem mounted at {probe.mount}, declared is {declared.mount}",
        ),
        (
            bool(fs_uuid) and fs_uuid != probe.fs_uuid.lower(),
            f"its filesystem is {probe.fs_uuid or 'without UUID'}, declared is {declared.fs_uuid}",
        ),
        (
            declared.mount is None and probe.mount == "/",
            "it is on the root filesystem (is its disk mounted?)",
        ),
        (
            declared.mount is None and probe.fs_type not in DISK_TYPES,
            f"it is on {probe.fs_type or 'an unknown filesystem'} at {probe.mount}, which is no local disk",
        ),
    )
    return next((text for wrong, text in checks if wrong), "")


def known_brick_blockers(volume: VolumeRecord, observed: ObservedCluster) -> Iterator[Blocker]:
    """Yield why bricks of a volume that is to be started must not be, from what their nodes report."""
    for brick in volume.bricks:
        node = observed.nodes.get(brick.peer)
        fact = node.bricks.get(brick.uuid) if node else None
        if fact is not None and fact.state is BrickState.REFUSED:
            yield Blocker(
                address=volume.brick_address(brick),
                code="GS207",
                summary=f"{brick.peer}:{brick.path} must not be started: {fact.problem}",
                hint="Mount the right disk at its place; nothing is ever taken over by force.",
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
    elif shape.type is VolumeType.REPLICATE and shape.replica == 2 and not spec.thin_arbiter:
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


def id_blockers(volume: VolumeRecord, configured: ConfiguredCluster) -> Iterator[Blocker]:
    """Yield if a new volume is declared with the id of another one: one would be written over the other."""
    kept = [(r.volume, "a deleted volume whose data is kept") for r in configured.retained]
    for other, what in (*((v, "a configured one") for v in configured.volumes.values()), *kept):
        if other.volume_id == volume.volume_id:
            yield Blocker(
                address=volume.address,
                code="GS504",
                summary=f"the id {volume.volume_id} is that of volume {other.name}, {what}",
                hint="Leave id: out, and the volume gets an id of its own. A volume cannot be renamed.",
            )


def domain_blockers(desired: Desired, volume: VolumeRecord, allowed: frozenset[str]) -> Iterator[Blocker]:
    """Yield bricks of one subvolume that share a failure domain, as the rules found them (GS203).

    An acknowledged risk leaves no warning, so whatever is left has not been accepted next to the volume.
    """
    if f"GS203={volume.address}" in allowed:
        return
    warnings = {w.span: w for w in desired.warnings if w.code == "GS203" and w.span}
    for brick in volume.bricks:
        address = volume.brick_address(brick)
        span = desired.spans.get(address)
        if span in warnings:
            found = warnings[span]
            yield Blocker(address=address, code="GS203", summary=found.summary, hint=found.hint)


def address_blockers(change: PeerAdded | PeerChanged, configured: ConfiguredCluster) -> Iterator[Blocker]:
    """Yield if a peer with bricks is declared at another address: the volfiles of its bricks hold it."""
    name, after = change.spec.name, change.spec.address
    bricks = [(v.name, b) for v in configured.volumes.values() for b in v.bricks if b.peer == name]
    moved = sorted({volume for volume, brick in bricks if brick.host != after})
    if moved:
        yield Blocker(
            address=Address(f"peer/{name}"),
            code="GS102",
            summary=f"its address is declared as {after}, but bricks of {', '.join(moved)} are elsewhere",
            hint="Declare the address as it was. This version does not move a peer that has bricks.",
        )


def secret_blockers(cluster: ClusterSpec) -> Iterator[Blocker]:
    """Yield volumes that are declared with credentials: those never enter a plan."""
    for spec in cluster.volumes:
        if spec.auth is not None:
            yield Blocker(
                address=Address(f"volume/{spec.name}"),
                code="GS502",
                summary="auth: is for the offline volfile command only",
                hint="Remove it; credentials are made by the first step and stored apart.",
            )


def thin_arbiter_blockers(cluster: ClusterSpec) -> Iterator[Blocker]:
    """Yield volumes with a thin arbiter: nobody here would notice if it is not there or forgets."""
    for spec in cluster.volumes:
        if spec.thin_arbiter and spec.state is not VolumeState.ABSENT:
            yield Blocker(
                address=Address(f"volume/{spec.name}"),
                code="GS208",
                summary=f"this version does not run volumes with a thin arbiter ({spec.thin_arbiter})",
                hint="Use an arbiter (replica: 3, arbiter: 1). volfile shows the graphs of a thin arbiter.",
            )


def option_blockers(
    spec: VolumeSpec, volume: VolumeRecord, slots: Slots, vouched: frozenset[str] = frozenset()
) -> Iterator[Blocker]:
    """Yield options that GlusterFS does not have, values it would not take, and what makes no volfile.

    A warning with a code is refused, too: the volfile is right, and running it would not do what it says.
    What GlusterFS' own group files bring along is nobody's mistake and has no effect: a warning says so. For
    `vouched` see `Desired.vouched`.
    """
    wrong = False
    origins = {o.name: o.origin for o in spec.options}
    values = {o.name: o.value for o in spec.options}
    named = Named(name=volume.name, subvolumes=len(volume.bricks) // volume.shape.bricks_per_subvolume)
    for found in check_options(values, volume.shape, vouched=vouched, volume=named):
        blocks = found.severity is Severity.ERROR or found.code
        if blocks and not is_builtin(origins.get(found.path, "")):
            wrong = True
            yield Blocker(
                address=volume.address, code=found.code or "GS401", summary=found.summary, hint=found.hint
            )
    if wrong:
        return
    try:
        client_graph(volume, slots=slots)
        brick_graph(volume, volume.bricks[0], slots=slots, secret=NOBODY)
        if volume.shape.heals:
            shd_graph(volume, secret=NOBODY)
    except VolfileError as exc:
        yield Blocker(address=volume.address, code="GS405", summary=exc.message, hint=exc.hint)


def daemon_blockers(after: VolumeRecord, slots: Slots, before: VolumeRecord | None) -> Iterator[Blocker]:
    """Yield options that would be switched on without a daemon that they cannot do without (GS407).

    What is on already stays as it is: refusing every other change of the volume would help nobody.
    """
    known = slots.missing_daemons(VolumeSettings(before.effective_options())) if before else ()
    for missing in slots.missing_daemons(VolumeSettings(after.effective_options())):
        if missing.vital and missing not in known:
            hint = "Leave it off with this version."
            yield Blocker(address=after.address, code="GS407", summary=missing.summary, hint=hint)


def version_blockers(spec: VolumeSpec, volume: VolumeRecord, observed: ObservedCluster) -> Iterator[Blocker]:
    """Yield options that are newer than the GlusterFS of a node with bricks of the volume (GS408).

    A node that did not say which it has is not judged.
    """
    for peer in sorted({brick.peer for brick in volume.bricks}):
        node = observed.nodes.get(peer)
        version = node.fact.gluster_version if node and node.fact else ""
        for name in too_new((option.name for option in spec.options), version):
            yield Blocker(
                address=volume.address,
                code="GS408",
                summary=f"option {name} is newer than GlusterFS {version} of peer {peer}",
                hint="Upgrade GlusterFS on the peer, or leave the option out until then.",
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
    change: VolumeRemoved, settings: Settings, allowed: frozenset[str], now: int
) -> Iterator[Blocker]:
    """Yield why a tombstone is refused: protection first (it is stored in the cluster), consent last.

    `settings` are the stored ones: a declaration that deletes cannot shorten the wait for that as well.
    """
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
            f"{settings.unprotect_delay_s:g} s later, the tombstone with --allow GS101={address}",
        )
        return
    age = now - record.policy_since
    if age < settings.unprotect_delay_s:
        yield blocked(
            f"deletionPolicy {record.deletion_policy.value} is live for {age} s only",
            f"It must be live for {settings.unprotect_delay_s:g} s (spec.unprotectDelay) before a deletion.",
        )
    if spec.data == "wipe":
        yield blocked(
            "data: wipe is not supported: no part of this program deletes users' data",
            "Use data: retain; the bricks keep their content and can be cleaned by hand.",
        )
    if f"GS101={address}" not in allowed:
        yield blocked("deleting a volume needs consent", f"Apply with  --allow GS101={address}")
