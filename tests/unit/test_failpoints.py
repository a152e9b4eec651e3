"""Failpoints: what may be written into the variable, when a point fires, and that they are off by default."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler import failpoints
from reconciler.errors import UsageError
from reconciler.failpoints import POINTS, Armed
from tests.crash.cases import CI, every
from tests.crash.promises import DOCUMENT, Victim, promise, with_table

POINT = "engine.dispatch.after"
ROOT = Path(failpoints.__file__).parent


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    failpoints.arm(None)


def dies(text: str, hits: int) -> int:
    """Return the exit code of a process that comes to the point so often."""
    code = (
        f"from reconciler import failpoints as f; f.arm({text!r}); [f.hit({POINT!r}) for _ in range({hits})]"
    )
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, timeout=60, check=False
    ).returncode


def test_the_grammar_names_points_actions_and_the_hit() -> None:
    text = f"{POINT}=kill@3; engine.turn.before=sleep(20);lock.write.after=exit(7)"
    assert failpoints.parse(text) == {
        POINT: Armed("kill", 0, 3),
        "engine.turn.before": Armed("sleep", 20, 1),
        "lock.write.after": Armed("exit", 7, 1),
    }


@pytest.mark.parametrize(
    "wrong", ["nonsense", "engine.nowhere=kill", f"{POINT}=jump", f"{POINT}=kill@x", "*=kill", f"{POINT}="]
)
def test_a_wrong_variable_is_a_usage_error(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=failpoints.VARIABLE):
        failpoints.arm(wrong)
    words = [sys.executable, "-m", "reconciler", "explain", "GS201"]
    monkeypatch.setenv(failpoints.VARIABLE, wrong)
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, wrong in done.stderr) == (64, True), done.stderr


def test_nothing_happens_unless_the_variable_is_set(caplog: pytest.LogCaptureFixture) -> None:
    failpoints.hit(POINT)
    assert not failpoints.armed()
    assert not caplog.records
    failpoints.arm(f"{POINT}=log")
    failpoints.hit(POINT)
    assert [r.message for r in caplog.records][1:] == [f"failpoint {POINT}"]
    assert "on purpose" in caplog.records[0].message


def test_it_fires_at_the_given_hit_only() -> None:
    assert dies(f"{POINT}=kill@3", 2) == 0
    assert dies(f"{POINT}=kill@3", 3) == -signal.SIGKILL
    assert dies(f"{POINT}=exit(9)@2", 2) == 9


def test_it_fires_at_every_hit_if_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(failpoints.time, "sleep", slept.append)
    failpoints.arm(f"{POINT}=sleep(250)@*")
    for _ in range(3):
        failpoints.hit(POINT)
    assert slept == [0.25] * 3


def test_a_file_is_good_for_one_firing(tmp_path: Path) -> None:
    file = tmp_path / "armed"
    assert dies(f"@{file}", 3) == 0
    file.write_text(f"{POINT}=exit(9)")
    assert dies(f"@{file}", 3) == 9
    assert not file.exists()
    assert len(list(tmp_path.glob("armed.*"))) == 1
    assert dies(f"@{file}", 3) == 0


def test_counting_begins_anew_when_the_file_changes(tmp_path: Path) -> None:
    file = tmp_path / "armed"
    file.write_text(f"{POINT}=exit(9)@2")
    failpoints.arm(f"@{file}")
    failpoints.hit(POINT)
    fresh = tmp_path / "fresh"
    fresh.write_text(f"{POINT}=sleep(0)@2")
    fresh.replace(file)
    failpoints.hit(POINT)
    assert file.exists()
    failpoints.hit(POINT)
    assert not file.exists()


def test_every_point_has_a_place_in_the_shells_only() -> None:
    text = "".join(p.read_text() for p in ROOT.rglob("*.py") if p.name != "failpoints.py")
    missing = [
        n for n in POINTS if n not in text and n.removesuffix(".before").removesuffix(".after") not in text
    ]
    assert not missing
    for pure in ("engine/applier.py", "agent/executor.py", "txn/machine.py"):
        assert "failpoint" not in (ROOT / pure).read_text()


def test_every_point_is_crashed_by_every_party_and_a_seed_draws_the_same_cases() -> None:
    cases = every(7)
    assert cases == every(7) != every(8)
    assert {(c.point, c.victim) for c in cases} == {(n, v) for n in POINTS for v in Victim if promise(n, v)}
    parties = {Victim.AGENT, Victim.ETCD}
    assert all({c.victim for c in cases if c.point == name} > parties for name in POINTS)
    assert len(cases) > CI


def test_the_crash_table_says_what_the_crash_tests_assert() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert with_table(text) == text, "python -m tests.crash.promises"
