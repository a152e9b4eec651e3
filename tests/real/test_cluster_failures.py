"""Steps that fail, and plans that are saved, on a real cluster: all is as before, to the last attribute."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.lab.record import load
from tests.lab_faults import (
    all_up,
    answer,
    apply,
    applying,
    assert_nothing_unknown,
    command,
    declare,
    newest,
    node,
    plan,
    planned_port,
    port_held,
    status_of,
    transactions,
    volume,
    with_base,
    world,
)
from tests.labs import Lab, eventually
from tests.servers import freeze

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def it() -> Iterator[Lab]:
    with with_base() as made:
        yield made


def seen(it: Lab, path: Path) -> Path:
    """Return where a path of the lab's disks is reached from here."""
    return load(it.root).inside.seen(path)


def saved(it: Lab, name: str) -> str:
    """Save a plan that creates a volume next to the first; return the file."""
    declare(it, volume(it, "base"), volume(it, name))
    file = str(it.root / "work" / f"{name}.plan")
    code, text = plan(it, "--out", file)
    assert code == 0, text
    return file


def assert_rolled_back(it: Lab, text: str, code: int, *told: str) -> None:
    """Fail unless an apply failed with everything told and undone."""
    assert code == 5, text
    for words in ("rolled back completely", *told):
        assert words in text, f"{words!r} is not in: {text}"
    assert newest(it)[1] == "rolled-back"
    assert_nothing_unknown(it)


def test_a_port_taken_after_the_plan_rolls_back_and_the_next_plan_chooses_another(it: Lab) -> None:
    file = saved(it, "ported")
    port, before = planned_port(it, file), world(it)
    with port_held(it, 2, port) as pid:
        code, text = command(it, "apply", file)
        assert_rolled_back(it, text, code, f"port {port}", str(pid), "on gs2", "another port")
        assert world(it) == before
        code, text = apply(it)
        assert code == 0, text
        found = {b["peer"]: b["port"] for b in status_of(it, "ported")["bricks"]}
        assert found["gs2"] not in (port, 0)


def test_a_filesystem_turned_read_only_is_told_and_nothing_is_left(it: Lab) -> None:
    file, point = saved(it, "readonly"), str(node(it, 3).bricks)
    before = world(it)
    assert it.run("mount", "-o", "remount,ro", point).returncode == 0
    try:
        code, text = command(it, "apply", file)
    finally:
        assert it.run("mount", "-o", "remount,rw", point).returncode == 0
    assert_rolled_back(it, text, code, f"{point}/readonly/b0", "read-only", "on gs3")
    assert world(it) == before


def test_a_full_filesystem_is_told_and_nothing_is_left(it: Lab) -> None:
    file, point = saved(it, "full"), node(it, 3).bricks
    before = world(it)
    fill(seen(it, point))
    try:
        code, text = command(it, "apply", file)
    finally:
        for filler in seen(it, point).glob("fill*"):
            filler.unlink()
    assert_rolled_back(it, text, code, f"{point}/full", "on gs3")
    assert "is full" in text or "No space left" in text, text
    assert world(it) == before


def fill(place: Path) -> None:
    """Take all space of a filesystem, and then all that is left for small files."""
    number = 0
    for size in ("1G", "256M", "64M", "16M", "4M", "1M", "256K", "64K", "16K", "4K"):
        fits = True
        while fits:
            number += 1
            done = subprocess.run(
                ["fallocate", "-l", size, place / f"fill{number}"], capture_output=True, check=False
            )
            fits = done.returncode == 0


def test_a_path_that_became_a_file_is_told_and_kept(it: Lab) -> None:
    file, place = saved(it, "filed"), node(it, 1).bricks / "filed"
    before = world(it)
    seen(it, place).write_text("mine")
    code, text = command(it, "apply", file)
    assert_rolled_back_but_for_the_file(it, text, code, place)
    seen(it, place).unlink()
    assert world(it) == before


def assert_rolled_back_but_for_the_file(it: Lab, text: str, code: int, place: Path) -> None:
    assert code == 5, text
    assert f"{place} is not a directory" in text
    assert seen(it, place).read_text() == "mine"


@pytest.mark.parametrize("way", ["resume", "rollback"])
def test_an_undo_that_fails_waits_for_a_person_and_goes_on_afterwards(it: Lab, way: str) -> None:
    name = f"stuck-{way}"
    declare(it, volume(it, "base"), volume(it, name))
    file = str(it.root / "work" / "stuck.plan")
    assert plan(it, "--out", file)[0] == 0
    before = world(it)
    place = seen(it, node(it, 1).bricks) / name / "b0"
    with port_held(it, 2, planned_port(it, file)):
        path = it.root / "work" / "cluster.yaml"
        assert path.exists()
        with applying(it, file=file) as started:
            for event in started.events():
                if event["op"] == "brick.prepare" and event["kind"] == "done" and event["peer"] == "gs1":
                    break
            freeze(started.pid)
            (place / "precious").write_text("somebody wrote here")
            os.kill(started.pid, signal.SIGCONT)
            assert started.wait() == 6, (started.ended, started.errors())
            assert started.ended is not None
            ways = [c for _, c in started.ended["decisions"]]
    txn, state = newest(it)
    assert state == "stuck"
    assert f"gluster-state txn rollback {txn}" in ways
    code, text = command(it, "txn", "show", txn)
    assert code == 0
    for told in ("precious", f"{node(it, 1).bricks}/{name}/b0", f"txn resume {txn}", f"txn rollback {txn}"):
        assert told in text, f"{told!r} is not in: {text}"
    assert (place / "precious").read_text() == "somebody wrote here"
    code, text = command(it, "txn", way, txn)  # the obstacle is still there
    assert (code, "precious" in text) == (6, True), text
    (place / "precious").unlink()
    code, text = command(it, "txn", way, txn)
    assert code in (0, 5), text
    assert transactions(it)[txn] == "rolled-back"
    assert world(it) == before
    assert all_up(it)


# ---------------------------------------------------------------- saved plans


def test_a_saved_plan_is_shown_applied_once_and_never_again(it: Lab) -> None:
    file = saved(it, "once")
    made = answer(it, "show", file)
    code, text = command(it, "show", file)
    assert (code, made["digest"] in text) == (0, True), text
    code, text = command(it, "apply", file, "--expect-digest", "sha256:" + "0" * 64)
    assert (code, made["digest"] in text) == (4, True), text
    code, text = command(it, "apply", file, "--expect-digest", made["digest"])
    assert code == 0, text
    after = world(it)
    code, text = command(it, "apply", file)
    assert (code, "applied before" in text) == (4, True), text
    assert world(it) == after
    eventually(lambda: all_up(it), "all runs")


def test_a_plan_from_before_another_apply_is_stale(it: Lab) -> None:
    declare(it, volume(it, "base", options={"network.ping-timeout": "21"}))
    file = str(it.root / "work" / "old.plan")
    assert plan(it, "--out", file)[0] == 0
    declare(it, volume(it, "base", options={"network.ping-timeout": "22"}))
    assert apply(it)[0] == 0
    before = world(it)
    code, text = command(it, "apply", file)
    assert (code, "volume/base" in text) == (4, True), text
    assert world(it) == before
    declare(it, volume(it, "base"))
    assert apply(it)[0] == 0


def test_a_changed_plan_file_is_refused(it: Lab) -> None:
    file = Path(saved(it, "changed"))
    whole = file.read_text()
    before = world(it)
    for old, new in (("gs1/bricks/changed/b0", "gs1/bricks/changed/b9"), ("start", "strat")):
        assert old in whole
        file.write_text(whole.replace(old, new, 1))
        code, text = command(it, "apply", str(file))
        assert code in (1, 4), text
        assert "plan" in text
    file.write_text(whole[: len(whole) // 2])
    assert command(it, "apply", str(file))[0] in (1, 4)
    assert world(it) == before
    assert "applying" not in transactions(it).values()


def test_a_saved_plan_that_is_blocked_is_not_applied(it: Lab) -> None:
    place = seen(it, node(it, 1).bricks) / "blocked" / "b0"
    place.mkdir(parents=True)
    (place / "data").write_text("x")
    declare(it, volume(it, "base"), volume(it, "blocked"))
    file = str(it.root / "work" / "blocked.plan")
    assert plan(it, "--out", file)[0] == 3
    before = world(it)
    assert command(it, "apply", file)[0] == 3
    assert world(it) == before
    with applying(it) as started:
        assert started.wait() == 3
    (place / "data").unlink()
    place.rmdir()
    place.parent.rmdir()
