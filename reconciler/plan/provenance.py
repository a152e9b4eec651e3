"""What ties a plan to its sources: where its changes are declared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from reconciler.diagnostics import SourceSpan
from reconciler.model.ids import Address
from reconciler.plan.step import Plan


def traced(plan: Plan, spans: Mapping[Address, SourceSpan]) -> Plan:
    """Return the plan with the places of its changes."""
    changes = tuple(replace(change, span=spans.get(change.address)) for change in plan.changes)
    return replace(plan, changes=changes)
