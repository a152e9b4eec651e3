"""Quota and bitrot by their keys, through the command: the volfiles that glusterd made of its own commands.

Whoever reads a volume of glusterd back has the key and, among its options, what glusterd stored with it.
Both forms must mean the same: what the command stored left in, and left out. What was set besides stays.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.root import run
from reconciler.model.volume import VolumeType
from reconciler.volgen.text import parse
from tests.golden.volgen.oracle_case import OracleCase, load_case
from tests.golden.volgen.test_oracle import CASES

KEYS = {"features.quota": "quota", "features.bitrot": "bitrot"}  #: switch -> key
#: Source: glusterfs 10.3 glusterd-quota.c: glusterd_quota_enable; glusterd-bitrot.c: glusterd_bitrot_enable
STORED_WITH = {
    ("features.quota", "on"),
    ("features.inode-quota", "on"),
    ("features.quota-deem-statfs", "on"),
    ("features.bitrot", "on"),
    ("features.scrub", "Active"),
}


def _keys(path: Path) -> dict[str, Any]:
    stored = json.loads(path.read_text())["stored_options"]
    return {key: {"enabled": True} for switch, key in KEYS.items() if stored.get(switch) == "on"}


WITH_KEYS = [path for path in CASES if _keys(path)]


def _declaration(case: OracleCase, options: dict[str, str], keys: dict[str, Any]) -> str:
    """Return the volume of a case as a declaration with these options and keys (JSON is YAML)."""
    volume, shape = case.volume, case.volume.shape
    names = {host: f"p{n}" for n, host in enumerate(dict.fromkeys(b.host for b in volume.bricks))}
    counts = {
        VolumeType.DISTRIBUTE: {},
        VolumeType.REPLICATE: {"replica": shape.replica, "arbiter": shape.arbiter},
        VolumeType.DISPERSE: {"data": shape.data, "redundancy": shape.redundancy},
    }[shape.type]
    declared = {
        "name": volume.name,
        "id": volume.volume_id,
        "state": volume.state.value,
        "auth": {"username": case.secret.username, "password": case.secret.password},
        "type": shape.type.value,
        **{key: count for key, count in counts.items() if count},
        "bricks": [f"{names[b.host]}:{b.path}" for b in volume.bricks],
        "options": options,
        **keys,
    }
    peers = [{"name": name, "address": host} for host, name in names.items()]
    spec = {"peers": peers, "volumes": [declared]}
    envelope = {"apiVersion": "gluster-state.io/v1", "kind": "Cluster", "metadata": {"name": "t"}}
    return json.dumps({**envelope, "spec": spec})


def test_there_is_a_case_with_both() -> None:
    assert any(_keys(path).keys() == set(KEYS.values()) for path in WITH_KEYS)


@pytest.mark.parametrize("left_in", [True, False], ids=["options-left-in", "options-left-out"])
@pytest.mark.parametrize("path", WITH_KEYS, ids=lambda path: path.stem)
def test_the_keys_give_the_volfiles_of_glusterds_commands(path: Path, left_in: bool, tmp_path: Path) -> None:
    case, keys = load_case(path), _keys(path)
    stored = dict(pair for pair in case.volume.options if left_in or pair not in STORED_WITH)
    source, out = tmp_path / "c.yaml", tmp_path / "out"
    source.write_text(_declaration(case, stored, keys))
    words = ["volfile", "-f", str(source), case.volume.name, "--graph", "all", "--out", str(out)]
    assert run(words) == 0
    assert sorted(file.name for file in out.iterdir()) == sorted(case.volfiles)
    for name, text in case.volfiles.items():
        assert parse((out / name).read_text()) == parse(text), name
