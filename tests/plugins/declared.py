"""One volume with a feature's key: its record, or what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.desired.load import load
from reconciler.desired.offline import offline_records
from reconciler.errors import DesiredStateError
from reconciler.model.configured import VolumeRecord
from reconciler.shipped import shipped_features
from reconciler.volgen.graph import Graph
from reconciler.volgen.render import all_graphs
from tests.unit.desired.declarations import REP3, cluster
from tests.volume_samples import SECRET, SLOTS

#: file name of the first brick's graph
BRICK = "home.10.0.0.1.b-home-0.vol"


def text(*lines: str) -> bytes:
    """Return a declaration of one replica 3 volume with more lines; the first of them is line 14."""
    return cluster(REP3 + "".join(line + "\n" for line in lines)).encode()


def record(*lines: str) -> VolumeRecord:
    """Return the record of a volume with more lines."""
    (found,) = offline_records(load([("c.yaml", text(*lines))], shipped_features()))
    return found


def errors(*lines: str) -> list[str]:
    """Return what is wrong with a volume with more lines, as ``LINE:COLUMN summary (hint)``."""
    try:
        load([("c.yaml", text(*lines))], shipped_features())
    except DesiredStateError as exc:
        return [f"{str(one.span)[7:]} {one.summary} ({one.hint})" for one in exc.diagnostics]
    return []


def brick_options(found: Mapping[str, Graph], xlator: str) -> Mapping[str, str]:
    """Return the options of an xlator of the first brick."""
    (only,) = found[BRICK].of_type(xlator)
    return only.options


def graphs(volume: VolumeRecord) -> Mapping[str, Graph]:
    """Return every graph of a volume by file name."""
    return all_graphs(volume, slots=SLOTS, secret=SECRET, host="10.0.0.1")
