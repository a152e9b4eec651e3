"""etcd is restored from an older backup: everything stops, bricks go on, and a human settles it."""

from __future__ import annotations

import pytest

from reconciler.lab import control
from reconciler.lab.layout import LabLayout
from reconciler.lab.record import load
from tests.lab_faults import all_up, answer, apply, command, declare, node, plan, status_of, volume
from tests.labs import Lab, cluster, eventually

pytestmark = pytest.mark.real

NODES = (1, 2, 3)


def etcdctl(it: Lab, *words: str) -> None:
    done = it.run("env", "ETCDCTL_API=3", "etcdctl", "--endpoints", load(it.root).endpoint, *words)
    assert done.returncode == 0, done.stderr


def restore(it: Lab, backup: str, token: str) -> None:
    """Put another history into the place of etcd's data; the token decides on the cluster id."""
    words = load(it.root).commands["etcd"]
    peer = words[words.index("--initial-advertise-peer-urls") + 1]
    it.stop("etcd")
    data = LabLayout(it.root).etcd_data
    data.rename(it.root / "work" / "lost")
    etcdctl(
        it, "snapshot", "restore", backup, "--data-dir", str(data), "--name", "lab",
        "--initial-cluster", f"lab={peer}", "--initial-advertise-peer-urls", peer,
        "--initial-cluster-token", token,
    )  # fmt: skip
    it.start("etcd")


def doubts(it: Lab) -> list[str]:
    done = command(it, "status")
    return answer(it, "status")["doubts"] if done[0] in (0, 10) else []


def believe(it: Lab, number: int, volume_id: str) -> None:
    """Set a node's memory of the store aside, as docs/operations.md says."""
    it.stop(f"agent:{number}")
    memory = node(it, number).folders["state"] / "memory"
    for name in ("store", "barrier", f"volumes/{volume_id}"):
        if (memory / name).exists():
            (memory / name).rename(it.root / "work" / f"{number}-{name.replace('/', '-')}")
    it.start(f"agent:{number}")


@pytest.mark.parametrize("token", ["etcd-cluster", "another"])
def test_an_older_history_stops_everything_until_it_is_settled(token: str) -> None:
    with cluster() as it:
        declare(it, volume(it, "home"))
        assert apply(it)[0] == 0
        backup = str(it.root / "work" / "backup")
        etcdctl(it, "snapshot", "save", backup)
        declare(it, volume(it, "home", options={"network.ping-timeout": "20"}))
        assert apply(it)[0] == 0
        generation, before = status_of(it, "home")["generation"], it.bricks()

        restore(it, backup, token)
        eventually(lambda: len(doubts(it)) == len(NODES), "every agent doubts", 60)
        for _ in range(2):
            said = plan(it)
            assert said[0] == 69, said
            assert "gs1 says: etcd is" in said[1]
            assert apply(it)[0] == 69
            assert command(it, "drift")[0] == 69
            assert it.bricks() == before
            with it.mounted("home") as folder:
                assert it.run("touch", str(folder / "file")).returncode == 0
            it.kill("agent:1")  # and it doubts again when it is back: the disk knows
            control.stop(it.root, "agent:2")
            control.start(it.root, "agent:2")

        volume_id = status_of(it, "home")["volume_id"]
        assert status_of(it, "home")["generation"] == generation - 1
        for number in NODES:
            believe(it, number, volume_id)
        eventually(lambda: not doubts(it) and all_up(it), "the agents follow etcd again", 60)
        assert it.bricks() == before
        done = apply(it)
        assert done[0] == 0, done
        assert "No changes." in plan(it)[1]
        assert status_of(it, "home")["generation"] == generation
