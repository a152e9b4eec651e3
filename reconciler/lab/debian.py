"""Files of Debian packages that are not installed here: downloaded and unpacked, never installed.

They come from the mirror that apt uses on this machine, of any suite, checked with Debian's own keys.

Source: apt-get(8), apt.conf(5) (Dir::*), sources.list(5) (signed-by).
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")  # package debian-archive-keyring
TIMEOUT = 60.0
"""Seconds for each call of apt."""


def unpack(packages: Sequence[str], suite: str, work: Path) -> Path | None:
    """Return a folder with the files of some packages; None when apt here uses no Debian mirror.

    Args:
        packages: their names.
        suite: such as ``trixie`` or ``bookworm-backports``.
        work: an empty folder for the download; the returned one is inside.

    Raises:
        OSError, subprocess.SubprocessError: apt or dpkg cannot be run, or one of them fails.
    """
    source = _source_line(suite)
    if source is None:
        return None
    (work / "sources.list").write_text(source + "\n", encoding="utf-8")
    (work / "status").touch()  # nothing is installed, so the suite alone decides
    (work / "lists" / "partial").mkdir(parents=True)
    (work / "cache" / "archives" / "partial").mkdir(parents=True)
    settings = {
        "Dir::Etc::sourcelist": work / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": work / "lists",
        "Dir::State::status": work / "status",
        "Dir::Cache": work / "cache",
        "APT::Sandbox::User": "root",
    }
    apt = ["apt-get", "-qq", *(f"-o{key}={value}" for key, value in settings.items())]
    _call([*apt, "update"], work)
    _call([*apt, "download", *packages], work)
    for package in sorted(work.glob("*.deb")):
        _call(["dpkg", "-x", str(package), "unpacked"], work)
    return work / "unpacked"


def _source_line(suite: str) -> str | None:
    """Return an apt source line for a suite on the Debian mirror that apt uses here."""
    wanted = "$(ORIGIN)|$(REPO_URI)|$(COMPONENT)"
    for line in _call(["apt-get", "indextargets", "--format", wanted], Path("/")).splitlines():
        origin, mirror, component = line.split("|")
        if origin == "Debian" and component == "main" and "security" not in mirror:
            return f"deb [signed-by={KEYRING}] {mirror} {suite} main"
    return None


def _call(command: list[str], folder: Path) -> str:
    done = subprocess.run(  # noqa: S603 - fixed programs, no shell
        command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT, check=True
    )
    return done.stdout
