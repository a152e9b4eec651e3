"""Deletion and protection, on a real cluster: absence does nothing, a tombstone takes all its conditions."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.lab.record import load
from tests.lab_faults import (
    answer,
    apply,
    command,
    declare,
    gone,
    node,
    plan,
    status_of,
    volume,
    world,
)
from tests.labs import Lab, cluster, eventually

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def it() -> Iterator[Lab]:
    with cluster() as made:
        say(made, volume(made, "stays"))
        code, text = apply(made)
        assert code == 0, text
        yield made


def say(it: Lab, *volumes: dict[str, Any], delay: str = "1s") -> None:
    """Declare volumes, with a delay that is over soon."""
    declare(it, *volumes, unprotectDelay=delay)


def made(it: Lab, name: str, **more: Any) -> str:
    """Create a volume with a file in it; return its id."""
    say(it, volume(it, "stays"), volume(it, name, **more))
    code, text = apply(it)
    assert code == 0, text
    with it.mounted(name) as point:
        assert it.run("sh", "-c", f"echo precious > {point}/file").returncode == 0
    return str(status_of(it, name)["volume_id"])


def assert_kept(it: Lab, *told: str, words: tuple[str, ...] = (), code: int = 3) -> None:
    """Fail unless what is declared is refused, with a reason, and changes nothing."""
    before = world(it)
    for act in (plan, apply):
        found, text = act(it, *words)
        assert found == code, text
        for one in told:
            assert one in text, f"{one!r} is not in: {text}"
    assert world(it) == before


def names(it: Lab) -> list[str]:
    """Return the names of the configured volumes."""
    return [v["name"] for v in answer(it, "status")["volumes"]]


def assert_deleted(it: Lab, name: str, before: dict[str, Any]) -> None:
    """Fail unless a volume is gone, its processes are, its ports are free, and its data is kept."""
    assert name not in names(it)
    running = " ".join(" ".join(words) for words in world(it).processes.values())
    for brick in before["bricks"]:
        assert brick["path"] not in running
        address = f"127.0.1.{brick['peer'][2:]}"
        free = it.run("python3", "-c", f"import socket; socket.socket().bind(('{address}', {brick['port']}))")
        assert free.returncode == 0, free.stderr
        kept = load(it.root).inside.seen(node(it, int(brick["peer"][2:])).bricks) / name / "b0" / "file"
        assert kept.read_text() == "precious\n"
    assert f"shd/{name} " not in running
    mount = it.run("mount", "-t", "glusterfs", f"127.0.1.1:/{name}", str(it.root / "mnt"))
    assert mount.returncode != 0


def test_absence_from_the_declaration_does_nothing_at_all(it: Lab) -> None:
    made(it, "absent")
    say(it, volume(it, "stays"))
    before = world(it)
    code, text = plan(it, "--detailed-exitcode")
    assert (code, "unmanaged" in text, "volume/absent" in text) == (0, True, True), text
    assert apply(it)[0] == 0
    code, text = command(it, "drift", "-f", str(it.root / "work" / "cluster.yaml"))
    assert (code, "volume/absent" in text) == (0, True), text
    assert world(it) == before
    with it.mounted("absent") as point:
        assert it.run("cat", f"{point}/file").stdout == "precious\n"


def test_a_protected_volume_is_not_deleted_whatever_is_said(it: Lab) -> None:
    volume_id = made(it, "guarded")
    stone = gone("guarded", volume_id)
    consent = ("--allow", "GS101=volume/guarded")
    say(it, volume(it, "stays"), stone)
    assert_kept(it, "protected", words=consent)
    say(it, volume(it, "stays"), stone | {"deletionPolicy": "Delete"})  # protection is in the cluster
    assert_kept(it, "protected", words=consent)
    bare = {key: value for key, value in stone.items() if key != "confirm"}
    say(it, volume(it, "stays"), bare)
    assert_kept(it, "confirm", words=consent, code=65)
    say(it, volume(it, "stays"), gone("guarded", "00000000-0000-4000-8000-000000000000"))
    assert_kept(it, volume_id, words=consent)


def test_a_deletion_takes_its_policy_its_delay_and_consent_and_keeps_the_data(it: Lab) -> None:
    volume_id = made(it, "leaves")
    stone = gone("leaves", volume_id)
    consent = ("--allow", "GS101=volume/leaves")
    say(it, volume(it, "stays"), volume(it, "leaves", deletionPolicy="Delete"))
    assert apply(it)[0] == 0
    assert "leaves" in names(it)  # the policy alone deletes nothing
    say(it, volume(it, "stays"), stone, delay="1h")
    assert_kept(it, "unprotectDelay", words=consent)
    say(it, volume(it, "stays"), volume(it, "leaves", deletionPolicy="Delete"), delay="1h")
    assert apply(it)[0] == 0
    say(it, volume(it, "stays"), stone)  # a tombstone that brings a shorter delay along
    assert_kept(it, "unprotectDelay", words=consent)
    say(it, volume(it, "stays"), volume(it, "leaves", deletionPolicy="Delete"))
    assert apply(it)[0] == 0
    time.sleep(1)
    say(it, volume(it, "stays"), stone)
    assert_kept(it, "--allow GS101=volume/leaves")
    assert_kept(it, "consent", words=("--allow", "GS101=volume/stays"))
    say(it, volume(it, "stays"), stone | {"data": "wipe"})
    wiped = plan(it, *consent)
    assert wiped[0] in (3, 65), wiped
    say(it, volume(it, "stays"), stone)
    before = dict(status_of(it, "leaves"))
    code, text = apply(it, *consent)
    assert code == 0, text
    assert_deleted(it, "leaves", before)
    assert "stays" in names(it)
    code, text = plan(it, "--detailed-exitcode")  # a tombstone of what is gone is no change
    assert code == 0, text
    again(it, volume_id)


def again(it: Lab, old_id: str) -> None:
    """Check that a new volume of the deleted one's name has another id and takes no old brick."""
    say(it, volume(it, "stays"), volume(it, "leaves"))
    assert_kept(it, f"{node(it, 1).bricks}/leaves/b0", old_id)
    fresh = volume(it, "leaves")
    fresh["bricks"] = [brick.replace("/leaves/b0", "/leaves/b1") for brick in fresh["bricks"]]
    say(it, volume(it, "stays"), fresh)
    code, text = apply(it)
    assert code == 0, text
    assert status_of(it, "leaves")["volume_id"] != old_id
    with it.mounted("leaves") as point:
        assert it.run("ls", str(point)).stdout == ""
    kept = load(it.root).inside.seen(node(it, 1).bricks) / "leaves" / "b0" / "file"
    assert kept.read_text() == "precious\n"


def test_a_retained_volume_is_detached_and_its_data_kept(it: Lab) -> None:
    volume_id = made(it, "retained", deletionPolicy="Retain")
    time.sleep(2)
    say(it, volume(it, "stays"), gone("retained", volume_id))
    before = dict(status_of(it, "retained"))
    code, text = apply(it, "--allow", "GS101=volume/retained")
    assert code == 0, text
    assert_deleted(it, "retained", before)


def test_a_mounted_client_of_a_deleted_volume_gets_errors_and_does_not_hang(it: Lab) -> None:
    volume_id = made(it, "inuse", deletionPolicy="Delete")
    time.sleep(2)
    with it.mounted("inuse") as point:
        say(it, volume(it, "stays"), gone("inuse", volume_id))
        code, text = apply(it, "--allow", "GS101=volume/inuse")
        assert code == 0, text
        eventually(
            lambda: it.run("timeout", "20", "ls", str(point)).returncode not in (0, 124), "an error", 60
        )
