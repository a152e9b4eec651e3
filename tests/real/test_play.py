"""The playground and `lab up`, as a user meets them: run again, and left alone by a second run."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.errors import EnvironmentProblem
from reconciler.lab import control, demo
from tests.labs import Lab, lab

pytestmark = pytest.mark.real


def test_lab_up_says_that_its_agents_have_joined_and_status_shows_them() -> None:
    root = Path("/run") / f"gsl-{secrets.token_hex(4)}"
    words = [sys.executable, "-m", "reconciler", "lab", "up", "--netns", "--dir", str(root)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    try:
        assert done.returncode == 0, done.stderr
        status = Lab(root).cli("status", "-o", "json")
        assert status.returncode == 0
        nodes = json.loads(status.stdout)["nodes"]
        assert [(node["peer"], node["live"], node["configured"]) for node in nodes] == [
            (f"gs{number}", True, False) for number in (1, 2, 3)
        ]
    finally:
        if root.exists():
            control.down(root)


def test_playing_again_leaves_a_running_lab_alone_whoever_made_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with lab(nodes=1) as running:
        monkeypatch.setattr(demo, "DEFAULT_DIR", running.root)
        with pytest.raises(EnvironmentProblem, match="another lab"):
            demo.playground()
        (running.root / "cluster.yaml").write_text("# made by play\n")
        assert demo.playground() == 0
        out = capsys.readouterr().out
        assert "was left as it is" in out
        _type(out, running.root)
        assert control.status(running.root)["agent-1"] == "running"


def _type(out: str, root: Path) -> None:
    """Type the first two lines of the invitation as they stand, for this lab."""
    lines = [line.strip() for line in out.splitlines() if line.startswith("  ")][:2]
    script = "\n".join(lines).replace("lab exec --", f"lab exec --dir {root} --")
    path = os.defpath  # without our virtual environment: the lines themselves must bring it
    bin_of_ours = str(Path(sys.executable).parent)
    script = script.replace("$PWD/.venv/bin", bin_of_ours)
    done = subprocess.run(
        ["bash", "-c", script], env={"PATH": path}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "1/1 nodes live" in done.stdout
