"""Which layout a version has, and where a compiler puts its members."""

from __future__ import annotations

import subprocess

import pytest

from reconciler.catalogue.layout import LAYOUTS, Field, Layout, layout_of, place
from reconciler.errors import NativeError
from tests.xlator_sources import API, OPTION

NAMES = {"def": "default_value", "text": "description", "name": "identifier", "id": "xlator_id"}


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ("3.12", "3_12"),
        ("3.12.15", "3_12"),
        ("4.0.2", "4_0"),
        ("4.1.10", "4_1"),
        ("5.0", "5"),
        ("9.2", "5"),
        ("10.3", "5"),
        ("10.0rc0", "5"),
        ("11.0", "11"),
        ("11.1", "11"),
        ("12.0", "11"),
    ],
)
def test_the_folder_tells_the_layout(version: str, name: str) -> None:
    assert layout_of(version, "/x").name == name


@pytest.mark.parametrize(
    "version", ["3.11", "3.13.2", "4.2", "0.9", "xlator", "", "10.3/..", "\u0661\u0660.3", "5x"]
)
def test_an_unknown_version_is_an_error_with_the_path_and_what_is_known(version: str) -> None:
    with pytest.raises(NativeError, match=r"^/usr/lib/there: ") as caught:
        layout_of(version, "/usr/lib/there")
    assert repr(version) in caught.value.message
    assert "3.12, 4.0, 4.1, 5 to 10, 11 and later" in caught.value.hint


def _asserts(layout: Layout, fields: tuple[Field, ...], members: str, sizes: tuple[int, int]) -> str:
    """Return C that compiles only if `place` is right about a struct."""
    pointer_bytes, double_align = sizes
    placed = place(fields, pointer_bytes=pointer_bytes, double_align=double_align)
    ours = {NAMES.get(name, name): name for name in ("def", "text", "name", "id")}
    checks = "".join(
        f'_Static_assert(__builtin_offsetof(struct s, {ours.get(name, name)}) == {offset}, "{name}");\n'
        for name, offset in placed.offsets.items()
    )
    size = f'_Static_assert(sizeof(struct s) == {placed.size}, "size");\n' if fields is layout.option else ""
    return f"typedef struct o option_t;\nstruct s {{ {members} }};\n{checks}{size}"


@pytest.mark.parametrize(
    ("sizes", "flags"),
    [((8, 8), ["-m64"]), ((4, 4), ["-m32"]), ((4, 8), ["-m32", "-malign-double"])],
    ids=["64 bit", "i386", "other 32 bit"],
)
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_members_lie_where_the_compiler_puts_them(
    layout: Layout, sizes: tuple[int, int], flags: list[str]
) -> None:
    texts = [_asserts(layout, layout.option, OPTION[layout.name], sizes)]
    if layout.api:
        texts.append(_asserts(layout, layout.api, API[layout.name], sizes))
    for text in texts:
        command = ["gcc", "-fsyntax-only", "-x", "c", *flags, "-"]
        done = subprocess.run(command, input=text.encode(), capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr.decode()
