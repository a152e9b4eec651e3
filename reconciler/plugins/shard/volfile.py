"""Where sharding stands in graphs: one xlator of the client's stack."""

from __future__ import annotations

from reconciler.plugins.shard.spec import SWITCH
from reconciler.volgen.slots import ClientSlot

CLIENT_SLOT = ClientSlot(xlator="features/shard", wanted=lambda settings: settings.is_on(SWITCH))
