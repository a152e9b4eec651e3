"""An option table out of the bytes of a library, without loading it: any machine, and nothing can crash."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reconciler.catalogue.elf import Image
from reconciler.catalogue.layout import Field, Layout, Placed, place
from reconciler.catalogue.option import Library
from reconciler.catalogue.table import MAX_TEXT, RawApi, RawOption, TextBudget, check_end, library_of
from reconciler.errors import NativeError

_NUMBERS = {"int": "i", "uint": "I", "double": "d"}


def read_static(data: bytes, layout: Layout, path: str) -> Library:
    """Return the options of a library.

    Args:
        data: the bytes of its file.
        layout: how its version lays out a table.
        path: what to call it, see `Library.path`.

    Raises:
        NativeError: it is no library of this layout, or it is damaged.
    """
    return _Reader(Image(data), layout).library(path)


class _Reader:
    def __init__(self, image: Image, layout: Layout) -> None:
        self._image = image
        self._layout = layout
        self._option = self._place(layout.option)
        self._texts = TextBudget()

    def library(self, path: str) -> Library:
        symbol = self._image.symbol("xlator_api")
        if symbol is not None:
            if not self._layout.api:
                raise NativeError("it is of a later version than its folder says")
            api = self._struct(self._layout.api, self._place(self._layout.api), symbol.address)
            raw = RawApi(
                identifier=api["identifier"], op_version=api["op_version"], category=api.get("category", 0)
            )
            return library_of(path, raw, self._table(api["options"], None))
        symbol = self._image.symbol("options")
        if symbol is None:
            raise NativeError("it has no option table of this version")
        return library_of(path, None, self._table(symbol.address, symbol.size))

    def _place(self, fields: tuple[Field, ...]) -> Placed:
        return place(fields, pointer_bytes=self._image.pointer_bytes, double_align=self._image.double_align)

    def _table(self, start: int, size: int | None) -> Iterator[RawOption]:
        """Yield the structs up to the one that ends the table.

        `start` is 0 for a library without options; `size` of the whole table in bytes, if that is known.
        """
        address = start
        while address and self._image.pointer(address):
            yield RawOption(**self._struct(self._layout.option, self._option, address))
            address += self._option.size
        if address:
            check_end(self._image.read(address, self._option.size))
            if size and address + self._option.size != start + size:
                raise NativeError("its table goes on after its end: it is of another version")

    def _struct(self, fields: tuple[Field, ...], placed: Placed, address: int) -> dict[str, Any]:
        return {field.name: self._member(field, address + placed.offsets[field.name]) for field in fields}

    def _member(self, field: Field, address: int) -> Any:
        if field.kind == "table":
            return self._image.pointer(address)
        if field.kind == "text":
            size = self._image.pointer_bytes
            found: tuple[Any, ...] = tuple(self._text(address + size * index) for index in range(field.count))
        else:
            found = self._image.numbers(_NUMBERS[field.kind] * field.count, address)
        return found if field.count > 1 else found[0]

    def _text(self, address: int) -> str | None:
        pointer = self._image.pointer(address)
        return self._texts.decode(self._image.text(pointer, MAX_TEXT)) if pointer else None
