"""The option tables of the GlusterFS that is installed here."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.adapters.xlator_directory import Dump, installed_directory, read_directory
from reconciler.adapters.xlator_options import read_loaded
from reconciler.catalogue.document import read_catalogue, write_catalogue
from reconciler.catalogue.known import known_catalogue
from reconciler.catalogue.layout import layout_of
from reconciler.catalogue.option import Library
from reconciler.catalogue.static import read_static
from reconciler.errors import NativeError

pytestmark = pytest.mark.real

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def home() -> Path:
    """Return the folder of the installed version."""
    return installed_directory().parent


@pytest.fixture(scope="module")
def dumped(home: Path) -> Dump:
    return read_directory(home)


def test_loading_a_library_and_reading_its_bytes_tell_the_same(home: Path) -> None:
    paths = [path for path in home.rglob("*.so") if path.parent.name != "cloudsync-plugins"]
    files = {str(path.relative_to(home).with_suffix("")): path for path in paths if not path.is_symlink()}
    layout = layout_of(home.name, str(home))
    loaded = read_loaded(files, layout)
    assert len(files) >= 55
    for name, path in files.items():
        assert isinstance(loaded[name], Library), (name, loaded[name])
        assert loaded[name] == read_static(path.read_bytes(), layout, name), name


def test_the_catalogue_that_comes_with_the_program_is_what_is_installed(dumped: Dump) -> None:
    assert (dumped.errors, dumped.notes) == ({}, {})
    known = known_catalogue(dumped.catalogue.version)
    for ours, theirs in zip(known.libraries, dumped.catalogue.libraries, strict=True):
        assert ours == theirs
    assert known == dumped.catalogue


def test_dump_writes_the_catalogue_and_names_what_is_damaged(home: Path, tmp_path: Path) -> None:
    copy = tmp_path / "lib" / "glusterfs" / home.name
    shutil.copytree(home, copy, symlinks=True)
    damaged = copy / "xlator" / "cluster" / "afr.so"
    damaged.write_bytes(damaged.read_bytes()[:20_000])
    command = [sys.executable, "-m", "reconciler", "options", "dump", "--xlator-dir", str(copy / "xlator")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "Error: xlator/cluster/afr: " in done.stderr
    found = read_catalogue(done.stdout, "stdout")
    known = known_catalogue(home.name)
    assert found.libraries == tuple(lib for lib in known.libraries if lib.path != "xlator/cluster/afr")


def test_the_installed_libraries_under_the_name_of_another_version_give_errors(
    home: Path, tmp_path: Path, dumped: Dump
) -> None:
    copy = tmp_path / "lib" / "glusterfs" / "11.1"
    shutil.copytree(home, copy, symlinks=True)
    found = read_directory(copy)
    assert found.catalogue.libraries == ()
    assert set(found.errors) >= {library.path for library in dumped.catalogue.libraries}
    unknown = copy.rename(copy.with_name("2.1"))
    with pytest.raises(NativeError, match="not known"):
        read_directory(unknown)


def test_the_text_of_the_catalogue_is_the_checked_in_one_byte_for_byte(dumped: Dump) -> None:
    stored = ROOT / "reconciler" / "catalogue" / "data" / f"{dumped.catalogue.version}.json"
    assert write_catalogue(dumped.catalogue) == stored.read_text(encoding="utf-8")


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_real_library_with_any_bytes_changed_is_read_or_refused_in_bounded_time(
    data: st.DataObject,
) -> None:
    path = installed_directory() / "debug" / "io-stats.so"
    whole = bytearray(path.read_bytes())
    places = st.one_of(st.integers(0, 63), st.integers(0, len(whole) - 1))
    for place, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=60)):
        whole[place] = value
    cut = data.draw(st.one_of(st.just(len(whole)), st.integers(0, len(whole))))
    start = time.process_time()
    try:
        found = read_static(bytes(whole[:cut]), layout_of("10.3", "x"), "xlator/debug/io-stats")
    except NativeError:
        found = None
    assert found is None or isinstance(found, Library)
    assert time.process_time() - start < 2
