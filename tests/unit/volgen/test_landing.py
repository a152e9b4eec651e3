"""Where options land, held against what the table says of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.shipped import shipped_features
from reconciler.volgen.landing import Effect, Landing, effects, landings
from reconciler.volgen.option_table import OptionRow, Rule, rows
from reconciler.volgen.slots import Slots
from reconciler.volgen.switches import SWITCHES
from tests.volume_samples import SLOTS

SWITCHING = {name for names in SWITCHES.values() for name in names}
OF_DAEMONS = {"features/bit-rot"}  #: with keys of their own in the graph
SET = [
    row
    for row in rows()
    if row.rule is Rule.SET and "/" in row.xlator and not {row.name, row.xlator} & (SWITCHING | OF_DAEMONS)
]
#: xlators that no graph of a volume has
NOWHERE = {"mgmt/glusterd", "mgmt/ganesha", "nfs/server", "features/snapview-server"}


@pytest.mark.parametrize("row", SET[::5], ids=lambda row: f"{row.name}-{row.xlator}")
def test_a_plain_option_lands_on_its_key(row: OptionRow) -> None:
    found = {(place.xlator, place.key) for place in landings(row.name, SLOTS)}
    if row.xlator in NOWHERE:
        assert (row.xlator, row.key) not in found
    else:
        assert (row.xlator, row.key) in found


def test_an_option_of_one_side_lands_on_that_side_only() -> None:
    assert landings("diagnostics.client-log-level", SLOTS) == (
        Landing("client", "debug/io-stats", "log-level"),
        Landing("self-heal daemon", "debug/io-stats", "log-level"),
    )
    assert landings("diagnostics.brick-log-level", SLOTS) == (
        Landing("brick", "debug/io-stats", "log-level"),
    )
    assert landings("user.anything", SLOTS) == ()


@pytest.mark.parametrize(
    ("name", "daemon", "key", "effect"),
    [
        ("features.expiry-time", "bitd", "expiry-time", Effect.LIVE_ON_DAEMON),
        ("features.signer-threads", "bitd", "signer-threads", Effect.DAEMON_RESTART),
        ("features.scrub", "scrub", "scrub-state", Effect.LIVE_ON_DAEMON),
        ("features.scrub-freq", "scrub", "scrub-freq", Effect.LIVE_ON_DAEMON),
        ("features.scrub-throttle", "scrub", "scrub-throttle", Effect.LIVE_ON_DAEMON),
    ],
)
def test_an_option_of_a_nodes_daemon_lands_there(name: str, daemon: str, key: str, effect: Effect) -> None:
    """What is live was looked up in the reconfigure function of glusterfs 10.3's features/bit-rot."""
    assert landings(name, SLOTS) == (Landing(daemon, "features/bit-rot", key),)
    assert effects(landings(name, SLOTS)) == (effect,)
    assert landings(name, Slots()) == ()  # the daemons are those of features


def test_a_daemons_graph_is_seen_with_its_feature_on() -> None:
    (bitrot,) = (feature for feature in shipped_features() if feature.name == "bitrot")
    assert [place.side for place in landings("features.scrub-freq", Slots([bitrot]))] == ["scrub"]
    assert landings("features.scrub-freq", Slots([replace(bitrot, switch="")])) == ()
