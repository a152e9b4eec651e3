"""The lab's own network and mount namespace, kept open by one sleeping process whose end removes both."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler.errors import EnvironmentProblem
from reconciler.lab.processes import alive, arguments, kill, namespace_of, spawn
from reconciler.ports.brick import RunningProcess

_KEEP_OPEN = ("sleep", "infinity")


@dataclass(frozen=True, slots=True)
class Inside:
    """The lab's namespaces; without a keeper they are the machine's own."""

    keeper: RunningProcess | None = None

    @property
    def prefix(self) -> list[str]:
        """Return the words that run a command inside; none when the lab has no namespace.

        Entering a mount namespace moves to ``/`` (setns(2)); `env` goes back to the caller's directory.
        """
        if self.keeper is None:
            return []
        enter = ["nsenter", "-t", str(self.keeper.pid), "-n", "-m", "--"]
        return [*enter, "env", "-C", str(Path.cwd())]

    @property
    def mountinfo(self) -> Path:
        """Return the table of what is mounted inside (proc(5))."""
        return Path(f"/proc/{self.keeper.pid if self.keeper else 'self'}/mountinfo")

    def seen(self, path: Path) -> Path:
        """Return where a path of the inside is reached from out here (proc(5), /proc/PID/root)."""
        return path if self.keeper is None else Path(f"/proc/{self.keeper.pid}/root{path}")


def create(log: Path) -> RunningProcess:
    """Create the namespaces with loopback up and return the process that keeps them.

    Mounts made inside are private: the rest of the machine never sees them (mount_namespaces(7)).

    Raises:
        EnvironmentProblem: the kernel or the caller's rights do not allow it.
    """
    keeper = spawn(["unshare", "--net", "--mount", "--propagation", "private", *_KEEP_OPEN], log)
    deadline = time.monotonic() + 5
    while keeper is not None and alive(keeper) and time.monotonic() < deadline:
        if _entered(keeper.pid):
            run([*Inside(keeper).prefix, "ip", "link", "set", "lo", "up"])
            return keeper
        time.sleep(0.02)
    if keeper is not None:
        kill(keeper)
    said = log.read_text(encoding="utf-8", errors="replace").strip()
    raise EnvironmentProblem(
        f"no network namespace could be made: {said or 'no answer'}",
        hint="A container needs the right to make network and mount namespaces (CAP_SYS_ADMIN).",
    )


def _entered(pid: int) -> bool:
    """Return whether `pid` has left our network and mount namespaces and runs its final program."""
    kinds = ("net", "mnt")
    apart = all(namespace_of(pid, kind) not in ("", namespace_of(os.getpid(), kind)) for kind in kinds)
    return apart and arguments(pid) == _KEEP_OPEN


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
