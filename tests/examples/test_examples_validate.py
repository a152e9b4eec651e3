"""Every example is a declaration that loads, and shows what it says it shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.adapters.desired_files import read_files
from reconciler.desired import published
from reconciler.desired.load import load
from reconciler.desired.offline import offline_records
from reconciler.model.volume import RestartPolicy
from reconciler.shipped import shipped_features

EXAMPLES = sorted(Path("examples/clusters").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_loads_without_a_warning(path: Path) -> None:
    desired = load(read_files([str(path)]).files, shipped_features())
    assert desired.warnings == ()
    assert offline_records(desired)


def test_there_are_examples() -> None:
    assert {"quickstart", "reference"} <= {path.stem for path in EXAMPLES}


def test_the_quickstart_has_a_volume_of_every_kind_on_a_lab_of_three() -> None:
    spec = load(read_files(["examples/clusters/quickstart.yaml"]).files).spec
    assert [peer.address for peer in spec.peers] == ["127.0.1.1", "127.0.1.2", "127.0.1.3"]
    shapes = {
        volume.name: volume.shape.describe(len(volume.bricks)) for volume in spec.volumes if volume.shape
    }
    assert shapes == {
        "arb": "replicate 2+1 arbiter", "dist": "distribute 3", "ec": "disperse 2+1", "rep3": "replicate 3",
    }  # fmt: skip
    never = [volume.name for volume in spec.volumes if volume.restart.policy is RestartPolicy.NEVER]
    assert never == ["arb"]
    for volume in spec.volumes:
        for brick in volume.bricks:
            assert brick.path.startswith(f"/run/gluster-state-lab/{brick.peer}/bricks/{volume.name}/")


def test_the_reference_example_uses_every_supported_key() -> None:
    text = Path("examples/clusters/reference.yaml").read_text()
    definitions = published.schema(shipped_features())["$defs"]
    keys = {
        key
        for name in ("cluster", "volume", "peer", "profile", "restart")
        for key in definitions[name]["properties"]
    }
    keys |= {*definitions["brick"]["else"]["properties"]}
    missing = sorted(key for key in keys - {"geoReplication", "auth"} if f"{key}:" not in text)
    assert missing == []
