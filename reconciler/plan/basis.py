"""What a plan rests on: who was seen, which keys were read, which facts decided. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from reconciler.model.cluster import ClusterSpec, PeerState
from reconciler.model.codec import canonical
from reconciler.model.configured import ConfiguredCluster
from reconciler.model.ids import Address, PeerName
from reconciler.model.observed import ObservedCluster
from reconciler.plan.step import ReadKey


def unobserved(spec: ClusterSpec, observed: ObservedCluster) -> tuple[PeerName, ...]:
    """Return peers that a decision needs and that said nothing: not joined, or not live."""
    needed = {p.name for p in spec.peers if p.state is not PeerState.LOST}
    seen = {n for n, node in observed.nodes.items() if node.live and node.answered}
    return tuple(sorted(needed - seen))


def read_set(
    configured: ConfiguredCluster, peers: Iterable[PeerName], volumes: Iterable[Address]
) -> tuple[ReadKey, ...]:
    """Return the store revisions of everything that the plan was made from."""
    addresses = [Address("settings"), *(Address(f"peer/{n}") for n in sorted(peers)), *volumes]
    return tuple(ReadKey(address=a, mod_revision=configured.mod_revisions.get(a, 0)) for a in addresses)


def observation(observed: ObservedCluster) -> str:
    """Return the digest of the facts that decided: states, not numbers that always move."""
    facts = {
        name: [node.live, sorted((b, f.state.value) for b, f in node.bricks.items())]
        for name, node in observed.nodes.items()
    }
    return "sha256:" + hashlib.sha256(canonical(facts).encode()).hexdigest()


def checked(declared: int, configured: ConfiguredCluster, observed: ObservedCluster) -> str:
    """Return in words what an observation saw, as ``3/3 peers, 9/9 bricks``.

    Facts that a node left behind and did not confirm now are nothing seen. `declared` is how many peers
    there should be.
    """
    answered = {peer: node for peer, node in observed.nodes.items() if node.live and node.answered}
    bricks = [b for volume in configured.volumes.values() for b in volume.bricks]
    seen = sum(b.peer in answered and b.uuid in answered[b.peer].bricks for b in bricks)
    return f"{len(answered)}/{declared} peers, {seen}/{len(bricks)} bricks"
