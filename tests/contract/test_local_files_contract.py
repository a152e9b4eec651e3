"""What every LocalFiles keeps: run on the disk, in memory, and on the simulation's machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.adapters.local_files import DiskFiles
from reconciler.adapters.mounts import Mount
from reconciler.ports.local import LocalFiles
from tests.sim.machine import Machine
from tests.volume_samples import MemoryFiles


@pytest.fixture(params=["disk", "memory", "machine"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> LocalFiles:
    match request.param:
        case "disk":
            return DiskFiles(tmp_path / "state")
        case "machine":
            mount = Mount(mount_id=1, device="", point="/", fs_type="xfs", source="", read_only=False)
            return Machine(mount, "").files
    return MemoryFiles()


def test_what_is_written_is_read_back_and_replaced(files: LocalFiles) -> None:
    assert files.read("node") is None
    files.write("node", "häme\n")
    assert files.read("node") == "häme\n"
    files.write("node", "")
    assert files.read("node") == ""


def test_a_folder_lists_its_own_files_only_and_sorted(files: LocalFiles) -> None:
    assert files.names("volumes") == ()
    for name in ("volumes/b", "volumes/a", "staged/c", "node"):
        files.write(name, name)
    assert files.names("volumes") == ("volumes/a", "volumes/b")


def test_removing_twice_is_removing_once(files: LocalFiles) -> None:
    files.write("volumes/a", "x")
    files.remove("volumes/a")
    files.remove("volumes/a")
    files.remove("nowhere/a")
    assert files.read("volumes/a") is None
    assert files.names("volumes") == ()


def test_a_file_set_aside_keeps_its_content_and_leaves_its_name_free(files: LocalFiles) -> None:
    files.write("volumes/a", "older")
    files.set_aside("volumes/a")
    files.write("volumes/a", "damaged")
    assert files.set_aside("volumes/a") == "volumes/a.bad"
    assert files.set_aside("volumes/a") == "volumes/a.bad"
    assert files.read("volumes/a") is None
    assert files.read("volumes/a.bad") == "damaged"
    assert files.names("volumes") == ("volumes/a.bad",)
