"""An observation shown as a plan without steps."""

from __future__ import annotations

from reconciler.controller.findings import findings_plan
from reconciler.model.ids import Address, PeerName, VolumeName
from reconciler.plan import document
from reconciler.plan.planner import Stamp
from reconciler.plan.step import Plan
from tests.plan_world import World, simulate
from tests.unit.desired.declarations import REP3, cluster, desired

GS1, GS3 = PeerName("gs1"), PeerName("gs3")
STAMP = Stamp(plan_id="p-1", now=7, tool_version="0")


def world() -> World:
    before = World(("gs1", "gs2", "gs3", "gs4"))  # type: ignore[arg-type]  # gs4 joined and is not declared
    return simulate(before.plan(desired(cluster(REP3, REP3.replace("home", "arch")))), before)


def findings(at: World, text: str | None = None, *ignore: str) -> Plan:
    wanted = desired(text) if text else None
    seen = at.given(desired(cluster())).observed
    return findings_plan(at.configured, seen, {VolumeName("home"): ignore}, STAMP, wanted)


def test_a_cluster_as_configured_has_no_findings() -> None:
    found = findings(world())
    assert (found.drift, found.unobserved, found.unmanaged) == ((), (), ())
    assert (found.steps, found.changes, found.blockers, found.empty) == ((), (), (), True)
    assert found.checked == "3/3 peers, 6/6 bricks"
    assert document.parse_document(document.canonical_text(found)) == found


def test_drift_is_listed_unless_it_is_ignored() -> None:
    at = world()
    at.nodes[GS1].running.clear()
    assert [d.address for d in findings(at).drift] == ["brick/arch/0.0", "brick/home/0.0"]
    assert [d.address for d in findings(at, None, "bricks/*").drift] == ["brick/arch/0.0"]
    assert findings(at).steps == ()


def test_configured_peers_that_say_nothing_are_unobserved_and_their_bricks_are_not_counted() -> None:
    at = world()
    at.nodes[GS1].answers = False
    at.nodes[GS3].live = False
    found = findings(at)
    assert found.unobserved == ("gs1", "gs3")
    assert found.checked == "1/3 peers, 2/6 bricks"
    assert document.exit_code(found) == 10


def test_with_a_declaration_everything_that_it_does_not_name_is_unmanaged() -> None:
    less = cluster(REP3).replace("    - {name: gs3, address: 10.0.0.3, zone: c}\n", "")
    less = less.replace("gs3:/b/home/0", "gs2:/b/home/1")
    assert findings(world(), less).unmanaged == (Address("peer/gs3"), Address("volume/arch"))
    assert findings(world(), cluster(REP3, REP3.replace("home", "arch"))).unmanaged == ()
