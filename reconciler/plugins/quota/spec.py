"""The key ``quota`` of a volume: what it looks like, what it means, what it must not say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from reconciler.desired.feature_key import seconds, seconds_fit, switch

if TYPE_CHECKING:
    from reconciler.desired.collect import Fields
    from reconciler.diagnostics import Diagnostic
    from reconciler.model.cluster import VolumeSpec

SWITCH = "features.quota"
_FILES = "features.inode-quota"
_IN_DF = "features.quota-deem-statfs"
_SOFT = "features.default-soft-limit"
_TIMES = {
    "softTimeout": ("features.soft-timeout", 1800),
    "hardTimeout": ("features.hard-timeout", 60),
    "alertTime": ("features.alert-time", 604800),
}  #: key -> option, most seconds
OPTIONS = (SWITCH, _FILES, _IN_DF, _SOFT, *(option for option, _ in _TIMES.values()))

_PERCENT = {"type": "integer", "minimum": 1, "maximum": 100}
SCHEMA = {
    "description": "Limits on what directories hold. volfile knows it; plan refuses enabled: true, as this "
    "version does not run the daemon quotad.",
    "required": ["enabled"],
    "properties": {
        "enabled": {"description": "Whether bricks count and keep limits.", "type": "boolean"},
        "softPercent": {
            "description": "Percentage of a limit from which on warnings are logged, for limits that say "
            "nothing themselves; 80 if nothing is said.",
            **_PERCENT,
        },
        "limitsInDf": {
            "description": "Whether df of a directory with a limit shows that as its size (default true).",
            "type": "boolean",
        },
        "softTimeout": {
            "description": "How long a size below the soft limit may be out of date, up to 30m; 1m if "
            "nothing is said.",
            "$ref": "#/$defs/duration",
        },
        "hardTimeout": {
            "description": "How long a size above the soft limit may be out of date, up to 1m; 5s if nothing "
            "is said.",
            "$ref": "#/$defs/duration",
        },
        "alertTime": {
            "description": "Pause between two warnings about one directory, up to 7d; 1d if nothing is said.",
            "$ref": "#/$defs/duration",
        },
        "limits": {
            "description": "Limits of directories. Not supported by this version.",
            "type": "array",
            "items": {
                "type": "object",
                "required": ["path"],
                "properties": {
                    "path": {
                        "description": "Directory, seen from the volume's root.",
                        "$ref": "#/$defs/line",
                    },
                    "hard": {"description": "Most bytes.", "$ref": "#/$defs/size"},
                    "softPercent": {
                        "description": "Percentage of hard from which on warnings are logged.",
                        **_PERCENT,
                    },
                    "objects": {
                        "description": "Most files and directories.",
                        "type": "integer",
                        "minimum": 1,
                    },
                },
            },
        },
    },
}


def read(section: Fields) -> dict[str, str]:
    """Return the volume options that the key says."""
    options = {SWITCH: switch(section, "enabled")}
    if not section.truth("enabled"):
        options[_FILES] = "off"  # they are counted together or not at all
    if section.text("limitsInDf"):
        options[_IN_DF] = switch(section, "limitsInDf")
    if section.text("softPercent"):
        options[_SOFT] = f"{section.number('softPercent', 0)}%"
    for key, (option, _) in _TIMES.items():
        if section.text(key):
            options[option] = seconds(section, key)
    return options


def implies(section: Fields) -> dict[str, str]:
    """Return what glusterd stores besides when it switches quota on or off."""
    word = switch(section, "enabled")
    return {_FILES: word, _IN_DF: word}


def limits_wait(_volume: VolumeSpec, section: Fields) -> Iterator[Diagnostic]:
    """Find limits, which would have to be ignored. What is switched off is harmless."""
    if section.truth("enabled") and section.items("limits"):
        place, hint = section.place("limits"), "remove limits, or write enabled: false"
        yield place.error("quota.limits is not supported by this version", hint=hint)


def times_fit(_volume: VolumeSpec, section: Fields) -> Iterator[Diagnostic]:
    """Find times that the xlator would not take."""
    for key, (_, highest) in _TIMES.items():
        yield from seconds_fit(section, key, 0, highest)
