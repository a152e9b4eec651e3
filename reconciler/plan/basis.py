"""What a plan rests on: who was seen, which keys were read, which facts decided. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from reconciler.model.cluster import ClusterSpec, PeerState
from reconciler.model.codec import canonical
from reconciler.model.configured import ConfiguredCluster
from reconciler.model.ids import Address, PeerName
from reconciler.model.observed import ObservedCluster
from reconciler.plan.step import ReadKey


def lost(spec: ClusterSpec) -> frozenset[PeerName]:
    """Return the peers that are declared not to return."""
    return frozenset(p.name for p in spec.peers if p.state is PeerState.LOST)


def concerned(spec: ClusterSpec, configured: ConfiguredCluster) -> frozenset[PeerName]:
    """Return the declared peers, and those with bricks of declared volumes: all that a step may run on.

    A peer that is not declared is left alone, unless a tombstone names a volume with bricks on it.
    """
    declared = {v.name for v in spec.volumes}
    records = [r for name, r in configured.volumes.items() if name in declared]
    return frozenset({p.name for p in spec.peers} | {b.peer for r in records for b in r.bricks})


def unobserved(
    spec: ClusterSpec, configured: ConfiguredCluster, observed: ObservedCluster
) -> tuple[PeerName, ...]:
    """Return peers that a decision needs and that said nothing: not joined, or not live."""
    return tuple(sorted(concerned(spec, configured) - lost(spec) - observed.answering))


def read_set(
    configured: ConfiguredCluster, peers: Iterable[PeerName], volumes: Iterable[Address]
) -> tuple[ReadKey, ...]:
    """Return the store revisions of everything that the plan was made from."""
    addresses = [Address("settings"), *(Address(f"peer/{n}") for n in sorted(peers)), *volumes]
    return tuple(ReadKey(address=a, mod_revision=configured.mod_revisions.get(a, 0)) for a in addresses)


def newest(read_set: Iterable[ReadKey]) -> int:
    """Return the revision of what was read (0: nothing).

    It is not the store's newest: observing writes to the store, so two plans of the same input would differ.
    """
    return max((key.mod_revision for key in read_set), default=0)


def observation(observed: ObservedCluster) -> str:
    """Return the digest of the facts that decided: states, not numbers that always move."""
    facts = {
        name: [node.live, sorted((b, f.state.value) for b, f in node.bricks.items())]
        for name, node in observed.nodes.items()
    }
    return "sha256:" + hashlib.sha256(canonical(facts).encode()).hexdigest()


def checked(peers: AbstractSet[PeerName], configured: ConfiguredCluster, observed: ObservedCluster) -> str:
    """Return in words what was seen, as ``3/3 peers, 9/9 bricks``; `peers` are those that count.

    Facts that a node left behind and did not confirm now are nothing seen.
    """
    seen = observed.answering
    bricks = [b for volume in configured.volumes.values() for b in volume.bricks]
    known = sum(b.peer in seen and b.uuid in observed.nodes[b.peer].bricks for b in bricks)
    return f"{len(seen & peers)}/{len(peers)} peers, {known}/{len(bricks)} bricks"
