"""Find an etcd for the lab: on PATH from 3.5 on, else one of our own, else whatever is on PATH.

Debian 12 ships etcd 3.4.23, whose line has ended. The packages of newer Debian releases need only libc6 2.34,
so one is unpacked (never installed) into a cache folder, from the mirror that apt uses here.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from reconciler.errors import EnvironmentProblem
from reconciler.lab import debian

CACHE = Path("/var/cache/gluster-state/etcd")
SUITE = "trixie"  # Debian 13: etcd 3.5.16
WANTED = (3, 5)


@dataclass(frozen=True, slots=True)
class EtcdBinary:
    """An etcd program, its version, and a warning to show (empty when there is none)."""

    path: Path
    version: tuple[int, ...]
    warning: str = ""


def find() -> EtcdBinary:
    """Return the etcd to use; brings one into `CACHE` when none here is new enough.

    Raises:
        EnvironmentProblem: there is no etcd and none could be brought.
    """
    on_path = shutil.which("etcd")
    installed = _probe(Path(on_path)) if on_path else None
    if installed is not None and installed.version >= WANTED:
        return installed
    own = _probe(CACHE / "etcd") or _bring()
    if own is not None and own.version >= WANTED:
        return own
    if installed is None:
        raise EnvironmentProblem("no etcd on this machine", hint="apt-get install etcd-server")
    text = ".".join(map(str, installed.version))
    return EtcdBinary(
        installed.path, installed.version, f"etcd {text} is past its end of life: use it for labs only"
    )


def _probe(path: Path) -> EtcdBinary | None:
    """Return the program at `path` with its version; None when it does not run."""
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=False)  # noqa: S603 - a path of our own choice
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"etcd Version: (\d+)\.(\d+)\.(\d+)", done.stdout)
    return EtcdBinary(path, tuple(int(part) for part in match.groups())) if match else None


def _bring() -> EtcdBinary | None:
    """Unpack a newer Debian etcd-server into `CACHE`; None when that is not possible here."""
    try:
        with tempfile.TemporaryDirectory(prefix="gluster-state-etcd-") as name:
            return _unpack(Path(name))
    except (OSError, subprocess.SubprocessError):
        return None


def _unpack(work: Path) -> EtcdBinary | None:
    """Download and unpack below `work`, then move the program into `CACHE` in one rename."""
    unpacked = debian.unpack(["etcd-server"], SUITE, work)
    if unpacked is None:
        return None
    CACHE.mkdir(parents=True, exist_ok=True)
    fresh = CACHE / f"etcd.{os.getpid()}"
    shutil.copy2(unpacked / "usr" / "bin" / "etcd", fresh)
    fresh.replace(CACHE / "etcd")
    return _probe(CACHE / "etcd")
