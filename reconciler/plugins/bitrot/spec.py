"""The key ``bitrot`` of a volume: what it looks like, what it means, what it must not say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from reconciler.desired.feature_key import seconds, seconds_fit, switch

if TYPE_CHECKING:
    from reconciler.desired.collect import Fields
    from reconciler.diagnostics import Diagnostic
    from reconciler.model.cluster import VolumeSpec

SWITCH = "features.bitrot"
STATE = "features.scrub"
FREQUENCY = "features.scrub-freq"
THROTTLE = "features.scrub-throttle"
WAIT = "features.expiry-time"
THREADS = "features.signer-threads"
OPTIONS = (SWITCH, STATE, FREQUENCY, THROTTLE, WAIT, THREADS)

SCHEMA = {
    "description": "Damaged files are found. volfile knows it; plan refuses enabled: true, as this version "
    "does not run the daemons bitd and scrubber.",
    "required": ["enabled"],
    "properties": {
        "enabled": {"description": "Whether files are signed and checked.", "type": "boolean"},
        "scrub": {
            "description": "How signed files are checked.",
            "type": "object",
            "properties": {
                "frequency": {
                    "description": "How often all of them; biweekly if nothing is said.",
                    "enum": ["hourly", "daily", "weekly", "biweekly", "monthly"],
                },
                "throttle": {
                    "description": "How much of the disks it may take; lazy if nothing is said.",
                    "enum": ["lazy", "normal", "aggressive"],
                },
                "state": {
                    "description": "Whether it runs; active if nothing is said. Signing goes on.",
                    "enum": ["active", "paused"],
                },
            },
        },
        "signingTime": {
            "description": "How long after its last write a file is signed, 1s to 7d; 2m if nothing is said.",
            "$ref": "#/$defs/duration",
        },
        "signerThreads": {
            "description": "Threads that sign, on every node; 4 if nothing is said.",
            "type": "integer",
            "minimum": 1,
            "maximum": 1024,
        },
    },
}

_WORDS = {"active": "Active", "paused": "pause"}  #: states as glusterd stores them
_LONGEST_S = 7 * 24 * 3600


def read(section: Fields) -> dict[str, str]:
    """Return the volume options that the key says."""
    scrub, options = section.section("scrub"), {SWITCH: switch(section, "enabled")}
    if scrub and scrub.text("state") and section.truth("enabled"):
        options[STATE] = _WORDS[scrub.text("state")]
    if scrub and scrub.text("frequency"):
        options[FREQUENCY] = scrub.text("frequency")
    if scrub and scrub.text("throttle"):
        options[THROTTLE] = scrub.text("throttle")
    if section.text("signingTime"):
        options[WAIT] = seconds(section, "signingTime")
    if section.text("signerThreads"):
        options[THREADS] = str(section.number("signerThreads", 0))
    return options


def implies(section: Fields) -> dict[str, str]:
    """Return what glusterd stores besides when it switches bitrot on or off."""
    return {STATE: "Active" if section.truth("enabled") else "Inactive"}


def signing_fits(_volume: VolumeSpec, section: Fields) -> Iterator[Diagnostic]:
    """Find a signing time that bitd would not take."""
    yield from seconds_fit(section, "signingTime", 1, _LONGEST_S)
