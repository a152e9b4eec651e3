"""Where options land, held against what the table says of them."""

from __future__ import annotations

import pytest

from reconciler.volgen.landing import Landing, landings
from reconciler.volgen.option_table import OptionRow, Rule, rows
from reconciler.volgen.options import SWITCHES
from tests.volume_samples import SLOTS

SWITCHING = {name for names in SWITCHES.values() for name in names}
SET = [row for row in rows() if row.rule is Rule.SET and "/" in row.xlator and row.name not in SWITCHING]
#: xlators that no graph of a volume has
NOWHERE = {"mgmt/glusterd", "mgmt/ganesha", "nfs/server", "features/bit-rot", "features/snapview-server"}


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
