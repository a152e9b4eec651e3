"""What ties a plan to its sources: where its changes are declared, and the revision of what it read.

The revision is that of the records read, not the store's newest: observing writes to the store, so two plans
of the same input would differ in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from reconciler.diagnostics import SourceSpan
from reconciler.model.ids import Address
from reconciler.plan.step import Plan


def traced(plan: Plan, spans: Mapping[Address, SourceSpan]) -> Plan:
    """Return the plan with the places of its changes and the revision of what it read (0: nothing)."""
    return replace(
        plan,
        revision=max((key.mod_revision for key in plan.read_set), default=0),
        changes=tuple(replace(change, span=spans.get(change.address)) for change in plan.changes),
    )
