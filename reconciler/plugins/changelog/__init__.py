"""Changelog: every brick writes down what happens to its files, for geo-replication and glusterfind.

A record is a file below the brick's ``.glusterfs/changelogs``. Nothing removes old ones. Every brick has the
xlator and its directories anyway, so all of the feature's graph part are its options.

Source: glusterfs 10.3 xlators/features/changelog/src/changelog.c (options), changelog-helpers.c (records).
"""

from __future__ import annotations

from reconciler.feature import Feature
from reconciler.plugins.changelog.spec import OPTIONS, SCHEMA, SWITCH, read, times_fit

FEATURE = Feature(
    name="changelog", schema=SCHEMA, options=OPTIONS, read=read, switch=SWITCH, rules=(times_fit,)
)
