"""The memory of a shared library as the loader would lay it out, from the bytes of its file. Loads nothing.

Reads 32 and 64 bit, little and big endian files of the machines in `_RELOCATIONS`. Trusts no number in the
file: every table must lie inside it, counts are bounded, and what cannot be known is an error, never a guess.

Source: System V gABI (ELF header, sections, symbols), and the psABI of each machine for its relocations;
names and numbers as in glibc's elf.h.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from reconciler.errors import NativeError

MAX_FILE = 64 * 1024 * 1024  #: bytes; the largest real one (glusterd.so) has 3 MB
_MAX_SEGMENTS = 64
_MAX_SECTIONS = 1000
_MAX_SYMBOLS = 200_000
_MAX_RELOCATIONS = 500_000

_ET_DYN = 3
_PT_LOAD = 1
_SHT_RELA, _SHT_REL, _SHT_DYNSYM = 4, 9, 11
_SHF_ALLOC = 2
_UNDEFINED = 0
_MIPS = 8

#: machine -> its name, relocation numbers: "base + addend", "symbol + addend" (pointer size)
_RELOCATIONS = {
    3: ("i386", 8, 1),  # R_386_RELATIVE, R_386_32
    _MIPS: ("mips", -1, 3),  # R_MIPS_REL32 is both: symbol 0 stands for the base
    21: ("ppc64", 22, 38),  # R_PPC64_RELATIVE, R_PPC64_ADDR64
    22: ("s390", 12, 22),  # R_390_RELATIVE, R_390_64
    40: ("arm", 23, 2),  # R_ARM_RELATIVE, R_ARM_ABS32
    62: ("x86-64", 8, 1),  # R_X86_64_RELATIVE, R_X86_64_64
    183: ("aarch64", 1027, 257),  # R_AARCH64_RELATIVE, R_AARCH64_ABS64
    243: ("riscv", 3, 2),  # R_RISCV_RELATIVE, R_RISCV_64
    258: ("loongarch", 3, 2),  # R_LARCH_RELATIVE, R_LARCH_64
}


@dataclass(frozen=True, slots=True)
class _Words:
    """How the structs of a file are packed; the strings are `struct` formats without byte order."""

    pointer: str
    header: str
    segment: str
    section: str
    symbol: str
    rela: str
    rel: str


_64 = _Words("Q", "HHIQQQIHHHHHH", "IIQQQQQQ", "IIQQQQIIQQ", "IBBHQQ", "QQq", "QQ")
_32 = _Words("I", "HHIIIIIHHHHHH", "IIIIIIII", "IIIIIIIIII", "IIIBBH", "IIi", "II")


@dataclass(frozen=True, slots=True)
class _Segment:
    address: int
    size: int
    offset: int
    file_size: int


@dataclass(frozen=True, slots=True)
class _Section:
    type: int
    flags: int
    offset: int
    size: int
    link: int


@dataclass(frozen=True, slots=True)
class Symbol:
    """A symbol that the library defines: where, and how many bytes (0 if it does not say)."""

    address: int
    size: int


class Image:
    """A library in memory, at base address 0.

    Args:
        data: the bytes of the file.

    Raises:
        NativeError: it is no shared library that can be read.
    """

    def __init__(self, data: bytes) -> None:
        if len(data) > MAX_FILE:
            raise NativeError(f"it is larger than {MAX_FILE} bytes")
        self._data = data
        if data[:4] != b"\x7fELF":
            raise NativeError("it is no ELF file")
        if len(data) < 20 or data[4] not in (1, 2) or data[5] not in (1, 2):
            raise NativeError("its ELF header is damaged")
        self._wide = data[4] == 2
        self._words = _64 if self._wide else _32
        self._order = "<" if data[5] == 1 else ">"
        header = self._unpack(self._words.header, 16)
        kind, machine = header[0], header[1]
        if kind != _ET_DYN:
            raise NativeError("it is no shared library")
        if machine not in _RELOCATIONS:
            raise NativeError(f"its machine (ELF number {machine}) is not known")
        self._machine = machine
        self._segments = self._read_segments(header[4], header[8], header[9])
        self._sections = self._read_sections(header[5], header[10], header[11])
        self._symbols = self._find_symbols()
        self._relocated = self._relocate()

    # ------------------------------------------------------------ what readers ask

    @property
    def machine(self) -> str:
        """Return the name of the machine it is made for."""
        return _RELOCATIONS[self._machine][0]

    @property
    def pointer_bytes(self) -> int:
        """Return the size of a pointer."""
        return 8 if self._wide else 4

    @property
    def double_align(self) -> int:
        """Return the alignment of a double inside a struct (i386 is the odd one)."""
        return 4 if self.machine == "i386" else 8

    def symbol(self, name: str) -> Symbol | None:
        """Return the symbol of this name if the library defines it."""
        wanted = name.encode() + b"\0"
        names = self._symbol_names()
        for index in range(self._symbol_count()):
            start, section, address, size = self._symbol_at(index)
            if section != _UNDEFINED and names.startswith(wanted, start) and start < len(names):
                return Symbol(address, size)
        return None

    def read(self, address: int, size: int) -> bytes:
        """Return bytes of memory as the file has them: pointers in them are not relocated.

        Raises:
            NativeError: they are not all inside one segment.
        """
        for segment in self._segments:
            if segment.address <= address and address + size <= segment.address + segment.size:
                start = address - segment.address
                found = self._data[segment.offset + start : segment.offset + segment.file_size][:size]
                return found if start < segment.file_size and len(found) == size else found.ljust(size, b"\0")
        raise NativeError(f"it points outside of its memory ({address:#x})")

    def numbers(self, form: str, address: int) -> tuple[int | float, ...]:
        """Return numbers at an address; `form` is a `struct` format without byte order."""
        size = struct.calcsize(self._order + form)
        return struct.unpack(self._order + form, self.read(address, size))

    def pointer(self, address: int) -> int:
        """Return the pointer at an address, relocated; 0 is NULL.

        Raises:
            NativeError: it points into another library, or in a way that is not known.
        """
        if address in self._relocated:
            target = self._relocated[address]
            if target is None:
                raise NativeError(f"a pointer ({address:#x}) leads into another library")
            return target
        return int(self.numbers(self._words.pointer, address)[0])

    def text(self, address: int, most: int) -> bytes:
        """Return the bytes up to a zero byte.

        Raises:
            NativeError: there is none within `most` bytes, or not inside the segment.
        """
        for segment in self._segments:
            start = address - segment.address
            if 0 <= start < segment.file_size:
                begin = segment.offset + start
                end = self._data.find(b"\0", begin, min(begin + most + 1, segment.offset + segment.file_size))
                if end < 0:
                    raise NativeError(f"a text ({address:#x}) has no end")
                return self._data[begin:end]
        raise NativeError(f"a text lies outside of the file ({address:#x})")

    # ------------------------------------------------------------ the file's tables

    def _unpack(self, form: str, offset: int) -> tuple[int, ...]:
        size = struct.calcsize(self._order + form)
        if offset < 0 or offset + size > len(self._data):
            raise NativeError("it is cut off: a table lies outside of the file")
        return struct.unpack_from(self._order + form, self._data, offset)

    def _table(self, form: str, offset: int, size: int) -> Iterator[tuple[int, ...]]:
        """Yield the entries of a table of `size` bytes."""
        if offset + size > len(self._data):
            raise NativeError("it is cut off: a table lies outside of the file")
        entry = struct.calcsize(self._order + form)
        return struct.iter_unpack(self._order + form, self._data[offset : offset + size // entry * entry])

    def _read_segments(self, offset: int, entry: int, count: int) -> tuple[_Segment, ...]:
        form = self._words.segment
        if count > _MAX_SEGMENTS or entry != struct.calcsize(self._order + form):
            raise NativeError("its program headers are damaged")
        found = []
        for kind, *rest in self._table(form, offset, count * entry):
            if kind != _PT_LOAD:
                continue
            if self._wide:
                _, file_offset, address, _, file_size, size, _ = rest
            else:
                file_offset, address, _, file_size, size, _, _ = rest
            if file_offset + file_size > len(self._data) or file_size > size:
                raise NativeError("it is cut off: a segment lies outside of the file")
            found.append(_Segment(address, size, file_offset, file_size))
        return tuple(found)

    def _read_sections(self, offset: int, entry: int, count: int) -> tuple[_Section, ...]:
        form = self._words.section
        if not count or count > _MAX_SECTIONS or entry != struct.calcsize(self._order + form):
            raise NativeError("its section headers are missing or damaged")
        found = []
        for _, kind, flags, _, start, size, link, *_ in self._table(form, offset, count * entry):
            found.append(_Section(kind, flags, start, size, link))
        return tuple(found)

    # ------------------------------------------------------------ symbols

    def _find_symbols(self) -> tuple[_Section, _Section]:
        """Return the table of dynamic symbols and that of their names."""
        table = next((section for section in self._sections if section.type == _SHT_DYNSYM), None)
        if table is None or table.link >= len(self._sections):
            raise NativeError("it has no dynamic symbols")
        names = self._sections[table.link]
        for section in (table, names):
            if section.offset + section.size > len(self._data):
                raise NativeError("it is cut off: a table lies outside of the file")
        return table, names

    def _symbol_names(self) -> bytes:
        names = self._symbols[1]
        return self._data[names.offset : names.offset + names.size]

    def _symbol_count(self) -> int:
        count = self._symbols[0].size // struct.calcsize(self._order + self._words.symbol)
        if count > _MAX_SYMBOLS:
            raise NativeError(f"it has more than {_MAX_SYMBOLS} symbols")
        return count

    def _symbol_at(self, index: int) -> tuple[int, int, int, int]:
        """Return name offset, section, address and size of a symbol."""
        form = self._words.symbol
        entry = struct.calcsize(self._order + form)
        if index >= self._symbol_count():
            raise NativeError(f"symbol {index} does not exist")
        found = self._unpack(form, self._symbols[0].offset + index * entry)
        if self._wide:
            name, _, _, section, address, size = found
        else:
            name, address, size, _, _, section = found
        return name, section, address, size

    # ------------------------------------------------------------ relocations

    def _relocate(self) -> dict[int, int | None]:
        """Return the pointers that the loader would write, by address; None where it cannot be known.

        Relocations without addend in their table (REL, RELR) find it in place, so one that only adds the
        base changes nothing here.
        """
        found: dict[int, int | None] = {}
        room = _MAX_RELOCATIONS
        for section in self._sections:
            if section.type not in (_SHT_RELA, _SHT_REL) or not section.flags & _SHF_ALLOC:
                continue
            form = self._words.rela if section.type == _SHT_RELA else self._words.rel
            room -= section.size // struct.calcsize(self._order + form)
            if room < 0:
                raise NativeError(f"it has more than {_MAX_RELOCATIONS} relocations")
            for place, info, *addend in self._table(form, section.offset, section.size):
                self._apply(found, place, info, addend)
        return found

    def _apply(self, found: dict[int, int | None], place: int, info: int, addend: list[int]) -> None:
        index, kind = self._split(info)
        _, relative, absolute = _RELOCATIONS[self._machine]
        if kind == relative or (self._machine == _MIPS and kind == absolute and not index):
            if addend:
                found[place] = self._wrapped(addend[0])
        elif kind == absolute:
            found[place] = self._symbol_pointer(index, place, addend)
        elif kind:
            found[place] = None

    def _split(self, info: int) -> tuple[int, int]:
        """Return symbol and type of a relocation."""
        if not self._wide:
            return info >> 8, info & 0xFF
        if self._machine != _MIPS:
            return info >> 32, info & 0xFFFFFFFF
        # MIPS has a word for the symbol and four bytes, the last of which is the (first) type.
        symbol, _, _, _, kind = struct.unpack(f"{self._order}IBBBB", struct.pack(f"{self._order}Q", info))
        return symbol, kind

    def _symbol_pointer(self, index: int, place: int, addend: list[int]) -> int | None:
        _, section, address, _ = self._symbol_at(index)
        if section == _UNDEFINED:
            return None
        try:
            offset = addend[0] if addend else int(self.numbers(self._words.pointer, place)[0])
        except NativeError:  # a place outside of memory: nobody will read it
            return None
        return self._wrapped(address + offset)

    def _wrapped(self, number: int) -> int:
        return number & ((1 << 8 * self.pointer_bytes) - 1)
