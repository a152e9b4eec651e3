"""The key ``audit``: YAML -> options, and its rule."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.desired.collect import Fields
from reconciler.desired.scalars import duration_s
from reconciler.diagnostics import Diagnostic
from reconciler.model.cluster import VolumeSpec

SWITCH = "changelog.changelog"
OPTIONS = (SWITCH, "changelog.rollover-time")
SCHEMA = {
    "description": "Every change of a file is written down on its bricks.",
    "required": ["enabled"],
    "properties": {
        "enabled": {"description": "Whether changes are written down.", "type": "boolean"},
        "rollover": {"description": "How long one record goes on.", "$ref": "#/$defs/duration"},
    },
}


def read(section: Fields) -> dict[str, str]:
    options = {SWITCH: "on" if section.truth("enabled") else "off"}
    if section.text("rollover"):
        options["changelog.rollover-time"] = f"{duration_s(section.text('rollover')):g}"
    return options


def rollover_is_useful(_volume: VolumeSpec, section: Fields) -> Iterator[Diagnostic]:
    text = section.text("rollover", "15s")
    if duration_s(text) < 5:
        yield section.place("rollover").error(f"rollover must be at least 5s, found {text}")
