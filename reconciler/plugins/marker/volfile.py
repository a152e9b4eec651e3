"""What marking needs of a brick's graph besides its options."""

from __future__ import annotations

from reconciler.volgen.slots import BrickSlot

# Its time says since when changes are marked. glusterd's path, kept so that a taken-over brick sees no
# change; the file exists only with geo-replication. Without the option a brick that marks does not start.
VOLUME_MARK = BrickSlot(
    xlator="features/marker",
    key="timestamp-file",
    value=lambda site: f"/var/lib/glusterd/vols/{site.volume.name}/marker.tstamp",
)
