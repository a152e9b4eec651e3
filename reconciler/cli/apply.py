"""``gluster-state apply``: run a plan to its outcome: all of it, or none of it."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click

from reconciler.cli import render_apply, saved
from reconciler.cli.app import App, current_app
from reconciler.cli.declaration import is_declaration, require
from reconciler.cli.flags import (
    allow,
    connection,
    connection_of,
    examples,
    files,
    flag,
    output,
)
from reconciler.cli.modes import Modes, modes, modes_of
from reconciler.cli.render_plan import render, summary_line
from reconciler.cli.session import Progress, StopRequest
from reconciler.cli.streams import silence_broken
from reconciler.cli.style import in_automation
from reconciler.errors import StalePlan, UsageError
from reconciler.model.cluster import Desired
from reconciler.model.codec import to_json
from reconciler.model.report import ApplyResult, ProgressEvent
from reconciler.plan.document import digest, exit_code, unrepaired
from reconciler.plan.step import Plan
from reconciler.txn.state import PARALLEL

_NOT_CONVERGED = 12
_STOPPING = b"\nStopping at the next safe point ... (again: leave at once; another process then finishes)\n"


@click.command(
    epilog=examples(
        "gluster-state apply my.plan",
        "gluster-state apply -f cluster.yaml --yes",
        "gluster-state apply -f cluster.yaml --allow GS101=volume/old",
    )
)
@files
@allow
@modes
@flag(
    "--parallel",
    type=click.IntRange(min=1, max=1000),
    default=PARALLEL,
    show_default=True,
    help="How many commands may be under way at once, on all nodes together.",
)
@flag("--yes", "-y", is_flag=True, help="Do not ask (a saved plan is never asked about).")
@flag("--expect-digest", metavar="SHA256", help="Refuse any plan but the one with this digest.")
@connection
@output("text", "json", "ndjson")
def apply(
    paths: tuple[str, ...],
    file: tuple[str, ...],
    allow: tuple[str, ...],
    yes: bool,
    expect_digest: str | None,
    form: str,
    **link: Any,
) -> int:
    """Make the cluster what a declaration or a saved plan says; what fails is left as it was.

    Volumes are independent: one that fails is rolled back, and the others are applied (--rollback=all: none).

    Ctrl-C stops at the next safe point; a second one leaves at once, and a steward finishes.

    Exits 0 done, or nothing to do; 1 not confirmed; 3 blocked; 4 the plan is stale, altered or was used;
    5 failed and rolled back; 6 failed, and a human must decide; 7 somebody else applies; 8 stopped;
    10 too little could be observed; 11 some volumes applied, others rolled back; 12 applied, but the cluster
    does not show it, or has faults that no apply repairs.
    """
    app = current_app()
    chosen, parallel = modes_of(link), link.pop("parallel")
    plan, desired = _input((*paths, *file), chosen, app, warn=form != "text")
    name = plan.cluster_name if plan else desired.spec.name if desired else None
    link_to = connection_of(link, name)
    if plan and allow:
        raise UsageError("--allow goes with a declaration: a saved plan was made with what it needs")
    with contextlib.closing(app.connect(link_to)) as session:
        if plan is None:
            assert desired is not None
            plan = session.plan(desired, allow=allow, progress=app.observing)
            if form == "text":
                app.say(render(plan, app.out))
            code = _hindrance(plan, expect_digest)
            if code is None and not yes:
                code = _ask(plan, app)
        else:
            if form == "text":
                app.say([f"plan {plan.plan_id}: {summary_line(plan)}"])
            code = _hindrance(plan, expect_digest)
        if code is not None:
            if form != "text":
                app.answer({"kind": "ApplyResult", "outcome": "nothing-to-do", "exit_code": code})
            return code
        return drive(
            lambda progress, stop: session.apply(plan, progress=progress, stop=stop, parallel=parallel),
            form,
            app,
        )


def _input(
    given: Sequence[str], chosen: Modes, app: App, *, warn: bool
) -> tuple[Plan | None, Desired | None]:
    """Return the saved plan or the declaration that was given; exactly one of them."""
    if not given:
        raise UsageError("nothing to apply", hint="name a saved plan, or a declaration: -f cluster.yaml")
    if all(is_declaration(path) for path in given):
        return None, chosen.over(require(given, app, warn=warn))
    if len(given) > 1:
        raise UsageError("one saved plan at a time, and nothing next to it")
    plan = saved.load(given[0])
    chosen.refuse_others(plan)
    return plan, None


def _hindrance(plan: Plan, expect_digest: str | None) -> int | None:
    """Return the exit code if there is nothing to run, else None."""
    if expect_digest and digest(plan) != expect_digest:
        raise StalePlan(
            f"this is not the expected plan: its digest is {digest(plan)}",
            hint="review it, then use its digest",
        )
    code = exit_code(plan)
    if plan.blockers or plan.unobserved:
        return code
    if not plan.steps:
        return _NOT_CONVERGED if unrepaired(plan) else 0
    return None


def _ask(plan: Plan, app: App) -> int | None:
    """Ask a person; return None for yes."""
    if in_automation(app.environment) or not sys.stdin.isatty():
        raise UsageError("nobody can be asked here", hint="review the plan, then use --yes or a saved plan")
    app.note([f"Apply this to cluster {plan.cluster_name}? Only yes is accepted."])
    try:
        answer = click.prompt("", prompt_suffix="> ", default="", show_default=False, err=True)
    except click.Abort:  # the end of the input is no yes
        answer = ""
        app.note([""])
    if answer == "yes":
        return None
    app.note(["Not applied. Nothing was changed."])
    return 1


def drive(run: Callable[[Progress, StopRequest], ApplyResult], form: str, app: App) -> int:
    """Have a transaction run with progress and a graceful Ctrl-C; return its exit code."""

    def progress(event: ProgressEvent) -> None:
        with _whoever_listens():
            _tell(event, form, app)

    def announce() -> None:
        os.write(2, _STOPPING)  # inside a signal handler: no buffered stream may be touched

    with app.interrupts.graceful(announce) as stop:
        end = run(progress, stop)
    with _whoever_listens():
        _close(end, form, app)
    return end.exit_code


@contextlib.contextmanager
def _whoever_listens() -> Iterator[None]:
    """Let the transaction, and its exit code, matter more than a reader that went away or a full disk."""
    try:
        yield
    except OSError:
        silence_broken()


def _tell(event: ProgressEvent, form: str, app: App) -> None:
    if form == "ndjson":
        app.answer({"type": "progress", "value": to_json(event)})
        return
    lines = render_apply.progress(event, app.out if form == "text" else app.err)
    if lines:
        app.say(lines) if form == "text" else app.note(lines)
    app.show_transient(render_apply.transient(event))


def _close(end: ApplyResult, form: str, app: App) -> None:
    if form == "text":
        app.say(render_apply.result(end, app.out))
    elif form == "ndjson":
        app.answer({"type": "result", "value": to_json(end)})
    else:
        plain = to_json(end)
        assert isinstance(plain, dict)
        app.answer({"kind": "ApplyResult", **plain})
