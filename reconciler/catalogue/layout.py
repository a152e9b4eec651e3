"""How the versions of GlusterFS lay out an option table in memory.

A table is an array of structs; the one whose first key is NULL ends it and is zero throughout. Fields were
appended until release 10 and reordered in 11, under a library name (libglusterfs.so.0) that never changed:
only the folder's name tells the version. Releases that are not listed here have layouts of their own (3.13
has a part of 4.0's fields) or are unknown to this program.

Source: glusterfs libglusterfs/src/options.h (from 5.0 on libglusterfs/src/glusterfs/options.h):
volume_option_t, and xlator.h there: xlator_api_t, at the tags v3.12.0 to v3.12.15, v4.0.0 to v4.0.2,
v4.1.0 to v4.1.10, v5.0, v6.0, v7.0, v8.0, v9.0, v10.0, v10.3, v11.0 and v11.1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from reconciler.errors import NativeError

KEYS = 4  #: ZR_VOLUME_MAX_NUM_KEY
VALUES = 64  #: ZR_OPTION_MAX_ARRAY_SIZE
RELEASES = 4  #: GF_MAX_RELEASES

_VERSION = re.compile(r"(\d{1,4})(?:\.(\d{1,4}))?(?:\.\d{1,4})*(?:[.-]?(?:alpha|beta|rc|dev)\d*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Field:
    """A member of a struct, an array if `count` is more than 1.

    `kind` is ``text`` (char *), ``table`` (a pointer to the first option), ``int``, ``uint`` or ``double``.
    """

    name: str
    kind: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Layout:
    """The structs of some releases. `api` is empty where libraries only have a symbol ``options``.

    `name` is the end of the C struct names in native/xlator_abi.h.
    """

    name: str
    releases: str
    option: tuple[Field, ...]
    api: tuple[Field, ...]


_KEY, _TYPE = Field("key", "text", KEYS), Field("type", "int")
_MIN, _MAX = Field("min", "double"), Field("max", "double")
_VALUE, _VALIDATE = Field("value", "text", VALUES), Field("validate", "int")
_TEXTS = (Field("default_value", "text"), Field("description", "text"))
_SINCE = (
    Field("op_version", "uint", RELEASES),
    Field("deprecated", "uint", RELEASES),
    Field("flags", "uint"),
    Field("tags", "text", VALUES),
    Field("setkey", "text"),
)
_LEVEL, _CATEGORY = Field("level", "int"), Field("category", "int")
_FIRST = (_KEY, _TYPE, _MIN, _MAX, _VALUE, *_TEXTS, _VALIDATE)
_API_VERSION = Field("op_version", "uint", RELEASES)
_API_NUMBERS = (Field("flags", "uint"), Field("xlator_id", "uint"))
_API_POINTERS = (Field("identifier", "text"), Field("options", "table"))
_API_4 = (_API_VERSION, *_API_NUMBERS, *_API_POINTERS)

LAYOUTS = (
    Layout("3_12", "3.12", _FIRST, ()),
    Layout("4_0", "4.0", (*_FIRST, *_SINCE), _API_4),
    Layout("4_1", "4.1", (*_FIRST, *_SINCE, _LEVEL), _API_4),
    Layout("5", "5 to 10", (*_FIRST, *_SINCE, _LEVEL, _CATEGORY), (*_API_4, _CATEGORY)),
    Layout(
        "11",
        "11 and later",
        (_KEY, _TYPE, _VALIDATE, _MIN, _MAX, _VALUE, *_TEXTS, *_SINCE, _LEVEL, _CATEGORY),
        (_API_VERSION, *_API_POINTERS, _CATEGORY),
    ),
)
_BY_NAME = {layout.name: layout for layout in LAYOUTS}


def layout_of(version: str, where: str) -> Layout:
    """Return the layout of a version such as ``10.3``.

    Args:
        version: name of the version's folder.
        where: that folder's path, for the message.

    Raises:
        NativeError: the version is not one whose layout is known.
    """
    found = _VERSION.fullmatch(version)
    name = _layout_name(int(found[1]), int(found[2] or 0)) if found else ""
    if not name:
        known = ", ".join(layout.releases for layout in LAYOUTS)
        raise NativeError(
            f"{where}: the option tables of GlusterFS {version!r} are not known",
            hint=f"known releases: {known}; the name of the folder tells the release",
        )
    return _BY_NAME[name]


def _layout_name(major: int, minor: int) -> str:
    if major < 5:
        return {(3, 12): "3_12", (4, 0): "4_0", (4, 1): "4_1"}.get((major, minor), "")
    return "5" if major <= 10 else "11"


def named(name: str) -> Layout:
    """Return the layout called `name`. Raises KeyError."""
    return _BY_NAME[name]


@dataclass(frozen=True, slots=True)
class Placed:
    """Where the members of a struct lie. `offsets` in bytes by name; `size` with the padding at the end."""

    offsets: dict[str, int]
    size: int


def place(fields: tuple[Field, ...], *, pointer_bytes: int, double_align: int) -> Placed:
    """Return where a C compiler puts the members of a struct (System V ABIs)."""
    size = {"text": pointer_bytes, "table": pointer_bytes, "int": 4, "uint": 4, "double": 8}
    align = {**size, "double": double_align}
    offsets, end, widest = {}, 0, 1
    for field in fields:
        widest = max(widest, align[field.kind])
        offsets[field.name] = _up(end, align[field.kind])
        end = offsets[field.name] + size[field.kind] * field.count
    return Placed(offsets, _up(end, widest))


def _up(offset: int, align: int) -> int:
    return -(-offset // align) * align
