"""What bitrot needs of a brick's graph besides its options, which are for its daemons.

Source: glusterfs 10.3 xlators/mgmt/glusterd/src/glusterd-volgen.c: brick_graph_add_bitrot_stub,
brick_graph_add_changelog.
"""

from __future__ import annotations

from reconciler.plugins.bitrot.spec import SWITCH
from reconciler.volgen.slots import BrickSlot

VERSIONS = BrickSlot(
    xlator="features/bitrot-stub",
    key="bitrot",
    value=lambda site: site.settings.value(SWITCH) or "disable",
)

# The stub tells bitd through the changelog xlator which files to sign.
SIGNING_ASKED_FOR = BrickSlot(
    xlator="features/changelog",
    key="changelog-notification",
    value=lambda site: "on" if site.settings.is_on(SWITCH) else "off",
)
