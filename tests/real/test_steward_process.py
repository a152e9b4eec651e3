"""A steward that an agent started ends with that agent, however early the agent has died."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.servers import free_port

pytestmark = pytest.mark.real


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """Return the words that start a steward whose etcd does not answer."""
    config = tmp_path / "agent.toml"
    folders = "".join(f'{kind} = "{tmp_path / kind}"\n' for kind in ("state", "run", "log"))
    etcd = f'etcd = ["127.0.0.1:{free_port()}"]\n'
    config.write_text(f'cluster = "c"\npeer = "gs1"\naddress = "127.0.0.1"\n{etcd}{folders}')
    return [sys.executable, "-m", "reconciler", "steward", "--config", str(config)]


def test_a_steward_whose_agent_died_before_it_began_ends_by_itself(words: list[str]) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert subprocess.run([*words, "--agent", str(gone.pid)], timeout=60, check=False).returncode == 0


@pytest.mark.parametrize("agent", [[], ["--agent", str(os.getpid())]])
def test_a_steward_goes_on_while_its_agent_lives_or_alone(words: list[str], agent: list[str]) -> None:
    steward = subprocess.Popen([*words, *agent])
    try:
        time.sleep(4)  # longer than it takes to start and to look for the agent
        assert steward.poll() is None
        steward.terminate()
        assert steward.wait(30) == 0
    finally:
        steward.kill()
        steward.wait()
