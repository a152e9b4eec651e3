"""The catalogues that come with this program, so that options can be checked where no GlusterFS is installed.

Written by ``make catalogue``. Loaded when asked for: a declaration without options pays nothing.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

from reconciler.catalogue.document import read_catalogue
from reconciler.catalogue.option import Catalogue
from reconciler.catalogue.versions import VERSIONS
from reconciler.errors import UsageError


@cache
def known_catalogue(version: str) -> Catalogue:
    """Return the catalogue of a version.

    Raises:
        UsageError: none of that version comes with this program.
    """
    if version not in VERSIONS:
        raise UsageError(
            f"there is no catalogue of GlusterFS {version!r}",
            hint=f"known: {', '.join(VERSIONS)}; gluster-state options dump writes others",
        )
    name = f"{version}.json"
    text = resources.files("reconciler.catalogue").joinpath("data", name).read_text(encoding="utf-8")
    return read_catalogue(text, name)
