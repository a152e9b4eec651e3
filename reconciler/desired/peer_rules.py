"""Rules about peers: addresses that can be connected to, each once, and zones where they are needed."""

from __future__ import annotations

import re

from reconciler.desired.build import Built
from reconciler.desired.places import Places
from reconciler.desired.suggest import quoted, shown
from reconciler.model.cluster import PeerSpec

# RFC 1123, section 2.1, and RFC 952: labels of letters, digits and hyphens; no label is empty.
_HOST_NAME = re.compile(
    r"(?=.{1,253}\Z)([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)(\.([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?))*"
)
_LOOKS_LIKE_IPV4 = re.compile(r"[0-9.]+")
_OCTET = re.compile(r"0|[1-9][0-9]{0,2}")
_HEX_GROUP = re.compile(r"[0-9a-fA-F]{1,4}")


def check(built: Built, places: Places) -> None:
    """Record what is wrong with the peers and the cluster's settings about them."""
    spec = built.spec
    if not spec.peers and built.peers_known:
        places.error(
            "cluster", f"cluster {shown(spec.name)} has no peers", hint="declare them under spec.peers"
        )
    first_port, last_port = spec.brick_ports
    if not 1024 <= first_port <= last_port <= 65535:
        places.error(
            "cluster/ports", f"ports.bricks {first_port}-{last_port} is no range between 1024 and 65535"
        )
    seen: dict[str, PeerSpec] = {}
    for peer in spec.peers:
        address = f"peer/{peer.name}/address"
        problem = address_problem(peer.address)
        if problem:
            places.error(address, f"address {quoted(peer.address)} {problem}")
        first = seen.setdefault(peer.address.lower().rstrip("."), peer)
        if first is not peer:
            where = places.find(f"peer/{first.name}/address")
            places.error(
                address, f"peer {first.name} has the same address", hint=f"at {where.span}" if where else ""
            )
    _zones(built, places)


def _zones(built: Built, places: Places) -> None:
    if built.spec.failure_domain != "zone":
        return
    used = {brick.peer for volume in built.spec.volumes for brick in volume.bricks}
    for peer in built.spec.peers:
        if peer.name in used and not peer.zone:
            places.error(f"peer/{peer.name}", f"peer {peer.name} needs a zone, because failureDomain is zone")


def address_problem(text: str) -> str:
    """Return what is wrong with a peer's address, or an empty string."""
    if ":" in text:
        return "" if _is_ipv6(text) else "is no IPv6 address (and a port does not belong here)"
    if _LOOKS_LIKE_IPV4.fullmatch(text):
        parts = text.split(".")
        if len(parts) != 4 or not all(_OCTET.fullmatch(part) and int(part) <= 255 for part in parts):
            return "is no IPv4 address"
        if parts[0] == "0" or int(parts[0]) >= 224:
            return "is no address of a host"
        return ""
    return "" if _HOST_NAME.fullmatch(text) else "is no host name"


def _is_ipv6(text: str) -> bool:
    """Return true for a unicast IPv6 literal without zone and without an IPv4 tail (RFC 4291, 2.2)."""
    head, gap, tail = text.partition("::")
    left = head.split(":") if head else []
    right = tail.split(":") if tail else []
    groups = left + right
    whole = len(groups) < 8 if gap else len(groups) == 8
    if not whole or not all(_HEX_GROUP.fullmatch(group) for group in groups):
        return False
    multicast = bool(left) and left[0].lower().startswith("ff") and len(left[0]) == 4
    return any(int(group, 16) for group in groups) and not multicast
