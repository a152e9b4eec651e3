"""Reading declarations from paths."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reconciler.adapters.desired_files import MAX_TOTAL_BYTES, read_files
from reconciler.desired.characters import MAX_BYTES
from reconciler.errors import UsageError


def test_a_directory_means_its_yaml_files_sorted_and_without_hidden_ones(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", "_c.yaml", ".d.yaml", "e.json"):
        (tmp_path / name).write_text(name)
    (tmp_path / "sub.yaml").mkdir()
    (tmp_path / "sub.yaml" / "f.yaml").write_text("f")
    assert read_files([str(tmp_path)]).files == [
        (f"{tmp_path}/a.yml", b"a.yml"),
        (f"{tmp_path}/b.yaml", b"b.yaml"),
    ]


def test_a_named_file_is_read_whatever_its_name_and_only_once(tmp_path: Path) -> None:
    file = tmp_path / "_x.txt"
    file.write_bytes(b"x")
    (tmp_path / "a.yaml").write_bytes(b"a")
    given = read_files([str(file), str(tmp_path), str(tmp_path / "a.yaml")])
    assert [data for _, data in given.files] == [b"x", b"a"]


def test_no_more_is_read_than_the_loader_needs_to_refuse(tmp_path: Path) -> None:
    file = tmp_path / "big.yaml"
    with file.open("wb") as out:
        out.truncate(10 * MAX_BYTES)
    ((_, data),) = read_files([str(file)]).files
    assert len(data) == MAX_BYTES + 1


def test_missing_and_special_files_are_usage_errors(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for paths in ([], [str(tmp_path / "none.yaml")], [str(tmp_path / "fifo")], ["/dev/zero"], ["a\0b"]):
        with pytest.raises(UsageError):
            read_files(paths)


def test_all_paths_that_can_be_no_declaration_are_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("a")
    with pytest.raises(UsageError) as caught:
        read_files([str(tmp_path / "none"), "", str(tmp_path / "a")])
    assert [line.rpartition(": ")[2] for line in caught.value.message.splitlines()] == [
        "no such file or directory",
        "an empty path",
        "too many levels of symbolic links",
    ]


def test_what_cannot_be_read_in_a_directory_is_named_with_its_place_and_the_rest_is_read(
    tmp_path: Path,
) -> None:
    (tmp_path / "empty").mkdir()
    folder = tmp_path / "some"
    folder.mkdir()
    os.mkfifo(folder / "a.yaml")  # opening it must not wait for a writer either
    (folder / "b.yaml").symlink_to("b.yaml")
    (folder / "c.yaml").symlink_to("gone")
    (folder / "d.yaml").write_bytes(b"d")
    given = read_files([str(tmp_path / "empty"), str(folder)])
    assert given.files == [(f"{folder}/d.yaml", b"d")]
    assert [f"{found.span} {found.summary}" for found in given.unreadable] == [
        f"{tmp_path}/empty:1:1 cannot be read: there is no *.yaml or *.yml file in this directory",
        f"{folder}/a.yaml:1:1 cannot be read: not a regular file",
        f"{folder}/b.yaml:1:1 cannot be read: too many levels of symbolic links",
        f"{folder}/c.yaml:1:1 cannot be read: no such file or directory",
    ]


def test_many_large_files_are_not_all_taken_into_memory(tmp_path: Path) -> None:
    for number in range(10):
        with (tmp_path / f"{number}.yaml").open("wb") as out:
            out.truncate(MAX_BYTES)
    given = read_files([str(tmp_path)])
    assert sum(len(data) for _, data in given.files) <= MAX_TOTAL_BYTES
    (found,) = given.unreadable
    assert found.summary == "cannot be read: the files together are longer than 64 MiB"
