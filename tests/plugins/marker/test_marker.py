"""Marker from YAML to volfiles."""

from __future__ import annotations

import pytest

from reconciler.volgen.brick import needs_brick_restart
from tests.plugins.declared import BRICK, brick_options, errors, graphs, record


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("replicated", [None, True, False])
def test_the_key_gives_the_volfiles_of_the_raw_options(enabled: bool, replicated: bool | None) -> None:
    key, raw = [f"enabled: {enabled}"], [f"geo-replication.indexing: {'on' if enabled else 'off'}"]
    if replicated is not None:
        key = [*key, f"replicatedChanges: {replicated}"]
        raw = [*raw, f"geo-replication.ignore-pid-check: {'on' if replicated else 'off'}"]
    by_key, by_options = record(f"marker: {{{', '.join(key)}}}"), record(f"options: {{{', '.join(raw)}}}")
    assert graphs(by_key) == graphs(by_options)
    found = brick_options(graphs(by_key), "features/marker")
    assert found["xtime"] == ("on" if enabled else "off")
    assert found["gsync-force-xtime"] == ("on" if replicated else "off")


def test_every_brick_knows_where_the_mark_of_its_volume_is() -> None:
    on, off = (graphs(record(f"marker: {{enabled: {word}}}")) for word in ("true", "false"))
    for graph in (on, off, graphs(record())):
        assert brick_options(graph, "features/marker")["timestamp-file"] == (
            "/var/lib/glusterd/vols/home/marker.tstamp"
        )
    assert not needs_brick_restart(off[BRICK], on[BRICK])


def test_a_contradiction_is_pointed_at() -> None:
    assert errors("options: {geo-replication.indexing: off}", "marker: {enabled: true}") == [
        "14:43 option geo-replication.indexing is off here and on by marker "
        "(say it in one place; the key is at c.yaml:15:15)"
    ]
