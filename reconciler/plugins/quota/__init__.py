"""Quota: limits on the bytes and files of directories, counted and kept by the bricks.

Bricks count what is below every directory while quota is on. Whether a directory with a limit may grow they
ask quotad, which adds up what all bricks have counted; without it they refuse to write there. Limits
themselves are extended attributes of directories and cannot be set by this version.

Source: glusterfs 10.3 xlators/mgmt/glusterd/src/glusterd-quota.c (glusterd_quota_enable and _disable: what is
stored), xlators/features/quota/src/quota.c (options and their ranges).
"""

from __future__ import annotations

from reconciler.feature import Feature
from reconciler.plugins.quota.graphs import GRAPHS
from reconciler.plugins.quota.spec import OPTIONS, SCHEMA, SWITCH, implies, limits_wait, read, times_fit
from reconciler.plugins.quota.volfile import COUNTED_ONCE, ENFORCED, LINK_COUNTS
from reconciler.volgen.slots import MissingDaemon

FEATURE = Feature(
    name="quota",
    schema=SCHEMA,
    options=OPTIONS,
    read=read,
    implies=implies,
    switch=SWITCH,
    rules=(limits_wait, times_fit),
    brick_slots=(ENFORCED, COUNTED_ONCE, LINK_COUNTS),
    graphs=GRAPHS,
    missing_daemons=(
        MissingDaemon(
            daemon="quotad", switch=SWITCH, without="writes below a directory with a limit would fail"
        ),
    ),
)
