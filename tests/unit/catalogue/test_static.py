"""Libraries of other machines, read from their bytes."""

from __future__ import annotations

import pytest

from reconciler.catalogue.layout import named
from reconciler.catalogue.static import read_static
from reconciler.errors import NativeError
from tests.elf_images import MACHINES, OPTION, Machine, image

TEN = named("5")
X86 = MACHINES[0]


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_a_library_of_any_machine_says_the_same(machine: Machine) -> None:
    library = read_static(image(machine), TEN, "xlator/frob")
    assert library.identifier == "frob"
    assert library.options == (OPTION,)


def test_a_pointer_into_another_library_is_an_error() -> None:
    with pytest.raises(NativeError, match="another library"):
        read_static(image(X86, odd=(2, X86.absolute)), TEN, "xlator/frob")


def test_a_relocation_of_an_unknown_kind_is_an_error_where_it_is_read() -> None:
    with pytest.raises(NativeError, match="another library"):
        read_static(image(X86, odd=(0, 37)), TEN, "xlator/frob")


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (4, 3, "damaged"),  # neither 32 nor 64 bit
        (5, 0, "damaged"),  # no byte order
        (16, 2, "no shared library"),  # a program
        (18, 99, "machine"),
        (40, 255, "outside of the file|damaged"),  # section headers somewhere else
        (56, 200, "damaged"),  # as many program headers
        (60, 0, "section headers"),
    ],
)
def test_a_damaged_header_is_an_error_that_says_so(place: int, value: int, words: str) -> None:
    data = bytearray(image(X86))
    data[place : place + 2] = bytes([value, data[place + 1] if place < 16 else 255 if place == 40 else 0])
    with pytest.raises(NativeError, match=words):
        read_static(bytes(data), TEN, "xlator/frob")


def test_a_file_that_is_too_large_is_not_looked_at() -> None:
    with pytest.raises(NativeError, match="larger than"):
        read_static(bytes(64 * 1024 * 1024 + 1), TEN, "xlator/frob")
