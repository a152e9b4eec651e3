"""``gluster-state agent``: the process that runs on every node."""

from __future__ import annotations

import click

from reconciler.cli.app import current_app
from reconciler.cli.flags import examples, flag


@click.command(
    epilog=examples(
        "gluster-state agent --config /etc/gluster-state/agent.toml",
    )
)
@flag(
    "--config",
    required=True,
    metavar="FILE",
    help="TOML: cluster, peer, etcd endpoints, TLS files, directories.",
)
@flag("--bind", metavar="ADDRESS", help="Serve volfiles and bricks on this address only (labs).")
@flag(
    "--steward",
    is_flag=True,
    help="Also finish transactions whose apply has died (or steward = true in FILE).",
)
@flag("--boot-id", metavar="ID", hidden=True, help="Go by this boot id, not by the kernel's (labs).")
def agent(config: str, bind: str | None, steward: bool, boot_id: str | None) -> int:
    """Run this node's agent in the foreground: bricks, volfiles, facts.

    Ending it stops no brick and no mount. Under systemd that takes KillMode=process: see
    examples/agent/gluster-state-agent.service.
    """
    app = current_app()
    return app.wiring().run_agent(config, app.features(), bind=bind, steward=steward, boot_id=boot_id)
