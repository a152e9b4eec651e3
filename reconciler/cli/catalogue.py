"""``--catalogue`` -> what GlusterFS's libraries know of options."""

from __future__ import annotations

from pathlib import Path

from reconciler.catalogue.document import MAX_CATALOGUE, read_catalogue
from reconciler.catalogue.index import OptionIndex
from reconciler.catalogue.known import known_catalogue
from reconciler.catalogue.versions import VERSIONS
from reconciler.errors import UsageError


def index_of(given: str) -> OptionIndex:
    """Return the options of a catalogue: a version that comes along, or a file.

    Raises:
        UsageError: there is no such file or version.
        NativeError: the file is no catalogue.
    """
    if given in VERSIONS:
        return OptionIndex(known_catalogue(given))
    path = Path(given)
    if not path.is_file():
        raise UsageError(
            f"there is no catalogue {given!r}",
            hint=f"name a file that 'gluster-state options dump' wrote, or one of {', '.join(VERSIONS)}",
        )
    with path.open("rb") as file:
        data = file.read(MAX_CATALOGUE + 1)
    return OptionIndex(read_catalogue(data.decode("utf-8", "replace"), given))
