"""The key ``changelog`` of a volume: what it looks like, what it means, what it must not say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from reconciler.desired.feature_key import seconds, seconds_fit, switch

if TYPE_CHECKING:
    from reconciler.desired.collect import Fields
    from reconciler.diagnostics import Diagnostic
    from reconciler.model.cluster import VolumeSpec

SWITCH = "changelog.changelog"
_ENCODING = "changelog.encoding"
_DELETED = "changelog.capture-del-path"
_DAY_S = 24 * 3600
_TIMES = {
    "rollover": ("changelog.rollover-time", 1),
    "fsyncInterval": ("changelog.fsync-interval", 0),
    "barrierTimeout": ("changelog.changelog-barrier-timeout", 1),
}  #: key -> option, least seconds
OPTIONS = (SWITCH, _ENCODING, _DELETED, *(option for option, _ in _TIMES.values()))

SCHEMA = {
    "description": "Bricks write down every change, for geo-replication and glusterfind. Nothing removes old "
    "records.",
    "required": ["enabled"],
    "properties": {
        "enabled": {"description": "Whether changes are written down.", "type": "boolean"},
        "rollover": {
            "description": "How long one record goes on, 1s to 1d; 15s if nothing is said.",
            "$ref": "#/$defs/duration",
        },
        "fsyncInterval": {
            "description": "Pause between two writes of the record to disk, up to 1d; 5s if nothing is said, "
            "0s writes every change at once.",
            "$ref": "#/$defs/duration",
        },
        "barrierTimeout": {
            "description": "How long a snapshot may hold back changes, 1s to 1d; 2m if nothing is said.",
            "$ref": "#/$defs/duration",
        },
        "encoding": {
            "description": "How records are written; ascii if nothing is said.",
            "enum": ["binary", "ascii"],
        },
        "deletedPaths": {
            "description": "Whether the paths of deleted files are kept, for glusterfind (default false).",
            "type": "boolean",
        },
    },
}


def read(section: Fields) -> dict[str, str]:
    """Return the volume options that the key stands for."""
    options = {SWITCH: switch(section, "enabled")}
    for key, (option, _) in _TIMES.items():
        if section.text(key):
            options[option] = seconds(section, key)
    if section.text("encoding"):
        options[_ENCODING] = section.text("encoding")
    if section.text("deletedPaths"):
        options[_DELETED] = switch(section, "deletedPaths")
    return options


def times_fit(_volume: VolumeSpec, section: Fields) -> Iterator[Diagnostic]:
    """Find times that nobody can mean; the xlator itself has no limits."""
    for key, (_, lowest) in _TIMES.items():
        yield from seconds_fit(section, key, lowest, _DAY_S)
