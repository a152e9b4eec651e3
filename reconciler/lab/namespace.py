"""The lab's own network and mount namespace, kept open by one sleeping process whose end removes both."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from reconciler.errors import EnvironmentProblem
from reconciler.lab.identity import ProcessIdentity, spawn


def create(log: Path) -> ProcessIdentity:
    """Create the namespaces with loopback up and return the process that keeps them.

    Mounts made inside are private: the rest of the machine never sees them (mount_namespaces(7)).

    Raises:
        EnvironmentProblem: the kernel or the caller's rights do not allow it.
    """
    pid = spawn(["unshare", "--net", "--mount", "--propagation", "private", "sleep", "infinity"], log)
    deadline = time.monotonic() + 5
    while (identity := ProcessIdentity.of(pid)) is not None and time.monotonic() < deadline:
        if _separate(pid):
            run([*prefix(identity), "ip", "link", "set", "lo", "up"])
            return identity
        time.sleep(0.02)
    said = log.read_text(encoding="utf-8", errors="replace").strip()
    raise EnvironmentProblem(f"no network namespace could be made: {said or 'no answer'}", hint="run as root")


def _separate(pid: int) -> bool:
    """Return whether `pid` has left our network and mount namespaces and runs its final program."""
    here, there = Path("/proc/self/ns"), Path(f"/proc/{pid}/ns")
    moved = all((here / kind).readlink() != (there / kind).readlink() for kind in ("net", "mnt"))
    return moved and Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip() == "sleep"


def prefix(keeper: ProcessIdentity | None) -> list[str]:
    """Return the words that run a command inside the lab; none when the lab has no namespace.

    Entering a mount namespace moves to ``/`` (setns(2)); `env` goes back to the caller's directory.
    """
    return (
        []
        if keeper is None
        else ["nsenter", "-t", str(keeper.pid), "-n", "-m", "--", "env", "-C", str(Path.cwd())]
    )


def run(command: Sequence[str]) -> str:
    """Run a system command and return its output.

    Raises:
        EnvironmentProblem: it is missing, fails, or takes over 60 seconds; the message holds what it said.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - callers pass fixed programs
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentProblem(f"{command[0]}: {error}") from error
    if done.returncode != 0:
        raise EnvironmentProblem(f"{' '.join(map(str, command))}: {done.stderr.strip() or done.returncode}")
    return done.stdout
