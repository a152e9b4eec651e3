"""Which options bring which xlators into the graphs of a volume: read off the tables of layers."""

from __future__ import annotations

from reconciler.volgen import brick, client
from reconciler.volgen.layer import switches

#: what a table's line does not say of its xlator
_NOT_OF_TABLES = {
    # A feature fills the place, and decides whether it does by the option.
    "features/shard": ("features.shard",),
    # One above distribution or one on each subvolume: either option alone brings some.
    "performance/readdir-ahead": ("performance.parallel-readdir", "performance.readdir-ahead"),
}
#: xlators that a graph has only with one of these options on
SWITCHES = switches((*brick.LAYERS, *client.LAYERS)) | _NOT_OF_TABLES
