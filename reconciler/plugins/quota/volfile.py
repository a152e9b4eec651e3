"""What quota needs of a brick's graph besides its options.

Source: glusterfs 10.3 xlators/mgmt/glusterd/src/glusterd-volgen.c: brick_graph_add_quota,
brick_graph_add_marker, brick_graph_add_posix; glusterd-quota.c: glusterd_op_quota (counts
quota-version when quota is switched on and leaves it when it is switched off).
"""

from __future__ import annotations

from reconciler.plugins.quota.spec import SWITCH
from reconciler.volgen.slots import BrickSlot

ENFORCED = BrickSlot(
    xlator="features/quota",
    key="server-quota",
    value=lambda site: site.settings.value(SWITCH) or "off",
)

# A number in the names of stored counts. glusterd counts it up whenever quota is switched on, so that old
# counts are not taken for new ones, and keeps it afterwards. A volume that says quota is off had it before:
# `volume set` does not take the option, so with glusterd only switching quota off stores that.
COUNTED_ONCE = BrickSlot(
    xlator="features/marker",
    key="quota-version",
    value=lambda site: "0" if site.settings.declared(SWITCH) is None else "1",
)

# A file with several names counts in every directory that holds one of them.
LINK_COUNTS = BrickSlot(
    xlator="storage/posix",
    key="update-link-count-parent",
    value=lambda site: "on" if site.settings.is_on(SWITCH) else None,
)
