"""Planner input of any size: new replica 3 volumes on new nodes."""

from __future__ import annotations

from reconciler.desired.load import load
from reconciler.model.ids import PeerName
from reconciler.model.observed import ObservedCluster, ObservedNode, PathProbe
from reconciler.plan.planner import Given
from reconciler.shipped import shipped_features
from tests.plan_world import World, node_id
from tests.volume_samples import SLOTS


def big(volumes: int, nodes: int) -> Given:
    """Return that many new volumes of three bricks, spread over that many nodes."""
    text = "apiVersion: gluster-state.io/v1\nkind: Cluster\nmetadata: {name: prod}\nspec:\n  peers:\n"
    peers = [PeerName(f"gs{n:02}") for n in range(nodes)]
    text += "".join(f"    - {{name: {p}, address: 10.0.0.{n + 1}}}\n" for n, p in enumerate(peers))
    text += "  volumes:\n"
    for v in range(volumes):
        bricks = ", ".join(f'"{peers[(v + b) % nodes]}:/bricks/v{v:02}/{b}"' for b in range(3))
        text += f"    - {{name: v{v:02}, type: replicate, replica: 3, bricks: [{bricks}]}}\n"
    desired = load([("c.yaml", text.encode())], shipped_features())
    seen = {}
    for peer in peers:
        paths = [b.path for v in desired.spec.volumes for b in v.bricks if b.peer == peer]
        probes = {p: PathProbe(peer=peer, path=p, mount="/bricks", fs_type="xfs") for p in paths}
        seen[peer] = ObservedNode(node_id=node_id(peer), peer=peer, live=True, answered=True, probes=probes)
    return Given(
        desired=desired,
        configured=World([]).configured,
        observed=ObservedCluster(revision=1, observed_at=1, nodes=seen),
        joined={peer: node_id(peer) for peer in peers},
        slots=SLOTS,
    )
