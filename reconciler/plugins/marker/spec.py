"""The key ``marker`` of a volume: what it looks like and what it means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.desired.feature_key import switch

if TYPE_CHECKING:
    from reconciler.desired.collect import Fields

SWITCH = "geo-replication.indexing"
_REPLICATED = "geo-replication.ignore-pid-check"
OPTIONS = (SWITCH, _REPLICATED)

SCHEMA = {
    "description": "Bricks mark files and the directories above them with the time of the last change, for "
    "geo-replication.",
    "required": ["enabled"],
    "properties": {
        "enabled": {"description": "Whether changes are marked.", "type": "boolean"},
        "replicatedChanges": {
            "description": "Whether changes that geo-replication itself brings are marked too, so that this "
            "volume can be replicated further (default false).",
            "type": "boolean",
        },
    },
}


def read(section: Fields) -> dict[str, str]:
    """Return the volume options that the key stands for."""
    options = {SWITCH: switch(section, "enabled")}
    if section.text("replicatedChanges"):
        options[_REPLICATED] = switch(section, "replicatedChanges")
    return options
