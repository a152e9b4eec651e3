"""The catalogues that come with this program, so that options can be checked where no GlusterFS is installed.

Written by ``make catalogue``. Read when asked for, and so is the code that reads them: a declaration without
``XLATOR.OPTION`` names pays for neither.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from reconciler.catalogue.versions import DEFAULT, VERSIONS
from reconciler.errors import UsageError

if TYPE_CHECKING:
    from reconciler.catalogue.index import OptionIndex
    from reconciler.catalogue.option import Catalogue


@cache
def known_catalogue(version: str) -> Catalogue:
    """Return the catalogue of a version.

    Raises:
        UsageError: none of that version comes with this program.
    """
    from importlib import resources  # noqa: PLC0415 - see above

    from reconciler.catalogue.document import read_catalogue  # noqa: PLC0415 - see above

    if version not in VERSIONS:
        raise UsageError(
            f"there is no catalogue of GlusterFS {version!r}",
            hint=f"known: {', '.join(VERSIONS)}; gluster-state options dump writes others",
        )
    name = f"{version}.json"
    text = resources.files("reconciler.catalogue").joinpath("data", name).read_text(encoding="utf-8")
    return read_catalogue(text, name)


@cache
def known_options() -> OptionIndex:
    """Return the options of the default version."""
    from reconciler.catalogue.index import OptionIndex  # noqa: PLC0415 - see above

    return OptionIndex(known_catalogue(DEFAULT))
