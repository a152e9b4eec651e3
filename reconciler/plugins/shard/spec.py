"""The key ``shard`` of a volume: what it looks like, what it means, what it must not say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from reconciler.desired.feature_key import switch
from reconciler.desired.scalars import size_bytes
from reconciler.volgen.settings import size_text

if TYPE_CHECKING:
    from reconciler.desired.collect import Fields
    from reconciler.diagnostics import Diagnostic
    from reconciler.model.cluster import VolumeSpec

SWITCH = "features.shard"
BLOCK_SIZE = "features.shard-block-size"
OPTIONS = (SWITCH, BLOCK_SIZE)

SCHEMA = {
    "description": "Large files are kept as pieces, so that healing moves pieces and not whole files. "
    "Only new files are cut; enabled: false on a volume with cut files makes them unreadable.",
    "required": ["enabled"],
    "properties": {
        "enabled": {"description": "Whether clients cut files.", "type": "boolean"},
        "blockSize": {
            "description": "Size of the pieces, 4MiB to 4TiB; GlusterFS takes 64MiB if nothing is said. A "
            "change counts for new files.",
            "$ref": "#/$defs/size",
        },
    },
}

_MIB = 1 << 20
_SMALLEST, _LARGEST = 4 * _MIB, 4 << 40


def read(section: Fields) -> dict[str, str]:
    """Return the volume options that the key stands for."""
    options = {SWITCH: switch(section, "enabled")}
    size = section.text("blockSize")
    if size:
        options[BLOCK_SIZE] = size_text(size_bytes(size))
    return options


def block_size_fits(_volume: VolumeSpec, section: Fields) -> Iterator[Diagnostic]:
    """Find a block size that the xlator would not take, or that is not the one the writer means."""
    text = section.text("blockSize")
    if not text:
        return
    size, place = size_bytes(text), section.place("blockSize")
    if size % _MIB:
        hint = f"did you mean {text.removesuffix('B')}iB?" if text[-2:] in ("MB", "GB", "TB") else ""
        yield place.error(f"blockSize must be a whole number of MiB, found {text}", hint=hint)
    elif not _SMALLEST <= size <= _LARGEST:
        yield place.error(f"blockSize must be from 4MiB to 4TiB, found {text}")
