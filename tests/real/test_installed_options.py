"""The option tables of the GlusterFS that is installed here, against a list made by other means."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from reconciler.adapters.xlator_options import read_loaded
from reconciler.catalogue.layout import layout_of
from reconciler.catalogue.option import Library
from reconciler.catalogue.static import read_static

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def home() -> Path:
    """Return the folder of the installed version."""
    command = ["glusterfs", "--print-xlatordir"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    return Path(done.stdout.strip()).parent


@pytest.fixture(scope="module")
def files(home: Path) -> dict[str, Path]:
    paths = [path for path in home.rglob("*.so") if path.parent.name != "cloudsync-plugins"]
    return {str(path.relative_to(home).with_suffix("")): path for path in paths if not path.is_symlink()}


def test_loading_every_library_and_reading_its_bytes_tell_the_same(
    home: Path, files: dict[str, Path]
) -> None:
    layout = layout_of(home.name, str(home))
    loaded = read_loaded(files, layout)
    assert len(files) >= 55
    for name, path in files.items():
        assert isinstance(loaded[name], Library), (name, loaded[name])
        assert loaded[name] == read_static(path.read_bytes(), layout, name), name
    assert sum(len(library.options) for library in loaded.values() if isinstance(library, Library)) > 500
