"""Where the objects of a declaration stand, and what was found about them."""

from __future__ import annotations

from dataclasses import dataclass, field

from reconciler.diagnostics import Diagnostic, Severity, SourceSpan
from reconciler.model.ids import Address


@dataclass(frozen=True, slots=True)
class Place:
    """A position and the path inside its document, such as ``spec.volumes[1].replica``."""

    span: SourceSpan
    path: str

    def error(self, summary: str, *, hint: str = "") -> Diagnostic:
        """Return an error here."""
        return Diagnostic(severity=Severity.ERROR, summary=summary, span=self.span, hint=hint, path=self.path)


@dataclass(slots=True)
class Places:
    """Places by address, and the findings so far. An unknown address falls back to what it is part of."""

    by_address: dict[Address, Place] = field(default_factory=dict)
    findings: list[Diagnostic] = field(default_factory=list)

    def add(self, address: str, place: Place) -> None:
        """Record where an object or setting stands; the first place of an address stays."""
        self.by_address.setdefault(Address(address), place)

    def has(self, address: str) -> bool:
        """Return true if exactly this address is written in the declaration."""
        return address in self.by_address

    def find(self, address: str) -> Place | None:
        """Return the place of an address or of the nearest object around it."""
        while address:
            place = self.by_address.get(Address(address))
            if place is not None:
                return place
            address = address.rpartition("/")[0]
        return self.by_address.get(Address("cluster"))

    def error(self, address: str, summary: str, *, hint: str = "", code: str = "") -> None:
        """Record an error at an address."""
        self._report(Severity.ERROR, address, summary, hint, code)

    def warning(self, address: str, summary: str, *, hint: str = "", code: str = "") -> None:
        """Record a warning at an address."""
        self._report(Severity.WARNING, address, summary, hint, code)

    def error_at(self, place: Place, summary: str, *, hint: str = "") -> None:
        """Record an error at a place that is no object's, such as a second declaration."""
        self.findings.append(place.error(summary, hint=hint))

    def _report(self, severity: Severity, address: str, summary: str, hint: str, code: str) -> None:
        place = self.find(address)
        self.findings.append(
            Diagnostic(
                severity=severity,
                summary=summary,
                span=place.span if place else None,
                hint=hint,
                code=code,
                path=place.path if place else address,
            )
        )
