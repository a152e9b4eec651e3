"""Commands against a session of known answers: exit codes, forms of output, what is asked of the session."""

from __future__ import annotations

import errno
import inspect
import io
import json
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click
import pytest

from reconciler import errors, wiring
from reconciler.cli import session as protocols
from reconciler.cli.root import run
from reconciler.cli.session import StopRequest
from reconciler.model.cluster import OnCrash, Rollback
from reconciler.model.ids import PeerName, TxnId
from reconciler.model.report import ApplyResult, Connection, Outcome
from reconciler.plan.document import canonical_text, digest, document
from reconciler.txn.state import PARALLEL
from tests.command_lines import commands, problems_of
from tests.plan_samples import BLOCKED, CREATE, DRIFT, EMPTY, UNSEEN
from tests.unit.cli.fakes import FakeSession
from tests.unit.desired.declarations import REP3, cluster

YAML = """
apiVersion: gluster-state.io/v1
kind: Cluster
metadata: {name: prod}
spec:
  peers: [{name: gs1, address: 10.0.0.11}, {name: gs2, address: 10.0.0.12}, {name: gs3, address: 10.0.0.13}]
  volumes:
    - name: home
      type: replicate
      replica: 3
      bricks: [gs1:/bricks/home/b0, gs2:/bricks/home/b0, gs3:/bricks/home/b0]
      options: {network.ping-timeout: 20}
"""
LINK = ("--etcd", "http://127.0.0.1:2379")


@pytest.fixture
def yaml_file(tmp_path: Path) -> str:
    path = tmp_path / "prod.yaml"
    path.write_text(YAML)
    return str(path)


@pytest.fixture
def plan_file(tmp_path: Path) -> str:
    path = tmp_path / "prod.plan"
    path.write_text(canonical_text(CREATE))
    return str(path)


@pytest.fixture
def session() -> Iterator[FakeSession]:
    fake = FakeSession()
    yield fake
    assert fake.closed == (fake.connection is not None), "a session is closed once, whatever happened"


def test_plan_shows_the_changes_and_exits_0(
    session: FakeSession, yaml_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["plan", "-f", yaml_file, *LINK], lambda: session) == 0
    out = capsys.readouterr().out
    assert "+ brick/home/0.2" in out
    assert out.splitlines()[-1].startswith("Plan: 1 to add, 0 to change, 0 to remove")
    assert session.connection == Connection(endpoints=("http://127.0.0.1:2379",), cluster="prod")
    assert session.asked == [("plan", "prod", ())]


@pytest.mark.parametrize(
    ("plan", "flags", "code"),
    [
        (CREATE, ["--detailed-exitcode"], 2),
        (CREATE, [], 0),
        (EMPTY, ["--detailed-exitcode"], 0),
        (BLOCKED, [], 3),
        (UNSEEN, [], 10),
    ],
)
def test_plan_exit_codes(
    session: FakeSession, yaml_file: str, plan: object, flags: list[str], code: int
) -> None:
    session.planned = plan  # type: ignore[assignment]
    assert run(["plan", yaml_file, *LINK, *flags], lambda: session) == code


def test_plan_as_json_is_the_document_and_nothing_else(
    session: FakeSession, yaml_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["plan", "-f", yaml_file, "-o", "json", *LINK], lambda: session) == 0
    assert json.loads(capsys.readouterr().out) == document(CREATE)


def test_plan_as_ndjson_has_one_object_a_line(
    session: FakeSession, yaml_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["plan", "-f", yaml_file, "-o", "ndjson", *LINK], lambda: session) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["type"] for line in lines] == ["change"] * 5 + ["step"] * 4 + ["diagnostic", "summary"]


def test_a_saved_plan_is_shown_and_applied_as_it_was(
    session: FakeSession, yaml_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "my.plan"
    assert run(["plan", "-f", yaml_file, "--out", str(out), *LINK], lambda: session) == 0
    assert out.read_text() == canonical_text(CREATE)
    assert out.stat().st_mode & 0o777 == 0o600
    assert sorted(tmp_path.iterdir()) == [out, tmp_path / "prod.yaml"]
    assert f"Apply it with:  gluster-state apply {out}" in capsys.readouterr().out
    assert run(["show", str(out), "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == document(CREATE)
    again = FakeSession()
    assert run(["apply", str(out), *LINK], lambda: again) == 0
    assert again.asked == [("apply", CREATE.plan_id)]
    assert "[1/1] brick.start … done 0.3s" in capsys.readouterr().out


@pytest.mark.parametrize("command", [["plan"], ["apply", "--yes"]])
@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ([], (Rollback.NONE, OnCrash.ROLLBACK)),
        (["--rollback=all"], (Rollback.ALL, OnCrash.ROLLBACK)),
        (["--on-crash=continue"], (Rollback.NONE, OnCrash.CONTINUE)),
    ],
)
def test_flags_choose_what_a_failure_and_a_crash_do_and_win_over_the_declaration(
    session: FakeSession,
    tmp_path: Path,
    command: list[str],
    words: list[str],
    wanted: tuple[Rollback, OnCrash],
) -> None:
    file = tmp_path / "modes.yaml"
    file.write_text(cluster(REP3, spec="apply: {rollback: none, onCrash: rollback}\n"))
    run([*command, "-f", str(file), *words, *LINK], lambda: session)
    assert session.desired is not None
    assert (session.desired.spec.rollback, session.desired.spec.on_crash) == wanted


def test_a_saved_plan_is_applied_with_the_modes_that_it_says(session: FakeSession, plan_file: str) -> None:
    assert run(["apply", plan_file, "--rollback=change", "--on-crash=continue", *LINK], lambda: session) == 0
    assert session.asked == [("apply", CREATE.plan_id)]


@pytest.mark.parametrize("words", ["--rollback=none", "--on-crash=rollback"])
def test_a_saved_plan_is_not_applied_with_other_modes_than_it_was_reviewed_with(
    session: FakeSession, plan_file: str, capsys: pytest.CaptureFixture[str], words: str
) -> None:
    assert run(["apply", plan_file, words, *LINK], lambda: session) == 64
    assert f"plan again with {words}" in capsys.readouterr().err
    assert session.asked == []


@pytest.mark.parametrize(("words", "bound"), [([], PARALLEL), (["--parallel", "3"], 3)])
def test_a_bound_of_commands_under_way_is_handed_on(
    session: FakeSession, plan_file: str, words: list[str], bound: int
) -> None:
    assert run(["apply", plan_file, *words, *LINK], lambda: session) == 0
    assert session.parallel == bound


def test_nothing_at_once_is_no_bound(session: FakeSession, plan_file: str) -> None:
    assert run(["apply", plan_file, "--parallel", "0", *LINK], lambda: session) == 64


def test_a_plan_that_cannot_be_written_leaves_nothing_behind(
    session: FakeSession, yaml_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder").mkdir()
    assert run(["plan", "-f", yaml_file, "--out", str(tmp_path / "folder"), *LINK], lambda: session) == 64
    assert "the plan cannot be written" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "prod.yaml"]


@pytest.mark.parametrize("kind", ["fifo", "link"])
def test_a_plan_takes_the_place_of_no_device_pipe_or_link(
    session: FakeSession, yaml_file: str, tmp_path: Path, kind: str
) -> None:
    out = tmp_path / "out"
    os.mkfifo(out) if kind == "fifo" else out.symlink_to("elsewhere")
    before = out.lstat()
    assert run(["plan", "-f", yaml_file, "--out", str(out), *LINK], lambda: session) == 64
    assert (out.lstat().st_mode, out.lstat().st_ino) == (before.st_mode, before.st_ino)


def test_an_altered_plan_is_refused_with_4_before_any_connection(
    session: FakeSession, plan_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(plan_file)
    path.write_text(path.read_text().replace("61002", "61003"))
    assert run(["apply", plan_file, *LINK], lambda: session) == 4
    assert session.connection is None
    assert "digest does not match" in capsys.readouterr().err


def test_apply_refuses_another_digest_than_expected(session: FakeSession, plan_file: str) -> None:
    assert run(["apply", plan_file, "--expect-digest", "sha256:00", *LINK], lambda: session) == 4
    assert session.asked == []


def test_apply_takes_the_expected_digest(session: FakeSession, plan_file: str) -> None:
    assert run(["apply", plan_file, "--expect-digest", digest(CREATE), *LINK], lambda: session) == 0


def test_apply_of_yaml_needs_consent(
    session: FakeSession, yaml_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["apply", "-f", yaml_file, *LINK], lambda: session) == 64
    assert "--yes" in capsys.readouterr().err
    assert ("apply", CREATE.plan_id) not in session.asked


@pytest.mark.parametrize(("answer", "code"), [("yes\n", 0), ("y\n", 1), ("\n", 1)])
def test_apply_asks_on_a_terminal_and_takes_only_yes(
    session: FakeSession, yaml_file: str, monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    stdin = io.StringIO(answer)
    stdin.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stdin", stdin)
    assert run(["apply", "-f", yaml_file, *LINK], lambda: session) == code
    assert (("apply", CREATE.plan_id) in session.asked) == (code == 0)


def test_nothing_is_applied_when_something_is_blocked(session: FakeSession, yaml_file: str) -> None:
    session.planned = replace(BLOCKED, steps=CREATE.steps, volumes=CREATE.volumes)
    assert run(["apply", "-f", yaml_file, "--yes", *LINK], lambda: session) == 3
    assert [what[0] for what in session.asked] == ["plan"]  # type: ignore[index]


@pytest.mark.parametrize(("plan", "code"), [(EMPTY, 0), (UNSEEN, 10)])
def test_an_empty_plan_is_not_run(session: FakeSession, yaml_file: str, plan: object, code: int) -> None:
    session.planned = plan  # type: ignore[assignment]
    assert run(["apply", "-f", yaml_file, "--yes", *LINK], lambda: session) == code
    assert [what[0] for what in session.asked] == ["plan"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("outcome", "code", "words"),
    [
        (Outcome.ROLLED_BACK, 5, "rolled back completely"),
        (Outcome.STUCK, 6, "not fully rolled back"),
        (Outcome.STOPPED, 8, "Stopped at a safe point"),
        (Outcome.HANDED_OVER, 7, "another process continues"),
    ],
)
def test_the_outcome_gives_the_exit_code(
    session: FakeSession,
    plan_file: str,
    capsys: pytest.CaptureFixture[str],
    outcome: Outcome,
    code: int,
    words: str,
) -> None:
    session.end = ApplyResult(outcome=outcome, txn=TxnId("t-1"), exit_code=code, message="So it is.")
    assert run(["apply", plan_file, *LINK], lambda: session) == code
    assert words in capsys.readouterr().out


def test_apply_as_json_puts_progress_on_stderr(
    session: FakeSession, plan_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["apply", plan_file, "-o", "json", *LINK], lambda: session) == 0
    captured = capsys.readouterr()
    answer = json.loads(captured.out)
    assert (answer["kind"], answer["outcome"], answer["exit_code"]) == ("ApplyResult", "committed", 0)
    assert "brick.start" in captured.err


def test_apply_as_ndjson_streams_events(
    session: FakeSession, plan_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["apply", plan_file, "-o", "ndjson", *LINK], lambda: session) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["type"] for line in lines] == ["progress", "progress", "result"]


class Full(io.StringIO):
    """A stream on a full disk."""

    def write(self, _: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("form", ["text", "json", "ndjson"])
@pytest.mark.parametrize("outcome", [Outcome.COMMITTED, Outcome.STUCK])
def test_an_apply_goes_on_when_its_output_cannot_be_written_and_exits_with_its_outcome(
    session: FakeSession,
    plan_file: str,
    monkeypatch: pytest.MonkeyPatch,
    form: str,
    outcome: Outcome,
) -> None:
    code = 0 if outcome is Outcome.COMMITTED else 6
    session.end = ApplyResult(outcome=outcome, txn=TxnId("t-1"), exit_code=code, message="So it is.")
    reached = []

    def fill_the_disk(_: StopRequest) -> None:
        monkeypatch.setattr(sys, "stdout", Full())
        reached.append(True)

    session.during_apply = fill_the_disk
    assert run(["apply", plan_file, "-o", form, *LINK], lambda: session) == code
    assert reached


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_in_an_apply_is_a_request(
    session: FakeSession, plan_file: str, number: signal.Signals
) -> None:
    seen = []

    def interrupt(stop: StopRequest) -> None:
        seen.append(stop.requested)
        signal.raise_signal(number)
        seen.append(stop.requested)

    session.during_apply = interrupt
    assert run(["apply", plan_file, *LINK], lambda: session) == 0
    assert seen == [False, True]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_second_signal_leaves(
    session: FakeSession, plan_file: str, number: signal.Signals, code: int
) -> None:
    def interrupt(_: StopRequest) -> None:
        signal.raise_signal(number)
        signal.raise_signal(number)

    session.during_apply = interrupt
    assert run(["apply", plan_file, *LINK], lambda: session) == code


def test_outside_an_apply_the_first_signal_leaves_and_handlers_come_back(
    session: FakeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(session, "status", lambda: signal.raise_signal(signal.SIGTERM))
    assert run(["status", "--cluster", "prod", *LINK], lambda: session) == 143
    assert signal.getsignal(signal.SIGTERM) is before


def test_drift_exit_codes_and_json(session: FakeSession, capsys: pytest.CaptureFixture[str]) -> None:
    session.planned = DRIFT
    assert run(["drift", "--cluster", "prod", *LINK, "-o", "json"], lambda: session) == 2
    answer = json.loads(capsys.readouterr().out)
    assert [item["kind"] for item in answer["drift"]] == ["fault", "setting"]
    for plan, code in ((EMPTY, 0), (UNSEEN, 10), (replace(DRIFT, unobserved=UNSEEN.unobserved), 10)):
        again = FakeSession(planned=plan)
        assert run(["drift", "--cluster", "prod", *LINK], lambda again=again: again) == code


def test_drift_takes_a_declaration(session: FakeSession, yaml_file: str) -> None:
    session.planned = EMPTY
    assert run(["drift", "-f", yaml_file, *LINK], lambda: session) == 0
    assert session.asked == [("drift", "prod")]


def test_status_says_10_when_a_peer_was_not_seen(
    session: FakeSession, capsys: pytest.CaptureFixture[str]
) -> None:
    session.unobserved = (PeerName("gs3"),)
    assert run(["status", "--cluster", "prod", *LINK, "-o", "json"], lambda: session) == 10
    assert json.loads(capsys.readouterr().out)["unobserved"] == ["gs3"]


def test_transactions_are_listed_and_shown(session: FakeSession, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["txn", "list", "--cluster", "prod", *LINK], lambda: session) == 0
    assert "t-1" in capsys.readouterr().out
    again = FakeSession()
    assert run(["txn", "show", "t-9", "--cluster", "prod", *LINK, "-o", "json"], lambda: again) == 0
    assert again.asked == [("transaction", "t-9")]
    assert json.loads(capsys.readouterr().out)["txn"] == "t-1"


def test_the_agent_gets_its_flags(session: FakeSession) -> None:
    assert run(["agent", "--config", "a.toml", "--bind", "127.0.1.1", "--steward"], lambda: session) == 0
    assert run(["steward", "--config", "a.toml"], lambda: session) == 0
    assert session.asked == [("agent", "a.toml", "127.0.1.1", True, None), ("steward", "a.toml")]


def test_every_flag_can_come_from_the_environment(
    session: FakeSession, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GLUSTER_STATE_ETCD", "https://a:1, https://b:2")
    monkeypatch.setenv("GLUSTER_STATE_CLUSTER", "prod")
    monkeypatch.setenv("GLUSTER_STATE_ETCD_CA", "/ca.pem")
    monkeypatch.setenv("GLUSTER_STATE_OUTPUT", "json")
    assert run(["status"], lambda: session) == 0
    assert session.connection == Connection(
        endpoints=("https://a:1", "https://b:2"), cluster="prod", ca_file="/ca.pem"
    )
    assert json.loads(capsys.readouterr().out)["kind"] == "ClusterStatus"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["status", "--cluster", "prod"], "no etcd endpoint"),
        (["status", *LINK], "no cluster is named"),
        (["status", "--etcd", "127.0.0.1:2379", "--cluster", "c"], "no etcd URL"),
        (["status", "--etcd", "http://127.0.0.1:99999", "--cluster", "c"], "no etcd URL"),
        (["status", "--etcd", "https://127.0.0.1:1", "--cluster", "c"], "no CA certificate"),
        (["status", *LINK, "--cluster", "c", "--etcd-timeout", "nan"], "number of seconds"),
        (["status", *LINK, "--cluster", "c", "--etcd-cert", "/c"], "go together"),
        (["status", *LINK, "--cluster", "c", "--etcd-cert", "/c", "--etcd-key", "/k"], "needs --etcd-ca"),
        (["plan", "-f", ""], "an empty path"),
        (["plan", *LINK], "no declaration"),
        (["apply", *LINK], "nothing to apply"),
        (["plan", "--typo"], "--typo"),
        (["plam"], "plam"),
        ([], "Usage"),
        (["show"], "PLAN"),
        (["show", "/nonexistent"], "No such file"),
        (["validate", "/nonexistent"], "no such file"),
        (["explain", "GS999"], "no code GS999"),
        (["explain", "volume.colour"], "no field 'colour'"),
        (["explain", "quota.enabled"], "did you mean volume.quota.enabled?"),
        (["explain", "colour"], "begin with one of: cluster, geoReplication, peer, profile, volume"),
        (["status", "--width", "ten"], "ten"),
        (["agent"], "--config"),
    ],
)
def test_usage_errors_exit_64(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words, FakeSession) == 64
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


def test_two_names_of_the_cluster_must_agree(
    session: FakeSession, yaml_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["plan", "-f", yaml_file, "--cluster", "dr", *LINK], lambda: session) == 64
    assert "'dr'" in capsys.readouterr().err


def _all_errors(
    cls: type[errors.ReconcilerError] = errors.ReconcilerError,
) -> set[type[errors.ReconcilerError]]:
    children = (child for child in cls.__subclasses__() if child.__module__ == errors.__name__)
    return {cls}.union(*(_all_errors(child) for child in children))


@pytest.mark.parametrize("cls", sorted(_all_errors(), key=lambda c: c.__name__), ids=lambda c: c.__name__)
def test_expected_errors_have_their_exit_code_and_no_traceback(
    cls: type[errors.ReconcilerError], capsys: pytest.CaptureFixture[str]
) -> None:
    if issubclass(cls, errors.DesiredStateError):
        error: errors.ReconcilerError = errors.DesiredStateError(())
    elif issubclass(cls, errors.Compacted):
        error = cls(7)
    else:
        error = cls("it went wrong", hint="do this")
    assert run(["status", "--cluster", "prod", *LINK], lambda: FakeSession(error=error)) == cls.exit_code
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    assert captured.err.startswith("Error: ")
    assert captured.out == ""


def test_errors_are_json_when_the_answer_was_to_be_json(capsys: pytest.CaptureFixture[str]) -> None:
    fake = FakeSession(error=errors.StoreUnavailable("etcd is away", hint="start it"))
    assert run(["status", "--cluster", "prod", *LINK, "-o", "json"], lambda: fake) == 69
    assert json.loads(capsys.readouterr().out) == {
        "format_version": "1.1", "kind": "Error", "exit_code": 69, "message": "etcd is away",
        "hint": "start it", "diagnostics": [],
    }  # fmt: skip
    assert run(["status", "--output=json", "--typo"]) == 64
    assert json.loads(capsys.readouterr().out)["exit_code"] == 64


def test_debug_shows_where_an_expected_error_came_from(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GLUSTER_STATE_DEBUG", "1")
    fake = FakeSession(error=errors.StoreUnavailable("etcd is away"))
    assert run(["status", "--cluster", "prod", *LINK], lambda: fake) == 69
    assert "Traceback" in capsys.readouterr().err


def test_a_bug_is_not_taken_for_an_expected_error(capsys: pytest.CaptureFixture[str]) -> None:
    class Broken(FakeSession):
        def status(self) -> None:  # type: ignore[override]
            raise KeyError("oops")

    assert run(["status", "--cluster", "prod", *LINK], Broken) == 70
    assert "This is a bug" in capsys.readouterr().err


def test_a_hostile_error_text_cannot_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    fake = FakeSession(error=errors.StepError("path \x1b[2J\u202e /x"))
    run(["status", "--cluster", "prod", *LINK], lambda: fake)
    assert "\\x1b[2J\\u202e" in capsys.readouterr().err


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_has_a_summary_explained_flags_and_an_example_that_works(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*words, "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(" ".join(("Usage: gluster-state", *words)))
    command = commands()[words]
    if len(words) > 1:  # the others' lines are in root.COMMANDS
        assert not command.get_short_help_str(limit=80).endswith("..."), "its line in the group is cut off"
    for parameter in command.params:
        assert not isinstance(parameter, click.Option) or parameter.hidden or parameter.help, parameter.name
    shown = [line.strip() for line in (command.epilog or "").splitlines()]
    typed = [line for line in shown if "gluster-state" in line and not line.startswith("#")]
    assert typed
    assert [problem for line in typed for problem in problems_of(line)] == []


def test_display_flags_work_on_either_side_of_the_command(
    session: FakeSession, yaml_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["plan", "-f", yaml_file, *LINK, "--color", "always"], lambda: session) == 0
    assert "\x1b[32m" in capsys.readouterr().out
    again = FakeSession()
    assert run(["--ascii", "plan", "-f", yaml_file, *LINK], lambda: again) == 0
    assert capsys.readouterr().out.isascii()


def test_the_composition_root_fits_the_protocols() -> None:
    for name in ("connect", "run_agent", "run_steward"):
        ours = inspect.signature(getattr(protocols.Wiring, name)).parameters
        theirs = inspect.signature(getattr(wiring, name)).parameters
        assert [p for p in ours if p != "self"] == list(theirs), name


@pytest.mark.parametrize(("word", "rollback"), [("resume", False), ("rollback", True)])
def test_an_open_transaction_is_brought_to_its_end(
    session: FakeSession, capsys: pytest.CaptureFixture[str], word: str, rollback: bool
) -> None:
    session.end = ApplyResult(outcome=Outcome.STUCK, txn=TxnId("t-9"), exit_code=6, message="So it is.")
    assert run(["txn", word, "t-9", "--cluster", "prod", *LINK], lambda: session) == 6
    assert session.asked == [("settle", "t-9", rollback)]
    assert "So it is." in capsys.readouterr().out
