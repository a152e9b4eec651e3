"""``volfile --was``: the graphs of a volume that was changed since it was created."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.cli.root import run
from reconciler.volgen.graph import Graph
from reconciler.volgen.text import parse

HEAD = """\
apiVersion: gluster-state.io/v1
kind: Cluster
metadata: {name: prod}
spec:
  peers: [{name: a, address: 10.0.0.1}, {name: b, address: 10.0.0.2}, {name: c, address: 10.0.0.3}]
  volumes:
"""
PAIRS = "[a:/b/0, b:/b/0, a:/b/1, b:/b/1, a:/b/2, b:/b/2]"
Write = Callable[..., str]


def home(bricks: str, more: str = "", kind: str = "type: replicate, replica: 2") -> str:
    acknowledged = "acknowledge: [{code: GS205, reason: test}, {code: GS203, reason: test}]"
    return f"{HEAD}    - {{name: home, {kind}, bricks: {bricks}, {acknowledged}{more}}}\n"


@pytest.fixture
def written(tmp_path: Path) -> Write:
    """Return a function that writes declarations and returns the words of a command with all of them."""

    def write(*texts: str) -> list[str]:
        names = []
        for i, text in enumerate(texts):
            path = tmp_path / f"{i}.yaml"
            path.write_text(text)
            names.append(str(path))
        *was, last = names
        return ["volfile", "home", "-f", last, *(word for name in was for word in ("--was", name))]

    return write


def graph_of(words: list[str], capsys: pytest.CaptureFixture[str]) -> Graph:
    assert run(words) == 0
    return parse(capsys.readouterr().out)


def clients(graph: Graph) -> dict[str, str]:
    """Return what each client reaches, by name."""
    found = {x.name: x.options for x in graph if x.type == "protocol/client"}
    return {name: f"{o['remote-host'][-1]}{o['remote-subvolume']}" for name, o in found.items()}


def test_bricks_keep_their_ids_through_a_row_of_changes(
    written: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    words = written(
        home(PAIRS),
        home("[a:/b/0, b:/b/0, a:/b/2, b:/b/2]"),  # the one in the middle leaves
        home("[a:/b/0, c:/b/0, a:/b/2, b:/b/2]"),  # one is replaced
        home("[a:/b/0, c:/b/0]"),  # the last ones leave
        home("[a:/b/0, c:/b/0, a:/b/2, b:/b/2]"),  # and come back as others
    )
    graph = graph_of(words, capsys)
    assert clients(graph) == {
        "home-client-0": "1/b/0",
        "home-client-1": "3/b/0",
        "home-client-6": "1/b/2",
        "home-client-7": "2/b/2",
    }
    replicas = [(x.name, x.options["afr-pending-xattr"]) for x in graph if x.type == "cluster/replicate"]
    assert replicas == [
        ("home-replicate-0", "home-client-0,home-client-1"),
        ("home-replicate-1", "home-client-6,home-client-7"),
    ]


def test_the_order_of_earlier_declarations_counts(written: Write, capsys: pytest.CaptureFixture[str]) -> None:
    """Oldest first: of two additions the one that came first has the lower id."""
    disks = {"kind": "type: distribute"}
    one, two = home("[a:/b/0, b:/b/0]", **disks), home("[a:/b/0, c:/b/0]", **disks)
    last = home("[a:/b/0, b:/b/9]", **disks)
    assert "home-client-3" in clients(graph_of(written(one, two, last), capsys))
    only = clients(graph_of(written(one, last), capsys))
    assert only == {"home-client-0": "1/b/0", "home-client-2": "2/b/9"}


def test_without_was_a_volume_is_new(written: Write, capsys: pytest.CaptureFixture[str]) -> None:
    graph = graph_of(written(home("[a:/b/0, b:/b/0, a:/b/2, b:/b/2]")), capsys)
    assert list(clients(graph)) == [f"home-client-{i}" for i in range(4)]


def test_every_graph_of_the_changed_volume_is_written(
    written: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = written(home(PAIRS), home("[a:/b/0, b:/b/0, a:/b/2, c:/b/2]"))
    out = tmp_path / "out"
    assert run([*words, "--graph", "all", "--out", str(out), "--node", "a"]) == 0
    capsys.readouterr()
    names = {path.name for path in out.iterdir()}
    assert {"home.10.0.0.3.b-2.vol", "home.10.0.0.1.b-0.vol", "home-shd.vol", "home-rebalance.vol"} <= names
    assert "home.10.0.0.2.b-2.vol" not in names
    shd = parse((out / "home-shd.vol").read_text())
    assert list(clients(shd)) == ["home-client-0", "home-client-1", "home-client-4", "home-client-5"]


def test_the_last_declaration_may_come_from_standard_input(
    written: Write, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    *_, old = written(home(PAIRS), home(PAIRS))
    text = home("[a:/b/2, b:/b/2]").encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    graph = graph_of(["volfile", "home", "-f", "-", "--was", old], capsys)
    assert list(clients(graph)) == ["home-client-4", "home-client-5"]


# ---------------------------------------------------------------- options in between


def test_options_follow_the_last_declaration_and_creation_defaults_the_first(
    written: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    def threads(*options: str) -> bool:
        texts = [home(PAIRS, f", options: {{{one}}}" if one else "") for one in options]
        return "home-io-threads" in {x.name for x in graph_of(written(*texts), capsys)}

    wanted = "performance.client-io-threads: on"
    assert not threads("")
    assert threads("", wanted)
    assert not threads(wanted, "network.ping-timeout: 20")


@pytest.mark.parametrize(
    ("before", "after", "threads", "granular"),
    [
        (("[a:/b/0]", "type: distribute"), ("[a:/b/0, b:/b/0]", "type: replicate, replica: 2"), False, None),
        (("[a:/b/0, b:/b/0]", "type: replicate, replica: 2"), ("[b:/b/0]", "type: distribute"), True, None),
        (
            ("[a:/b/0, b:/b/0]", "type: replicate, replica: 2"),
            ("[a:/b/0, b:/b/0, c:/b/0]", "type: replicate, replica: 3"),
            False,
            "on",
        ),
    ],
)
def test_a_conversion_brings_the_defaults_that_glusterd_sets_then(
    written: Write,
    capsys: pytest.CaptureFixture[str],
    before: tuple[str, str],
    after: tuple[str, str],
    threads: bool,
    granular: str | None,
) -> None:
    graph = graph_of(written(*(home(bricks, kind=kind) for bricks, kind in (before, after))), capsys)
    assert ("home-io-threads" in {x.name for x in graph}) is threads
    found = {x.options.get("granular-entry-heal") for x in graph if x.type == "cluster/replicate"}
    assert found <= {granular}


def test_a_feature_that_is_forgotten_stays(written: Write, capsys: pytest.CaptureFixture[str]) -> None:
    graph = graph_of(written(home(PAIRS, ", shard: {enabled: true}"), home(PAIRS)), capsys)
    assert "home-shard" in {x.name for x in graph}


# ---------------------------------------------------------------- refusals

ID = "5b0f2c1e-8a54-4f0e-9a3c-1d5f0a6e7c11"
OTHER_ID = "6b0f2c1e-8a54-4f0e-9a3c-1d5f0a6e7c11"


def test_an_id_that_is_declared_later_was_always_so(
    written: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = graph_of(written(home(PAIRS), home("[a:/b/0, b:/b/0]", f", id: {ID}")), capsys)
    assert {x.options["volume-id"] for x in graph if x.type == "cluster/replicate"} == {ID}
    graph = graph_of(written(home(PAIRS, f", id: {ID}"), home("[a:/b/0, b:/b/0]")), capsys)
    assert {x.options["volume-id"] for x in graph if x.type == "cluster/replicate"} == {ID}


def place_of(token: str, text: str) -> str:
    """Return LINE:COLUMN of what a text holds once."""
    before, _, _ = text.partition(token)
    return f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


@pytest.mark.parametrize(
    ("new", "token", "words"),
    [
        (home("[b:/b/0, a:/b/0]"), "b:/b/0", "bricks of a subvolume are declared in another order"),
        (
            home("[a:/b/0, {peer: c, path: /b/9, id: home-client-2}]"),
            "home-client-2",
            "id home-client-2 is not free",
        ),
        (
            home("[a:/b/0, b:/b/0, c:/b/0]", kind="type: disperse, data: 2, redundancy: 1"),
            "disperse",
            "replicate 2 cannot become disperse 2+1",
        ),
        (home(PAIRS, f", id: {OTHER_ID}"), OTHER_ID, f"volume home has id {ID}, not {OTHER_ID}"),
    ],
)
def test_a_change_that_no_plan_could_make_is_refused_at_its_place(
    written: Write, capsys: pytest.CaptureFixture[str], new: str, token: str, words: str
) -> None:
    command = written(home(PAIRS, f", id: {ID}"), new)
    assert run(command) == 65
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"{command[3]}:{place_of(token, new)}: error: {words}" in captured.err
    assert "^" in captured.err


def test_a_refused_step_in_between_is_shown_in_its_own_file(
    written: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    middle = home("[b:/b/0, a:/b/0]")
    command = written(home(PAIRS), middle, home(PAIRS))
    assert run(command) == 65
    assert f"{command[7]}:{place_of('b:/b/0', middle)}: error: " in capsys.readouterr().err


def test_errors_of_an_earlier_declaration_are_shown(
    written: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    command = written(home("[a:/b/0]"), home(PAIRS))
    assert run(command) == 65
    assert command[5] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "words"),
    [
        (home("[a:/b/0]", kind="type: distribute").replace("home", "work"), "declares: work"),
        (HEAD.replace("  volumes:\n", ""), "no volume 'home' with bricks is declared"),
        (home(PAIRS).replace("name: prod", "name: test"), "declares cluster prod, and not test"),
        (
            home(PAIRS, f", state: absent, confirm: {ID}"),
            "volume home is absent in one of the declarations",
        ),
    ],
)
def test_declarations_that_are_no_row_are_a_usage_error(
    written: Write, capsys: pytest.CaptureFixture[str], old: str, words: str
) -> None:
    assert run(written(old, home(PAIRS))) == 64
    assert words in capsys.readouterr().err


def test_a_tombstone_ends_a_row(written: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(written(home(PAIRS), home(PAIRS, f", state: absent, confirm: {ID}"))) == 64
    assert "leave the earlier ones out" in capsys.readouterr().err


def test_warnings_of_earlier_declarations_were_told_in_their_time(
    written: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    auth = ", auth: {username: u-1, password: p-1}"
    assert run(written(home(PAIRS, auth), home(PAIRS))) == 0
    assert capsys.readouterr().err == ""
    assert run(written(home(PAIRS), home(PAIRS, auth))) == 0
    assert "GS502" in capsys.readouterr().err


def test_standard_input_is_one_declaration(written: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["volfile", "home", "-f", "-", "--was", "-"]) == 64
    assert "standard input can be one declaration only" in capsys.readouterr().err
    assert run([*written(home(PAIRS)), "--was", "missing.yaml"]) == 64
    assert "missing.yaml" in capsys.readouterr().err
