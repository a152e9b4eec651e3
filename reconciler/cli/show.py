"""``gluster-state show``: a saved plan, as it was shown when it was made."""

from __future__ import annotations

import click

from reconciler.cli import saved
from reconciler.cli.app import App, current_app
from reconciler.cli.flags import examples, output
from reconciler.cli.render_plan import as_lines_of_json, render
from reconciler.plan.document import digest, document, instant
from reconciler.plan.step import Plan


@click.command(
    epilog=examples(
        "gluster-state show my.plan",
        "gluster-state show my.plan -o json | jq .summary",
    )
)
@click.argument("plan_file", metavar="PLAN")
@output("text", "json", "ndjson")
def show(plan_file: str, form: str) -> int:
    """Show a saved plan. Needs no cluster; a plan that was altered is refused."""
    app = current_app()
    plan = saved.load(plan_file)
    if form == "text":
        app.say([f"plan {plan.plan_id}   {digest(plan)}   expires {instant(plan.expires)}"])
    answer(plan, form, app)
    return 0


def answer(plan: Plan, form: str, app: App) -> None:
    """Print a plan in the wanted form."""
    if form == "json":
        app.answer(document(plan))
    elif form == "ndjson":
        for line in as_lines_of_json(plan):
            app.answer(line)
    else:
        app.say(render(plan, app.out))
