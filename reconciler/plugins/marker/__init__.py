"""Marker: every file and every directory above it carries the time of its last change, for geo-replication.

A crawl compares these times and passes over whole trees without change. Quota counts in the same xlator, by
options of its own.

Source: glusterfs 10.3 xlators/features/marker/src/marker.c (init, init_xtime_priv; the client of
geo-replication is told apart by its pid).
"""

from __future__ import annotations

from reconciler.feature import Feature
from reconciler.plugins.marker.spec import OPTIONS, SCHEMA, SWITCH, read
from reconciler.plugins.marker.volfile import VOLUME_MARK

FEATURE = Feature(
    name="marker", schema=SCHEMA, options=OPTIONS, read=read, switch=SWITCH, brick_slots=(VOLUME_MARK,)
)
