"""The command group, and the one place where errors become messages and exit codes.

Commands are imported when they are run; the table below has their help lines, so that ``--help`` imports
none of them (deps.md 7).
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from reconciler import __version__, failpoints
from reconciler.cli.app import App, new_app
from reconciler.cli.flags import display
from reconciler.cli.interrupts import Interrupted, Interrupts
from reconciler.cli.session import Wiring, installed_features, real_wiring
from reconciler.cli.streams import EXIT_PIPE, is_unwritable, silence_broken, unwritten
from reconciler.cli.style import paint
from reconciler.diagnostics import Diagnostic
from reconciler.errors import DesiredStateError, ReconcilerError, UsageError

if TYPE_CHECKING:
    from reconciler.feature import Registry

EXIT_USAGE = UsageError.exit_code
EXIT_BUG = 70  #: EX_SOFTWARE of sysexits.h: our own mistake, never "nothing was changed"

#: name -> (module below reconciler.cli, attribute, help line); hidden if the line is empty
COMMANDS: dict[str, tuple[str, str, str]] = {
    "validate": ("validate", "validate", "Check a declaration, offline: all errors at once."),
    "plan": ("plan", "plan", "Show what an apply would do."),
    "show": ("show", "show", "Show a saved plan."),
    "apply": ("apply", "apply", "Make the cluster what the declaration says, or roll back."),
    "drift": ("drift", "drift", "Find what is not as configured."),
    "status": ("status", "status", "Show nodes, volumes, bricks and heals."),
    "txn": ("txn", "txn", "Look at transactions, and bring an open one to its end."),
    "volfile": ("volfile", "volfile", "Print the volfiles a declaration would produce, offline."),
    "options": ("options", "options", "List and explain volume options; read them from GlusterFS."),
    "explain": ("explain", "explain", "Explain a risk code or a field of the declaration."),
    "schema": ("schema", "schema", "Print the JSON Schema of declarations."),
    "lab": ("lab", "lab", "Run a real cluster on this one machine."),
    "agent": ("agent", "agent", "Run this node's agent: bricks, volfiles, facts."),
    "steward": ("steward", "steward", ""),
    "version": ("version", "version", "Print versions."),
}

_EPILOG = """\b
Start here:
  gluster-state validate cluster.yaml
  gluster-state plan -f cluster.yaml --out my.plan
  gluster-state apply my.plan

Every flag but the lab's can come from the environment as GLUSTER_STATE_<FLAG>, such as
GLUSTER_STATE_ETCD and GLUSTER_STATE_CLUSTER. Exit codes: docs/exit-codes.md.
"""


class ReaderGone(BaseException):
    """Whoever read our output went away. Not an OSError: click would exit 1, "nothing was changed"."""


class LazyGroup(click.Group):
    """A group that imports a command when it is run, not when it is listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import and return a command."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute, line = COMMANDS[cmd_name]
        command = getattr(importlib.import_module(f"reconciler.cli.{module}"), attribute)
        assert isinstance(command, click.Command)
        command.hidden = not line
        if cmd_name != "lab":  # `lab exec` passes flags on to other programs
            _add_display(command)
        return command

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Parse the command line; ``--help`` prints here."""
        try:
            return super().make_context(*args, **extra)
        except BrokenPipeError as exc:
            raise ReaderGone from exc

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as exc:
            raise ReaderGone from exc

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the help lines from the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in COMMANDS.items() if line])


def _add_display(command: click.Command) -> None:
    if isinstance(command, click.Group):
        for child in command.commands.values():
            _add_display(child)
    elif not any(parameter.name == "color" for parameter in command.params):
        command.params += display()


@click.command(cls=LazyGroup, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gluster-state", message="%(prog)s %(version)s")
def root() -> None:
    """A declarative control plane for GlusterFS: plan, apply, drift, rollback - without glusterd."""


root.params += display()


def run(
    argv: Sequence[str],
    wiring: Callable[[], Wiring] = real_wiring,
    features: Callable[[], Registry] = installed_features,
) -> int:
    """Run one command line; print what went wrong, if anything; return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):  # a test's stream may not be a real one
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # TextIO does not promise it
    interrupts = Interrupts()
    app = new_app(interrupts, wiring, features)
    with interrupts.installed():
        try:
            return _run(argv, app)
        except Interrupted as exc:
            app.note(["Interrupted."])
            return exc.code
        except (ReaderGone, BrokenPipeError):
            silence_broken()
            return EXIT_PIPE


def _run(argv: Sequence[str], app: App) -> int:
    try:
        failpoints.arm(app.environment.get(failpoints.VARIABLE))
        answer: Any = root.main(args=list(argv), prog_name="gluster-state", standalone_mode=False, obj=app)
    except click.ClickException as exc:
        return _usage(exc, argv, app)
    except click.Abort:
        app.note(["Aborted."])
        return 1
    except ReconcilerError as exc:
        return _failed(exc, argv, app)
    except OSError as exc:
        return unwritten(exc) if is_unwritable(exc) else _failed(ReconcilerError(_os_words(exc)), argv, app)
    except Exception:  # noqa: BLE001 - the outermost frame: a bug must not look like "nothing was changed"
        app.note(["This is a bug in gluster-state; please report it with the lines below."])
        traceback.print_exc()
        return EXIT_BUG
    return answer if isinstance(answer, int) else 0


def _usage(exc: click.ClickException, argv: Sequence[str], app: App) -> int:
    hint = ""
    if isinstance(exc, click.UsageError) and exc.ctx is not None:
        hint = f"see: {exc.ctx.command_path} --help"
    return _failed(UsageError(exc.format_message(), hint=hint), argv, app)


def _os_words(exc: OSError) -> str:
    reason = exc.strerror or str(exc)
    return f"{exc.filename}: {reason}" if exc.filename else reason


def _failed(exc: ReconcilerError, argv: Sequence[str], app: App) -> int:
    """Report an expected error: as JSON if the answer was to be JSON, else as text."""
    if app.environment.get("GLUSTER_STATE_DEBUG") == "1":
        traceback.print_exception(exc)
    diagnostics = exc.diagnostics if isinstance(exc, DesiredStateError) else ()
    if _wants_json(argv, app):
        try:
            _answer_error(exc, diagnostics, app)
        except OSError:  # there is a worse error to report than this one
            silence_broken()
        return exc.exit_code
    if isinstance(exc, DesiredStateError):
        app.note(_findings(exc, app))
    app.note(_words_of(exc))
    return exc.exit_code


def _answer_error(exc: ReconcilerError, diagnostics: Sequence[Diagnostic], app: App) -> None:
    from reconciler.plan.document import FORMAT_VERSION, diagnostic_json  # noqa: PLC0415 - rarely needed

    app.answer(
        {
            "format_version": FORMAT_VERSION,
            "kind": "Error",
            "exit_code": exc.exit_code,
            "message": exc.message,
            "hint": exc.hint,
            "diagnostics": [diagnostic_json(one) for one in diagnostics],
        }
    )


def _findings(exc: DesiredStateError, app: App) -> list[str]:
    from reconciler.cli.declaration import Rejected  # noqa: PLC0415 - rarely needed
    from reconciler.cli.render_diagnostics import render  # noqa: PLC0415 - rarely needed

    return exc.lines(app.err) if isinstance(exc, Rejected) else render(exc.diagnostics, {}, app.err)


def _words_of(exc: ReconcilerError) -> list[str]:
    """Return an error as lines for people."""
    first, *more = [*(exc.message.splitlines() or [type(exc).__name__]), *exc.hint.splitlines()]
    return [paint("Error", "red") + f": {first}", *(f"  {line}" for line in more)]


def _wants_json(argv: Sequence[str], app: App) -> bool:
    """Tell from the bare words, for the command line may be what is wrong."""
    words = list(argv)
    for index, word in enumerate(words):
        if word in ("-ojson", "-ondjson", "--output=json", "--output=ndjson"):
            return True
        if word in ("-o", "--output") and words[index + 1 : index + 2] in (["json"], ["ndjson"]):
            return True
    return app.environment.get("GLUSTER_STATE_OUTPUT") in ("json", "ndjson")
