"""A plan against real agents: what they find at a path decides whether it may become a brick."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.labs import Lab, lab

pytestmark = pytest.mark.real

CLUSTER = """\
apiVersion: gluster-state.io/v1
kind: Cluster
metadata: {name: quickstart}
spec:
  peers:
    - {name: gs1, address: 127.0.1.1}
  volumes:
    - name: v
      type: distribute
      acknowledge: [{code: GS204, reason: a test}]
      bricks: [BRICK]
"""


@pytest.fixture(name="single", scope="module")
def _single() -> Iterator[Lab]:
    with lab(nodes=1) as running:
        yield running


def planned(at: Lab, folder: Path, brick: str) -> tuple[int, str]:
    """Return exit code and output of a plan with one brick, once the agent has joined."""
    file = folder / "c.yaml"
    file.write_text(CLUSTER.replace("BRICK", brick))
    deadline = time.monotonic() + 60
    while True:
        done = at.cli("plan", "-f", str(file), "--detailed-exitcode")
        if done.returncode != 10 or time.monotonic() > deadline:
            return done.returncode, done.stdout + done.stderr
        time.sleep(0.5)


def test_a_brick_goes_to_the_disk_and_to_the_root_filesystem_only_if_that_is_declared(
    single: Lab, tmp_path: Path
) -> None:
    disk = f"{single.root}/gs1/bricks"
    assert planned(single, tmp_path, f'"gs1:{disk}/v/b0"')[0] == 2
    code, text = planned(single, tmp_path, '"gs1:/srv/gluster-state-test/b0"')
    assert (code, "GS112" in text) == (3, True), text
    declared = "{peer: gs1, path: /srv/gluster-state-test/b0, mount: /}"
    assert planned(single, tmp_path, declared)[0] == 2
    code, text = planned(single, tmp_path, f"{{peer: gs1, path: {disk}/v/b0, mount: {single.root}}}")
    assert (code, f"mounted at {disk}" in text) == (3, True), text


def test_what_is_no_local_disk_is_refused_unless_it_is_declared(single: Lab, tmp_path: Path) -> None:
    ram = tmp_path / "ram"
    ram.mkdir()
    mounted = single.run("mount", "-t", "tmpfs", "none", str(ram))  # in the lab's mount namespace only
    assert mounted.returncode == 0, mounted.stderr
    try:
        code, text = planned(single, tmp_path, f'"gs1:{ram}/b0"')
        assert (code, "it is on tmpfs" in text, "no local disk" in text) == (3, True, True), text
        assert planned(single, tmp_path, f"{{peer: gs1, path: {ram}/b0, mount: {ram}}}")[0] == 2
    finally:
        single.run("umount", str(ram))
