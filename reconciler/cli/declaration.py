"""Paths on the command line -> a declaration with all its findings and the texts they point into."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.adapters.desired_files import read_files
from reconciler.cli.app import App
from reconciler.cli.render_diagnostics import render
from reconciler.cli.style import Style
from reconciler.desired.groups import is_builtin
from reconciler.desired.load import Examined, examine
from reconciler.desired.rules import BLOCKING_CODES
from reconciler.diagnostics import Diagnostic, Severity, SourceSpan
from reconciler.errors import DesiredStateError
from reconciler.model.cluster import Desired, VolumeSpec
from reconciler.model.ids import Address
from reconciler.plan.codes import CODES
from reconciler.volgen.native_names import canonical, only_native
from reconciler.volgen.options import Named, check_options
from reconciler.volgen.settings import VolumeSettings

if TYPE_CHECKING:
    from reconciler.catalogue.index import OptionIndex

_LINE_END = re.compile("\r\n|\n|\r")  # as the positions count them; splitlines() knows more
_CREDENTIAL = re.compile(
    r"""(?P<key>\b(?:username|password)["']?\s*:\s*)(?P<value>"[^"\n]*"|'[^'\n]*'|[^\s,}"'][^\s,}]*)"""
)
_SUFFIXES = (".yaml", ".yml")
Files = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """What the files say. `desired` is None if there is any error; `findings` are sorted by position."""

    files: Files
    desired: Desired | None
    findings: tuple[Diagnostic, ...]

    def sources(self) -> dict[str, list[str]]:
        """Return the lines of the files that findings point into, without the credentials in them."""
        wanted = {found.span.file for found in self.findings if found.span}
        texts = {name: data.decode("utf-8", "replace") for name, data in self.files if name in wanted}
        return {name: _lines(_CREDENTIAL.sub(_stars, text)) for name, text in texts.items()}


def _stars(found: re.Match[str]) -> str:
    """Return as many stars as there were characters, so that carets stand where they belong."""
    return found["key"] + "*" * len(found["value"])


def _lines(text: str) -> list[str]:
    *lines, last = _LINE_END.split(text)
    return [*lines, last] if last else lines


def is_declaration(path: str) -> bool:
    """Return true if a path names YAML (or a directory of it), and not a saved plan."""
    return path == "-" or path.endswith(_SUFFIXES) or Path(path).is_dir()


def read(paths: Sequence[str], app: App) -> Declaration:
    """Read and check a declaration; ``XLATOR.OPTION`` names against the app's catalogue.

    Raises:
        UsageError: no path is given, or some can be no declaration; there is no such catalogue.
        NativeError: the catalogue cannot be used.
    """
    given = read_files(paths)
    examined = examine(given.files, app.features(), given.unreadable)
    options = _options(examined, app.catalogue)
    refused = {found.path for found in options if found.severity is Severity.ERROR}
    idle = (found for found in _features(examined, app) if found.path not in refused)
    examined = examined.also((*options, *idle, *_acknowledgements(examined)))
    files = tuple(given.files)
    try:
        desired = examined.desired()
    except DesiredStateError as exc:
        return Declaration(files=files, desired=None, findings=exc.diagnostics)
    names = {option.name for volume in desired.spec.volumes for option in volume.options}
    checked = replace(desired, vouched=frozenset(filter(only_native, names)))
    return Declaration(files=files, desired=checked, findings=desired.warnings)


def require(paths: Sequence[str], app: App, *, warn: bool = True) -> Desired:
    """Return the declaration; print warnings on stderr if `warn`, which a plan shows by itself.

    Raises Rejected if the declaration has errors.
    """
    return accept(read(paths, app), app, warn=warn)


def accept(declaration: Declaration, app: App, *, warn: bool = True) -> Desired:
    """Return what a declaration that was read declares; as `require`."""
    if declaration.desired is None:
        raise Rejected(declaration)
    if warn:
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


def _options(examined: Examined, catalogue: str) -> list[Diagnostic]:
    """Return what is wrong with the volumes' options, each at the place that set it.

    What GlusterFS' own group files bring along is nobody's mistake, so there an error is a warning: the
    option has no effect here, and that is said.
    """
    findings = []
    natives = functools.cache(functools.partial(_natives, catalogue))
    for volume in examined.spec.volumes if examined.spec else ():
        options = {option.name: option for option in volume.options}
        values = {name: one.value for name, one in options.items()}
        named = Named(name=volume.name, subvolumes=len(volume.subvolumes()))
        for problem in check_options(values, volume.shape, natives, volume=named):
            address = f"option/{volume.name}/{problem.path}"
            span = _span_of(examined, address, f"volume/{volume.name}")
            origin = options[problem.path].origin
            placed = replace(problem, span=span, path=address)
            findings.append(_softened(placed, origin) if is_builtin(origin) else placed)
    return findings


def _features(examined: Examined, app: App) -> Iterator[Diagnostic]:
    """Yield what options would need to have their effect: a daemon, or a feature that is off."""
    registry = app.features()
    slots = registry.slots()
    for volume in examined.spec.volumes if examined.spec else ():
        settings = VolumeSettings({option.name: option.value for option in volume.options})
        written = {canonical(option.name): option.name for option in volume.options}
        for missing in slots.missing_daemons(settings):
            hint = "plan refuses to switch it on" if missing.vital else ""
            yield _warning(examined, volume, written.get(missing.switch, ""), missing.summary, hint, "GS407")
        for feature in registry:
            for name in feature.idle_options(volume, settings):
                summary = f"option {name} has no effect: {feature.switch} is off"
                yield _warning(examined, volume, name, summary)


def _warning(
    examined: Examined, volume: VolumeSpec, name: str, summary: str, hint: str = "", code: str = ""
) -> Diagnostic:
    address = f"option/{volume.name}/{name}"
    span = _span_of(examined, address, f"option/{volume.name}")
    return Diagnostic(
        severity=Severity.WARNING, summary=summary, span=span, hint=hint, code=code, path=address
    )


def _natives(catalogue: str) -> OptionIndex:
    from reconciler.cli.catalogue import index_of  # noqa: PLC0415 - most declarations need no catalogue

    return index_of(catalogue)


def _acknowledgements(examined: Examined) -> Iterator[Diagnostic]:
    """Yield acknowledgements of what is no risk code, or of one that no acknowledgement lifts."""
    for volume in examined.spec.volumes if examined.spec else ():
        for item in volume.acknowledge:
            span = _span_of(examined, f"acknowledge/{volume.name}/{item.code}")
            if item.code not in CODES:
                hint = f"what can be acknowledged: {', '.join(sorted(BLOCKING_CODES))}"
                summary, severity = f"there is no risk code {item.code}", Severity.ERROR
            elif item.code not in BLOCKING_CODES:
                hint = CODES[item.code].remedy
                summary, severity = f"acknowledging {item.code} has no effect", Severity.WARNING
            else:
                continue
            yield Diagnostic(severity=severity, summary=summary, span=span, hint=hint)


def _softened(found: Diagnostic, origin: str) -> Diagnostic:
    """Return what is wrong with an option that a builtin profile sets: plans take it as it is."""
    if found.severity is not Severity.ERROR and not found.code:
        return found
    summary = f"{found.summary}; {origin.removeprefix('profile ')} sets it, it has no effect"
    return replace(found, severity=Severity.WARNING, summary=summary, hint="", code="")


def _span_of(examined: Examined, *addresses: str) -> SourceSpan | None:
    known = (examined.spans.get(Address(address)) for address in addresses)
    return next((span for span in known if span), None)
