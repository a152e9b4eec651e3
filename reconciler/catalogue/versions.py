"""Which versions' catalogues come with this program. Imports nothing, for the command line's sake."""

from __future__ import annotations

VERSIONS = ("10.3", "11.1")
DEFAULT = "10.3"  #: the version that everything else here is tested against
INSTALLED = "installed"  #: what to call the libraries of this machine, instead of a version
