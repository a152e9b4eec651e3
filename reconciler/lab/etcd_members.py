"""The members of a lab's etcd: their names, ports, folders and command lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler.lab import preflight


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member. `part` is its name among the lab's parts: ``etcd`` alone, ``etcd-N`` among several."""

    part: str
    data: Path
    client: int
    peer: int

    @property
    def name(self) -> str:
        """Return its name in etcd."""
        return "lab" if self.part == "etcd" else f"lab-{self.data.name}"

    @property
    def peer_url(self) -> str:
        """Return where the other members find it."""
        return f"http://127.0.0.1:{self.peer}"


def laid_out(folder: Path, count: int) -> tuple[Member, ...]:
    """Return `count` members on free ports, with their data below `folder`."""
    ports = preflight.free_ports(2 * count)
    if count == 1:
        return (Member(part="etcd", data=folder, client=ports[0], peer=ports[1]),)
    return tuple(
        Member(part=f"etcd-{n}", data=folder / str(n), client=ports[2 * n - 2], peer=ports[2 * n - 1])
        for n in range(1, count + 1)
    )


def endpoints(members: Sequence[Member]) -> str:
    """Return the client addresses, ``host:port`` separated by commas."""
    return ",".join(f"127.0.0.1:{member.client}" for member in members)


def command(binary: Path, member: Member, members: Sequence[Member]) -> list[str]:
    """Return the words that start a member."""
    client = f"http://127.0.0.1:{member.client}"
    return [
        str(binary), "--name", member.name, "--data-dir", str(member.data),
        "--listen-client-urls", client, "--advertise-client-urls", client,
        "--listen-peer-urls", member.peer_url, "--initial-advertise-peer-urls", member.peer_url,
        "--initial-cluster", ",".join(f"{one.name}={one.peer_url}" for one in members),
    ]  # fmt: skip
