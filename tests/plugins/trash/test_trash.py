"""Trash from YAML to volfiles: what the key means, and what it must not say."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.cli.root import run
from reconciler.volgen.brick import needs_brick_restart
from tests.plugins.declared import BRICK, brick_options, errors, graphs, record, text


@settings(max_examples=50, deadline=None)
@given(
    enabled=st.booleans(),
    directory=st.none() | st.sampled_from([".bin", "kept"]),
    size=st.none() | st.integers(1, 1023),
    exclude=st.lists(st.sampled_from(["/a", "/b/c", "/d"]), unique=True),
    internal=st.none() | st.booleans(),
)
def test_the_key_gives_the_volfiles_of_the_raw_options(
    enabled: bool, directory: str | None, size: int | None, exclude: list[str], internal: bool | None
) -> None:
    key, raw = [f"enabled: {enabled}"], [f"features.trash: {'on' if enabled else 'off'}"]
    if directory is not None:
        key, raw = [*key, f"directory: {directory}"], [*raw, f"features.trash-dir: {directory}"]
    if size is not None:
        key, raw = [*key, f"maxFileSize: {size}MiB"], [*raw, f"features.trash-max-filesize: {size}MB"]
    if exclude:
        key = [*key, f"exclude: [{', '.join(exclude)}]"]
        raw = [*raw, f'features.trash-eliminate-path: "{",".join(sorted(exclude))}"']
    if internal is not None:
        key = [*key, f"internalOperations: {internal}"]
        raw = [*raw, f"features.trash-internal-op: {'on' if internal else 'off'}"]
    by_key = record(f"trash: {{{', '.join(key)}}}")
    by_options = record(f"options: {{{', '.join(raw)}}}")
    assert graphs(by_key) == graphs(by_options)


def test_posix_counts_links_while_trash_is_on_and_no_brick_restarts_for_it() -> None:
    on, off = (graphs(record(f"trash: {{enabled: {word}}}")) for word in ("true", "false"))
    assert brick_options(on, "storage/posix")["update-link-count-parent"] == "on"
    assert "update-link-count-parent" not in brick_options(off, "storage/posix")
    assert not needs_brick_restart(off[BRICK], on[BRICK])


def test_excluded_directories_are_a_set() -> None:
    one, other = (
        record(f"trash: {{enabled: true, exclude: [{words}]}}")
        for words in ("tmp/, /a/b, /tmp", "/a/b/, tmp")
    )
    assert one.options == other.options
    assert dict(one.options)["features.trash-eliminate-path"] == "/a/b,/tmp"


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        ("directory: .glusterfs", "14:41 directory cannot be .glusterfs: GlusterFS uses it itself ()"),
        ("directory: ..", "14:41 directory cannot be ..: GlusterFS uses it itself ()"),
        (
            "directory: a/b",
            "14:41 directory must be the name of a directory: 1 to 64 letters, digits, '_', '.' or '-', "
            "found 'a/b' ()",
        ),
        (
            "maxFileSize: 0B",
            "14:43 maxFileSize must be more than 0, found 0B (to keep nothing write enabled: false)",
        ),
        (
            'exclude: ["/a,/b"]',
            "14:40 exclude[0] must be a directory of the volume such as /projects/tmp, without blanks and "
            "commas, found '/a,/b' ()",
        ),
        ("exclude: []", "14:39 exclude must not be empty, found a list ()"),
    ],
)
def test_what_nobody_can_mean_is_pointed_at(rest: str, said: str) -> None:
    assert errors(f"trash: {{enabled: true, {rest}}}") == [said]


def test_the_commands_know_the_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "c.yaml"
    file.write_bytes(text("trash: {enabled: true, maxFileSize: 1GiB}"))
    assert run(["validate", str(file)]) == 0
    assert run(["explain", "volume.trash"]) == 0
    assert "until they are deleted there" in capsys.readouterr().out
    assert run(["volfile", "-f", str(file), "home", "--graph", "brick:0"]) == 0
    assert "option trash-max-filesize 1GB" in capsys.readouterr().out
