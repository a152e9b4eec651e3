"""``volfile --diff``: which file is compared with what, what is said, and what hostile files do."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from reconciler.cli.root import run
from reconciler.cli.volfile_diff import Match, Ours, compare
from reconciler.volgen.graph import Graph, Xlator
from reconciler.volgen.text import MAX_TEXT, MAX_XLATORS, write

SECRET = "66666666-7777-4888-9999-000000000000"
USER = "11111111-2222-4333-8444-555555555555"
YAML = f"""
apiVersion: gluster-state.io/v1
kind: Cluster
metadata: {{name: t}}
spec:
  peers: [{{name: a, address: 10.0.0.1}}, {{name: b, address: 10.0.0.2}}, {{name: c, address: 10.0.0.3}}]
  volumes:
    - name: home
      id: 7d4f5a52-6d1b-4a0e-9d5f-0a6e5c1b2f10
      type: replicate
      replica: 3
      bricks: [a:/b/1, b:/b/1, c:/b/1]
      auth:
        username: {USER}
        password: {SECRET}
      options: {{network.ping-timeout: 20}}
"""
CLIENT = "home.tcp-fuse.vol"
BRICK = "home.10.0.0.2.b-1.vol"
MANY = b"".join(b"volume %d\ntype x\nend-volume\n" % i for i in range(MAX_XLATORS + 2))


@pytest.fixture
def declared(tmp_path: Path) -> list[str]:
    path = tmp_path / "c.yaml"
    path.write_text(YAML)
    return ["volfile", "-f", str(path), "home"]


@pytest.fixture
def theirs(declared: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    folder = tmp_path / "theirs"
    assert run([*declared, "--graph", "all", "--out", str(folder)]) == 0
    capsys.readouterr()
    return folder


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_directory_of_equal_volfiles_is_compared_whole(
    declared: list[str], theirs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*declared, "--diff", str(theirs)]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = sorted(path.name for path in theirs.iterdir())
    assert [line.split()[0] for line in lines[2:-2]] == names
    assert all(" equal (" in line for line in lines[2:-2])
    xlators = sum(path.read_text().count("end-volume") for path in theirs.iterdir())
    assert lines[-1] == f"No differences. {len(names)} graphs with {xlators} xlators equal."


@pytest.mark.parametrize("graph", [[], ["--graph", "all"]])
def test_a_file_is_compared_with_the_graph_of_its_name(
    declared: list[str], theirs: Path, capsys: pytest.CaptureFixture[str], graph: list[str]
) -> None:
    assert run([*declared, *graph, "--diff", str(theirs / BRICK), "--diff", str(theirs / CLIENT)]) == 0
    out = capsys.readouterr().out
    assert f"{BRICK}   equal" in out
    assert "2 graphs" in out


def test_a_graph_that_is_named_is_compared_with_any_file(
    declared: list[str], theirs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (theirs / CLIENT).rename(theirs / "x")
    assert run([*declared, "--graph", "client", "--diff", str(theirs / "x")]) == 0
    assert "client   equal (" in capsys.readouterr().out
    assert run([*declared, "--graph", "trusted-client", "--diff", str(theirs / "x")]) == 2
    assert "trusted-client   6 differences" in capsys.readouterr().out


def test_the_node_counts(declared: list[str], theirs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*declared, "--diff", str(theirs / BRICK), "--node", "b"]
    assert run(words) == 2
    out = capsys.readouterr().out
    assert "home-posix   option shared-brick-count   theirs: 0   ours: 1" in out
    assert "--node PEER" in out


def test_each_difference_has_its_line(
    declared: list[str], theirs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _edit(theirs / CLIENT, "option ping-timeout 20", "option ping-timeout 42")
    (theirs / BRICK).unlink()
    (theirs / "home-tierd.vol").write_text((theirs / CLIENT).read_text())
    for other in ("glustershd-server.vol", "homes.tcp-fuse.vol", "info", "home.tcp-fuse.vol.tmp"):
        (theirs / other).write_text("no volfile")
    assert run([*declared, "--diff", str(theirs)]) == 2
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "home-client-1 option ping-timeout theirs: 42 ours: 20" in lines
    assert f"{CLIENT} 3 differences" in lines
    assert f"{BRICK} no such file: {theirs / BRICK}" in lines
    assert f"home-tierd.vol the declaration gives no such graph: {theirs / 'home-tierd.vol'}" in lines
    assert [line for line in lines if "not compared" in line] == [
        f"{theirs / name} not compared: no graph of this volume"
        for name in ("glustershd-server.vol", "homes.tcp-fuse.vol")
    ]
    assert "Different: 3 of 9 graphs, 5 differences" in lines


@pytest.mark.parametrize("change", ["gone", "more"])
def test_a_file_too_few_or_too_many_is_a_difference(declared: list[str], theirs: Path, change: str) -> None:
    if change == "gone":
        (theirs / CLIENT).unlink()
    else:
        (theirs / "home.tcp-nfs.vol").touch()
    assert run([*declared, "--diff", str(theirs)]) == 2


def test_graphs_of_a_node_are_compared_if_they_are_there(tmp_path: Path) -> None:
    """glusterd has those of all volumes together in directories of their own."""
    graph = Graph((Xlator("top", "debug/io-stats"),))
    ours = Ours(volume="home", graphs={"quotad.vol": graph, CLIENT: graph}, chosen=False)
    (tmp_path / CLIENT).write_text(write(graph))
    assert [one.graph for one in compare([str(tmp_path)], ours).compared] == [CLIENT]
    (tmp_path / "quotad.vol").write_text(write(graph))
    assert [one.graph for one in compare([str(tmp_path)], ours).compared] == [CLIENT, "quotad.vol"]
    (tmp_path / CLIENT).unlink()
    assert [one.match for one in compare([str(tmp_path)], ours).compared] == [Match.NO_FILE, Match.EQUAL]


def test_json_says_the_same(declared: list[str], theirs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _edit(theirs / CLIENT, "option ping-timeout 20", "option ping-timeout 42")
    assert run([*declared, "--diff", str(theirs / CLIENT), "-o", "json"]) == 2
    answer = json.loads(capsys.readouterr().out)
    assert (answer["kind"], answer["equal"], answer["exit_code"]) == ("VolfileDiff", False, 2)
    (one,) = answer["compared"]
    assert (one["graph"], one["match"], one["path"]) == (CLIENT, "different", str(theirs / CLIENT))
    assert one["differences"][0] == {
        "kind": "option", "xlator": "home-client-0", "key": "ping-timeout", "theirs": "42", "ours": "20"
    }  # fmt: skip


@pytest.mark.parametrize("form", ["text", "json"])
def test_credentials_are_compared_and_not_shown(
    declared: list[str], theirs: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    for path in theirs.iterdir():
        path.write_text(path.read_text().replace(SECRET, "th3irs").replace(USER, "wh0"))
    assert run([*declared, "--diff", str(theirs), "-o", form]) == 2
    said = capsys.readouterr().out
    assert "auth.login.*.password" in said
    assert "(not shown)" in said
    assert not [word for word in (SECRET, USER, "th3irs", "wh0") if word in said]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (b"", ": a graph needs"),
        (b"hello\n", ":1: expected 'volume'"),
        (b"volume a\n type x\n option k v w\nend-volume\n", ":3: expected 'type'"),
        (b"\x7fELF\x00\x01\n", ":1: a word contains"),
        (b"volume \xff\xfe\n", ":1: a word contains"),
        (b"volume " + b"a" * 100_000 + b"\n", ":1: a word is longer"),
        (b"volume a\n type x\n subvolumes b\nend-volume\nvolume b\n", ":3: subvolume 'b' is not"),
        (b"volume a\n type x\nend-volume\nvolume a\n type x\nend-volume\n", ":4: a second xlator"),
        (b"volume a\n type x\n option k `id`\nend-volume\n", ":3: a word contains a backquote"),
        (b"\n" * (MAX_TEXT + 1), ": longer than 16 MiB"),
        (MANY, ": the volfile has more"),
    ],
)  # fmt: skip
def test_what_is_no_volfile_is_refused_with_file_and_line(
    declared: list[str], theirs: Path, capsys: pytest.CaptureFixture[str], text: bytes, where: str
) -> None:
    (theirs / CLIENT).write_bytes(text)
    assert run([*declared, "--diff", str(theirs)]) == 1
    captured = capsys.readouterr()
    assert f"Error: {theirs / CLIENT}{where}" in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


def test_a_broken_file_does_not_betray_what_follows_a_password(
    declared: list[str], theirs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (theirs / CLIENT).write_text("volume a\n type x\n option password two w0rds\nend-volume\n")
    assert run([*declared, "--diff", str(theirs / CLIENT)]) == 1
    said = capsys.readouterr().err
    assert f"{theirs / CLIENT}:3: expected 'type'" in said
    assert "w0rds" not in said


def test_all_broken_and_all_missing_files_are_named_at_once(
    declared: list[str], theirs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (CLIENT, BRICK):
        (theirs / name).write_text("hello")
    assert run([*declared, "--diff", str(theirs)]) == 1
    said = capsys.readouterr().err
    assert f"{theirs / CLIENT}:1" in said
    assert f"{theirs / BRICK}:1" in said
    assert run([*declared, "--diff", str(theirs / "gone"), "--diff", "", "--diff", "/gone/too"]) == 64
    said = capsys.readouterr().err
    assert [word in said for word in (f"{theirs}/gone: no such file", "'': no such", "/gone/too: no")] == [
        True
    ] * 3


def test_paths_that_are_no_file_are_refused_without_waiting(
    declared: list[str], theirs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (theirs / CLIENT).unlink()
    os.mkfifo(theirs / CLIENT)
    (theirs / BRICK).unlink()
    (theirs / BRICK).mkdir()
    assert run([*declared, "--diff", str(theirs)]) == 64
    said = capsys.readouterr().err
    assert f"{theirs / CLIENT}: not a regular file" in said
    assert f"{theirs / BRICK}: is a directory" in said
    assert run([*declared, "--graph", "client", "--diff", "/dev/zero"]) == 64
    assert "/dev/zero: not a regular file" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert run([*declared, "--diff", str(tmp_path / "empty")]) == 64
    assert "there is no *.vol file in this directory" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--diff", "{theirs}", "--out", "x"], "one at a time"),
        (["--diff", "{theirs}", "--graph", "client"], "not with a directory"),
        (["--diff", "{theirs}/../c.yaml"], "say which one with --graph"),
        (["-o", "json"], "goes with --diff"),
        (["--diff", "{theirs}", "--graph", "shred"], "no graph 'shred'"),
    ],
)
def test_words_that_do_not_fit(
    declared: list[str], theirs: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert run([*declared, *(word.format(theirs=theirs) for word in words)]) == 64
    captured = capsys.readouterr()
    assert message in captured.err + captured.out


def test_names_and_values_of_a_file_reach_the_terminal_harmless(
    declared: list[str], theirs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (theirs / "evil\x1b[2J\n.vol").write_text("")
    _edit(theirs / CLIENT, "option ping-timeout 20", f'option ping-timeout "\u202e{"x" * 300}"')
    assert run([*declared, "--diff", str(theirs)]) == 2
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "evil\\x1b[2J\\n.vol   not compared" in out
    assert "x… (301 characters)" in out
