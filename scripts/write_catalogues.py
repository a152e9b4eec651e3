"""Write the catalogues that come with the program: 10.3 from the installed GlusterFS, 11.1 from its package.

Run: ``make catalogue``. The package (Debian 12 backports) is downloaded and unpacked, not installed.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from reconciler.adapters.xlator_directory import Dump, installed_directory, read_directory
from reconciler.catalogue.document import write_catalogue
from reconciler.catalogue.versions import VERSIONS
from reconciler.lab import debian

DATA = Path(__file__).resolve().parent.parent / "reconciler" / "catalogue" / "data"
SUITE = "bookworm-backports"
PACKAGES = ("glusterfs-common", "libglusterfs0", "libgfapi0", "libgfrpc0", "libgfxdr0")


def main() -> int:
    """Write both; return 1 if a library could not be read or a version is not the expected one."""
    dumps = [read_directory(installed_directory())]
    with tempfile.TemporaryDirectory(prefix="gluster-state-catalogue-") as name:
        unpacked = debian.unpack(PACKAGES, SUITE, Path(name))
        if unpacked is None:
            print("apt on this machine uses no Debian mirror", file=sys.stderr)
            return 1
        (folder,) = unpacked.glob("usr/lib/*/glusterfs/*/xlator")
        dumps.append(read_directory(folder))
    written = [_write(dump) for dump in dumps]  # all of them, also after one that was not
    return 0 if all(written) else 1


def _write(dump: Dump) -> bool:
    version = dump.catalogue.version
    for path, error in dump.errors.items():
        print(f"{version} {path}: {error}", file=sys.stderr)
    for path, note in dump.notes.items():
        print(f"{version} {path}: {note}")
    if dump.errors or version not in VERSIONS:
        print(f"{version}: not written", file=sys.stderr)
        return False
    target = DATA / f"{version}.json"
    text = write_catalogue(dump.catalogue)
    same = target.exists() and target.read_text(encoding="utf-8") == text
    target.write_text(text, encoding="utf-8")
    print(f"{version}: {len(dump.catalogue.libraries)} libraries, {'unchanged' if same else 'changed'}")
    return True


if __name__ == "__main__":
    sys.exit(main())
