"""fleetctl sign-request: what machines whose keys are elsewhere should sign, as a file to carry there."""

import asyncio
import time
from collections.abc import Collection
from pathlib import Path

import click

from reconciler.adapters.journal_store import JournalStore
from reconciler.adapters.sinks import write_private
from reconciler.cli.completing import machine_names
from reconciler.cli.handed import OutFile
from reconciler.cli.options import Command, Options
from reconciler.cli.planning import Planned, Wishes, make_plan
from reconciler.cli.presigned import contracts_of
from reconciler.cli.readback import deeds_of
from reconciler.cli.render.as_json import dump
from reconciler.cli.render.progress import Meter
from reconciler.cli.wiring import Project, Session, connected, open_project
from reconciler.core.address import is_bound
from reconciler.core.change import Action
from reconciler.core.effects import ChainGroup, Signer
from reconciler.core.errors import ConfigError
from reconciler.core.exits import Exit
from reconciler.core.money import format_amount
from reconciler.core.plan import PlannedChange
from reconciler.core.ports import Draft
from reconciler.core.signing import SigningRequest, Transaction
from reconciler.core.value import Value
from reconciler.engine.ahead import drafts, signed_ahead
from reconciler.kinds.peaq_v2.ground import PARTS

FIRST = ("machine_did", PARTS[0])
"""What a machine signs before all else."""
KINDS = (*FIRST, *PARTS)
HEADROOM = click.FloatRange(min=1, max=1000)
GOOD_SECONDS = 7 * 86400
MOMENT = "%Y-%m-%dT%H:%M:%SZ"


class Export(Value):
    """What can be signed now, and by machine why the rest cannot."""

    transactions: tuple[Transaction, ...]
    left: dict[str, str]


@click.command("sign-request", cls=Command)
@click.option(
    "--machine", "machines", multiple=True, shell_complete=machine_names, help="Only this machine; may be repeated"
)
@click.option("--out", type=OutFile("SigningRequest"), required=True, help="File to write")
@click.option("--fee-headroom", type=HEADROOM, default=3.0, show_default=True, help="Times today's fee, at most")
@click.option("--no-batch", is_flag=True, help="For an apply with --no-batch")
def command(options: Options, *, machines: tuple[str, ...], out: Path, fee_headroom: float, no_batch: bool) -> int:
    """Export the parked steps of machines for `fleetctl sign`. The file holds no secret; nothing is sent."""
    project = open_project(options)
    ahead = _elsewhere(project, machines)
    export = asyncio.run(_exported(options, project, ahead, fee_headroom, batch=not no_batch))
    if export.transactions:
        _write(project, export, out)
    _report(options, export, out)
    return Exit.PARTLY if export.left else Exit.DONE


def _elsewhere(project: Project, machines: tuple[str, ...]) -> set[Signer]:
    """The machines, of those named, whose keys are not here."""
    known = {machine.name for machine in project.fleet.machines if machine.signs}
    if unknown := set(machines) - known:
        raise ConfigError(f"no machine {', '.join(sorted(unknown))} has steps of its own", hint="check --machine")
    named = {Signer("machine", name) for name in machines or known}
    return {signer for signer in named if not project.keyring.has(signer)}


async def _exported(
    options: Options, project: Project, ahead: Collection[Signer], headroom: float, *, batch: bool
) -> Export:
    journal = JournalStore.read_only(options.state_directory / "journal.sqlite")
    with Meter(options, "reading", len(project.resources)) as meter:
        async with connected(project, options, journal, meter.event, batch=batch) as session:
            planned = await make_plan(
                session, Wishes(project.keyring.has, ahead=ahead, ignore_windows=True), meter.tick
            )
            own = [(signer.name, change) for signer in sorted(ahead) if (change := _own(planned, signer))]
            asked = await asyncio.gather(*(_asked(session, planned, change, ahead, headroom) for _, change in own))
    left = {name: why for (name, _), why in zip(own, asked, strict=True) if isinstance(why, str)}
    return Export(tuple(t for found in asked if not isinstance(found, str) for t in found), left)


def _own(planned: Planned, signer: Signer) -> PlannedChange | None:
    """The first change that this machine is to sign, or what stops it. The others come after, in another request."""
    own = [c for c in planned.plan.changes if c.address.kind in KINDS and c.address.name == signer.name]
    signs = (change for change in own if any(signed_ahead(change, {signer})))
    stuck = (c for c in own if c.address.kind in FIRST and c.action is not Action.NO_OP)
    return next(signs, None) or next(stuck, None)


async def _asked(
    session: Session, planned: Planned, change: PlannedChange, ahead: Collection[Signer], headroom: float
) -> list[Transaction] | str:
    """What is to be signed for a change, or why that cannot be said now."""
    if not change.action.acts:
        return f"{change.action}: {change.reason}"
    if not all(is_bound(group) for group in signed_ahead(change, ahead)):
        return "apply first: what its DID must say is known only when its identity and NFT are there"
    found, known = [], contracts_of(session.project.fleet.network.chain_id)
    for step, group in ((s, s.effect) for s in change.steps if isinstance(s.effect, ChainGroup)):
        account = session.world.keyring.address(group.signer)
        if await session.world.chain.nonce(account, "pending") > await session.world.chain.nonce(account, "latest"):
            return "transactions of its account are in flight: try again when they are mined"
        asked = await drafts(session.world, group, headroom)
        if short := _short(planned, group, account, asked):
            return short
        words = {"machine": group.signer.name, "signer": account, "step": step.title}
        try:
            found += [Transaction.of(draft, **words, writes=deeds_of(draft.call, account, known)) for draft in asked]
        except ValueError as error:
            return f"`fleetctl sign` would refuse it: {error}"
    return found


def _short(planned: Planned, group: ChainGroup, account: str, asked: Collection[Draft]) -> str:
    """Why the wallet cannot pay for this, whatever the plan sends to it included, or ""."""
    worst = sum(call.taken for call in group.calls) + sum(draft.gas * draft.fees.max_fee for draft in asked)
    held = planned.wei[group.signer] + planned.plan.incoming().get(account.lower(), 0)
    if held >= worst:
        return ""
    return f"{account} needs up to {format_amount(worst)} and will hold {format_amount(held)}: send it the difference"


def _write(project: Project, export: Export, out: Path) -> None:
    now = time.time()
    network = project.fleet.network
    request = SigningRequest(
        fleet=project.fleet.name,
        network=network.name,
        chain_id=network.chain_id,
        created=time.strftime(MOMENT, time.gmtime(now)),
        good_until=time.strftime(MOMENT, time.gmtime(now + GOOD_SECONDS)),
        transactions=export.transactions,
    )
    try:
        write_private(out, request.text())
    except OSError as error:
        raise ConfigError(f"cannot write {out}: {error.strerror}", hint="check --out") from None


def _report(options: Options, export: Export, out: Path) -> None:
    if options.json:
        transactions = [t.model_dump(mode="json", by_alias=True) for t in export.transactions]
        data = {"formatVersion": "1.0", "file": str(out) if transactions else None, "transactions": transactions}
        click.echo(dump({**data, "left": export.left}))
        return
    for transaction in export.transactions:
        click.echo(f"{transaction.machine}  {transaction.signer}  {transaction.step} (nonce {transaction.nonce})")
    for name, why in export.left.items():
        click.echo(f"{name}  not exported: {why}")
    count = len(export.transactions)
    click.echo(
        f"wrote {out}: {count} transaction(s) to sign" if count else "Nothing to sign; no file written.", err=True
    )
