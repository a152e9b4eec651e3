"""The agent as a process: start the node, keep a link to the store, end cleanly. Ending stops no brick."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from reconciler.agent.link import Link
from reconciler.errors import JournalError, PlanError, StoreError

if TYPE_CHECKING:
    from reconciler.agent.config import AgentConfig
    from reconciler.agent.node import Node
    from reconciler.ports.store import Store

LOG = logging.getLogger("gluster-state.agent")
RETRY_S = 1.0


def serve(node: Node, config: AgentConfig, connect: Callable[[], Store], stop: threading.Event) -> int:
    """Run the agent until `stop` is set; returns the exit code.

    Without the store the node goes on from its last committed configuration, and the link is retried.
    """
    node.start()
    instance = secrets.token_hex(8)
    said = ""
    try:
        while not stop.is_set():
            store: Store | None = None
            try:
                store = connect()
                link = Link(node, store, cluster_name=config.cluster, peer=config.peer, instance=instance)
                link.run(stop)
                said = ""
            except StoreError as exc:
                if exc.message != said:
                    LOG.warning("%s; going on from the last committed configuration", exc.message)
                said = exc.message
                node.isolated(config.address)
            except (PlanError, JournalError) as exc:
                if exc.message != said:
                    LOG.error("%s %s", exc.message, exc.hint)  # noqa: TRY400  expected, told without a traceback
                said = exc.message
                node.isolated(config.address)
            finally:
                if store is not None:
                    store.close()
            stop.wait(RETRY_S)
    finally:
        node.stop()
    return 0
