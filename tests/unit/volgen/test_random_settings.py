"""What ``make oracle`` draws: a value for every option that there is, whatever kinds the table has."""

from __future__ import annotations

from random import Random

from reconciler.volgen.option_table import rows_by_name
from tests.glusterd_random import random_setting


def test_every_option_is_drawn_with_a_value() -> None:
    random = Random(1)
    drawn = dict(random_setting(random) for _ in range(40 * len(rows_by_name())))
    assert all(drawn.values())
    # These two hold for all volumes of a pool.
    missing = rows_by_name().keys() - drawn.keys()
    assert missing == {"client.strict-locks", "server.outstanding-rpc-limit"}
