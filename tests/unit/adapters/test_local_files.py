"""Durable files on a real filesystem: crashes at every call, permissions, damage."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.adapters import local_files
from reconciler.adapters.local_files import DiskFiles
from reconciler.errors import EnvironmentProblem, JournalError

ROOT = Path(__file__).resolve().parents[3]

#: A process that dies without any cleanup just before its n-th system call of interest.
DYING_WRITER = """
import os, sys
from pathlib import Path
from reconciler.adapters.local_files import DiskFiles
root, deadline = Path(sys.argv[1]), int(sys.argv[2])
files = DiskFiles(root)
count = 0
def dying(call):
    def wrapped(*args, **kwargs):
        global count
        count += 1
        if count == deadline:
            os._exit(77)
        return call(*args, **kwargs)
    return wrapped
os.open, os.fsync, Path.replace = dying(os.open), dying(os.fsync), dying(Path.replace)
files.write("volumes/a", "new" * 1000)
print(count)
"""


def _write_and_die(root: Path, at: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", DYING_WRITER, str(root), str(at)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_a_crash_at_any_call_leaves_the_old_content_or_the_new(tmp_path: Path) -> None:
    seen = set()
    for at in range(1, 20):
        root = tmp_path / str(at)
        DiskFiles(root).write("volumes/a", "old")
        ended = _write_and_die(root, at)
        after = DiskFiles(root)
        assert after.read("volumes/a") in ("old", "new" * 1000)
        assert after.names("volumes") == ("volumes/a",), "a leftover is no file"
        after.write("volumes/a", "next")
        assert after.read("volumes/a") == "next"
        assert [path.name for path in (root / "volumes").iterdir()] == ["a"], "the leftover has been used up"
        seen.add(ended.returncode)
        if ended.returncode == 0:
            break
    assert seen == {77, 0}
    assert at > 4, "open, fsync, rename, open and fsync of the directory are each a crash point"


def test_the_file_is_flushed_before_the_rename_and_the_directory_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = DiskFiles(tmp_path / "s")
    events: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def noting_fsync(descriptor: int) -> None:
        events.append(f"fsync {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
        fsync(descriptor)

    def noting_replace(self: Path, target: Path) -> Path:
        events.append("rename")
        return replace(self, target)

    monkeypatch.setattr(local_files.os, "fsync", noting_fsync)
    monkeypatch.setattr(Path, "replace", noting_replace)
    files.write("node", "x")
    assert events == ["fsync .node.new", "rename", "fsync s"]
    events.clear()
    files.remove("node")
    assert events == ["fsync s"]


def test_a_write_that_cannot_be_flushed_changes_nothing_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = DiskFiles(tmp_path / "s")
    files.write("node", "old")

    def failing(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(local_files.os, "fsync", failing)
    with pytest.raises(EnvironmentProblem, match=r"cannot write .*Input/output error"):
        files.write("node", "new")
    monkeypatch.undo()
    assert files.read("node") == "old"
    assert [path.name for path in (tmp_path / "s").iterdir()] == ["node"]


def test_only_the_owner_can_read_anything(tmp_path: Path) -> None:
    root = tmp_path / "s"
    root.mkdir(mode=0o755)
    before = os.umask(0)
    try:
        files = DiskFiles(root)
        leftover = root / ".secret.new"
        leftover.write_text("")
        leftover.chmod(0o666)
        files.write("secret", "x")
        files.write("secrets/v", "x")
    finally:
        os.umask(before)
    assert root.stat().st_mode & 0o777 == 0o700
    assert (root / "secrets").stat().st_mode & 0o777 == 0o700
    assert (root / "secret").stat().st_mode & 0o777 == 0o600
    assert (root / "secrets" / "v").stat().st_mode & 0o777 == 0o600


def test_a_planted_link_is_neither_read_nor_written_through(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("precious")
    files = DiskFiles(tmp_path / "s")
    (tmp_path / "s" / "node").symlink_to(target)
    (tmp_path / "s" / ".other.new").symlink_to(target)
    with pytest.raises(EnvironmentProblem, match="cannot read"):
        files.read("node")
    with pytest.raises(EnvironmentProblem, match="cannot write"):
        files.write("other", "x")
    assert target.read_text() == "precious"


def test_damage_is_an_error_that_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = DiskFiles(tmp_path / "s")
    (tmp_path / "s" / "node").write_bytes(b"ok\xff")
    with pytest.raises(JournalError, match="s/node is damaged: not UTF-8 at byte 2"):
        files.read("node")
    monkeypatch.setattr(local_files, "MAX_FILE_BYTES", 10)
    (tmp_path / "s" / "long").write_text("x" * 11)
    with pytest.raises(JournalError, match="longer than 10 bytes"):
        files.read("long")
    with pytest.raises(JournalError, match="more than 10"):
        files.write("long", "x" * 11)


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/b/c", "", ".hidden", "a/../b", "a\n", "a/.new"])
def test_a_name_cannot_leave_the_directory(tmp_path: Path, name: str) -> None:
    files = DiskFiles(tmp_path / "s")
    with pytest.raises(ValueError, match="no name of a local file"):
        files.write(name, "x")
    with pytest.raises(ValueError, match="no name of a local file"):
        files.read(name)


def test_a_disk_that_cannot_be_used_is_a_problem_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentProblem, match="cannot use"):
        DiskFiles(tmp_path / "file")
