"""The checked-in cffi module is the one that its header makes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from reconciler.adapters import xlator_abi
from reconciler.catalogue.layout import LAYOUTS, place

ROOT = Path(__file__).resolve().parents[3]


def test_the_checked_in_module_is_what_the_header_makes(tmp_path: Path) -> None:
    fresh = tmp_path / "xlator_abi.py"
    command = [sys.executable, "native/build.py", str(fresh)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
    assert fresh.read_text() == Path(xlator_abi.__file__).read_text()


def test_the_two_readers_agree_on_every_offset() -> None:
    for layout in LAYOUTS:
        for kind, fields in (("option", layout.option), ("api", layout.api)):
            if fields:
                placed = place(fields, pointer_bytes=8, double_align=8)
                name = f"struct {kind}_{layout.name}"
                theirs = {f.name: xlator_abi.ffi.offsetof(name, f.name) for f in fields}
                assert theirs == placed.offsets, name
                assert xlator_abi.ffi.sizeof(name) == placed.size, name
