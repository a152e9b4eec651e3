"""Sharding: large files are kept as pieces, each a file of its own on the bricks.

For volumes that hold a few very large files, such as images of virtual machines: healing and rebalancing then
move pieces and not whole images. A client without the xlator would see only each file's first piece, so a
volume that has sharded files must go on being sharded.

Source: glusterfs 10.3 xlators/features/shard/src/shard.c (options and their ranges).
"""

from __future__ import annotations

from reconciler.feature import Feature
from reconciler.plugins.shard.spec import OPTIONS, SCHEMA, SWITCH, block_size_fits, read
from reconciler.plugins.shard.volfile import CLIENT_SLOT

FEATURE = Feature(
    name="shard",
    schema=SCHEMA,
    options=OPTIONS,
    read=read,
    switch=SWITCH,
    rules=(block_size_fits,),
    client_slots=(CLIENT_SLOT,),
)
