"""The key ``trash`` of a volume: what it looks like, what it means, what it must not say."""

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

SWITCH = "features.trash"
_DIRECTORY = "features.trash-dir"
_EXCLUDE = "features.trash-eliminate-path"
_MAX_SIZE = "features.trash-max-filesize"
_INTERNAL = "features.trash-internal-op"
OPTIONS = (SWITCH, _DIRECTORY, _EXCLUDE, _MAX_SIZE, _INTERNAL)

SCHEMA = {
    "description": "Deleted and truncated files are kept in a directory of the volume, until they are "
    "deleted there. Nothing empties it.",
    "required": ["enabled"],
    "properties": {
        "enabled": {"description": "Whether they are kept.", "type": "boolean"},
        "directory": {
            "description": "Name of the directory in the volume's root; .trashcan if nothing is said.",
            "type": "string",
            "pattern": "^[A-Za-z0-9_.-]{1,64}$",
            "x-must": "be the name of a directory: 1 to 64 letters, digits, '_', '.' or '-'",
        },
        "maxFileSize": {
            "description": "Larger files are not kept; 5MiB if nothing is said.",
            "$ref": "#/$defs/size",
        },
        "exclude": {
            "description": "Directories of the volume in which nothing is kept.",
            "type": "array",
            "minItems": 1,
            "maxItems": 64,
            "items": {
                "type": "string",
                "pattern": "^/?[A-Za-z0-9_.-]{1,255}(/[A-Za-z0-9_.-]{1,255}){0,30}/?$",
                "x-must": "be a directory of the volume such as /projects/tmp, without blanks and commas",
            },
        },
        "internalOperations": {
            "description": "Whether files that healing and rebalancing remove are kept too (default false).",
            "type": "boolean",
        },
    },
}

_TAKEN = frozenset({".", "..", ".glusterfs", ".shard"})  #: directories of GlusterFS' own


def read(section: Fields) -> dict[str, str]:
    """Return the volume options that the key stands for."""
    options = {SWITCH: switch(section, "enabled")}
    if section.text("directory"):
        options[_DIRECTORY] = section.text("directory")
    if section.text("maxFileSize"):
        options[_MAX_SIZE] = size_text(size_bytes(section.text("maxFileSize")))
    excluded = sorted({f"/{text.strip('/')}" for text, _ in section.texts("exclude")})
    if excluded:
        options[_EXCLUDE] = ",".join(excluded)
    if section.text("internalOperations"):
        options[_INTERNAL] = switch(section, "internalOperations")
    return options


def directory_is_free(_volume: VolumeSpec, section: Fields) -> Iterator[Diagnostic]:
    """Find a trash directory that GlusterFS uses for something else."""
    name = section.text("directory")
    if name in _TAKEN:
        yield section.place("directory").error(f"directory cannot be {name}: GlusterFS uses it itself")


def size_is_something(_volume: VolumeSpec, section: Fields) -> Iterator[Diagnostic]:
    """Find a limit under which nothing would be kept."""
    text = section.text("maxFileSize")
    if text and not size_bytes(text):
        hint = "to keep nothing write enabled: false"
        yield section.place("maxFileSize").error(f"maxFileSize must be more than 0, found {text}", hint=hint)
