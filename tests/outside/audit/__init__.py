"""A feature in a folder of its own, outside the package: every change on a brick is written down.

Source: glusterfs 10.3 xlators/features/changelog/src/changelog.c (options).
"""

from __future__ import annotations

from reconciler.feature import Feature
from tests.outside.audit.spec import OPTIONS, SCHEMA, SWITCH, read, rollover_is_useful
from tests.outside.audit.volfile import FLUSH_AT_ONCE

FEATURE = Feature(
    name="audit",
    schema=SCHEMA,
    options=OPTIONS,
    read=read,
    switch=SWITCH,
    rules=(rollover_is_useful,),
    brick_slots=(FLUSH_AT_ONCE,),
)
