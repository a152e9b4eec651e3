"""What an agent is made of, and what it does without the store: supervise, serve, report.

Built by the composition root; everything with effects comes in through the parts.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from reconciler.agent.facts import Report
from reconciler.agent.isolation import LocalVolume, decide, parse_generations
from reconciler.agent.serving import DesiredBrick, shd_expected
from reconciler.errors import ReconcilerError
from reconciler.model.observed import MountFact, NodeFact, PathProbe
from reconciler.model.questions import Answer

if TYPE_CHECKING:
    from reconciler.agent.daemons import DaemonSupervisor
    from reconciler.agent.isolation import Generations
    from reconciler.agent.kept import Remembered
    from reconciler.agent.memory import NodeMemory
    from reconciler.agent.supervisor import BrickSupervisor
    from reconciler.agent.volumes import VolumeTable
    from reconciler.model.ids import NodeId, VolumeId
    from reconciler.ports.node import Action, Clock

LOG = logging.getLogger("gluster-state.agent")
TICK_S = 0.5
ISOLATED_EVERY_S = 3.0


class Server(Protocol):
    """The volfile server, as far as the agent sees it."""

    def start(self) -> None:
        """Listen and serve."""
        ...

    def stop(self) -> None:
        """Close everything."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeParts:
    """Everything an agent works with.

    Attributes:
        about: facts of this node that do not change while the agent lives; mounts are added.
        probe: tells what stands at a path.
        mounts: lists filesystems that can hold bricks.
        listening: ports of the brick range that are listened on.
        ask_peer: fetches the generations a peer knows, by its address; raises ReconcilerError.
    """

    node: NodeId
    about: NodeFact
    memory: NodeMemory
    table: VolumeTable
    bricks: BrickSupervisor
    daemons: DaemonSupervisor
    actions: Mapping[str, Action]
    server: Server
    clock: Clock
    probe: Callable[[str], PathProbe]
    mounts: Callable[[], tuple[MountFact, ...]]
    listening: Callable[[], tuple[int, ...]]
    ask_peer: Callable[[str], str]


class Node:
    """A node at work: its bricks, daemons and volfile server. Does not know the store."""

    def __init__(self, parts: NodeParts) -> None:
        self.parts = parts
        self._remembered: Remembered | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._supervise, name="supervise", daemon=True)
        self._asked_at = -ISOLATED_EVERY_S
        self._said: dict[VolumeId, str] = {}

    def start(self) -> None:
        """Recall, listen, adopt what runs. Starts no brick yet: that waits for a confirmation."""
        remembered = self.parts.memory.recall()
        for problem in remembered.problems:
            LOG.error("%s", problem)
        self._remembered = remembered
        self.parts.table.load(remembered)
        self.parts.server.start()
        self._desire()
        self.parts.bricks.adopt()
        self.parts.daemons.adopt()
        self._thread.start()

    def stop(self) -> None:
        """Stop supervising and serving. No brick and no daemon is touched."""
        self._stop.set()
        self._thread.join(timeout=10)
        self.parts.server.stop()

    # ------------------------------------------------------------ supervising

    def _supervise(self) -> None:
        while not self._stop.wait(TICK_S):
            try:
                self._desire()
                self.parts.bricks.tick()
                self.parts.daemons.tick()
            except ReconcilerError as exc:
                LOG.error("%s", exc.message)  # noqa: TRY400  expected, told without a traceback

    def _desire(self) -> None:
        """Tell the supervisors what should run, from what the table holds now."""
        table, me = self.parts.table, self.parts.node
        wanted = table.desired_bricks()
        known = {d.brick.uuid for d in wanted}
        others = [
            DesiredBrick(volume=held.records[0], brick=brick)
            for held in table.volumes().values()
            if held.records
            for brick in held.records[0].on_node(me)
            if brick.uuid not in known
        ]
        self.parts.bricks.desire(wanted, others)
        self.parts.daemons.desire(
            [
                held.records[-1]
                for held in table.volumes().values()
                if not held.waiting and held.staged is None and shd_expected(held, me)
            ]
        )

    # ------------------------------------------------------------ reporting

    def report(self) -> Report:
        """Return everything this node has to say, freshly looked at."""
        parts = self.parts
        bricks = tuple(
            replace(fact, volfile_digest=parts.table.brick_digest(fact.uuid)) for fact in parts.bricks.facts()
        )
        return Report(
            node=replace(parts.about, mounts=parts.mounts()),
            bricks=bricks,
            volumes=parts.table.facts(parts.daemons.pids()),
        )

    def answer(self, paths: tuple[str, ...]) -> Answer:
        """Return what stands at `paths`, and the ports in use."""
        return Answer(
            at=self.parts.clock.now(),
            probes=tuple(self.parts.probe(path) for path in paths),
            ports_in_use=self.parts.listening(),
        )

    # ------------------------------------------------------------ without the store

    def isolated(self, own_address: str) -> None:
        """Confirm what may be started without the store, by asking the peers (design 3.3).

        Rate-limited; call as often as you like while the store does not answer.
        """
        now = self.parts.clock.monotonic()
        if self._remembered is None or now - self._asked_at < ISOLATED_EVERY_S:
            return
        self._asked_at = now
        waiting = {v: h for v, h in self.parts.table.volumes().items() if h.waiting and h.committed}
        if not waiting:
            return
        known = self._remembered.cluster
        answers = {p.address: self._ask(p.address) for p in known.peers if p.address != own_address}
        local = [
            LocalVolume(
                record=held.committed,
                staged=held.staged is not None,
                doubtful=volume_id in self._remembered.doubtful,
            )
            for volume_id, held in waiting.items()
            if held.committed is not None
        ]
        names = {volume.record.volume_id: volume.record.name for volume in local}
        own = self.parts.table.generations()
        verdicts = decide(own, local, answers, known.settings.isolated_start)
        for verdict in verdicts:
            if self._said.get(verdict.volume_id) != verdict.reason:
                self._said[verdict.volume_id] = verdict.reason
                word = "starting" if verdict.start else "not starting"
                LOG.warning("without etcd: %s volume %s: %s", word, names[verdict.volume_id], verdict.reason)
        self.parts.table.release([v.volume_id for v in verdicts if v.start])

    def _ask(self, address: str) -> Generations | None:
        try:
            return parse_generations(self.parts.ask_peer(address))
        except ReconcilerError:
            return None
