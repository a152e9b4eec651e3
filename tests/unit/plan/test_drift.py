"""What an observation saw, in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model.configured import ConfiguredCluster
from reconciler.model.ids import ClusterId, PeerName
from reconciler.model.observed import BrickFact, BrickState, ObservedCluster, ObservedNode
from reconciler.plan.basis import checked
from tests.plan_samples import HOME

CONFIGURED = ConfiguredCluster(cluster_id=ClusterId("c"), name="prod", revision=1, volumes={HOME.name: HOME})
SEEN = ObservedCluster(
    revision=1,
    observed_at=1,
    nodes={
        brick.peer: ObservedNode(
            node_id=brick.node_id,
            peer=brick.peer,
            live=True,
            answered=True,
            bricks={
                brick.uuid: BrickFact(
                    uuid=brick.uuid, volume_id_configured=HOME.volume_id, state=BrickState.RUNNING
                )
            },
        )
        for brick in HOME.bricks
    },
)


def test_everything_that_answered_was_checked() -> None:
    assert checked(3, CONFIGURED, SEEN) == "3/3 peers, 3/3 bricks"


@pytest.mark.parametrize("silent", [{"live": False}, {"answered": False}])
def test_facts_that_a_silent_node_left_behind_are_nothing_seen(silent: dict[str, bool]) -> None:
    name = PeerName("gs2")
    nodes = {**SEEN.nodes, name: replace(SEEN.nodes[name], **silent)}
    assert checked(3, CONFIGURED, replace(SEEN, nodes=nodes)) == "2/3 peers, 2/3 bricks"
