"""Write reconciler/adapters/xlator_abi.py from xlator_abi.h: cffi's out-of-line ABI mode, without a compiler.

Run: ``make native``. The result is checked in, so that an installation needs neither cffi's parser nor this
folder; tests/unit/adapters/test_xlator_abi.py says that the two agree.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cffi

HERE = Path(__file__).resolve().parent
TARGET = HERE.parent / "reconciler" / "adapters" / "xlator_abi.py"


def write(target: Path) -> None:
    """Write the module that cffi makes of the header."""
    builder = cffi.FFI()
    builder.cdef((HERE / "xlator_abi.h").read_text(encoding="utf-8"))
    builder.set_source("xlator_abi", None)
    builder.emit_python_code(str(target))


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET)
