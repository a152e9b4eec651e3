"""Where an agent keeps what: one place that knows every path below its three directories.

Unix socket paths end at 107 bytes, so RUN stays short and its names too.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from reconciler.model.ids import BrickUuid, VolumeId


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePaths:
    """The directories of one agent.

    Attributes:
        state: survives a reboot (node id, committed configuration, barrier, journal of effects).
        run: pidfiles and sockets; may be on a tmpfs.
        log: one log file per process.
    """

    state: Path
    run: Path
    log: Path

    @property
    def agent_socket(self) -> Path:
        """Return the root-only unix socket on which local processes fetch trusted volfiles."""
        return self.run / "agent.sock"

    def brick_pidfile(self, brick: BrickUuid) -> Path:
        """Return the pidfile of a brick process: locked by it while it lives (never trust mere existence)."""
        return self.run / f"b-{brick}.pid"

    def brick_socket(self, brick: BrickUuid) -> Path:
        """Return the brick's control socket (glusterfsd -S)."""
        return self.run / f"b-{brick[:13]}.s"

    def brick_log(self, volume: str, path: str) -> Path:
        """Return the log of a brick process."""
        return self.log / f"brick-{volume}-{path.strip('/').replace('/', '-')[-120:]}.log"

    def daemon_pidfile(self, kind: str, volume: VolumeId) -> Path:
        """Return the pidfile of a service daemon such as ``shd``."""
        return self.run / f"{kind}-{volume}.pid"

    def daemon_socket(self, kind: str, volume: VolumeId) -> Path:
        """Return the control socket of a service daemon."""
        return self.run / f"{kind}-{volume[:13]}.s"

    def daemon_log(self, kind: str, volume: str) -> Path:
        """Return the log of a service daemon."""
        return self.log / f"{kind}-{volume}.log"
