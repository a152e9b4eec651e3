"""``--catalogue`` -> what GlusterFS's libraries know of options."""

from __future__ import annotations

from pathlib import Path

from reconciler.catalogue.document import MAX_CATALOGUE, read_catalogue
from reconciler.catalogue.index import OptionIndex
from reconciler.catalogue.known import known_catalogue
from reconciler.catalogue.option import Catalogue
from reconciler.catalogue.versions import INSTALLED, VERSIONS
from reconciler.errors import NativeError, UsageError


def index_of(given: str) -> OptionIndex:
    """Return the options of a catalogue: a version that comes along, a file, or a folder of libraries.

    Raises:
        UsageError: there is no such file, folder or version.
        EnvironmentProblem: the installed libraries are asked for, and there are none.
        NativeError: the file is no catalogue, or a library of the folder cannot be read.
    """
    if given in VERSIONS:
        return OptionIndex(known_catalogue(given))
    path = Path(given)
    if given == INSTALLED or path.is_dir():
        return OptionIndex(_of_libraries(None if given == INSTALLED else path))
    if not path.is_file():
        raise UsageError(
            f"there is no catalogue {given!r}",
            hint="name a file that 'gluster-state options dump' wrote, a folder of GlusterFS's libraries, "
            f"{INSTALLED}, or one of {', '.join(VERSIONS)}",
        )
    with path.open("rb") as file:
        data = file.read(MAX_CATALOGUE + 1)
    return OptionIndex(read_catalogue(data.decode("utf-8", "replace"), given))


def _of_libraries(folder: Path | None) -> Catalogue:
    """Read the libraries of a folder, or of the GlusterFS on this machine; all of them or none."""
    from reconciler.adapters.xlator_directory import (  # noqa: PLC0415 - catalogues of text need no library
        installed_directory,
        read_directory,
    )

    found = read_directory(folder or installed_directory())
    if found.errors:
        library, why = min(found.errors.items())
        raise NativeError(
            f"{library}: {why}",
            hint="gluster-state options dump writes a catalogue of the libraries that can be read",
        )
    return found.catalogue
