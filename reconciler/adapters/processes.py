"""Processes of this machine: starting them detached, knowing them again, signalling exactly them.

A process is known by pid and start time; a pidfile by who holds its lock, never by its text, which outlives
the process and may name a stranger. glusterfsd 10.3 locks its pidfile with lockf, a POSIX record lock
(glusterfsd/src/glusterfsd.c: glusterfs_pidfile_update), so F_GETLK names the holder.

Source: Linux proc(5) (stat, cmdline, ns), fcntl(2) (F_GETLK), pidfd_open(2), pidfd_send_signal(2).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from reconciler.errors import StepError
from reconciler.ports.brick import RunningProcess

_FLOCK = "hhqqi0q"  #: struct flock on 64-bit Linux: type, whence, start, length, pid, padded to 8 bytes
_PROGRAMS = ("glusterfsd", "glusterfs")
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
_LOG_TAIL = 64 * 1024
_ERROR_LINE = re.compile(r"^\[[^\]]*\] [EC] (?:\[MSGID: \d+\] )?\[[^\]]*\] (?P<text>.*)$", re.MULTILINE)


class StartedProgram:
    """A Launch: the starting process is our child, so its pid cannot be another's until it is reaped."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def ended(self) -> int | None:
        """Return the exit code of the starting process (negative: the signal), or None."""
        return self._process.poll()

    def abandon(self) -> None:
        """Kill the starting process if it has not ended, and reap it."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()


class LinuxProcesses:
    """Processes, through /proc and pidfds.

    Args:
        programs: names (last path component of any argument up to the second) that `find` looks for.
    """

    def __init__(self, programs: Sequence[str] = _PROGRAMS) -> None:
        self._programs = frozenset(name.encode() for name in programs)

    def spawn(self, argv: Sequence[str], log: str) -> StartedProgram:
        """Start a program in a session of its own with a clean environment and no descriptor of ours.

        It outlives the agent. What it writes to its standard output and error goes to `log` (0600).
        """
        try:
            output = os.open(
                log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
            )
        except OSError as exc:
            raise StepError(f"{log} cannot be written: {exc.strerror}") from exc
        try:
            process = subprocess.Popen(  # noqa: S603 - argument vectors of our own, no shell
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=_ENVIRONMENT,
                cwd="/",
                umask=0o022,
                start_new_session=True,
            )
        except OSError as exc:
            raise StepError(f"{argv[0]} cannot be started: {exc.strerror}") from exc
        finally:
            os.close(output)
        return StartedProgram(process)

    def lock_holder(self, pidfile: str) -> RunningProcess | None:
        """Return the live process that holds the lock of `pidfile`, or None.

        Raises StepError if the file cannot be examined, or its holder cannot be seen from here.
        """
        try:
            descriptor = os.open(pidfile, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise StepError(f"pidfile {pidfile} cannot be examined: {exc.strerror}") from exc
        try:
            question = struct.pack(_FLOCK, fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
            with _told(f"pidfile {pidfile}"):
                kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, question))
        finally:
            os.close(descriptor)
        if kind == fcntl.F_UNLCK:
            return None
        if pid <= 0:
            raise StepError(f"pidfile {pidfile} is locked by a process that cannot be seen from here")
        return identify(pid)

    def find(self, words: Sequence[str]) -> tuple[RunningProcess, ...]:
        """Return the GlusterFS processes in this mount namespace whose arguments contain `words`."""
        with _told("/proc"):
            ours = Path("/proc/thread-self/ns/mnt").readlink()
            entries = list(Path("/proc").iterdir())
        found = []
        for entry in entries:
            if not entry.name.isdigit():
                continue
            arguments = _arguments(int(entry.name))
            if not self._is_ours(arguments) or not _contains(arguments, words):
                continue
            process = identify(int(entry.name))
            with contextlib.suppress(OSError):
                if process is not None and (entry / "ns/mnt").readlink() == ours:
                    found.append(process)
        return tuple(found)

    def _is_ours(self, arguments: Sequence[bytes]) -> bool:
        return any(word.rpartition(b"/")[2] in self._programs for word in arguments[:2])

    def alive(self, process: RunningProcess) -> bool:
        """Return true while exactly this process runs."""
        return identify(process.pid) == process

    def carries(self, process: RunningProcess, words: Sequence[str]) -> bool:
        """Return true if the process is alive and its arguments contain `words` in sequence."""
        return _contains(_arguments(process.pid), words) and self.alive(process)

    def send(self, process: RunningProcess, number: int, words: Sequence[str]) -> None:
        """Signal exactly this process.

        The pidfd pins the process before start time and arguments are compared, so the pid cannot become
        another's in between. Raises StepError if its arguments are not `words`.
        """
        with _pinned(process) as descriptor:
            if descriptor is None:
                return
            if not self.carries(process, words):
                if self.alive(process):
                    raise StepError(f"process {process.pid} is not {' '.join(words)}: it was left alone")
                return
            with contextlib.suppress(ProcessLookupError), _told(f"process {process.pid}", ProcessLookupError):
                signal.pidfd_send_signal(descriptor, number)

    def wait_end(self, process: RunningProcess, timeout_s: float) -> bool:
        """Wait for the process to end; return whether it has.

        It has ended when its last thread has: until then it keeps files, locks and ports, although a first
        thread that is gone makes it look like a zombie (pidfd_open(2) waits for all threads).
        """
        with _pinned(process, dying=True) as descriptor:
            if descriptor is None:
                return True
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            return bool(poll.poll(max(0, round(timeout_s * 1000))))

    @contextlib.contextmanager
    def claim(self, lockfile: str) -> Iterator[None]:
        """Hold an exclusive lock against other processes and threads; it goes with us if we are killed."""
        try:
            descriptor = os.open(lockfile, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise StepError(f"{lockfile} cannot be opened: {exc.strerror}") from exc
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                raise StepError(
                    f"{lockfile} is locked: another agent works on it just now", retryable=True
                ) from exc
            except OSError as exc:
                raise StepError(f"{lockfile} cannot be locked: {exc.strerror}") from exc
            yield
        finally:
            os.close(descriptor)

    def log_end(self, log: str) -> int:
        """Return the present size of a log in bytes."""
        try:
            return Path(log).stat().st_size
        except OSError:
            return 0

    def complaints(self, log: str, after: int) -> str:
        """Return the last three errors logged after byte `after`, in one line; empty if there are none."""
        try:
            with Path(log).open("rb") as file:
                file.seek(max(after, self.log_end(log) - _LOG_TAIL))
                text = file.read(_LOG_TAIL).decode(errors="replace")
        except OSError:
            return ""
        found = [match["text"].strip()[:300] for match in _ERROR_LINE.finditer(text)]
        return "; ".join(dict.fromkeys(found[-3:]))


def identify(pid: int) -> RunningProcess | None:
    """Return the process `pid`, or None if there is none or it is a zombie.

    The start time is field 22 of /proc/PID/stat; the command in field 2 may hold blanks and brackets. Raises
    StepError if it cannot be told.
    """
    return _identified(pid, zombies=False)


def _identified(pid: int, *, zombies: bool) -> RunningProcess | None:
    text = _read(pid, "stat")
    if text is None:
        return None
    fields = text[text.rindex(b")") + 2 :].split()
    return None if fields[0] in (b"Z", b"X") and not zombies else RunningProcess(pid, int(fields[19]))


@contextlib.contextmanager
def _pinned(process: RunningProcess, *, dying: bool = False) -> Iterator[int | None]:
    """Yield a pidfd of exactly this process, or None if it has ended; with `dying` a zombie will do."""
    try:
        with _told(f"process {process.pid}", ProcessLookupError):
            descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        yield None
        return
    try:
        yield descriptor if _identified(process.pid, zombies=dying) == process else None
    finally:
        os.close(descriptor)


def _arguments(pid: int) -> tuple[bytes, ...]:
    raw = _read(pid, "cmdline")
    return tuple(raw.removesuffix(b"\0").split(b"\0")) if raw else ()


def _read(pid: int, name: str) -> bytes | None:
    """Return what /proc says of a process; None if there is no such process.

    Raises StepError for anything else, such as no free descriptor: a process that cannot be looked at has not
    ended, and nobody must act as if it had.
    """
    path = f"/proc/{pid}/{name}"
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        with _told(path, FileNotFoundError, ProcessLookupError):
            return Path(path).read_bytes()
    return None


@contextlib.contextmanager
def _told(what: str, *expected: type[OSError]) -> Iterator[None]:
    """Turn what the operating system says, but for `expected`, into a StepError."""
    try:
        yield
    except expected:
        raise
    except OSError as exc:
        raise StepError(f"{what} cannot be examined or signalled: {exc.strerror}") from exc


def _contains(arguments: Sequence[bytes], words: Sequence[str]) -> bool:
    wanted = tuple(os.fsencode(word) for word in words)
    ends = range(len(arguments) - len(wanted) + 1)
    return any(tuple(arguments[at : at + len(wanted)]) == wanted for at in ends)
