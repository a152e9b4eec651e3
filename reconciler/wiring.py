"""The composition root: picks adapters and puts the program together. Decides nothing.

The command line reaches it through `reconciler.cli.session.Wiring`. What plans is imported by whoever plans:
an agent that has crashed is back sooner without it.
"""

from __future__ import annotations

import fcntl
import logging
import os
import resource
import signal
import subprocess
import sys
import threading
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler import __version__
from reconciler.actions.registry import node_actions
from reconciler.adapters import gluster_rpc
from reconciler.adapters.brick_files import DiskBrickFiles
from reconciler.adapters.clock import SystemClock
from reconciler.adapters.etcd_store import EtcdEndpoint, EtcdStore
from reconciler.adapters.kept_process import KeptProcess
from reconciler.adapters.local_files import DiskFiles
from reconciler.adapters.mounts import Mounts
from reconciler.adapters.processes import LinuxProcesses
from reconciler.adapters.tcp_ports import TcpPorts, listening_ports
from reconciler.agent.config import AgentConfig, read_config
from reconciler.agent.daemons import DaemonSupervisor
from reconciler.agent.memory import NodeMemory
from reconciler.agent.node import Node, NodeParts
from reconciler.agent.paths import NodePaths
from reconciler.agent.portmap import Portmap
from reconciler.agent.programs import Programs, Site
from reconciler.agent.run_marks import RunMarks
from reconciler.agent.service import serve
from reconciler.agent.serving import GENERATIONS_KEY, RenderSite
from reconciler.agent.supervisor import BrickShell, BrickSupervisor
from reconciler.agent.volumes import VolumeTable
from reconciler.errors import EnvironmentProblem, JournalError, PlanError, StoreError, StoreRestored
from reconciler.feature import Registry
from reconciler.model.endpoints import address_of
from reconciler.model.ids import ClusterId, NodeId
from reconciler.model.keys import lock
from reconciler.model.observed import NodeFact
from reconciler.model.report import Connection
from reconciler.observe import claim_cluster, cluster_id
from reconciler.volserver.server import VolfileServer
from reconciler.wire.programs import VOLFILE_PORT

if TYPE_CHECKING:
    from reconciler.controller.session import ClusterSession

LOG = logging.getLogger("gluster-state")
_LOCK_TIMEOUT_S = 15.0
_GLUSTER_RUN = Path("/var/run/gluster")  #: glusterfs 10.3 libglusterfs: DEFAULT_VAR_RUN_DIRECTORY


def connect(options: Connection, features: Registry) -> ClusterSession:
    """Open a session; raises StoreError when etcd does not answer, PlanError for an unknown cluster."""
    from reconciler.controller.session import ClusterSession  # noqa: PLC0415 - not for an agent

    store = EtcdStore(
        EtcdEndpoint(
            hosts=tuple(address_of(e, tls=bool(options.ca_file)) for e in options.endpoints),
            ca=_path(options.ca_file),
            cert=_path(options.cert_file),
            key=_path(options.key_file),
        ),
        call_timeout_s=options.timeout_s,
    )
    try:
        cluster = cluster_id(store, options.cluster)
    except BaseException:
        store.close()
        raise
    return ClusterSession(store, (cluster, options.cluster), SystemClock(), _LOCK_TIMEOUT_S, features.slots())


def run_agent(
    config: str, features: Registry, *, bind: str | None, steward: bool, boot_id: str | None = None
) -> int:
    """Run an agent in the foreground until a signal; returns the exit code. Ending it stops no brick."""
    settings = read_config(config)
    _log_to_stderr()
    _many_files()
    stop = _until_signal()
    node = build_node(settings, features, bind=bind, boot_id=boot_id)
    kept = _start_steward(config) if steward or settings.steward else None
    try:
        return serve(node, settings, lambda: _store(settings), stop)
    finally:
        if kept is not None:
            kept.end()


def run_steward(config: str, agent: int | None) -> int:
    """Run a steward alone in the foreground until a signal, or until its agent has ended; return 0.

    An agent says its pid when it starts a steward: by the time that runs, the agent may have ended already,
    and its parent be another process.
    """
    from reconciler.controller.steward import Steward  # noqa: PLC0415 - not for an agent

    settings = read_config(config)
    _log_to_stderr()
    stop = _until_signal()
    if agent is not None:
        threading.Thread(target=_end_with, args=(agent, stop), name="parent", daemon=True).start()
    said = ""
    while not stop.is_set():
        store = _store(settings)
        try:
            cluster = cluster_id(store, settings.cluster)  # agents create clusters, stewards do not
            _refuse_unknown(store, settings, cluster)
            Steward(store, cluster, SystemClock(), stop).run()
        except (StoreError, PlanError, JournalError) as exc:
            if exc.message != said:
                LOG.warning("%s", exc.message)
            said = exc.message
        finally:
            store.close()
        stop.wait(1.0)
    return 0


def _refuse_unknown(store: EtcdStore, settings: AgentConfig, cluster: ClusterId) -> None:
    """Raise StoreRestored if the node that this steward is on knows another store, or a later one.

    Its agent says so, too, but maybe not before we have taken over a transaction of long ago.
    """
    memory = NodeMemory(DiskFiles(settings.paths.state / "memory"))
    entered = memory.phase()
    revision = store.read_prefix(lock(cluster)).revision
    reason = memory.objection(store.identity(), revision, entered.phase if entered else None)
    if reason:
        raise StoreRestored(reason)


# ---------------------------------------------------------------- an agent's parts


def build_node(
    settings: AgentConfig, features: Registry, *, bind: str | None, boot_id: str | None = None
) -> Node:
    """Put a node together. Raises EnvironmentProblem or JournalError if this machine does not allow it.

    Args:
        settings: the agent's configuration.
        features: what may be in the graphs that this node renders.
        bind: the only address to serve on, for labs; None: every address.
        boot_id: what tells one boot from the next, for labs, whose nodes share a kernel; None: the kernel's.
    """
    paths, clock = settings.paths, SystemClock()
    _take_directories(paths)
    memory = NodeMemory(DiskFiles(paths.state / "memory"))
    cluster, node = _identity(settings, memory)
    boot_id = boot_id or Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    mounts = Mounts()
    files = DiskBrickFiles(cluster, node, settings.peer, mounts)
    programs = Programs(LinuxProcesses(), clock)
    site = Site(node=node, paths=paths, bind=bind is not None)
    supervisors: dict[str, BrickSupervisor] = {}
    portmap = Portmap(lambda path: supervisors["bricks"].port_of(path))  # noqa: PLW0108  made below
    servers: list[VolfileServer] = []
    table = VolumeTable(
        cluster,
        RenderSite(node, features.slots()),
        memory,
        portmap,
        changed=lambda: servers[0].broadcast_fetchspec(),  # noqa: PLW0108  made below
    )
    shell = _brick_shell(files, programs, portmap, RunMarks(DiskFiles(paths.state / "marks"), boot_id))
    bricks = supervisors["bricks"] = BrickSupervisor(site, shell)
    daemons = DaemonSupervisor(site, programs)
    servers.append(VolfileServer(table, address=bind or settings.address, unix_socket=paths.agent_socket))
    parts = NodeParts(
        node=node,
        about=_about(settings, node, boot_id, site.glusterfsd, clock.now()),
        memory=memory,
        table=table,
        bricks=bricks,
        daemons=daemons,
        actions=node_actions(files, bricks, daemons, table),
        server=servers[0],
        clock=clock,
        probe=files.probe,
        mounts=mounts.list_mounts,
        listening=lambda: listening_ports(bind or ""),
        ask_peer=lambda host: gluster_rpc.fetch_spec(host, VOLFILE_PORT, GENERATIONS_KEY, timeout_s=2.0),
    )
    return Node(parts)


def _identity(settings: AgentConfig, memory: NodeMemory) -> tuple[ClusterId, NodeId]:
    """Return cluster and node, made up or asked for when this node has never joined."""
    node = memory.node_id(lambda: NodeId(str(uuid.uuid4())))
    binding = memory.binding()
    return (binding.cluster_id if binding else _first_cluster(settings)), node


def _brick_shell(files: DiskBrickFiles, programs: Programs, portmap: Portmap, marks: RunMarks) -> BrickShell:
    return BrickShell(
        files=files,
        programs=programs,
        ports=TcpPorts(),
        marks=marks,
        signed_in_as=portmap.signed_in_as,
        terminate=_terminate,
    )


def _about(settings: AgentConfig, node: NodeId, boot_id: str, glusterfsd: str, now: int) -> NodeFact:
    """Return what the node tells of itself once, at its start."""
    return NodeFact(
        node_id=node,
        peer=settings.peer,
        address=settings.address,
        boot_id=boot_id,
        agent_version=__version__,
        gluster_version=_gluster_version(glusterfsd),
        started_at=now,
    )


def _take_directories(paths: NodePaths) -> None:
    """Make the agent's directories, for root alone, and lock the one with its state.

    And GlusterFS' own run directory: its place is compiled in, glusterd makes it, no package does. There a
    brick puts the socket of its changelog; if it cannot, it ends with SIGSEGV at the first change (verified
    with 10.3: changelog.c goes on without the buffer that changelog_init_rpc did not make).
    """
    for directory in (paths.state, paths.run, paths.log):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    _GLUSTER_RUN.mkdir(mode=0o755, parents=True, exist_ok=True)
    _lock_state(paths.state)


def _lock_state(state: Path) -> None:
    """Hold the state directory for the life of this process; raises EnvironmentProblem if another has it."""
    descriptor = os.open(state / "agent.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        os.close(descriptor)
        raise EnvironmentProblem(
            f"another agent works with {state}", hint="Stop it, or give this agent directories of its own."
        ) from exc


def _terminate(socket_path: str, brick_path: str) -> None:
    gluster_rpc.brick_terminate(Path(socket_path), brick_path, timeout_s=5.0)


def _first_cluster(settings: AgentConfig) -> ClusterId:
    """Return the cluster's id on a node that has never joined: only the store knows it."""
    said = False
    while True:
        store = _store(settings)
        try:
            return claim_cluster(store, settings.cluster)
        except StoreError as exc:
            if not said:
                LOG.warning("waiting for etcd to join cluster %s: %s", settings.cluster, exc.message)
            said = True
            threading.Event().wait(1.0)
        finally:
            store.close()


def _gluster_version(program: str) -> str:
    """Return the version of the installed GlusterFS, such as ``10.3``."""
    try:
        printed = subprocess.run(  # noqa: S603  a fixed absolute program, no shell
            [program, "--version"], capture_output=True, text=True, timeout=10, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError) as exc:
        raise EnvironmentProblem(
            f"cannot run {program}: {exc}", hint="Install GlusterFS: apt-get install glusterfs-client"
        ) from exc
    return printed.split()[1] if len(printed.split()) > 1 else ""


# ---------------------------------------------------------------- processes


def _start_steward(config: str) -> KeptProcess:
    """Keep a steward running, a process of its own: it acts with the applier's identity, not the agent's."""
    words = [sys.executable, "-m", "reconciler", "steward", "--config", config, "--agent", str(os.getpid())]
    return KeptProcess("steward", words)


def _end_with(parent: int, stop: threading.Event) -> None:
    """Set `stop` when the process that started us is gone."""
    while os.getppid() == parent:
        if stop.wait(1.0):
            return
    stop.set()


def _until_signal() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _many_files() -> None:
    """Raise our soft limit of open files: every client keeps a connection to the volfile server."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(65536, hard) if hard != resource.RLIM_INFINITY else 65536
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _log_to_stderr() -> None:
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s %(threadName)s %(message)s",
    )


def _store(settings: AgentConfig) -> EtcdStore:
    return EtcdStore(EtcdEndpoint(hosts=settings.etcd, ca=settings.ca, cert=settings.cert, key=settings.key))


def _path(text: str) -> Path | None:
    return Path(text) if text else None
