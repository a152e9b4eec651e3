"""Commands that need no cluster: the fast path, validate, volfile, explain, schema, version."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler import __version__
from reconciler.cli.app import new_app
from reconciler.cli.declaration import read
from reconciler.cli.interrupts import Interrupts
from reconciler.cli.root import run
from reconciler.cli.style import Style, choose_style, escaped, paint, seconds, size, table
from reconciler.volgen.text import parse
from tests.xlator_sources import NEW_OPTIONS, build, source

ROOT = Path(__file__).resolve().parents[3]

YAML = """
apiVersion: gluster-state.io/v1
kind: Cluster
metadata: {name: t}
spec:
  peers: [{name: a, address: 10.0.0.1}, {name: b, address: 10.0.0.2}, {name: c, address: 10.0.0.3}]
  volumes:
    - name: home
      id: 7d4f5a52-6d1b-4a0e-9d5f-0a6e5c1b2f10
      type: replicate
      replica: 3
      bricks: [a:/b/1, b:/b/1, c:/b/1]
      auth: {username: 11111111-2222-4333-8444-555555555555, password: 66666666-7777-4888-9999-000000000000}
      options: {network.ping-timeout: 20}
"""


NO_AUTH = "".join(line + "\n" for line in YAML.splitlines() if "auth:" not in line)


@pytest.fixture
def yaml_file(tmp_path: Path) -> str:
    path = tmp_path / "c.yaml"
    path.write_text(YAML)
    return str(path)


def _run(*words: str, stdin: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "reconciler", *words],
        cwd=ROOT,
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **environment},
    )


def test_version_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from reconciler.cli.main import main\n"
        "try:\n    main(['--version'])\nexcept SystemExit as exc:\n    assert exc.code == 0\n"
        "print(sorted({name.split('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    first, modules = done.stdout.splitlines()
    assert first == f"gluster-state {__version__}"
    heavy = {
        "click",
        "yaml",
        "jsonschema",
        "grpc",
        "etcd3",
        "deepdiff",
        "asyncio",
        "typing",
        "inspect",
        "json",
    }
    bare = subprocess.run(
        [sys.executable, "-c", "import sys; print(sorted(sys.modules))"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert not heavy & (set(eval(modules)) - set(eval(bare.stdout)))


def test_help_imports_no_command() -> None:
    code = (
        "import sys\nfrom reconciler.cli.root import run\nassert run(['--help']) == 0\n"
        "assert not {'yaml', 'jsonschema', 'grpc'} & set(sys.modules), sorted(sys.modules)\n"
        "assert 'reconciler.cli.plan' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)


def test_the_process_exits_with_the_code() -> None:
    done = _run("plan", "--typo")
    assert done.returncode == 64
    assert b"--typo" in done.stderr
    assert done.stdout == b""


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"a: [",
        b"\xff\xfe\x00",
        b"a: &a [*a]",
        b"- " * 5000,
        b"{" * 5000,
        b"null",
        b"a: !!python/object:os {}",
    ],
)
def test_malformed_yaml_exits_65_with_a_position_and_no_traceback(text: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(text)
    done = _run("validate", str(path))
    assert done.returncode == 65
    assert b"Traceback" not in done.stderr + done.stdout
    assert f"{path}:".encode() in done.stdout
    assert _run("plan", str(path), "--etcd", "http://127.0.0.1:1").returncode == 65


def test_validate_reads_stdin_and_directories(
    yaml_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run("validate", "-", stdin=YAML.encode()).returncode == 0
    assert run(["validate", str(tmp_path)]) == 0
    assert "[GS502]" in capsys.readouterr().out
    Path(yaml_file).write_text(NO_AUTH)
    assert run(["validate", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("Valid: 0 errors, 0 warnings in 1 file")


def test_a_bad_option_is_found_at_its_line(yaml_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(yaml_file)
    path.write_text(NO_AUTH.replace("network.ping-timeout: 20", "network.ping-timeoot: 20"))
    assert run(["validate", yaml_file]) == 65
    out = capsys.readouterr().out
    assert out.startswith(f"{yaml_file}:13:39: error: there is no option network.ping-timeoot")
    assert "^" in out
    assert "network.ping-timeout" in out


def test_bad_options_are_reported_together_with_errors_of_other_kinds(
    yaml_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = NO_AUTH.replace("network.ping-timeout: 20", "network.ping-timeoot: 20")
    Path(yaml_file).write_text(text + "    - {name: other, type: replicaat, bricks: [a:/b/2]}\n")
    assert run(["validate", yaml_file, "-o", "github"]) == 65
    places = [line.split("::")[1].partition(",")[2] for line in capsys.readouterr().out.splitlines()]
    assert places == ["line=13,col=39", "line=14,col=27"]


@pytest.mark.parametrize(
    ("item", "code", "finding"),
    [
        ("{code: GS299, reason: r}", 65, "13:28: error: there is no risk code GS299"),
        ("{code: GS101, reason: r}", 0, "13:28: warning: acknowledging GS101 has no effect"),
        (
            "{code: GS203, reason: r, until: 2027-02-30}",
            65,
            "13:28: error: until: there is no day 2027-02-30",
        ),
        (
            "{code: GS203, reason: r}, {code: GS203, reason: s}",
            65,
            "13:54: error: GS203 is acknowledged twice",
        ),
    ],
)
def test_acknowledgements_that_mean_nothing_are_told(
    yaml_file: str, capsys: pytest.CaptureFixture[str], item: str, code: int, finding: str
) -> None:
    Path(yaml_file).write_text(
        NO_AUTH.replace("options: {network.ping-timeout: 20}", f"acknowledge: [{item}]")
    )
    assert run(["validate", yaml_file]) == code
    assert f"{yaml_file}:{finding}" in capsys.readouterr().out


def test_unreadable_files_do_not_hide_errors_of_the_others(
    yaml_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "peers.yaml")
    Path(yaml_file).write_text(NO_AUTH.replace("replica: 3", "replica: three").replace("a:/b/1", "d:/b/1"))
    assert run(["validate", str(tmp_path)]) == 65
    out = capsys.readouterr().out
    assert f"{yaml_file}:11:16: error: replica must be a whole number" in out
    assert f"{tmp_path}/peers.yaml:1:1: error: cannot be read: not a regular file" in out
    assert "peer d is not declared" not in out  # it may be declared in the file that could not be read


def test_a_line_end_in_a_file_s_name_begins_no_line_of_ours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a\n::error::forged.yaml"
    path.write_bytes(b"a: [")
    assert run(["validate", str(path)]) == 65
    assert not any(line.startswith("::") for line in capsys.readouterr().out.splitlines())


def test_an_unsupported_option_of_a_builtin_profile_is_a_warning(
    yaml_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(yaml_file)
    path.write_text(YAML.replace("options: {network.ping-timeout: 20}", "profiles: [builtin/virt]"))
    assert run(["validate", yaml_file]) == 0
    assert "builtin/virt sets it, it has no effect" in capsys.readouterr().out
    path.write_text(YAML.replace("network.ping-timeout: 20", "cluster.server-quorum-type: server"))
    assert run(["validate", yaml_file]) == 0
    assert "plan refuses it" in capsys.readouterr().out


def test_validate_as_json(yaml_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", yaml_file, "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["valid"] is True
    Path(yaml_file).write_text(YAML.replace("replica: 3", "replica: 7"))
    assert run(["validate", yaml_file, "-o", "json"]) == 65
    answer = json.loads(capsys.readouterr().out)
    assert answer["valid"] is False
    found = answer["diagnostics"][0]
    snippet = found["snippet"]
    marked = snippet["code"][snippet["highlight_start_offset"] : snippet["highlight_end_offset"]]
    assert found["range"]["filename"] == yaml_file
    assert marked


@pytest.mark.parametrize("words", [["validate"], ["validate", "-o", "json"], ["volfile", "home", "-f"]])
@pytest.mark.parametrize(
    "auth",
    [
        "{username: n4me, password: s3cret/==}",
        """{"username": "n4me", 'password':   's3cret, x'}""",
        "\n        password: s3cret   # c\n        username: n4me",
        "{password:\n          s3cret, username: n4me}",
        "{password: 871430925617, username: n4me}",
    ],
)
def test_credentials_are_not_in_the_lines_that_findings_show(
    yaml_file: str, capsys: pytest.CaptureFixture[str], words: list[str], auth: str
) -> None:
    lines = [f"      auth: {auth}" if "auth:" in line else line for line in YAML.splitlines()]
    Path(yaml_file).write_text("\n".join(lines))
    run([*words, yaml_file])
    captured = capsys.readouterr()
    said = captured.out + captured.err
    assert "GS502" in said or "must be" in said
    assert "s3cret" not in said
    assert "871430925617" not in said
    assert "n4me" not in said


def test_the_caret_of_a_finding_in_a_rejected_plan_is_shown_too(
    yaml_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(yaml_file).write_text(YAML.replace("replica: 3", "replica: 7"))
    assert run(["plan", yaml_file, "--etcd", "http://127.0.0.1:1"]) == 65
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "   | " in captured.err.replace("|", "| ").replace("|  ", "| ")
    assert "^" in captured.err


def test_volfile_prints_a_graph(yaml_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["volfile", "-f", yaml_file, "home"]) == 0
    graph = parse(capsys.readouterr().out)
    by_name = {xlator.name: xlator for xlator in graph}
    assert by_name["home-client-1"].options["remote-host"] == "10.0.0.2"
    assert by_name["home-client-1"].options["ping-timeout"] == "20"
    assert by_name["home-client-1"].options["transport.address-family"] == "inet"
    assert "username" not in by_name["home-client-1"].options


def test_volfile_of_a_trusted_client_has_the_declared_credentials(
    yaml_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["volfile", "-f", yaml_file, "home", "--graph", "trusted-client"]) == 0
    by_name = {xlator.name: xlator for xlator in parse(capsys.readouterr().out)}
    assert by_name["home-client-0"].options["username"] == "11111111-2222-4333-8444-555555555555"


@pytest.mark.parametrize(
    ("node", "count"),
    [([], "1"), (["--node", "b"], "1"), (["--node", "a"], "0"), (["--node", "10.0.0.2"], "1")],
)
def test_a_brick_graph_is_seen_from_a_node(
    yaml_file: str, capsys: pytest.CaptureFixture[str], node: list[str], count: str
) -> None:
    assert run(["volfile", "-f", yaml_file, "home", "--graph", "brick:1", *node]) == 0
    by_name = {xlator.name: xlator for xlator in parse(capsys.readouterr().out)}
    assert by_name["home-posix"].options["shared-brick-count"] == count


@pytest.mark.parametrize("graph", ["shd", "rebalance", "snapd", "gfproxyd", "trusted-gfproxy-client"])
def test_service_graphs_are_printed(yaml_file: str, capsys: pytest.CaptureFixture[str], graph: str) -> None:
    assert run(["volfile", "-f", yaml_file, "home", "--graph", graph]) == 0
    assert list(parse(capsys.readouterr().out))


WATCHED = """\
apiVersion: gluster-state.io/v1
kind: Cluster
metadata: {name: prod}
spec:
  peers: [{name: a, address: 10.0.0.1}, {name: b, address: 10.0.0.2}]
  volumes:
    - name: home
      type: replicate
      replica: 2
      thinArbiter: arb.example.net:/ta
      bricks: ["a:/b/home", "b:/b/home"]
      options: {features.quota: "on", features.bitrot: "on"}
    - name: arch
      type: distribute
      acknowledge: [{code: GS204, reason: a test}]
      bricks: ["b:/b/arch"]
      options: {features.quota: "on", features.bitrot: "on"}
"""


@pytest.fixture
def watched(tmp_path: Path) -> str:
    """Return a declaration of two volumes with quota and bitrot detection; one has a thin arbiter."""
    file = tmp_path / "watched.yaml"
    file.write_text(WATCHED)
    return str(file)


@pytest.mark.parametrize(
    ("graph", "node", "below"),
    [
        ("quotad", [], ("arch", "home")),
        ("bitd", [], ("home-bit-rot-0",)),
        ("bitd", ["--node", "b"], ("arch-bit-rot-0", "home-bit-rot-0")),
        ("scrub", ["--node", "b"], ("arch-bit-rot-0", "home-bit-rot-0")),
        ("thin-arbiter", [], ("/ta",)),
        ("quota-crawler:1", [], ()),
    ],
)
def test_graphs_of_a_nodes_daemons_are_about_all_declared_volumes(
    watched: str, capsys: pytest.CaptureFixture[str], graph: str, node: list[str], below: tuple[str, ...]
) -> None:
    assert run(["volfile", "-f", watched, "home", "--graph", graph, *node]) == 0
    assert parse(capsys.readouterr().out).top.subvolumes == below


def test_a_graph_that_a_volume_has_not_is_an_error_in_words(
    yaml_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for graph, words in (
        ("quotad", "no started volume has quota on"),
        ("scrub", "no started volume with bitrot detection has a brick on 10.0.0.1"),
        ("thin-arbiter", "volume home has no thin arbiter"),
    ):
        assert run(["volfile", "-f", yaml_file, "home", "--graph", graph]) == 1
        assert words in capsys.readouterr().err


def test_all_graphs_of_a_volume_are_its_own_and_a_nodes_are_asked_for_by_name(
    watched: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert run(["volfile", "-f", watched, "home", "--graph", "all", "--out", str(out)]) == 0
    names = {path.name for path in out.iterdir()}
    assert {name for name in names if not name.removeprefix("trusted-").startswith("home")} == set()
    assert {"home.client.10.0.0.1.b-home.vol", "home.10.0.0.1.b-home.vol", "home-shd.vol"} <= names


def test_a_nodes_volfile_is_compared_where_it_lies(
    watched: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["volfile", "-f", watched, "home", "--graph", "all", "--out", str(tmp_path)]) == 0
    for graph, file in (("quotad", "quotad.vol"), ("scrub", "scrub-server.vol")):
        capsys.readouterr()
        assert run(["volfile", "-f", watched, "home", "--graph", graph]) == 0
        (tmp_path / file).write_text(capsys.readouterr().out)
    assert run(["volfile", "-f", watched, "home", "--diff", str(tmp_path)]) == 0
    # arch has bricks on the second node: the scrubber there has more to do.
    assert run(["volfile", "-f", watched, "home", "--diff", str(tmp_path), "--node", "b"]) == 2
    assert "arch-bit-rot-0" in capsys.readouterr().out


def test_all_graphs_are_written_under_the_names_of_glusterd(
    yaml_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(["volfile", "-f", yaml_file, "home", "--graph", "all", "--out", str(out)]) == 0
    names = sorted(path.name for path in out.iterdir())
    assert {"home.tcp-fuse.vol", "trusted-home.tcp-fuse.vol", "home-shd.vol", "home.10.0.0.1.b-1.vol"} <= set(
        names
    )
    assert capsys.readouterr().out.splitlines() == [f"{out}/{name}" for name in names]
    assert all(path.stat().st_mode & 0o077 == 0 for path in out.iterdir())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nope"], "no volume 'nope'"),
        (["home", "--graph", "brick:3"], "has bricks 0 to 2, not 3"),
        (["home", "--graph", "brick:-1"], "no graph 'brick:-1'"),
        (["home", "--graph", "brick:²"], "no graph"),
        (["home", "--graph", "shred"], "no graph 'shred'"),
        (["home", "--graph", "shd:0"], "no graph 'shd:0'"),
        (["home", "--graph", "brick"], "no graph 'brick'"),
        (["home", "--graph", "brick:0", "--node", "zz"], "no peer 'zz'"),
        (["home", "--node", "zz"], "no peer 'zz'"),
        (["home", "--graph", "all"], "needs a place"),
        (["home", "--out", "x"], "goes with --graph all"),
    ],
)
def test_volfile_usage_errors(
    yaml_file: str, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert run(["volfile", "-f", yaml_file, *words]) == 64
    assert message in capsys.readouterr().err


def test_volfiles_are_written_through_no_link_and_over_a_former_file_only(
    yaml_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, victim = tmp_path / "out", tmp_path / "victim"
    out.mkdir()
    victim.write_text("mine")
    (out / "home.tcp-fuse.vol").symlink_to(victim)
    words = ["volfile", "-f", yaml_file, "home", "--graph", "all", "--out", str(out)]
    assert run(words) == 64
    assert "home.tcp-fuse.vol: there is something else than a regular file" in capsys.readouterr().err
    assert victim.read_text() == "mine"
    (out / "home.tcp-fuse.vol").unlink()
    (out / "home.tcp-fuse.vol").write_text("old")
    assert run(words) == 0
    assert (out / "home.tcp-fuse.vol").read_text().startswith("volume home-client-0")
    assert {path.name for path in out.iterdir() if path.name.startswith(".")} == set()


def test_a_directory_in_a_volfile_s_place_stays_as_it_was(
    yaml_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "home.tcp-fuse.vol"
    folder.mkdir(mode=0o755)
    assert run(["volfile", "-f", yaml_file, "home", "--graph", "all", "--out", str(tmp_path)]) == 64
    assert "something else than a regular file" in capsys.readouterr().err
    assert folder.stat().st_mode & 0o777 == 0o755


def test_bricks_whose_volfiles_would_share_a_name_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(YAML.replace("[a:/b/1, b:/b/1, c:/b/1]", "[a:/b/x-y, a:/b/x/y, c:/b/1]"))
    out = tmp_path / "out"
    assert run(["volfile", "-f", str(path), "home", "--graph", "all", "--out", str(out)]) == 1
    assert "/b/x-y and /b/x/y" in capsys.readouterr().err
    assert not out.exists()


def test_explain_knows_codes_and_fields(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "gs205"]) == 0
    assert capsys.readouterr().out.startswith("GS205: replica 2   (availability)")
    assert run(["explain", "GS205", "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["class"] == "availability"
    assert run(["explain"]) == 0
    assert len(capsys.readouterr().out.splitlines()) > 30
    assert run(["explain", "volume.bricks"]) == 0
    assert "subvolume" in capsys.readouterr().out


def test_schema_is_the_published_file() -> None:
    assert _run("schema").stdout == (ROOT / "schemas" / "cluster.v1.schema.json").read_bytes()


def test_version_tells_what_is_here(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["version", "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["gluster-state"] == __version__
    assert run(["--version"]) == 0


def test_a_reader_that_goes_away_is_no_error() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "wb") as stream:
        done = subprocess.run(
            [sys.executable, "-m", "reconciler", "schema"],
            cwd=ROOT,
            stdout=stream,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 141
    assert done.stderr == b""


def _shell(line: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a shell line in which ``$GS`` is the program."""
    return subprocess.run(
        ["bash", "-c", line],
        cwd=ROOT,
        capture_output=True,
        timeout=60,
        check=False,
        env={"PATH": os.environ["PATH"], "GS": f"{sys.executable} -m reconciler", **environment},
    )


@pytest.mark.parametrize("buffering", ["", "1"])
@pytest.mark.parametrize("words", ["--version", "--help", "schema", "plan --help", "version -o json"])
def test_a_full_disk_under_the_answer_is_said_without_a_traceback(words: str, buffering: str) -> None:
    done = _shell(f"$GS {words} >/dev/full", PYTHONUNBUFFERED=buffering)
    assert done.returncode == 1
    assert done.stderr == b"Error: the answer cannot be written: No space left on device\n"


@pytest.mark.parametrize("buffering", ["", "1"])
@pytest.mark.parametrize("words", ["--version", "--help", "schema", "explain GS101"])
def test_a_reader_that_is_gone_from_the_start_is_sigpipe(words: str, buffering: str) -> None:
    done = _shell(f"$GS {words} | true; exit ${{PIPESTATUS[0]}}", PYTHONUNBUFFERED=buffering)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("$GS --version >&-", 0),
        ("$GS validate examples/clusters/quickstart.yaml >&- 2>&- <&-", 0),
        ("$GS validate /nonexistent 2>&-", 64),
        ("$GS validate /nonexistent 2>/dev/full", 64),
        ("$GS validate /nonexistent -o json >/dev/full", 64),
        ("$GS validate - <&-", 65),
    ],
)
def test_closed_and_full_streams_change_no_exit_code(line: str, code: int) -> None:
    done = _shell(line)
    assert done.returncode == code
    assert b"Traceback" not in done.stderr


def test_a_terminal_without_utf8_gets_ascii(yaml_file: str, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(YAML.replace("name: home", "name: häme"))
    done = _run("validate", str(path), PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 65
    assert done.stdout.isascii()


# ---------------------------------------------------------------- style


def test_colour_follows_wish_then_environment_then_terminal() -> None:
    def color(wish: str, terminal: bool, **environment: str) -> bool:
        style = choose_style(wish, terminal=terminal, environment=environment, utf8=True, width=80)
        return style.color

    assert color("auto", True, TERM="xterm")
    assert not color("auto", False, TERM="xterm")
    assert not color("auto", True, TERM="dumb")
    assert not color("auto", True, TERM="xterm", NO_COLOR="1")
    assert color("auto", False, FORCE_COLOR="1")
    assert color("always", False, NO_COLOR="1")
    assert not color("never", True, TERM="xterm", FORCE_COLOR="1")


def test_control_characters_are_made_visible() -> None:
    assert escaped("a\x1b[0m\tb\u2028\x9b") == "a\\x1b[0m\\tb\\u2028\\x9b"
    assert escaped("häme") == "häme"
    assert escaped(os.fsdecode(b"\xff")) == "\\udcff"
    assert Style().text(["one\ntwo"]) == "one\\ntwo\n"


def test_painted_cells_align_as_printed() -> None:
    lines = table([[paint("ab", "red"), "x"], ["c", "y"]], indent="")
    assert Style().text(lines) == "ab   x\nc    y\n"
    assert Style(color=True).text(lines[:1]) == "\x1b[31mab\x1b[0m   x\n"


@pytest.mark.parametrize(
    ("value", "text"), [(0.04, "0.0s"), (59.94, "59.9s"), (422, "7m02s"), (22080, "6h08m"), (273_600, "3d4h")]
)
def test_durations(value: float, text: str) -> None:
    assert seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (4 << 40, "4.0 TiB")]
)
def test_sizes(value: int, text: str) -> None:
    assert size(value) == text


def test_text_is_wrapped_with_its_own_indentation() -> None:
    style = Style(width=40)
    assert style.wrap("1. " + "word " * 12, "  ") == [
        "  1. word word word word word word word",
        "  word word word word word",
    ]
    assert style.wrap("a\nb") == ["a", "b"]


# ---------------------------------------------------------------- options by the names xlators have


def _with_options(tmp_path: Path, *lines: str) -> str:
    path = tmp_path / "native.yaml"
    text = "".join(f"\n        {line}" for line in lines)
    path.write_text(NO_AUTH.replace("{network.ping-timeout: 20}", text))
    return str(path)


@pytest.mark.parametrize(
    ("line", "column", "words"),
    [
        (r'user.note: "a\nend-volume"', 20, "option user.note: the value "),
        (r'user.note: "a\0b"', 20, "text holds a control character"),
        (r'auth.allow: "`reboot`"', 21, "option auth.allow: backticks"),
        (r'user.note: "a\Nb"', 20, "text holds a control character"),
        ("user.note: " + "x" * 70_000, 20, "option user.note: the value "),
        (r'"user.a\nb": "on"', 9, "'user.a\\nb' is no option name"),
        ("auth.allow: 'end-volume x'", 21, "is not a list of addresses"),
    ],
)
def test_what_could_become_a_line_of_a_volfile_is_refused_in_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, column: int, words: str
) -> None:
    path = _with_options(tmp_path, line)
    assert run(["validate", path]) == 65
    out = capsys.readouterr().out
    assert out.startswith(f"{path}:14:{column}: error: ")
    assert words in out.splitlines()[0]


def test_a_rule_over_two_options_is_placed_at_the_name_that_was_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = _with_options(tmp_path, "worm.worm: on", "read-only.read-only: on")
    assert run(["validate", path]) == 65
    out = capsys.readouterr().out
    assert out.startswith(f"{path}:15:30: error: options read-only.read-only and features.worm cannot")


def test_options_by_the_names_of_xlators_are_checked_in_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = _with_options(
        tmp_path,
        "afr.eager-lock: perhaps",
        "read-ahead.page-size: 12",
        "md-cache.cache-selinux: on",
        "frob.speed: 5",
    )
    assert run(["validate", path, "-o", "json"]) == 65
    found = json.loads(capsys.readouterr().out)["diagnostics"]
    places = [
        (one["summary"], one["range"]["start"]["line"], one["range"]["start"]["column"]) for one in found
    ]
    assert places == [
        ("option afr.eager-lock: 'perhaps' is not on or off", 14, 25),
        ("option read-ahead.page-size: '12' is not a size such as 64KB or 1GB from 4096 to 67108864", 15, 31),
        ("there is no option frob.speed", 17, 21),
    ]


def test_an_xlator_compiled_today_has_settable_options(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing here knows `frob` or `upcall.speed`: the libraries in the folder do."""
    home = tmp_path / "lib" / "glusterfs" / "10.3"
    text = source("5", table=NEW_OPTIONS)
    build(home / "xlator" / "user" / "frob.so", text)
    build(home / "xlator" / "features" / "upcall.so", text.replace('"frob"', '"upcall"'))
    assert run(["options", "dump", "--xlator-dir", str(home / "xlator")]) == 0
    catalogue = tmp_path / "own.json"
    catalogue.write_text(capsys.readouterr().out)
    good = ("user.xlator.frob: posix", "frob.speed: 5", "upcall.speed: 7")
    path = _with_options(tmp_path, *good)
    assert run(["validate", path]) == 65  # the catalogue that comes along knows neither
    capsys.readouterr()
    assert run(["validate", path, "--catalogue", str(catalogue)]) == 0
    capsys.readouterr()
    assert run(["volfile", "-f", path, "home", "--graph", "brick:0", "--catalogue", str(catalogue)]) == 0
    graph = parse(capsys.readouterr().out)
    assert graph.of_type("user/frob")[0].options == {"speed": "5"}
    assert graph.of_type("features/upcall")[0].options["speed"] == "7"
    for bad, words in (
        ("frob.speed: 65", "'65' is not an integer from 1 to 64"),
        ("frob.mode: none", "'none' is not one of fast, slow"),
        ("frob.spede: 5", "Did you mean frob.speed"),
    ):
        path = _with_options(tmp_path, "user.xlator.frob: posix", bad)
        assert run(["validate", path, "--catalogue", str(catalogue)]) == 65
        assert words in capsys.readouterr().out
    path = _with_options(tmp_path, "frob.speed: 5")
    assert run(["validate", path, "--catalogue", str(catalogue)]) == 0
    assert "no graph of the volume has an xlator frob" in capsys.readouterr().out


def test_the_reader_vouches_for_what_only_the_catalogue_knows(tmp_path: Path) -> None:
    path = _with_options(
        tmp_path, "md-cache.cache-selinux: on", "afr.eager-lock: on", "network.ping-timeout: 9"
    )
    desired = read([path], new_app(Interrupts())).desired
    assert desired is not None
    assert desired.vouched == {"md-cache.cache-selinux"}


def test_the_catalogue_may_come_from_the_environment(tmp_path: Path) -> None:
    path = _with_options(tmp_path, "md-cache.cache-selinux: on")
    assert _run("validate", path, GLUSTER_STATE_CATALOGUE="11.1").returncode == 0
    done = _run("validate", path, GLUSTER_STATE_CATALOGUE="/nowhere")
    assert done.returncode == 64
    assert b"there is no catalogue '/nowhere'" in done.stderr


def test_the_catalogue_may_be_a_folder_of_libraries(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "lib" / "glusterfs" / "10.3"
    frob = build(home / "xlator" / "user" / "frob.so", source("5", table=NEW_OPTIONS))
    path = _with_options(tmp_path, "user.xlator.frob: posix", "frob.speed: 5")
    for folder in (home, home / "xlator"):
        assert run(["validate", path, "--catalogue", str(folder)]) == 0
    frob.write_bytes(frob.read_bytes()[:3000])
    capsys.readouterr()
    assert run(["validate", path, "--catalogue", str(home)]) == 1
    assert "Error: xlator/user/frob: it cannot be read as a library of GlusterFS 10.3: loading it ended" in (
        capsys.readouterr().err
    )


def test_a_declaration_without_such_options_reads_no_catalogue() -> None:
    code = (
        "import sys\nfrom reconciler.cli.root import run\n"
        "assert run(['validate', 'examples/clusters/quickstart.yaml']) == 0\n"
        "print([name for name in sys.modules if name.startswith('reconciler.catalogue.')])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == str(
        ["reconciler.catalogue.versions", "reconciler.catalogue.known"]
    )
