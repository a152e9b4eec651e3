"""Order without meaning does not show; order with meaning does."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.desired.load import load
from reconciler.desired.offline import offline_records
from tests.strategies import shuffled

PEERS = [f"gs{i}" for i in range(1, 6)]


@st.composite
def clusters(draw: st.DrawFn) -> dict[str, Any]:
    """A good Cluster document: peers, profiles, volumes of every kind with options, policies and ids."""
    names = draw(
        st.lists(st.sampled_from(["alpha", "beta", "gamma", "home.x", "v-1"]), unique=True, max_size=4)
    )
    options = st.dictionaries(
        st.sampled_from(["a.a", "a.b", "network.ping-timeout", "x_y.z"]),
        st.sampled_from(["on", "5", "x y"]),
        max_size=3,
    )
    profiles = [{"name": f"p{i}", "options": draw(options)} for i in range(3)]
    profiles[2]["extends"] = draw(st.sampled_from(["p0", "builtin/nl-cache"]))
    return {
        "apiVersion": "gluster-state.io/v1",
        "kind": "Cluster",
        "metadata": {
            "name": "prod",
            "labels": draw(st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz"))),
        },
        "spec": {
            "peers": [{"name": name, "address": f"10.0.0.{i}"} for i, name in enumerate(PEERS, start=1)],
            "profiles": profiles,
            "defaults": {"volume": {"options": draw(options), "ignoreDrift": ["options/d.*", "options/e.*"]}},
            "volumes": [_volume(draw, name, options) for name in names],
        },
    }


def _volume(draw: st.DrawFn, name: str, options: st.SearchStrategy[dict[str, str]]) -> dict[str, Any]:
    shape, size = draw(
        st.sampled_from(
            [
                ({"type": "distribute"}, 1),
                ({"type": "replicate", "replica": 3}, 3),
                ({"type": "replicate", "replica": 3, "arbiter": 1}, 3),
                ({"type": "disperse", "data": 4, "redundancy": 1}, 5),
            ]
        )
    )
    count = size * draw(st.integers(1, 2))
    bricks = [f"{PEERS[(i + i // 5) % 5]}:/bricks/{name}/b{i}" for i in range(count)]
    accepted = [{"code": code, "reason": "test"} for code in ("GS204", "GS205", "GS203")]
    profiles = draw(st.lists(st.sampled_from(["p0", "p1", "p2", "builtin/virt"]), max_size=3, unique=True))
    return {
        "name": name,
        **shape,
        "bricks": bricks,
        "options": draw(options),
        "profiles": profiles,
        "ignoreDrift": ["options/b.*", "options/a.*"],
        "acknowledge": accepted,
    }


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_order_without_meaning_gives_the_same_spec_digest_and_records(data: st.DataObject) -> None:
    document = data.draw(clusters())
    other = shuffled(data.draw, document)
    first = load([("c.yaml", json.dumps(document).encode())])
    second = load([("c.yaml", json.dumps(other, indent=1).encode())])
    assert first.spec == second.spec
    assert first.digest == second.digest
    assert offline_records(first) == offline_records(second)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_inline_objects_and_documents_of_their_own_in_any_files_mean_the_same(data: st.DataObject) -> None:
    document = data.draw(clusters())
    kinds = {"peers": "Peer", "profiles": "Profile", "volumes": "Volume"}
    moved: list[dict[str, Any]] = []
    spec = dict(document["spec"])
    for key, kind in kinds.items():
        out = data.draw(st.lists(st.booleans(), min_size=len(spec[key]), max_size=len(spec[key])))
        for item, leaves in zip(spec[key], out, strict=True):
            if leaves:
                rest = {name: value for name, value in item.items() if name != "name"}
                moved.append({**document, "kind": kind, "metadata": {"name": item["name"]}, "spec": rest})
        spec[key] = [item for item, leaves in zip(spec[key], out, strict=True) if not leaves]
    documents = data.draw(st.permutations([{**document, "spec": spec}, *moved]))
    files = [(f"{i}.yaml", json.dumps(item).encode()) for i, item in enumerate(documents)]
    whole, split = load([("c.yaml", json.dumps(document).encode())]), load(files)
    assert whole.spec == split.spec
    assert whole.digest == split.digest
    assert load(list(reversed(files))).digest == split.digest


@settings(max_examples=40, deadline=None)
@given(clusters(), st.integers(0, 3))
def test_the_order_of_bricks_is_data(document: dict[str, Any], which: int) -> None:
    volumes = document["spec"]["volumes"]
    if not volumes:
        return
    bricks = volumes[which % len(volumes)]["bricks"]
    before = load([("c.yaml", json.dumps(document).encode())])
    bricks.reverse()
    after = load([("c.yaml", json.dumps(document).encode())])
    assert (before.digest == after.digest) is (len(bricks) == 1)
