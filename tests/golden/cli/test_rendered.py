"""What people see, byte for byte. UPDATE_GOLDEN=1 writes the expected files again: read the diff."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.cli import (
    render_apply,
    render_diagnostics,
    render_drift,
    render_plan,
    render_status,
    render_txn,
)
from reconciler.cli.style import Style
from reconciler.diagnostics import Diagnostic, Severity, SourceSpan
from reconciler.model.ids import Address, ClusterId, NodeId, PeerName, StepId, TxnId, VolumeId, VolumeName
from reconciler.model.observed import BrickState
from reconciler.model.report import (
    ApplyResult,
    BrickStatus,
    ClusterStatus,
    DaemonStatus,
    NodeStatus,
    Outcome,
    PartReport,
    PartState,
    ProgressEvent,
    ProgressKind,
    TxnStep,
    TxnSummary,
    VolumeStatus,
)
from reconciler.model.volume import VolumeState
from tests.plan_samples import ALL, BLOCKED, CREATE, DRIFT, OPTIONS, UNSEEN
from tests.sim.scenarios import scenario

HERE = Path(__file__).parent
PLAIN = Style(width=100)

HOSTILE = "\x1b[2J\x1b]0;owned\x07\u202e\nPlan: 0 to add"

YAML = (
    "apiVersion: gluster-state.io/v1",
    "    type: replicate",
    "    replica: 2",
    "    arbiter: 1",
    "\tname: x",
)
FINDINGS = (
    Diagnostic(
        severity=Severity.ERROR,
        summary="replica must be 3 when arbiter is 1 (found 2)",
        span=SourceSpan(file="prod.yaml", line=3, column=14, end_line=3, end_column=15),
        hint="did you mean 3?\n2 data copies and 1 arbiter make 3",
        path="spec.volumes[1].replica",
    ),
    Diagnostic(
        severity=Severity.WARNING,
        summary="no redundancy",
        span=SourceSpan(file="prod.yaml", line=5, column=2, end_line=5, end_column=99),
        code="GS204",
    ),
    Diagnostic(severity=Severity.NOTE, summary="about nothing in particular", hint="do nothing"),
    Diagnostic(
        severity=Severity.ERROR,
        summary=f"found {HOSTILE}",
        span=SourceSpan(file="gone.yaml", line=7, column=1),
    ),
)


def _event(kind: ProgressKind, step: int, text: str = "", seconds: float = 0.3) -> ProgressEvent:
    return ProgressEvent(
        kind=kind,
        step=StepId(step),
        total=3,
        op="brick.start",
        address=Address(f"brick/home/0.{step}"),
        title="start the brick",
        peer=PeerName(f"gs{step}"),
        text=text,
        seconds=seconds,
    )


EVENTS = (
    ProgressEvent(kind=ProgressKind.NOTE, text="lock taken, epoch 4711"),
    _event(ProgressKind.STARTED, 1),
    _event(ProgressKind.DONE, 1),
    _event(ProgressKind.WAITING, 2, "the agent on gs2 has not claimed it", 10.0),
    _event(ProgressKind.DONE, 2, "pid 4711", 61.0),
    _event(ProgressKind.FAILED, 3, f"volume-id is {HOSTILE}", 30.0),
    ProgressEvent(kind=ProgressKind.ROLLING_BACK, text="step 3 failed"),
    _event(ProgressKind.UNDO_STARTED, 2),
    _event(ProgressKind.UNDONE, 2, "", 0.8),
    _event(ProgressKind.UNDO_FAILED, 1, "14 files were already written"),
)
ENDS = (
    ApplyResult(
        outcome=Outcome.COMMITTED, txn=TxnId("t-1"), exit_code=0, message="Cluster prod matches.", seconds=8
    ),
    ApplyResult(
        outcome=Outcome.COMMITTED,
        txn=TxnId("t-1"),
        exit_code=12,
        message="Planning again found differences.",
        converged=False,
        remaining=("brick/home/0.1: not running",),
    ),
    ApplyResult(
        outcome=Outcome.COMMITTED,
        txn=TxnId("t-1"),
        exit_code=12,
        message="Whether cluster prod shows it could not be seen: etcd does not answer.",
    ),
    ApplyResult(
        outcome=Outcome.ROLLED_BACK,
        txn=TxnId("t-2"),
        exit_code=5,
        message="The cluster is as it was before.",
        seconds=7.2,
    ),
    ApplyResult(
        outcome=Outcome.STUCK,
        txn=TxnId("t-3"),
        exit_code=6,
        message="Data is safe; the volume is online.",
        decisions=(
            ("finish forward", "gluster-state txn resume t-3"),
            ("finish backward", "gluster-state txn rollback t-3"),
        ),
    ),
    ApplyResult(outcome=Outcome.HANDED_OVER, txn=TxnId("t-4"), exit_code=7, message="Our lease ended."),
    ApplyResult(
        outcome=Outcome.PARTLY,
        txn=TxnId("t-5"),
        exit_code=11,
        message='volume/b: step 9 "start" failed on gs2: the port is taken',
        parts=(
            PartReport(part=0, address=Address("cluster"), state=PartState.COMMITTED),
            PartReport(part=1, address=Address("volume/a"), state=PartState.COMMITTED),
            PartReport(
                part=2,
                address=Address("volume/b"),
                state=PartState.ROLLED_BACK,
                reason=f'step 9 "start" failed on gs2: {HOSTILE}',
            ),
        ),
    ),
)

TXN = TxnSummary(
    txn=TxnId("t-01J9"),
    state="stuck",
    plan_id="p-1",
    plan_digest="sha256:77ab",
    holder="ann@gs1 pid 4711",
    started_at=1_790_000_000,
    updated_at=1_790_000_060,
    attempts=2,
    summary="1 to add",
    reason="undo of step 1 failed",
    done=1,
    total=3,
    steps=(
        TxnStep(
            step=StepId(1),
            op="brick.create",
            address=Address("brick/home/0.0"),
            title="create",
            peer=PeerName("gs1"),
            mark="undo-failed",
            attempt=3,
            error="14 files were already written",
            hint="look at /bricks/home/b0",
        ),
        TxnStep(
            step=StepId(2),
            op="volume.publish",
            address=Address("volume/home"),
            title="p",
            mark="undone",
            attempt=1,
        ),
        TxnStep(
            step=StepId(3), op="shd.start", address=Address("volume/home"), title="s", peer=PeerName("gs2")
        ),
    ),
)


def _brick(number: int, state: BrickState | None, heal: int | None, problem: str = "") -> BrickStatus:
    return BrickStatus(
        address=Address(f"brick/home/0.{number}"),
        peer=PeerName(f"gs{number + 1}"),
        path="/bricks/home/b0",
        state=state,
        problem=problem,
        pid=4711 if state is BrickState.RUNNING else 0,
        port=61000 + number,
        heal_pending=heal,
        size_bytes=0 if state is None else 4 << 40,
        free_bytes=0 if state is None else 1 << 40,
    )


STATUS = ClusterStatus(
    cluster_id=ClusterId("7b0e0000-0000-4000-8000-000000000000"),
    name="prod",
    revision=184467,
    nodes=(
        NodeStatus(
            peer=PeerName("gs1"),
            node_id=NodeId("n1"),
            address="10.0.0.11",
            zone="a",
            live=True,
            agent_version="0.1.0",
            gluster_version="10.3",
        ),
        NodeStatus(peer=PeerName("gs2"), node_id=NodeId("n2"), address="10.0.0.12", live=False),
    ),
    volumes=(
        VolumeStatus(
            name=VolumeName("home"),
            volume_id=VolumeId("v"),
            shape="replicate 3",
            state=VolumeState.STARTED,
            generation=3,
            bricks=(
                _brick(0, BrickState.RUNNING, 0),
                _brick(1, BrickState.CRASHED, 310, f"ended with signal 9 {HOSTILE}"),
                _brick(2, None, None),
            ),
            daemons=(
                DaemonStatus(kind="shd", peer=PeerName("gs1"), expected=True, pid=0),
                DaemonStatus(kind="shd", peer=PeerName("gs2"), expected=True, pid=None),
                DaemonStatus(kind="shd", peer=PeerName("gs3"), expected=True, pid=77),
            ),
            heal_pending=None,
        ),
    ),
    open_txn=replace(TXN, state="running", reason=""),
    lock_holder="ann@gs1 pid 4711",
    unobserved=(PeerName("gs3"),),
)

CASES: dict[str, Callable[[Style], list[str]]] = {
    **{
        f"plan-{name}": lambda style, plan=plan: render_plan.render(plan, style) for name, plan in ALL.items()
    },
    "plan-parts": lambda style: render_plan.render(replace(scenario("parts").plan, drift=()), style),
    "plan-saved": lambda style: render_plan.saved_lines(CREATE, "prod.plan", style),
    "drift": lambda style: render_drift.render(DRIFT, style),
    "drift-none": lambda style: render_drift.render(OPTIONS, style),
    "drift-unseen": lambda style: render_drift.render(UNSEEN, style),
    "diagnostics": lambda style: [
        *render_diagnostics.render(FINDINGS, {"prod.yaml": YAML}, style),
        render_diagnostics.tally(FINDINGS, 2, 0.06),
    ],
    "diagnostics-github": lambda _: render_diagnostics.as_github(FINDINGS),
    "apply-progress": lambda style: [
        line for event in EVENTS for line in render_apply.progress(event, style)
    ],
    "apply-results": lambda style: [line for end in ENDS for line in render_apply.result(end, style)],
    "status": lambda style: render_status.render(STATUS, style),
    "txn-list": lambda _: render_txn.listing(
        [TXN, replace(TXN, txn=TxnId("t-00AA"), state="committed", done=3)]
    ),
    "txn-show": lambda style: render_txn.details(TXN, style),
    "txn-show-parts": lambda style: render_txn.details(
        replace(
            TXN,
            steps=tuple(replace(s, part=p) for s, p in zip(TXN.steps, (2, 2, 1), strict=True)),
            parts=(
                PartReport(part=1, address=Address("volume/a"), state=PartState.OPEN),
                PartReport(
                    part=2, address=Address("volume/home"), state=PartState.STUCK, reason="its undo failed"
                ),
            ),
        ),
        style,
    ),
    "plan-hostile": lambda style: render_plan.render(
        replace(
            BLOCKED,
            cluster_name=HOSTILE,
            blockers=(replace(BLOCKED.blockers[0], summary=HOSTILE, address=Address(HOSTILE)),),
            safety=(HOSTILE,),
            changes=(replace(CREATE.changes[0], detail=HOSTILE, origin=HOSTILE),),
        ),
        style,
    ),
}


def _same(name: str, text: str) -> None:
    path = HERE / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", CASES)
def test_the_text_is_the_checked_in_one(name: str) -> None:
    _same(name, PLAIN.text(CASES[name](PLAIN)))


@pytest.mark.parametrize("name", CASES)
def test_no_line_can_be_forged_and_no_control_character_comes_through(name: str) -> None:
    lines = CASES[name](PLAIN)
    text = PLAIN.text(lines)
    assert text.count("\n") == len(lines)
    assert not set(text) & set("\x1b\x07\u202e\r\x00")


@pytest.mark.parametrize("name", CASES)
def test_ascii_means_ascii(name: str) -> None:
    style = Style(width=100, ascii=True)
    assert style.text(CASES[name](style)).isascii()


def test_colour_is_added_and_nothing_else() -> None:
    style = Style(width=100, color=True)
    coloured = style.text(CASES["plan-create"](style))
    _same("plan-create-color", coloured)
    for code in ("\x1b[32m", "\x1b[33m", "\x1b[1m", "\x1b[2m", "\x1b[0m"):
        coloured = coloured.replace(code, "")
    assert coloured == PLAIN.text(CASES["plan-create"](PLAIN))


def test_hints_are_left_out_in_automation() -> None:
    quiet = Style(width=100, hints=False)
    assert "gluster-state" not in quiet.text(CASES["plan-blocked"](quiet))
    assert "Apply it with" not in quiet.text(CASES["plan-saved"](quiet))
