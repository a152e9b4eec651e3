"""What the feature sets in bricks' graphs."""

from __future__ import annotations

from reconciler.volgen.slots import BrickSlot
from tests.outside.audit.spec import SWITCH

FLUSH_AT_ONCE = BrickSlot(
    xlator="features/changelog",
    key="fsync-interval",
    value=lambda site: "1" if site.settings.is_on(SWITCH) else None,
)
