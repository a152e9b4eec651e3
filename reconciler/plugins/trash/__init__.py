"""Trash: what users delete or truncate is kept in a directory of the volume.

The bricks do it, each for its own files. Nothing empties the directory: what is deleted inside it is gone.

Source: glusterfs 10.3 xlators/features/trash/src/trash.c (options, form of the excluded paths).
"""

from __future__ import annotations

from reconciler.feature import Feature
from reconciler.plugins.trash.spec import OPTIONS, SCHEMA, SWITCH, directory_is_free, read, size_is_something
from reconciler.plugins.trash.volfile import LINK_COUNTS

FEATURE = Feature(
    name="trash",
    schema=SCHEMA,
    options=OPTIONS,
    read=read,
    switch=SWITCH,
    rules=(directory_is_free, size_is_something),
    brick_slots=(LINK_COUNTS,),
)
