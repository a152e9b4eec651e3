"""The state of a cluster in a screenful: what is down stands first, what is unknown says so. Pure."""

from __future__ import annotations

from reconciler.cli.style import Style, counted, paint, size, table
from reconciler.model.observed import BrickState
from reconciler.model.report import BrickStatus, ClusterStatus, VolumeStatus
from reconciler.model.volume import VolumeState

_STATE_COLOURS = {
    BrickState.RUNNING: "green",
    BrickState.STARTING: "yellow",
    BrickState.STOPPED: "dim",
    BrickState.CRASHED: "red",
    BrickState.REFUSED: "red",
}


def render(status: ClusterStatus, style: Style) -> list[str]:
    """Return the status as lines."""
    lines = [_header(status), ""]
    lines += [paint("Nodes", "bold"), *_nodes(status), ""]
    lines.append(paint("Volumes", "bold"))
    for volume in status.volumes:
        lines += _volume(volume, style)
    if not status.volumes:
        lines.append("  none")
    lines += [paint("! ", "red") + f"etcd is in doubt: {doubt}" for doubt in status.doubts]
    lines += _transaction(status)
    return [*lines, "", health_line(status)]


def health_line(status: ClusterStatus) -> str:
    """Return the last line: the state in numbers."""
    bricks = [brick for volume in status.volumes for brick in volume.bricks]
    up = sum(volume.bricks_up for volume in status.volumes)
    live = sum(node.live for node in status.nodes)
    wanted = sum(len(v.bricks) for v in status.volumes if v.state is VolumeState.STARTED)
    parts = [f"{live}/{len(status.nodes)} nodes live", f"{up}/{wanted} bricks up", _heal_words(status)]
    unknown = sum(brick.state is None for brick in bricks)
    if unknown:
        parts.append(f"{counted(unknown, 'brick')} unknown")
    return f"Status: {', '.join(parts)}"


def _heal_words(status: ClusterStatus) -> str:
    totals = [volume.heal_pending for volume in status.volumes]
    known = sum(total for total in totals if total is not None)
    return f"heal pending {known}" + (" or more" if None in totals else "")


def _header(status: ClusterStatus) -> str:
    return f"cluster {status.name}   id {status.cluster_id}   etcd rev {status.revision}"


def _nodes(status: ClusterStatus) -> list[str]:
    rows = []
    for node in status.nodes:
        live = paint("live", "green") if node.live else paint("NOT live", "red")
        versions = f"agent {node.agent_version or '?'}, glusterfs {node.gluster_version or '?'}"
        where = f"zone {node.zone}" if node.zone else ""
        note = "" if node.configured else paint("joined; no apply has taken it in yet", "cyan")
        rows.append([node.peer, node.address, where, live, versions, note])
    rows += [
        [peer, "", "", paint("not joined", "yellow"), "no agent has joined under this name"]
        for peer in status.unobserved
        if peer not in {node.peer for node in status.nodes}
    ]
    return table(rows) or ["  none"]


def _volume(volume: VolumeStatus, style: Style) -> list[str]:
    healthy = volume.bricks_up == len(volume.bricks) or volume.state is not VolumeState.STARTED
    heal = "unknown" if volume.heal_pending is None else str(volume.heal_pending)
    up = f"{volume.bricks_up}/{len(volume.bricks)} bricks up"
    first = (
        f"  {paint(volume.name, 'bold')}   {volume.shape}   {volume.state.value}   "
        f"{paint(up, 'green' if healthy else 'red')}   heal pending {heal}"
    )
    daemons = [
        f"{one.kind} {_daemon_word(one.pid)} on {one.peer}"
        for one in volume.daemons
        if one.expected != bool(one.pid) or one.pid is None
    ]
    lines = [first, *table([_brick(brick) for brick in volume.bricks], indent="    ")]
    for brick in volume.bricks:
        if brick.problem:
            lines += style.wrap(f"{brick.address}: {brick.problem}", " " * 6)
    return [*lines, *(f"    {paint('!', 'yellow')} {text}" for text in daemons)]


def _daemon_word(pid: int | None) -> str:
    if pid is None:
        return "not known"
    return "runs and should not" if pid else "does not run"


def _brick(brick: BrickStatus) -> list[str]:
    word = brick.state.value if brick.state else "unknown"
    colour = _STATE_COLOURS[brick.state] if brick.state else "yellow"
    heal = "heal ?" if brick.heal_pending is None else f"heal {brick.heal_pending}"
    space = f"{size(brick.free_bytes)} of {size(brick.size_bytes)} free" if brick.size_bytes else ""
    process = f"pid {brick.pid} port {brick.port}" if brick.pid else ""
    return [brick.address, f"{brick.peer}:{brick.path}", paint(word, colour), process, heal, space]


def _transaction(status: ClusterStatus) -> list[str]:
    lines: list[str] = []
    if status.open_txn:
        txn = status.open_txn
        lines += [
            "",
            paint("Open transaction", "bold"),
            f"  {txn.txn}   {txn.state}   by {txn.holder}",
        ]
        if txn.reason:
            lines.append(f"    {txn.reason}")
    if status.lock_holder:
        lines += ["", f"Lock held by {status.lock_holder}"]
    return lines
