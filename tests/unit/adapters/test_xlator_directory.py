"""A folder of libraries: all that is good is read, all that is bad is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.adapters.xlator_directory import read_directory
from reconciler.errors import NativeError
from tests.elf_images import MACHINES, OPTION, image
from tests.xlator_sources import build, source


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return the folder of a version with an xlator, a transport and links to the xlator."""
    home = tmp_path / "lib" / "glusterfs" / "10.3"
    build(home / "xlator" / "features" / "frob.so", source("5"))
    rows = 'option_t options[] = {{.key = {"port"}, .type = 2}, {.key = {0}}};'
    text = source("5").split("\n", maxsplit=1)[0]
    build(home / "rpc-transport" / "wire.so", f"{text}\n{rows}")
    (home / "xlator" / "features" / "twiddle.so").symlink_to("frob.so")
    (home / "xlator" / "system").mkdir()
    (home / "xlator" / "system" / "tweak.so").symlink_to("../features/frob.so")
    return home


@pytest.mark.parametrize("below", ["", "xlator"])
def test_links_are_other_names_of_one_library(home: Path, below: str) -> None:
    found = read_directory(home / below)
    assert (found.errors, found.notes) == ({}, {})
    assert found.catalogue.version == "10.3"
    wire, frob = found.catalogue.libraries
    assert (wire.path, wire.identifier, wire.links, wire.types) == ("rpc-transport/wire", "", (), ())
    assert frob.path == "xlator/features/frob"
    assert frob.links == ("xlator/features/twiddle", "xlator/system/tweak")
    assert frob.types == ("features/frob", "features/twiddle", "system/tweak")
    assert [option.keys[0] for option in frob.options] == ["speed", "mode", "limit"]


def test_a_bad_library_is_an_error_of_its_own(home: Path) -> None:
    data = (home / "xlator" / "features" / "frob.so").read_bytes()
    folder = home / "xlator" / "bad"
    folder.mkdir()
    (folder / "cut.so").write_bytes(data[:2000])
    (folder / "gone.so").symlink_to("nowhere.so")
    (folder / "outside.so").symlink_to("/etc/hostname")
    build(folder / "newer.so", source("11"))
    build(
        folder / "crash.so",
        source("5", extra="__attribute__((constructor)) void c(void) { __builtin_trap(); }"),
    )
    found = read_directory(home)
    assert set(found.errors) == {
        f"xlator/bad/{name}" for name in ("cut", "gone", "outside", "newer", "crash")
    }
    assert "no library of this version" in found.errors["xlator/bad/outside"]
    assert "ended the process" in found.errors["xlator/bad/crash"]
    assert [library.path for library in found.catalogue.libraries] == [
        "rpc-transport/wire",
        "xlator/features/frob",
    ]


def test_a_library_whose_two_readings_differ_is_refused(home: Path) -> None:
    """Code that runs at load time can change the table: what the file says is then not what happens."""
    change = "__attribute__((constructor)) void c(void) { table[0].max = 65; }"
    build(home / "xlator" / "features" / "odd.so", source("5", extra=change))
    assert "different options" in read_directory(home).errors["xlator/features/odd"]


def test_a_library_of_another_machine_is_read_from_its_bytes(home: Path) -> None:
    s390x = next(machine for machine in MACHINES if machine.name == "s390x")
    (home / "xlator" / "features" / "far.so").write_bytes(image(s390x))
    found = read_directory(home)
    far = next(library for library in found.catalogue.libraries if library.path == "xlator/features/far")
    assert far.options == (OPTION,)
    assert "without loading it" in found.notes["xlator/features/far"]


def test_a_folder_without_libraries_or_of_an_unknown_version_is_an_error(tmp_path: Path) -> None:
    for name, words in (("10.3", "no libraries"), ("2.0", "not known")):
        (tmp_path / name).mkdir()
        with pytest.raises(NativeError, match=words):
            read_directory(tmp_path / name)
    with pytest.raises(NativeError, match="missing: there is no such folder"):
        read_directory(tmp_path / "missing")


def test_a_library_of_another_release_is_named_with_the_release_that_it_was_taken_for(home: Path) -> None:
    build(home / "xlator" / "features" / "new.so", source("11"))
    assert (
        read_directory(home)
        .errors["xlator/features/new"]
        .startswith("it cannot be read as a library of GlusterFS 10.3: ")
    )
