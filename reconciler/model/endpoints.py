"""Where etcd is, as people write it: ``http://host:port``, ``https://host:port`` or ``host:port``. Pure."""

from __future__ import annotations

import re

from reconciler.errors import UsageError

_ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(:(?P<port>[0-9]{1,5}))?/?")
_HIGHEST_PORT = 65535


def address_of(endpoint: str, *, tls: bool) -> str:
    """Return ``host:port`` (or ``host``) of one endpoint.

    Args:
        endpoint: what was written.
        tls: whether a CA certificate is given, without which nothing is encrypted.

    Raises:
        UsageError: it is no such address, or its scheme says otherwise than `tls`.
    """
    scheme, mark, address = endpoint.rpartition("://")
    found = _ADDRESS.fullmatch(address)
    port = int(found["port"] or 1) if found else 0
    if found is None or not 1 <= port <= _HIGHEST_PORT or (mark and scheme not in ("http", "https")):
        raise UsageError(
            f"{endpoint!r} is no etcd URL", hint="write it as http://HOST:PORT or https://HOST:PORT"
        )
    if scheme == "https" and not tls:
        raise UsageError(
            f"{endpoint} is to be encrypted, but no CA certificate is given to know etcd by",
            hint="add --etcd-ca FILE (in an agent's configuration: ca, below [tls])",
        )
    if scheme == "http" and tls:
        raise UsageError(
            f"{endpoint} says that nothing is encrypted, but TLS files are given",
            hint="write it as https://HOST:PORT, or drop the TLS files",
        )
    return address.rstrip("/")
