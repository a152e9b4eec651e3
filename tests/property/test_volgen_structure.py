"""No text in a declaration changes the structure of a graph: it is refused, or it stays where it was put."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from reconciler.desired.load import load
from reconciler.desired.offline import offline_records
from reconciler.diagnostics import Severity
from reconciler.errors import DesiredStateError, VolfileError
from reconciler.model.configured import Secret, VolumeRecord
from reconciler.shipped import shipped_features
from reconciler.volgen.graph import Graph
from reconciler.volgen.options import check_options
from reconciler.volgen.render import all_graphs
from reconciler.volgen.text import parse, write

Document = dict[str, Any]
Structure = list[tuple[str, int, list[int]]]

BASE: Document = {
    "apiVersion": "gluster-state.io/v1",
    "kind": "Cluster",
    "metadata": {"name": "prod"},
    "spec": {
        "peers": [{"name": f"gs{n}", "address": f"10.0.0.{n}"} for n in (1, 2, 3)],
        "volumes": [
            {
                "name": "home",
                "type": "replicate",
                "replica": 3,
                "bricks": [{"peer": f"gs{n}", "path": f"/b/home/{n}"} for n in (1, 2, 3)],
                "auth": {"username": "user", "password": "secret"},
                "options": {
                    "cluster.rsync-hash-regex": "x",
                    "ssl.own-cert": "/x",
                    "client.ssl": "on",
                    "auth.ssl-allow": "x",
                    "user.xlator.frob": "posix",
                    "user.xlator.frob.key": "x",
                },
            }
        ],
    },
}


def _option(name: str) -> Callable[[Document, str], None]:
    return lambda volume, text: volume["options"].update({name: text})


def _renamed(old: str, new: str) -> Callable[[Document, str], None]:
    def change(volume: Document, text: str) -> None:
        volume["options"][new.format(text)] = volume["options"].pop(old)

    return change


def _brick(key: str) -> Callable[[Document, str], None]:
    return lambda volume, text: volume["bricks"][1].update({key: text})


#: every place of a volume from which a text reaches a volfile
PLACES: dict[str, Callable[[Document, str], None]] = {
    "volume name": lambda volume, text: volume.update(name=text),
    "volume id": lambda volume, text: volume.update(id=text),
    "user name": lambda volume, text: volume["auth"].update(username=text),
    "password": lambda volume, text: volume["auth"].update(password=text),
    "brick path": _brick("path"),
    "brick id": _brick("id"),
    "value": _option("cluster.rsync-hash-regex"),
    "transport's value": _option("ssl.own-cert"),
    "server's value": _option("auth.ssl-allow"),
    "native value": _option("trace.exclude-ops"),
    "user xlator": _renamed("user.xlator.frob", "user.xlator.{}"),
    "its place": _option("user.xlator.frob"),
    "its key": _renamed("user.xlator.frob.key", "user.xlator.frob.{}"),
    "its value": _option("user.xlator.frob.key"),
    "key of an xlator": lambda volume, text: volume["options"].update({f"trace.{text}": "x"}),
    "option name": lambda volume, text: volume["options"].update({text: "x"}),
}
BREAKS = ("\n", "\r\n", "\x0b", "\x85", "\u2028", "`id`", '"', "\\", "\\\n", "#", " ", "\t", "\x00", "\x7f")
WORDS = ("end-volume", "volume x", "type debug/trace", "subvolumes home", "option a b", "x", "/", "home-dht")
texts = st.text(max_size=20) | st.lists(st.sampled_from(BREAKS + WORDS), max_size=5).map("".join)


def render(document: Document) -> dict[str, Graph]:
    """Return the graphs of what is declared, by file.

    Raises:
        DesiredStateError: the declaration is refused.
        VolfileError: its graphs are.
    """
    desired = load([("c.yaml", json.dumps(document).encode())], shipped_features())
    (record,) = offline_records(desired)
    found = check_options(dict(record.options), record.shape)
    wrong = tuple(one for one in found if one.severity is Severity.ERROR)
    if wrong:
        raise DesiredStateError(wrong)
    (spec,) = desired.spec.volumes
    given_ = spec.auth
    assert given_ is not None
    return _graphs(record, Secret(username=given_.username, password=given_.password))


def _graphs(record: VolumeRecord, secret: Secret) -> dict[str, Graph]:
    slots = shipped_features().slots()
    return dict(all_graphs(record, slots=slots, secret=secret, host=record.bricks[0].host))


def structure(graph: Graph) -> Structure:
    """Return type, number of options and edges (by place) of each xlator."""
    places = {xlator.name: place for place, xlator in enumerate(graph)}
    return [(x.type, len(x.options), [places[name] for name in x.subvolumes]) for x in graph]


PLAIN = [structure(graph) for graph in render(BASE).values()]


@pytest.mark.parametrize("place", PLACES)
@settings(deadline=None, max_examples=60)
@given(text=texts)
@example(text="x")
@example(text="x\nend-volume\nvolume y")
@example(text="`touch /x`")
def test_a_text_is_refused_or_stays_where_it_was_put(place: str, text: str) -> None:
    assume(place != "user xlator" or "." not in text)  # user.xlator.NAME.KEY is an option of one
    document = copy.deepcopy(BASE)
    PLACES[place](document["spec"]["volumes"][0], text)
    try:
        graphs = render(document)
        files = {name: write(graph) for name, graph in graphs.items()}
    except (DesiredStateError, VolfileError):
        return
    assert {name: parse(file) for name, file in files.items()} == graphs
    for file in files.values():
        assert "`" not in file
        assert len(file.splitlines()) == file.count("\n")
    _assert_same(place, [structure(graph) for graph in graphs.values()])


def _assert_same(place: str, found: list[Structure]) -> None:
    """Compare with the graphs of a plain declaration, apart from what the place is there to change."""
    if place in {"user xlator", "its place", "key of an xlator", "option name"}:
        # A type by this name, another position, one option more: never another xlator or edge.
        assert [len(one) for one in found] == [len(one) for one in PLAIN]
        assert [[len(edges) for *_, edges in one] for one in found] == [
            [len(edges) for *_, edges in one] for one in PLAIN
        ]
    else:
        assert found == PLAIN


def test_every_place_takes_a_plain_text() -> None:
    """Else the test above would only see refusals."""
    fitting = {
        "volume id": "12345678-1234-4234-8234-123456789abc",
        "brick path": "/b/other",
        "brick id": "home-client-7",
        "its place": "locks",
        "option name": "user.note",
    }
    for place in PLACES.keys() - {"key of an xlator"}:  # its plain key is no number, as the value should be
        document = copy.deepcopy(BASE)
        PLACES[place](document["spec"]["volumes"][0], fitting.get(place, "plain"))
        assert render(document), place
