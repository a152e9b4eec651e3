"""Shared libraries for machines that no compiler here makes: ELF files written byte by byte.

The table of one option in them says what `OPTION` says. Struct offsets are the product's own (a compiler
checks those in tests/unit/catalogue/test_layout.py); everything else of the file is written here from the
System V gABI and the psABIs.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from reconciler.catalogue.layout import Field, Placed, named, place
from reconciler.catalogue.option import LibraryOption, OptionType

OPTION = LibraryOption(
    keys=("speed", "velocity"), type=OptionType.INT, minimum=1.5, maximum=64, default="16", tags=("t",)
)
_FIRST = 0x10000  #: address of the first byte of the file in memory
_LAYOUT = named("5")


@dataclass(frozen=True, slots=True)
class Machine:
    """How a machine's libraries are made. `relative`, `absolute`: its relocation numbers."""

    name: str
    number: int
    bits: int
    order: str  #: ``<`` or ``>``
    rela: bool
    relative: int
    absolute: int
    double_align: int = 8

    @property
    def word(self) -> str:
        """Return the `struct` code of a pointer."""
        return "Q" if self.bits == 64 else "I"


MACHINES = (
    Machine("x86-64", 62, 64, "<", True, 8, 1),
    Machine("aarch64", 183, 64, "<", True, 1027, 257),
    Machine("aarch64_be", 183, 64, ">", True, 1027, 257),
    Machine("ppc64el", 21, 64, "<", True, 22, 38),
    Machine("ppc64", 21, 64, ">", True, 22, 38),
    Machine("s390x", 22, 64, ">", True, 12, 22),
    Machine("riscv64", 243, 64, "<", True, 3, 2),
    Machine("loongarch64", 258, 64, "<", True, 3, 2),
    Machine("mips64el", 8, 64, "<", False, 3, 3),
    Machine("mips64", 8, 64, ">", False, 3, 3),
    Machine("mipsel", 8, 32, "<", False, 3, 3),
    Machine("i386", 3, 32, "<", False, 8, 1, double_align=4),
    Machine("armhf", 40, 32, "<", False, 23, 2),
    Machine("armeb", 40, 32, ">", False, 23, 2),
)


class _Writer:
    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.data = bytearray(b"\0" * 512)  # room for the headers
        self.relocations: list[tuple[int, int, int]] = []  # place, symbol, addend

    def pack(self, form: str, *values: float) -> bytes:
        return struct.pack(self.machine.order + form, *values)

    def put(self, data: bytes) -> int:
        """Append data, aligned; return its offset in the file."""
        self.data += b"\0" * (-len(self.data) % 16)
        offset = len(self.data)
        self.data += data
        return offset

    def point(self, place_at: int, symbol: int, addend: int) -> None:
        """Make the pointer at an offset lead to symbol + addend (symbol 0: the base)."""
        self.relocations.append((_FIRST + place_at, symbol, addend))
        if not self.machine.rela:
            word = self.pack(self.machine.word, addend % (1 << self.machine.bits))
            self.data[place_at : place_at + len(word)] = word

    def relocation(self, where: int, symbol: int, addend: int) -> bytes:
        machine = self.machine
        kind = machine.absolute if symbol else machine.relative
        if machine.bits == 32:
            return self.pack("II", where, symbol << 8 | kind)
        if machine.number == 8:
            return self.pack("QIBBBB", where, symbol, 0, 0, 18, kind)  # with R_MIPS_64 as the second type
        entry = self.pack("QQ", where, symbol << 32 | kind)
        return entry + self.pack("q", addend) if machine.rela else entry


def image(machine: Machine, *, odd: tuple[int, int] | None = None) -> bytes:
    """Return a library of release 10.3 for a machine.

    `odd` is one more relocation of the first pointer (RELA, 64 bit): its symbol and type. Symbol 2 is
    defined elsewhere.
    """
    out = _Writer(machine)
    texts = {text: out.put(text.encode() + b"\0") for text in ("frob", "speed", "velocity", "16", "t")}
    table = _struct(
        out,
        _LAYOUT.option,
        {"type": 2, "min": 1.5, "max": 64.0},
        {("key", 0): "speed", ("key", 1): "velocity", ("default_value", 0): "16", ("tags", 0): "t"},
        texts,
    )
    api = _struct(out, _LAYOUT.api, {}, {("identifier", 0): "frob"}, texts)
    names = b"\0xlator_api\0elsewhere\0"
    # The option table is reached through a symbol, so that "symbol + addend" is used, too.
    out.point(api + _place(machine, _LAYOUT.api).offsets["options"], 1, table - api)
    symbols = [_symbol(out, 0, 0, 0), _symbol(out, 1, 1, _FIRST + api), _symbol(out, 12, 0, 0)]
    entries = [out.relocation(*relocation) for relocation in out.relocations]
    if odd is not None:
        place_at, (symbol, kind) = out.relocations[0][0], odd
        entries.append(out.pack("QQq", place_at, symbol << 32 | kind, 0))
    sections = [
        (0, 0, b"", 0),
        (11, 2, b"".join(symbols), 2),
        (3, 2, names, 0),
        (4 if machine.rela else 9, 2, b"".join(entries), 1),
    ]
    return _finish(out, sections)


def _place(machine: Machine, fields: tuple[Field, ...]) -> Placed:
    return place(fields, pointer_bytes=machine.bits // 8, double_align=machine.double_align)


def _struct(
    out: _Writer,
    fields: tuple[Field, ...],
    numbers: dict[str, int | float],
    pointers: dict[tuple[str, int], str],
    texts: dict[str, int],
) -> int:
    placed = _place(out.machine, fields)
    start = out.put(bytes(2 * placed.size))  # the second one ends a table
    codes = {"int": "i", "uint": "I", "double": "d"}
    kinds = {field.name: field.kind for field in fields}
    for name, number in numbers.items():
        at = start + placed.offsets[name]
        data = out.pack(codes[kinds[name]], number)
        out.data[at : at + len(data)] = data
    for (name, index), text in pointers.items():
        out.point(start + placed.offsets[name] + index * (out.machine.bits // 8), 0, _FIRST + texts[text])
    return start


def _symbol(out: _Writer, name: int, section: int, address: int) -> bytes:
    if out.machine.bits == 64:
        return out.pack("IBBHQQ", name, 0x11, 0, section, address, 0)
    return out.pack("IIIBBH", name, address, 0, 0x11, 0, section)


def _finish(out: _Writer, sections: list[tuple[int, int, bytes, int]]) -> bytes:
    machine, wide = out.machine, out.machine.bits == 64
    headers = b""
    for kind, flags, data, link in sections:
        offset = out.put(data)
        form = "IIQQQQIIQQ" if wide else "IIIIIIIIII"
        headers += out.pack(form, 0, kind, flags, _FIRST + offset, offset, len(data), link, 0, 8, 0)
    table = out.put(headers)
    size = len(out.data)
    segment_at = 64 if wide else 52
    if wide:
        segment = out.pack("IIQQQQQQ", 1, 6, 0, _FIRST, _FIRST, size, size + 64, 4096)
        rest = (3, machine.number, 1, 0, segment_at, table, 0, 64, 56, 1, 64, len(sections), 0)
        header = out.pack("HHIQQQIHHHHHH", *rest)
    else:
        segment = out.pack("IIIIIIII", 1, 0, _FIRST, _FIRST, size, size + 64, 6, 4096)
        rest = (3, machine.number, 1, 0, segment_at, table, 0, 52, 32, 1, 40, len(sections), 0)
        header = out.pack("HHIIIIIHHHHHH", *rest)
    identity = b"\x7fELF" + bytes([2 if wide else 1, 1 if machine.order == "<" else 2, 1]) + bytes(9)
    out.data[: 16 + len(header)] = identity + header
    out.data[segment_at : segment_at + len(segment)] = segment
    return bytes(out.data)
