"""Installed libraries, damaged where it hurts: what cannot be read is named, the rest is read."""

from __future__ import annotations

import os
import random
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler.adapters.xlator_directory import installed_directory, read_directory
from reconciler.catalogue.known import known_catalogue

pytestmark = pytest.mark.real

COUNT = int(os.environ.get("GLUSTER_STATE_DAMAGED", "120"))
LONGEST_S = 0.5 * COUNT + 30  #: one child costs about 0.1 s, and a damaged library often ends its child
#: what is damaged: types of sections of an ELF file (System V gABI); option tables are in the data
PLACES = {"dynamic": {6}, "symbols": {3, 11}, "relocations": {4}, "tables": {1}}
BYTES = (0, 1, 0x7F, 0x80, 0xFF)


def sections(data: bytes, types: set[int]) -> list[tuple[int, int]]:
    """Return offsets and sizes of the sections of these types of a 64-bit little-endian file."""
    table, count = struct.unpack_from("<Q", data, 40)[0], struct.unpack_from("<H", data, 60)[0]
    entries = (struct.unpack_from("<IIQQQQ", data, table + 64 * number) for number in range(count))
    found = [(offset, size) for _, kind, _, _, offset, size in entries if kind in types and size]
    return found[-3:] if types == {1} else found  # program code comes first


def damages(whole: bytes, choose: random.Random) -> Iterator[Callable[[], bytes]]:
    """Yield every kind of damage as what returns the damaged file."""

    def flipped(spans: list[tuple[int, int]]) -> bytes:
        data = bytearray(whole)
        for _ in range(choose.choice((1, 3, 30))):
            offset, size = choose.choice(spans)
            data[offset + choose.randrange(size)] = choose.choice((*BYTES, choose.randrange(256)))
        return bytes(data)

    yield lambda: whole[: choose.randrange(len(whole))]
    yield lambda: flipped([(0, 64 + 56 * 10)])  # the file's header and those of its segments
    yield lambda: flipped([(0, len(whole))])
    for types in PLACES.values():
        yield lambda types=types: flipped(sections(whole, types))


def processes_on(folder: Path) -> list[str]:
    """Return the command lines of processes that name something below a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(folder) in words:
            found.append(words)
    return found


def test_damaged_libraries_are_named_and_the_others_are_read(tmp_path: Path) -> None:
    installed = installed_directory().parent
    home = tmp_path / "lib" / "glusterfs" / installed.name
    known = {library.path: library for library in known_catalogue(installed.name).libraries}
    sound = ("xlator/cluster/dht", "xlator/protocol/server", "xlator/storage/posix")
    for name in sound:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).with_suffix(".so").write_bytes((installed / name).with_suffix(".so").read_bytes())
    choose = random.Random(os.environ.get("GLUSTER_STATE_DAMAGED_SEED", "damage"))
    folder = home / "xlator" / "damaged"  # its name sorts between those of the sound ones
    folder.mkdir()
    wholes = [(installed / name).with_suffix(".so").read_bytes() for name in known]
    made = 0
    while made < COUNT:
        for damaged in damages(choose.choice(wholes), choose):
            (folder / f"{made}.so").write_bytes(damaged())
            made += 1

    start = time.monotonic()
    found = read_directory(home)
    assert time.monotonic() - start < LONGEST_S
    assert processes_on(tmp_path) == []
    read = {library.path: library for library in found.catalogue.libraries}
    for name in sound:
        assert read[name].options == known[name].options
    assert read.keys() | found.errors.keys() == {*sound, *(f"xlator/damaged/{n}" for n in range(made))}
    assert len(found.errors) > made / 4
    assert all(text for text in found.errors.values())
