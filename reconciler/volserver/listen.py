"""Binding the volfile server's two sockets, with a remedy in every error.

The unix socket is the way to trusted volfiles, so it is for root alone: its mode is set before it has a name,
and a lock file next to it decides which process may replace a socket left behind by a crash.

Source: proc(5) (/proc/net/tcp), unix(7) (the mode of a bound socket is the inode's mode without the umask).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
import struct
from dataclasses import dataclass
from pathlib import Path

from reconciler.errors import EnvironmentProblem

MAX_SOCKET_PATH = 107  #: sun_path without its closing NUL
BACKLOG = 1024
_LISTENING = "0A"  # connection state in /proc/net/tcp
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class LocalSocket:
    """A bound unix socket and the lock that makes it the only one at its path."""

    path: Path
    listener: socket.socket
    inode: int
    lock: int

    def release(self) -> None:
        """Close the socket, remove its name unless somebody else bound it since, let go of the lock."""
        self.listener.close()
        with contextlib.suppress(FileNotFoundError):
            if self.path.lstat().st_ino == self.inode:
                self.path.unlink()
        os.close(self.lock)


def peer_uid(connection: socket.socket) -> int:
    """Return the user id that connected to a unix socket, as the kernel noted it at connect time."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[1])


def listen_tcp(address: str, port: int) -> socket.socket:
    """Return a listening socket on one address (IPv4 or IPv6); port 0 takes a free one.

    Raises:
        EnvironmentProblem: the port is taken (names the process), or the address is not of this machine.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((address, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise _bind_problem(error, address, port) from error
    return listener


def listen_unix(path: Path) -> LocalSocket:
    """Return a listening unix socket of mode 0600, in place of one that a dead process left.

    Raises:
        EnvironmentProblem: another process serves it, something that is no socket is in its place,
            the path is too long, or the directory cannot be written.
    """
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        raise EnvironmentProblem(
            f"the socket path {path} is longer than {MAX_SOCKET_PATH} bytes",
            hint="choose a shorter run directory",
        )
    try:
        lock = _lock(path)
        try:
            _remove_stale(path)
            return _bind_unix(path, lock)
        except BaseException:
            os.close(lock)
            raise
    except OSError as error:
        raise EnvironmentProblem(f"cannot listen on {path}: {error.strerror}") from error


def port_owner(address: str, port: int) -> str:
    """Return the process that listens on a TCP port, such as ``glusterd (pid 812)``; empty if unseen."""
    inodes = _listening_inodes(address, port)
    if not inodes:
        return ""
    for process in _PROC.iterdir():
        if process.name.isdigit() and _holds(process, inodes):
            with contextlib.suppress(OSError):
                return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
    return ""


def _bind_problem(error: OSError, address: str, port: int) -> EnvironmentProblem:
    where = f"{address}:{port}"
    if error.errno == errno.EADDRINUSE:
        owner = port_owner(address, port) or "a process that cannot be seen from here"
        return EnvironmentProblem(
            f"port {where} is taken by {owner}",
            hint="stop that process, or start the lab in a network namespace of its own: --netns",
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return EnvironmentProblem(
            f"cannot listen on {where}: no interface of this machine has that address",
            hint="give the address by which clients reach this machine",
        )
    return EnvironmentProblem(f"cannot listen on {where}: {error.strerror or error}")


def _lock(path: Path) -> int:
    """Take the lock beside `path`. It ends with the process, so a crash leaves nothing to clean up."""
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise EnvironmentProblem(
            f"another process serves {path} already",
            hint="one agent per run directory: stop the other one, or choose another directory",
        ) from error
    return lock


def _remove_stale(path: Path) -> None:
    """Remove the socket of a dead process. Called with the lock held."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise EnvironmentProblem(f"{path} exists and is no socket", hint="move it away")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except FileNotFoundError:
            return
        except TimeoutError:
            pass  # its backlog is full: somebody is behind it
    raise EnvironmentProblem(f"another program listens on {path}", hint="stop it, or choose another path")


def _bind_unix(path: Path, lock: int) -> LocalSocket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.fchmod(listener.fileno(), 0o600)  # before bind: there is no moment with another mode
        listener.bind(str(path))
        listener.listen(BACKLOG)
        listener.setblocking(False)
        return LocalSocket(path, listener, path.lstat().st_ino, lock)
    except BaseException:
        listener.close()
        raise


def _listening_inodes(address: str, port: int) -> frozenset[str]:
    """Return the socket inodes that stand in the way of `address`:`port` in this network namespace."""
    wildcards = {"0.0.0.0", "::"}  # noqa: S104 - compared with, not bound
    found: set[str] = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = (_PROC / "thread-self/net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            columns = line.split()
            host, _, hex_port = columns[1].partition(":")
            if columns[3] != _LISTENING or int(hex_port, 16) != port:
                continue
            bound = _address(host)
            if address in wildcards or bound in wildcards or bound == address:
                found.add(columns[9])
    return frozenset(found)


def _address(hexadecimal: str) -> str:
    """Return the text of an address in /proc/net/tcp: 32-bit words in the byte order of the machine."""
    raw = bytes.fromhex(hexadecimal)
    words = struct.unpack(f"={len(raw) // 4}I", raw)
    network = struct.pack(f">{len(words)}I", *words)
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, network)


def _holds(process: Path, inodes: frozenset[str]) -> bool:
    """Return whether a process has one of the sockets open. A process that just ended has none."""
    names = {f"socket:[{inode}]" for inode in inodes}
    try:
        return any(str(fd.readlink()) in names for fd in (process / "fd").iterdir())
    except OSError:
        return False
