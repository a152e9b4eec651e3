"""An observation as a plan without steps: what `drift` shows. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from reconciler.diff.compare import unmanaged
from reconciler.model.configured import ConfiguredCluster
from reconciler.model.ids import Address, VolumeName
from reconciler.model.observed import ObservedCluster
from reconciler.plan import basis
from reconciler.plan.drift import find_drift
from reconciler.plan.planner import Stamp
from reconciler.plan.step import Plan

if TYPE_CHECKING:
    from reconciler.model.cluster import Desired


def findings_plan(
    configured: ConfiguredCluster,
    observed: ObservedCluster,
    ignore: Mapping[VolumeName, tuple[str, ...]],
    stamp: Stamp,
    desired: Desired | None,
) -> Plan:
    """Return what is live and not as configured; no step, no change."""
    return Plan(
        plan_id=stamp.plan_id,
        cluster_id=configured.cluster_id,
        cluster_name=configured.name,
        created=stamp.now,
        expires=stamp.now,
        tool_version=stamp.tool_version,
        desired_digest=configured.settings.desired_digest,
        source={},
        revision=configured.last_change,
        observed_at=observed.observed_at,
        observation="",
        unobserved=tuple(sorted(configured.peers.keys() - observed.answering)),
        read_set=(),
        changes=(),
        steps=(),
        volumes={},
        previous={},
        settings=configured.settings,
        drift=find_drift(configured, observed, ignore),
        unmanaged=tuple(Address(u.address) for u in unmanaged(desired.spec, configured)) if desired else (),
        checked=basis.checked(configured.peers.keys(), configured, observed),
    )
