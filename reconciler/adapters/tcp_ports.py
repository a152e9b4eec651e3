"""TCP ports of this machine: whether one is free, and who has it if not.

Source: Linux proc(5) (net/tcp: local address, state, inode), socket(7) (SO_REUSEADDR).
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from pathlib import Path

from reconciler.errors import StepError

_LISTEN = "0A"
_CONNECT_S = 1.0
_BRICK_PORTS_FROM = 49152  #: no brick gets a lower one


class TcpPorts:
    """Ports, tried by binding as a brick would."""

    def port_holder(self, address: str, port: int) -> str:
        """Return who keeps `port` from being listened on at `address` (empty: any), or an empty string.

        Raises StepError if `address` is not one of this machine.
        """
        family, target = _resolve(address, port)
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.setsockopt(
                socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
            )  # as glusterfsd does: TIME_WAIT is free
            try:
                trial.bind(target)
                trial.listen(1)
            except OSError as exc:
                if exc.errno == errno.EADDRINUSE:
                    return _owner(str(target[0]), port)
                raise StepError(f"{address or 'any address'}, port {port}: {exc.strerror}") from exc
        return ""

    def listening(self, address: str, port: int) -> bool:
        """Return true if something accepts connections at `address` (empty: the loopback address)."""
        try:
            with socket.create_connection((address or "127.0.0.1", port), timeout=_CONNECT_S):
                return True
        except OSError:
            return False


def _resolve(address: str, port: int) -> tuple[socket.AddressFamily, tuple[str, int]]:
    if not address:
        return socket.AF_INET, ("0.0.0.0", port)  # noqa: S104 - only tried: a brick without address listens so
    try:
        family, _, _, _, target = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as exc:
        raise StepError(f"{address} has no address: {exc.strerror}") from exc
    return family, (str(target[0]), port)


def _owner(address: str, port: int) -> str:
    """Return who has a port at `address`: a listening process if there is one, in this network namespace."""
    own = "" if address == "0.0.0.0" else _reversed_hex(address)  # noqa: S104 - compared, not bound
    listening: set[str] = set()
    others: set[str] = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/thread-self/net/{table}").read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if int(fields[1].rpartition(":")[2], 16) == port and _counts(fields[1], own, table):
                    (listening if fields[3] == _LISTEN else others).add(f"socket:[{fields[9]}]")
    for wanted in (listening, others):
        for entry in Path("/proc").iterdir() if wanted else ():
            if entry.name.isdigit() and _has_socket(entry, wanted):
                with contextlib.suppress(OSError):
                    return f"{(entry / 'comm').read_text(encoding='utf-8').strip()} (process {entry.name})"
    return "a process that cannot be seen from here"


def _has_socket(process: Path, wanted: set[str]) -> bool:
    try:
        with os.scandir(process / "fd") as entries:
            return any(_link(entry.path) in wanted for entry in entries)
    except OSError:
        return False


def _link(path: str) -> str:
    try:
        return os.readlink(path)  # noqa: PTH115 - thousands of descriptors: no Path object for each
    except OSError:
        return ""


def listening_ports(address: str) -> tuple[int, ...]:
    """Return the ports at or above 49152 that something listens on at `address` (empty: any address).

    A listener on the any-address counts for every address. IPv6 listeners count always: most take IPv4 too.
    """
    own = _reversed_hex(address)
    found: set[int] = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/thread-self/net/{table}").read_text(encoding="ascii").splitlines()[1:]:
                place, state = line.split()[1], line.split()[3]
                port = int(place.rpartition(":")[2], 16)
                if state == _LISTEN and _counts(place, own, table) and port >= _BRICK_PORTS_FROM:
                    found.add(port)
    return tuple(sorted(found))


def _counts(place: str, own: str, table: str) -> bool:
    """Return whether a place such as ``0100007F:1F90`` is in the way at the address `own` (empty: any)."""
    return not own or place.partition(":")[0] in (own, "00000000") or table == "tcp6"


def _reversed_hex(address: str) -> str:
    """Return an IPv4 address as /proc/net/tcp writes it (host byte order on x86); empty if it is none."""
    try:
        return socket.inet_aton(address)[::-1].hex().upper() if address else ""
    except OSError:
        return ""
