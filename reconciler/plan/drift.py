"""Configured x observed -> drift: what is live and not as agreed. Pure; what was not seen is no drift."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from reconciler.model.configured import BrickRecord, ConfiguredCluster, VolumeRecord
from reconciler.model.ids import Address, PeerName, VolumeName
from reconciler.model.observed import BrickFact, BrickState, ObservedCluster, ObservedNode
from reconciler.model.volume import RestartPolicy, VolumeState
from reconciler.plan.step import DriftItem, DriftKind


def find_drift(
    configured: ConfiguredCluster, observed: ObservedCluster, ignore: Mapping[VolumeName, tuple[str, ...]]
) -> tuple[DriftItem, ...]:
    """Return everything live that is not as configured, sorted by volume and brick.

    Args:
        configured: what was agreed.
        observed: what agents report; nodes that said nothing are left out, they are *unobserved*.
        ignore: ``ignoreDrift`` patterns by volume name, matched against the address after the volume.
    """
    found: list[DriftItem] = []
    for name in sorted(configured.volumes):
        volume = configured.volumes[name]
        items = [*_bricks(volume, observed), *_served(volume, observed, configured)]
        patterns = ignore.get(name, ())
        found += [i for i in items if not any(fnmatchcase(_tail(i.address), p) for p in patterns)]
    return tuple(found)


def _tail(address: Address) -> str:
    """Return what ignoreDrift patterns name: ``bricks/0.1``, ``daemons/gs1``, ``volfiles/gs1``."""
    kind, _, rest = address.partition("/")
    return f"{kind}s/{rest.partition('/')[2]}"


def _bricks(volume: VolumeRecord, observed: ObservedCluster) -> Iterator[DriftItem]:
    for brick in volume.bricks:
        node = observed.nodes.get(brick.peer)
        if node is None or not node.live:
            continue
        item = _brick(volume, brick, node.bricks.get(brick.uuid))
        if item:
            yield item


def _brick(volume: VolumeRecord, brick: BrickRecord, fact: BrickFact | None) -> DriftItem | None:
    address = volume.brick_address(brick)
    where = f"{brick.peer}:{brick.path}"
    if fact is None:
        return DriftItem(
            address=address,
            kind=DriftKind.FAULT,
            summary=f"{where}  its node knows nothing of it",
            expected="reported",
            seen="nothing",
        )
    if fact.state is BrickState.REFUSED or (fact.state is BrickState.RUNNING and fact.problem):
        return _misplaced(volume, brick, fact)
    wanted = volume.state is VolumeState.STARTED
    if wanted and fact.state is not BrickState.RUNNING:
        return DriftItem(
            address=address,
            kind=DriftKind.FAULT,
            summary=f"{where}  process not running",
            expected="up",
            seen=fact.problem or fact.state.value,
            hint=_start_hint(volume.restart.policy),
            since=fact.since,
            repair=True,
        )
    if not wanted and fact.state is BrickState.RUNNING:
        return DriftItem(
            address=address,
            kind=DriftKind.FAULT,
            summary=f"{where}  runs though its volume is stopped",
            expected="stopped",
            seen=f"pid {fact.pid}",
            hint="gluster-state apply stops it",
            since=fact.since,
            repair=True,
        )
    return None


def _misplaced(volume: VolumeRecord, brick: BrickRecord, fact: BrickFact) -> DriftItem:
    """Return the fault of a brick whose path is not, or not any more, what it was given."""
    words = f"must not be started: {fact.problem}"
    hint = f"remedy that, as by mounting the right disk; then {_starter(volume)} starts it"
    if fact.state is BrickState.RUNNING:
        words = f"runs, but would not be started again: {fact.problem}"
        hint = "put back what is missing before the brick ends for whatever reason"
    return DriftItem(
        address=volume.brick_address(brick),
        kind=DriftKind.FAULT,
        summary=f"{brick.peer}:{brick.path}  {words}",
        expected="its own directory on its own filesystem",
        seen=fact.problem,
        hint=hint,
        since=fact.since,
    )


def _start_hint(policy: RestartPolicy) -> str:
    if policy is RestartPolicy.ON_CRASH:
        return f"its agent starts it again by itself (restart policy {policy.value}); apply does so at once"
    return "gluster-state apply starts it"


def _starter(volume: VolumeRecord) -> str:
    return "gluster-state apply" if volume.restart.policy is RestartPolicy.NEVER else "its agent"


def _served(
    volume: VolumeRecord, observed: ObservedCluster, configured: ConfiguredCluster
) -> Iterator[DriftItem]:
    digests: dict[str, list[PeerName]] = {}
    for peer in sorted(configured.peers):
        node = observed.nodes.get(peer)
        if node is None or not node.live:
            continue
        yield from _node(volume, peer, node)
        fact = node.volumes.get(volume.volume_id)
        if fact and fact.client_digest and fact.generation == volume.generation:
            digests.setdefault(fact.client_digest, []).append(peer)
    if len(digests) > 1:
        groups = " / ".join(", ".join(peers) for peers in digests.values())
        yield DriftItem(
            address=Address(f"volfile/{volume.name}"),
            kind=DriftKind.TOPOLOGY,
            summary=f"nodes serve different client volfiles of one generation: {groups}",
            hint="their agents are of different versions; bring them to one",
        )


def _node(volume: VolumeRecord, peer: PeerName, node: ObservedNode) -> Iterator[DriftItem]:
    fact = node.volumes.get(volume.volume_id)
    started = volume.state is VolumeState.STARTED
    if fact is not None and fact.generation > volume.generation:
        yield DriftItem(
            address=Address(f"volfile/{volume.name}/{peer}"),
            kind=DriftKind.TOPOLOGY,
            summary=f"{peer} has a newer configuration of the volume than etcd",
            expected=f"generation {volume.generation}",
            seen=f"generation {fact.generation}",
            hint="etcd was restored from an older backup: docs/operations.md, etcd is lost or was restored",
        )
    elif fact is None or fact.generation < volume.generation or fact.served != started:
        seen = "nothing" if fact is None else f"generation {fact.generation}, served: {fact.served}"
        yield DriftItem(
            address=Address(f"volfile/{volume.name}/{peer}"),
            kind=DriftKind.TOPOLOGY,
            summary=f"{peer} does not serve the volume as configured",
            expected=f"generation {volume.generation}, served: {started}",
            seen=seen,
            hint="its agent takes the configuration from etcd by itself within seconds",
        )
    if fact is not None and started and fact.shd_expected and not fact.shd_pid:
        yield DriftItem(
            address=Address(f"daemon/{volume.name}/{peer}"),
            kind=DriftKind.FAULT,
            summary=f"self-heal daemon not running on {peer}",
            expected="up",
            seen="no process",
            hint="its agent starts it again by itself; apply does so at once",
            repair=True,
        )
