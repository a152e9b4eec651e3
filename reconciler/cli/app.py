"""What every command gets: where to print and how, the user's wish to stop, and the program behind it."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TextIO

import click

from reconciler.catalogue.versions import DEFAULT
from reconciler.cli.interrupts import Interrupts
from reconciler.cli.session import Session, Wiring, installed_features, real_wiring
from reconciler.cli.streams import silence_broken
from reconciler.cli.style import MIN_WIDTH, Style, choose_style
from reconciler.model.report import Connection, ProgressEvent

if TYPE_CHECKING:
    from reconciler.feature import Registry

_NOT_A_TERMINAL = 100  #: characters a line may have when it goes to a file


@dataclass(slots=True)
class App:
    """One run of the command line. `wiring` and `features` are functions because importing is slow."""

    out: Style
    err: Style
    environment: Mapping[str, str]
    interrupts: Interrupts
    wiring: Callable[[], Wiring] = real_wiring
    features: Callable[[], Registry] = installed_features
    catalogue: str = DEFAULT  #: --catalogue, see `reconciler.cli.catalogue.index_of`
    _transient: bool = field(default=False, init=False)

    def connect(self, to: Connection) -> Session:
        """Open a session with a cluster; see `Wiring.connect`."""
        return self.wiring().connect(to, self.features())

    def say(self, lines: Iterable[str]) -> None:
        """Print lines of the answer."""
        self.clear()
        sys.stdout.write(self.out.text(lines))
        sys.stdout.flush()

    def note(self, lines: Iterable[str]) -> None:
        """Print lines about the run, on stderr. If nobody can be told, the run is still what it is."""
        try:
            self.clear()
            sys.stderr.write(self.err.text(lines))
            sys.stderr.flush()
        except OSError:
            silence_broken()

    def answer(self, value: object) -> None:
        """Print one JSON value on one line: keys sorted, any control character escaped."""
        sys.stdout.write(json.dumps(value, ensure_ascii=self.out.ascii, sort_keys=True) + "\n")
        sys.stdout.flush()

    def show_transient(self, line: str) -> None:
        """Show a line until the next output; only on a terminal that somebody watches."""
        if line and self.err.hints and sys.stderr.isatty() and self.environment.get("TERM") != "dumb":
            self.clear()
            sys.stderr.write(self.err.text([line[: self.err.width - 1]]).rstrip("\n"))
            sys.stderr.flush()
            self._transient = True

    def clear(self) -> None:
        """Wipe the transient line, if there is one."""
        if self._transient:
            sys.stderr.write("\r\x1b[K")
            self._transient = False

    def observing(self, event: ProgressEvent) -> None:
        """Show what an observation is waiting for. It is no part of the answer."""
        self.show_transient(event.text or event.title)

    def restyle(
        self, *, color: str | None = None, ascii_only: bool = False, width: int | None = None
    ) -> None:
        """Take over what the user asked for on the command line."""
        for name in ("out", "err"):
            stream = sys.stdout if name == "out" else sys.stderr
            style: Style = getattr(self, name)
            if color is not None:
                style = replace(style, color=_style(stream, self.environment, color).color)
            if ascii_only:
                style = replace(style, ascii=True)
            if width is not None:
                style = replace(style, width=max(MIN_WIDTH, width))
            setattr(self, name, style)


def new_app(
    interrupts: Interrupts,
    wiring: Callable[[], Wiring] = real_wiring,
    features: Callable[[], Registry] = installed_features,
) -> App:
    """Return the app for this process's streams and environment."""
    environment = dict(os.environ)
    return App(
        out=_style(sys.stdout, environment, "auto"),
        err=_style(sys.stderr, environment, "auto"),
        environment=environment,
        interrupts=interrupts,
        wiring=wiring,
        features=features,
    )


def current_app() -> App:
    """Return the app of the running command."""
    app = click.get_current_context().find_object(App)
    assert app is not None, "commands run inside root.run"
    return app


def _style(stream: TextIO, environment: Mapping[str, str], wish: str) -> Style:
    terminal = stream.isatty()
    width = shutil.get_terminal_size((_NOT_A_TERMINAL, 24)).columns if terminal else _NOT_A_TERMINAL
    encoding = (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "")
    return choose_style(
        wish, terminal=terminal, environment=environment, utf8=encoding == "utf8", width=max(MIN_WIDTH, width)
    )
