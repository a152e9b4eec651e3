"""``gluster-state steward``: finishes transactions whose apply has died, without an agent."""

from __future__ import annotations

import click

from reconciler.cli.app import current_app
from reconciler.cli.flags import examples, flag


@click.command(
    epilog=examples(
        "gluster-state steward --config /etc/gluster-state/agent.toml",
    )
)
@flag("--config", required=True, metavar="FILE", help="The agent's TOML file.")
@flag("--agent", type=int, metavar="PID", help="End with this agent, which must be the parent process.")
def steward(config: str, agent: int | None) -> int:
    """Run a steward in the foreground (an agent starts one by itself with --steward)."""
    return current_app().wiring().run_steward(config, agent)
