"""A declaration without ``XLATOR.OPTION`` names costs no catalogue, neither its text nor what reads it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.desired.declarations import REP3, cluster

# In a process of its own: here, other tests have read the catalogue long ago.
PROGRAM = """
import sys
from reconciler.catalogue.known import known_catalogue
from reconciler.cli.root import run

assert run(["validate", sys.argv[1]]) == 0
assert run(["volfile", "-f", sys.argv[1], "home", "--graph", "all", "--out", sys.argv[2]]) == 0
print("READ", known_catalogue.cache_info().currsize, "reconciler.catalogue.document" in sys.modules)
"""


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("options: {performance.io-cache: on, network.ping-timeout: 20}\n", "READ 0 False"),
        ("options: {md-cache.cache-selinux: on}\n", "READ 1 True"),
    ],
)
def test_validate_and_volfile_read_the_catalogue_only_for_names_of_xlators(
    options: str, expected: str, tmp_path: Path
) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(cluster(REP3 + options))
    words = [sys.executable, "-c", PROGRAM, str(file), str(tmp_path / "out")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == expected, done.stderr
