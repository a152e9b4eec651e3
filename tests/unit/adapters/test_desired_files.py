"""Reading declarations from paths."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reconciler.adapters.desired_files import read_files
from reconciler.desired.characters import MAX_BYTES
from reconciler.errors import DesiredStateError, UsageError


def test_a_directory_means_its_yaml_files_sorted_and_without_hidden_ones(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", "_c.yaml", ".d.yaml", "e.json"):
        (tmp_path / name).write_text(name)
    (tmp_path / "sub.yaml").mkdir()
    (tmp_path / "sub.yaml" / "f.yaml").write_text("f")
    assert read_files([str(tmp_path)]) == ((f"{tmp_path}/a.yml", b"a.yml"), (f"{tmp_path}/b.yaml", b"b.yaml"))


def test_a_named_file_is_read_whatever_its_name_and_only_once(tmp_path: Path) -> None:
    file = tmp_path / "_x.txt"
    file.write_bytes(b"x")
    (tmp_path / "a.yaml").write_bytes(b"a")
    assert [data for _, data in read_files([str(file), str(tmp_path), str(tmp_path / "a.yaml")])] == [
        b"x",
        b"a",
    ]


def test_no_more_is_read_than_the_loader_needs_to_refuse(tmp_path: Path) -> None:
    file = tmp_path / "big.yaml"
    with file.open("wb") as out:
        out.truncate(10 * MAX_BYTES)
    ((_, data),) = read_files([str(file)])
    assert len(data) == MAX_BYTES + 1


def test_missing_and_special_files_are_usage_errors(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for paths in ([], [str(tmp_path / "none.yaml")], [str(tmp_path / "fifo")], ["/dev/zero"], ["a\0b"]):
        with pytest.raises(UsageError):
            read_files(paths)


def test_an_empty_directory_and_unreadable_files_are_errors_of_the_declaration(tmp_path: Path) -> None:
    with pytest.raises(DesiredStateError) as caught:
        read_files([str(tmp_path)])
    assert "no *.yaml or *.yml file" in caught.value.diagnostics[0].summary
    (tmp_path / "loop.yaml").symlink_to(tmp_path / "gone")
    with pytest.raises(DesiredStateError) as caught:
        read_files([str(tmp_path)])
    assert "no such file" in caught.value.diagnostics[0].summary


def test_a_fifo_in_a_directory_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.yaml")
    with pytest.raises(DesiredStateError):
        read_files([str(tmp_path)])
