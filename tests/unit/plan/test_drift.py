"""What an observation saw, and what of it is not as configured."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model.configured import ConfiguredCluster, PeerRecord
from reconciler.model.ids import ClusterId, PeerName
from reconciler.model.observed import BrickFact, BrickState, ObservedCluster, ObservedNode, VolumeFact
from reconciler.plan.basis import checked
from reconciler.plan.drift import find_drift
from tests.plan_samples import HOME

CONFIGURED = ConfiguredCluster(
    cluster_id=ClusterId("c"),
    name="prod",
    revision=1,
    peers={b.peer: PeerRecord(name=b.peer, address=b.host, zone="", node_id=b.node_id) for b in HOME.bricks},
    volumes={HOME.name: HOME},
)
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
            volumes={
                HOME.volume_id: VolumeFact(
                    volume_id=HOME.volume_id,
                    generation=HOME.generation,
                    served=True,
                    client_digest="d",
                    shd_pid=7,
                    shd_expected=True,
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


def test_a_cluster_as_configured_has_no_drift() -> None:
    assert find_drift(CONFIGURED, SEEN, {}) == ()


@pytest.mark.parametrize(("here", "words"), [(0, "does not serve"), (2, "newer configuration")])
def test_another_generation_on_a_node_is_drift_whichever_is_newer(here: int, words: str) -> None:
    """A higher one is what agents keep after etcd was restored from an older backup."""
    name = PeerName("gs2")
    fact = replace(SEEN.nodes[name].volumes[HOME.volume_id], generation=here)
    nodes = {**SEEN.nodes, name: replace(SEEN.nodes[name], volumes={HOME.volume_id: fact})}
    (item,) = find_drift(CONFIGURED, replace(SEEN, nodes=nodes), {})
    assert item.address == "volfile/home/gs2"
    assert words in item.summary
