"""The agent's configuration file: who it is, where etcd is, where it keeps things. TOML."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reconciler.agent.paths import NodePaths
from reconciler.errors import UsageError
from reconciler.model.endpoints import address_of
from reconciler.model.ids import PeerName

_TEXTS = ("cluster", "peer", "address")
_DIRECTORIES = ("state", "run", "log")
_TLS = ("ca", "cert", "key")


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentConfig:
    """An agent's configuration.

    Attributes:
        cluster: the cluster's name.
        peer: the declared name this node joins under.
        address: what clients and bricks connect to; the volfile server listens there.
        etcd: ``host:port`` of each endpoint.
        steward: whether this node also finishes transactions of others.
        ca, cert, key: PEM files for etcd, or None.
    """

    cluster: str
    peer: PeerName
    address: str
    etcd: tuple[str, ...]
    paths: NodePaths
    steward: bool = False
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


def read_config(path: str) -> AgentConfig:
    """Read and check an agent's configuration; raises UsageError naming everything wrong."""
    try:
        with Path(path).open("rb") as file:
            raw: Mapping[str, object] = tomllib.load(file)
    except OSError as exc:
        raise UsageError(f"cannot read {path}: {exc.strerror}") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise UsageError(f"{path} is not TOML: {exc}") from exc
    tls = raw.get("tls", {})
    problems = [f"{n}: a text is needed" for n in (*_TEXTS, *_DIRECTORIES) if not _is_text(raw.get(n))]
    problems += [f"{n}: not a known setting" for n in sorted(raw.keys() - _KNOWN)]
    etcd = raw.get("etcd")
    if not (isinstance(etcd, list) and etcd and all(_is_text(e) for e in etcd)):
        problems.append("etcd: a list of host:port is needed")
    if not isinstance(raw.get("steward", False), bool):
        problems.append("steward: true or false")
    if not isinstance(tls, dict) or not all(k in _TLS and _is_text(v) for k, v in tls.items()):
        problems.append("tls: only ca, cert and key, each a file")
    if isinstance(tls, dict) and (("cert" in tls) != ("key" in tls) or ("cert" in tls and "ca" not in tls)):
        problems.append("tls: cert, key and ca go together")
    if problems:
        raise UsageError(f"{path}: " + "; ".join(problems))
    assert isinstance(etcd, list)
    assert isinstance(tls, dict)
    return AgentConfig(
        cluster=str(raw["cluster"]),
        peer=PeerName(str(raw["peer"])),
        address=str(raw["address"]),
        etcd=tuple(address_of(str(e), tls="ca" in tls) for e in etcd),
        paths=NodePaths(state=Path(str(raw["state"])), run=Path(str(raw["run"])), log=Path(str(raw["log"]))),
        steward=bool(raw.get("steward", False)),
        ca=_file(tls, "ca"),
        cert=_file(tls, "cert"),
        key=_file(tls, "key"),
    )


_KNOWN = frozenset({*_TEXTS, *_DIRECTORIES, "etcd", "steward", "tls"})


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _file(tls: Mapping[str, object], name: str) -> Path | None:
    return Path(str(tls[name])) if name in tls else None
