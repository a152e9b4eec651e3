"""What trash needs of a brick's graph besides its own xlator, which every brick has."""

from __future__ import annotations

from reconciler.plugins.trash.spec import SWITCH
from reconciler.volgen.slots import BrickSlot

# A file with several names is kept only when its last one goes, so posix must tell how many there are.
LINK_COUNTS = BrickSlot(
    xlator="storage/posix",
    key="update-link-count-parent",
    value=lambda site: "on" if site.settings.is_on(SWITCH) else None,
)
