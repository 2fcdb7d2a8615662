"""fleetctl show: a saved plan as it was. Needs no network, no key and no manifest, and does not ask if it is stale."""

import json
from pathlib import Path

import click
from rich.text import Text

from reconciler.cli.approval import read_plan, signed_by
from reconciler.cli.documents import Documented, answered
from reconciler.cli.options import Options
from reconciler.cli.presigned import FILE
from reconciler.cli.render.plan_text import render_plan, render_refusals
from reconciler.cli.render.progress import answer
from reconciler.core.saved import SavedPlan
from reconciler.core.text import one_line
from reconciler.kinds import discover


@click.command("show", cls=Documented)
@click.argument("plan", type=FILE)
def command(options: Options, plan: Path) -> int:
    """Show a plan that `fleetctl plan --out` saved, whether it is stale or not."""
    saved, text = read_plan(plan)
    answered(options, "plan", json.loads(text))
    if not options.text:
        return 0
    console = answer(options)
    for line in _heading(saved):
        console.print(Text(one_line(line), style="dim"))
    console.print()
    render_plan(saved.plan(discover()), console, verbose=options.verbose > 0)
    render_refusals(saved.refused(), console)
    return 0


def _heading(saved: SavedPlan) -> list[str]:
    network, git, signature = saved.network, saved.git, saved.signature
    lines = [
        f"Plan of fleet {saved.fleet}, made {saved.created} at block {network.block} of {network.name} "
        f"(chain {network.chain_id})"
    ]
    if git is not None:
        lines.append(f"from commit {git.commit[:12]}{', with changes that are not committed' if git.dirty else ''}")
    if signature is not None:
        good = signed_by(saved).lower() == signature.address.lower()
        who = f"operator {signature.operator} ({signature.address})"
        lines.append(f"signed by {who}" if good else f"NOT signed by {who}, although it says so")
    return lines
