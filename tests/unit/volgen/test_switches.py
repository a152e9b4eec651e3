"""Which options bring which xlators, held against the graphs that come out with them on and off."""

from __future__ import annotations

import dataclasses
from typing import Any

from reconciler.model.volume import Shape, VolumeType
from reconciler.volgen.brick import PLACES
from reconciler.volgen.layer import Layer, Part, Switched, switches
from reconciler.volgen.option_table import rows
from reconciler.volgen.render import all_graphs
from reconciler.volgen.switches import SWITCHES
from tests.unit.volgen.test_graphs import SECRET, a_volume
from tests.volume_samples import SLOTS

OFF = {row.name: "off" for row in rows() if row.kind == "bool"}
#: xlators that options bring in another one's place, or into the graph of a daemon of their own
OTHERS = {
    "cluster/nufa": {"cluster.nufa"},
    "cluster/switch": {"cluster.switch"},
    "features/snapview-server": {"features.uss"},
}


def types(options: dict[str, str]) -> set[str]:
    """Return the types of all xlators in all graphs of a volume with these options and no other."""
    plain = a_volume(Shape(type=VolumeType.DISTRIBUTE), bricks=2)
    volume = dataclasses.replace(plain, options=tuple(sorted(options.items())), pinned=())
    graphs = all_graphs(volume, slots=SLOTS, secret=SECRET, host="gs1").values()
    return {xlator.type for graph in graphs for xlator in graph}


def test_what_brings_an_xlator_is_what_graphs_have_with_it_on_and_off() -> None:
    bare = types(OFF)
    brought: dict[str, set[str]] = {}
    for option in OFF:
        for xlator in types(OFF | {option: "on"}) - bare:
            brought.setdefault(xlator, set()).add(option)
    assert brought == {xlator: set(options) for xlator, options in SWITCHES.items()} | OTHERS
    assert len(SWITCHES) > 15
    assert "io-threads" in PLACES  # bricks have it always: no option brings it, although one does to mounts
    assert "performance/io-threads" not in SWITCHES


def test_only_conditions_that_are_options_are_told() -> None:
    table: tuple[Layer[Any] | Part[Any], ...] = (
        Layer("a/twice", wanted=Switched("x.one")),
        Layer("a/twice", wanted=Switched("x.other")),
        Layer("a/sometimes", wanted=Switched("x.one")),
        Layer("a/sometimes", wanted=lambda _: False),
        Layer("a/always"),
        Part(lambda draft, site: None),
    )
    assert switches(table) == {"a/twice": ("x.one", "x.other")}
