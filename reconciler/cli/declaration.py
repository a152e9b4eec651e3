"""Paths on the command line -> a declaration with all its findings and the texts they point into."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.adapters.desired_files import read_files
from reconciler.cli.app import App
from reconciler.cli.render_diagnostics import render
from reconciler.cli.style import Style
from reconciler.desired.load import load
from reconciler.diagnostics import Diagnostic, Severity, SourceSpan
from reconciler.errors import DesiredStateError
from reconciler.model.cluster import Desired
from reconciler.model.ids import Address
from reconciler.volgen.native_names import only_native
from reconciler.volgen.options import check_options

if TYPE_CHECKING:
    from reconciler.catalogue.index import OptionIndex

_BUILTIN = "profile builtin/"
_SUFFIXES = (".yaml", ".yml")
Files = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """What the files say. `desired` is None if there is any error; `findings` are sorted by position."""

    files: Files
    desired: Desired | None
    findings: tuple[Diagnostic, ...]

    def sources(self) -> dict[str, list[str]]:
        """Return the lines of the files that findings point into."""
        wanted = {found.span.file for found in self.findings if found.span}
        return {
            name: data.decode("utf-8", "replace").splitlines() for name, data in self.files if name in wanted
        }


def is_declaration(path: str) -> bool:
    """Return true if a path names YAML (or a directory of it), and not a saved plan."""
    return path == "-" or path.endswith(_SUFFIXES) or Path(path).is_dir()


def read(paths: Sequence[str], app: App) -> Declaration:
    """Read and check a declaration; ``XLATOR.OPTION`` names against the app's catalogue.

    Raises:
        UsageError: no path is given, or one cannot be read; there is no such catalogue.
        NativeError: the catalogue cannot be used.
    """
    given: Files = ()
    try:
        given = read_files(paths)
        desired = load(given)
    except DesiredStateError as exc:
        return Declaration(files=given, desired=None, findings=exc.diagnostics)
    findings = sorted((*desired.warnings, *_options(desired, app.catalogue)), key=_position)
    if any(found.severity is Severity.ERROR for found in findings):
        return Declaration(files=given, desired=None, findings=tuple(findings))
    names = {option.name for volume in desired.spec.volumes for option in volume.options}
    checked = replace(desired, vouched=frozenset(filter(only_native, names)))
    return Declaration(files=given, desired=checked, findings=tuple(findings))


def require(paths: Sequence[str], app: App) -> Desired:
    """Return the declaration; print warnings on stderr. Raises Rejected if it has errors."""
    declaration = read(paths, app)
    if declaration.desired is None:
        raise Rejected(declaration)
    app.note(render(declaration.findings, declaration.sources(), app.err))
    return declaration.desired


class Rejected(DesiredStateError):
    """The declaration has errors; carries the texts, so that they can be shown in place."""

    def __init__(self, declaration: Declaration) -> None:
        super().__init__(declaration.findings)
        self.declaration = declaration

    def lines(self, style: Style) -> list[str]:
        """Return the findings for people."""
        return render(self.declaration.findings, self.declaration.sources(), style)


def _options(desired: Desired, catalogue: str) -> list[Diagnostic]:
    """Return what is wrong with the volumes' options, each at the place that set it.

    What GlusterFS' own group files bring along is nobody's mistake, so there an error is a warning: the
    option has no effect here, and that is said.
    """
    findings = []
    natives = functools.cache(functools.partial(_natives, catalogue))
    for volume in desired.spec.volumes:
        options = {option.name: option for option in volume.options}
        values = {name: one.value for name, one in options.items()}
        for problem in check_options(values, volume.shape, natives):
            address = f"option/{volume.name}/{problem.path}"
            span = _span_of(desired, address, f"volume/{volume.name}")
            origin = options[problem.path].origin
            placed = replace(problem, span=span, path=address)
            findings.append(_softened(placed, origin) if origin.startswith(_BUILTIN) else placed)
    return findings


def _natives(catalogue: str) -> OptionIndex:
    from reconciler.cli.catalogue import index_of  # noqa: PLC0415 - most declarations need no catalogue

    return index_of(catalogue)


def _softened(found: Diagnostic, origin: str) -> Diagnostic:
    if found.severity is not Severity.ERROR:
        return found
    name = origin.removeprefix("profile ")
    return replace(
        found, severity=Severity.WARNING, summary=f"{found.summary}; {name} sets it, it has no effect"
    )


def _span_of(desired: Desired, *addresses: str) -> SourceSpan | None:
    known = (desired.spans.get(Address(address)) for address in addresses)
    return next((span for span in known if span), None)


def _position(found: Diagnostic) -> tuple[str, int, int, str]:
    span = found.span
    return (span.file, span.line, span.column, found.summary) if span else ("", 0, 0, found.summary)
