"""The lab's processes: started detached, recorded by pid and start time, found again, ended."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

from reconciler.adapters.processes import LinuxProcesses, identify
from reconciler.errors import EnvironmentProblem
from reconciler.ports.brick import RunningProcess

GLUSTER = ("glusterfsd", "glusterfs")
_LINUX = LinuxProcesses()
_KILLED_S = 10.0  #: how long a process may take to end after SIGKILL; more means stuck in the kernel


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold SIGINT and SIGTERM back for the block: what is started in it is also recorded in it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def spawn(command: Sequence[str], log: Path) -> RunningProcess | None:
    """Start `command` in a session of its own, output appended to `log`; None if it ended at once.

    It outlives this process on purpose, so no `Popen` object is kept for it.

    Raises:
        EnvironmentProblem: the program cannot be started.
    """
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), append, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    try:
        pid = os.posix_spawnp(
            command[0], list(command), os.environ, file_actions=actions, setsid=True, setsigmask=()
        )
    except OSError as error:
        raise EnvironmentProblem(f"{command[0]} cannot be started: {error.strerror}") from error
    return identify(pid)


def alive(process: RunningProcess | None) -> bool:
    """Return whether exactly this process runs."""
    return process is not None and _LINUX.alive(process)


def send(process: RunningProcess, number: signal.Signals) -> None:
    """Signal exactly this process; one that has ended is left alone."""
    _LINUX.send(process, number, ())


def end(process: RunningProcess, grace_s: float) -> None:
    """Send SIGTERM, wait up to `grace_s` seconds, then SIGKILL. Ending an ended process does nothing.

    Raises:
        EnvironmentProblem: the process survives SIGKILL (it is stuck in the kernel).
    """
    send(process, signal.SIGTERM)
    if not _LINUX.wait_end(process, grace_s):
        kill(process)


def kill(process: RunningProcess) -> None:
    """Send SIGKILL and wait for the end.

    Raises:
        EnvironmentProblem: the process survives it (it is stuck in the kernel).
    """
    send(process, signal.SIGKILL)
    if not _LINUX.wait_end(process, _KILLED_S):
        raise EnvironmentProblem(f"process {process.pid} does not end, not even by SIGKILL")


def every() -> Iterator[tuple[RunningProcess, tuple[str, ...]]]:
    """Yield every process of this machine with its arguments."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (process := identify(int(entry.name))) is not None:
            yield process, arguments(process.pid)


def arguments(pid: int) -> tuple[str, ...]:
    """Return the arguments of a process; none if there is no such process."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ()
    return tuple(os.fsdecode(word) for word in raw.split(b"\0")[:-1])


def gluster_below(root: Path) -> list[RunningProcess]:
    """Return the GlusterFS processes (bricks, daemons, clients) with an argument that names `root`."""
    return [process for process, words in every() if _is_gluster(words) and names(words, root)]


def gluster_in(mount_namespace: str) -> list[RunningProcess]:
    """Return the GlusterFS processes in a mount namespace, named as in /proc/PID/ns/mnt."""
    return [p for p, words in every() if _is_gluster(words) and namespace_of(p.pid) == mount_namespace]


def namespace_of(pid: int, kind: str = "mnt") -> str:
    """Return which namespace of `kind` a process is in, such as ``mnt:[4026531841]``; empty if unknown."""
    try:
        return str(Path(f"/proc/{pid}/ns/{kind}").readlink())
    except OSError:
        return ""


@contextlib.contextmanager
def holding_namespace_of(process: RunningProcess | None) -> Iterator[str]:
    """Give a process' mount namespace, as `namespace_of`; for the block no later one gets its name.

    The name has the number of an inode, which the kernel gives to the next namespace once nobody holds this
    one. Empty for no process, and for one that has ended.
    """
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):
            if process is not None:
                held.enter_context(Path(f"/proc/{process.pid}/ns/mnt").open("rb"))
        yield namespace_of(process.pid) if process else ""


def agents_with(config: Path) -> list[RunningProcess]:
    """Return the agents and stewards that were started with a configuration file."""
    mine = ("--config", str(config))
    return [p for p, words in every() if mine in itertools.pairwise(words) and p.pid != os.getpid()]


def bricks_of(volume: str, home: Path) -> list[tuple[RunningProcess, int]]:
    """Return the brick processes of `volume` on the node at `home`, each with its port.

    An agent names the volume's server xlator, and with it the port, when it starts a brick.
    """
    found = []
    mark = f"{volume}-server.listen-port="
    for process, words in every():
        ports = [word.removeprefix(mark) for word in words if word.startswith(mark)]
        if ports and _is_gluster(words) and names(words, home):
            found.append((process, int(ports[0])))
    return found


def names(words: Sequence[str], root: Path) -> bool:
    """Return whether an argument is `root`, or holds a path below it."""
    return any(word == str(root) or f"{root}/" in word for word in words)


def _is_gluster(words: Sequence[str]) -> bool:
    return bool(words) and words[0].rpartition("/")[2] in GLUSTER
