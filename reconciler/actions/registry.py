"""Every step kind that a node knows, with the code behind it. Nothing else lists them.

The kinds of the store's steps are in `reconciler.engine.store_steps`. For a new kind: docs/step-kinds.md and
what docs/add-a-feature.md asks of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from reconciler.actions.brick import brick_actions
from reconciler.actions.daemon import daemon_actions
from reconciler.actions.volume import volume_actions

if TYPE_CHECKING:
    from reconciler.ports.brick import BrickFiles, BrickRunner, DaemonRunner
    from reconciler.ports.node import Action
    from reconciler.ports.staging import StagingTable


def node_actions(
    files: BrickFiles, bricks: BrickRunner, daemons: DaemonRunner, table: StagingTable
) -> Mapping[str, Action]:
    """Return the actions of a node by step kind."""
    return MappingProxyType(
        {**brick_actions(files, bricks), **daemon_actions(daemons), **volume_actions(table)}
    )
