"""Rules about bricks: paths, peers, failure domains, ids and ports.

Paths are compared as text, per peer. What only the node can tell (symbolic links, mount points, what is
already there) is checked by the steps.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from reconciler.desired.build import Built
from reconciler.desired.places import Places
from reconciler.desired.suggest import did_you_mean, quoted
from reconciler.model.cluster import BrickSpec, VolumeSpec
from reconciler.model.ids import PeerName
from reconciler.model.volume import VolumeState

_LONGEST_PATH = 1024  # characters; a brick's path is part of file names and of xlator names
_LONGEST_PART = 255  # bytes of one name, NAME_MAX
# Printable ASCII without what ends a word in a volfile or means something inside one.
_PATH = re.compile(r"[!#-&(-\[\]-_a-~]+")
_SYSTEM = ("/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/sbin", "/sys", "/usr",
           "/var/lib/glusterd", "/var/lib/gluster-state")  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Located:
    """A brick with its volume and address."""

    volume: VolumeSpec
    brick: BrickSpec
    address: str


def check(built: Built, places: Places) -> None:
    """Record what is wrong with the bricks."""
    bricks = [located for volume in built.spec.volumes for located in _locate(volume)]
    names = {peer.name for peer in built.spec.peers}
    for located in bricks:
        brick = located.brick
        if built.peers_known and brick.peer not in names:
            places.error(
                located.address, f"peer {brick.peer} is not declared", hint=did_you_mean(brick.peer, names)
            )
        _paths(located, places)
        _port_range(located, built, places)
    live = [located for located in bricks if located.volume.state is not VolumeState.ABSENT]
    # A path that is wrong anyway may also be megabytes long.
    _overlaps([located for located in live if not path_problem(located.brick.path)], places)
    _ports(bricks, places)
    domain_of = _domain_names(built)
    for volume in built.spec.volumes:
        _brick_ids(volume, places)
        if volume.state is not VolumeState.ABSENT:
            _domains(volume, domain_of, built.domain_limits.get(volume.name, 1), places)


def _locate(volume: VolumeSpec) -> Iterator[_Located]:
    size = volume.shape.bricks_per_subvolume if volume.shape else 1
    for i, brick in enumerate(volume.bricks):
        yield _Located(volume, brick, f"brick/{volume.name}/{i // (size or 1)}.{i % (size or 1)}")


# ---------------------------------------------------------------------------- paths


def _paths(located: _Located, places: Places) -> None:
    brick = located.brick
    problem = path_problem(brick.path)
    if problem:
        places.error(f"{located.address}/path", f"brick path {quoted(brick.path)} {problem}")
    if brick.mount is None:
        return
    address = f"{located.address}/mount"
    if brick.mount != "/" and _form_problem(brick.mount):
        places.error(address, f"mount {quoted(brick.mount)} {_form_problem(brick.mount)}")
    elif brick.mount == brick.path:
        places.error(
            address,
            "a brick must be a directory below the mount point, not the mount point itself",
            hint="otherwise an unmounted disk looks like an empty brick",
        )
    elif not brick.path.startswith(brick.mount.rstrip("/") + "/"):
        places.error(address, f"brick path {quoted(brick.path)} is not below its mount {quoted(brick.mount)}")


def path_problem(path: str) -> str:
    """Return what is wrong with a brick's path, or an empty string."""
    form = _form_problem(path)
    if form:
        return form
    if ".glusterfs" in path.split("/"):
        return "is inside the private directory of a brick"
    for system in _SYSTEM:
        if path == system or path.startswith(system + "/"):
            return f"is inside {system}"
    return ""


def _form_problem(path: str) -> str:
    checks = (
        (not path.startswith("/"), "is not absolute"),
        (path == "/", "is the root directory"),
        (len(path) > _LONGEST_PATH, f"is longer than {_LONGEST_PATH} characters"),
        (
            not _PATH.fullmatch(path),
            "holds a character other than printable ASCII without space, quotes, ` and \\",
        ),
        ("//" in path, "holds //"),
        (path.endswith("/"), "ends with /"),
        (any(part in {".", ".."} for part in path.split("/")), "holds . or .. as a part"),
        (
            any(len(part) > _LONGEST_PART for part in path.split("/")),
            f"has a part longer than {_LONGEST_PART}",
        ),
    )
    return next((text for wrong, text in checks if wrong), "")


def _overlaps(bricks: list[_Located], places: Places) -> None:
    """Report bricks that share a directory, or of which one lies inside another."""
    by_path: dict[tuple[PeerName, str], _Located] = {}
    for located in bricks:
        first = by_path.setdefault((located.brick.peer, located.brick.path), located)
        if first is not located:
            places.error(
                located.address,
                f"{located.brick.peer}:{quoted(located.brick.path)[1:-1]} is used twice",
                hint=_also(first, places),
            )
    for (peer, path), located in by_path.items():
        parent = path.rpartition("/")[0]
        while parent:
            outer = by_path.get((peer, parent))
            if outer is not None:
                summary = (
                    f"brick {quoted(path)} lies inside brick {quoted(parent)} of volume {outer.volume.name}"
                )
                places.error(located.address, summary, hint=_also(outer, places))
                break
            parent = parent.rpartition("/")[0]


def _also(other: _Located, places: Places) -> str:
    where = places.find(other.address)
    return f"the other one is at {where.span}, volume {other.volume.name}" if where else ""


# ---------------------------------------------------------------------------- failure domains


def _domain_names(built: Built) -> dict[PeerName, str]:
    """Return the failure domain of every peer, in words."""
    if built.spec.failure_domain == "zone":
        return {peer.name: f"in zone {peer.zone}" for peer in built.spec.peers if peer.zone}
    return {peer.name: f"on peer {peer.name}" for peer in built.spec.peers}


def _domains(volume: VolumeSpec, domain_of: dict[PeerName, str], limit: int, places: Places) -> None:
    """Warn (GS203) of more bricks of one subvolume in one failure domain than allowed."""
    if any(item.code == "GS203" for item in volume.acknowledge) or volume.shape is None:
        return
    size = volume.shape.bricks_per_subvolume or 1
    for start in range(0, len(volume.bricks), size):
        # A peer that is not declared, or has no zone, is reported as that.
        domains = [domain_of.get(brick.peer, "") for brick in volume.bricks[start : start + size]]
        for domain, count in sorted(Counter(filter(None, domains)).items()):
            if count <= limit:
                continue
            last = max(i for i, name in enumerate(domains) if name == domain)
            places.warning(
                f"brick/{volume.name}/{start // size}.{last}",
                f"{count} bricks of one subvolume are {domain} (at most {limit})",
                code="GS203",
                hint=f"spread them, set maxBricksPerDomain: {count}, or acknowledge GS203 with a reason",
            )


# ---------------------------------------------------------------------------- ids and ports


def _brick_ids(volume: VolumeSpec, places: Places) -> None:
    seen: dict[str, str] = {}
    for located in _locate(volume):
        brick_id = located.brick.brick_id
        if brick_id is not None and seen.setdefault(brick_id, located.address) != located.address:
            where = places.find(seen[brick_id])
            places.error(
                f"{located.address}/id",
                f"brick id {brick_id} is used twice in volume {volume.name}",
                hint=f"the first one is at {where.span}" if where else "",
            )


def _ports(bricks: list[_Located], places: Places) -> None:
    seen: dict[tuple[PeerName, int], _Located] = {}
    for located in bricks:
        port = located.brick.port
        if port is None:
            continue
        first = seen.setdefault((located.brick.peer, port), located)
        if first is not located:
            summary = f"port {port} is used twice on peer {located.brick.peer}"
            places.error(f"{located.address}/port", summary, hint=_also(first, places))


def _port_range(located: _Located, built: Built, places: Places) -> None:
    """Warn of a port outside the range: right for a volume taken over, risky for a new one."""
    port, (first, last) = located.brick.port, built.spec.brick_ports
    if port is not None and not first <= port <= last:
        places.warning(
            f"{located.address}/port",
            f"port {port} is outside spec.ports.bricks ({first}-{last})",
            hint="another program may take it while the brick is down",
        )
