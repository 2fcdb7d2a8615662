"""fleetctl apply: settle what is open, plan, ask, run, and say how it ended."""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from reconciler.adapters.journal_store import JournalStore
from reconciler.adapters.presigned import Presigned
from reconciler.cli.approval import Approval, approval_of
from reconciler.cli.commands.plan import print_plan, told
from reconciler.cli.documents import Documented, answered, documented
from reconciler.cli.leaving import removal_options
from reconciler.cli.options import Options
from reconciler.cli.planning import Planned, Wishes, make_plan, remember, whole
from reconciler.cli.presigned import FILE, presigned
from reconciler.cli.render.as_json import plan_data, result_data
from reconciler.cli.render.plan_text import left_out
from reconciler.cli.render.progress import Meter, answer
from reconciler.cli.selecting import Choice, Terms, selected, selects
from reconciler.cli.wiring import Project, Session, alone, connected, open_project
from reconciler.core.change import Action
from reconciler.core.effects import SignedRequest, Step
from reconciler.core.errors import ConfigError, JournalError, UnsafePlan
from reconciler.core.exits import Exit
from reconciler.core.plan import build_plan, steps_of
from reconciler.core.ports import Label
from reconciler.core.selection import EVERYTHING
from reconciler.core.text import one_line
from reconciler.core.value import replace
from reconciler.engine.ahead import stale
from reconciler.engine.events import Event, Stage
from reconciler.engine.execute import Execution, Result
from reconciler.engine.recover import drained, recover

WAITS = "waits for "
AGAIN = 5
"""Times an apply starts over because the chain was reorganised under it, or because its plan was made too early."""


@click.command("apply", cls=Documented)
@click.argument("plan", type=FILE, required=False)
@click.option("--yes", is_flag=True, help="Do not ask")
@click.option("--no-batch", is_flag=True, help="Send every call as a transaction of its own")
@click.option("--accept-legacy", is_flag=True, help="Register under protocol v1 on a live network")
@click.option("--allow-widening", is_flag=True, help="Give agents more authority without being asked about it")
@click.option("--allow-token-loss", is_flag=True, help="Change policies even where an agent's key is not at hand")
@click.option("--ignore-windows", is_flag=True, help="Apply although a maintenance window is closed")
@removal_options
@selects
@click.option("--signed", type=FILE, multiple=True, help="What `fleetctl sign` wrote; may be repeated")
def command(
    options: Options,
    *,
    plan: Path | None,
    yes: bool,
    no_batch: bool,
    signed: tuple[Path, ...],
    only: Terms,
    skip: Terms,
    scan: bool,
    **given: Any,
) -> int:
    """Make the world as the manifest says. Shows the plan and asks first.

    With PLAN, a file of `fleetctl plan --out`, just what that says is done, or nothing (exit code 8) where it is stale.
    """
    if plan is None and not yes and (not options.text or not sys.stdin.isatty()):
        raise ConfigError("there is no terminal to ask on", hint="pass --yes to apply without being asked")
    project = open_project(options)
    approval = approval_of(options, project, plan)
    chosen = approval.choice(Choice(only, skip, scan))
    check_keys(project, "operator", "agent", "machine")
    keyring = presigned(project, signed)
    wishes = Wishes(
        project.keyring.has,
        ahead=keyring.transactions.keys(),
        selection=selected(project, chosen.only, chosen.skip),
        scan=chosen.scan,
        narrow=approval.narrow,
        **given,
    )
    if plan is not None:
        asyncio.run(_look(options, project, wishes, approval))
    with alone(project, f"apply of {options.file}"):
        agreed = yes or not approval.asks
        return asyncio.run(_apply(options, project, wishes, keyring, approval, yes=agreed, batch=not no_batch))


async def _look(options: Options, project: Project, wishes: Wishes, approval: Approval) -> None:
    """Raises StalePlan where the plan is stale, without a lock: whoever holds one need not be waited for."""
    journal = JournalStore.read_only(options.state_directory / "journal.sqlite")
    with Meter(options, "comparing", len(project.resources)) as meter:
        async with connected(project, options, journal, meter.event) as session:
            await approval.check(session)
            await make_plan(session, wishes, meter.tick)


def check_keys(project: Project, *roles: str) -> None:
    """Open every key of these roles that is here, before anything is done: all that is wrong is said at once."""
    problems: list[ConfigError] = []
    for signer in project.keyring.holders:
        if signer.role not in roles:
            continue
        try:
            if not project.keyring.has(signer) and signer.role == "operator":
                why = project.keyring.why_missing(signer)
                problems.append(ConfigError(f"{signer} cannot sign: {why}", hint="apply needs the operator's key"))
        except ConfigError as error:
            problems.append(error)
    if len(problems) == 1:
        raise problems[0]
    if problems:
        message = "\n".join(f"{p}{f' ({p.hint})' if p.hint else ''}" for p in problems)
        raise ConfigError(f"{len(problems)} keys cannot be used:\n{message}", hint="nothing was done")


async def _apply(
    options: Options,
    project: Project,
    wishes: Wishes,
    keyring: Presigned,
    approval: Approval,
    *,
    yes: bool,
    batch: bool,
) -> int:
    journal = JournalStore(options.state_directory / "journal.sqlite")
    relay = Relay(options)
    try:
        async with connected(project, options, journal, relay, batch=batch) as connection:
            world = connection.world
            # What has begun in a window is finished, however long it takes.
            wishes = replace(wishes, at=world.clock.now())
            session = replace(connection, world=replace(world, keyring=replace(keyring, keys=world.keyring)))
            await approval.check(session)
            planned = await _plan(options, session, wishes, relay)
            for _ in range(AGAIN):
                if not await _settled_earlier(options, session, planned, wishes, relay):
                    break
                planned = await _plan_again(options, session, wishes, relay)
            if options.record.heard:
                options.record.plan(plan_data(session, planned), "apply")
            if options.text:
                print_plan(options, session, planned)
            _check(options, session, planned, wishes)
            if planned.plan.acting and not yes and not _agreed("Apply this plan?"):
                click.echo("Declined; nothing was done.", err=True)
                return Exit.ERROR
            result = await run(options, session, planned, relay)
            for _ in range(AGAIN):
                if not result.reorged:
                    break
                # What was read from blocks that are gone may be wrong now: look at everything again.
                planned = await _plan_again(options, session, wishes, relay)
                _check(options, session, planned, wishes)
                result = result.then(await run(options, session, planned, relay))
            code = exit_code(planned, result)
            report(options, session, planned, result, code)
            await _remember(session, planned, result)
            return code
    finally:
        journal.close()


async def _remember(session: Session, planned: Planned, result: Result) -> None:
    try:
        await remember(session, planned, result)
    except JournalError as error:
        # All is done and told: without this a later plan can only not tell who moved.
        click.echo(f"Warning: {error}", err=True)


def _check(options: Options, session: Session, planned: Planned, wishes: Wishes) -> None:
    """Everything that may speak against running this plan; UnsafePlan or ConfigError where something does."""
    if planned.refusals:
        raise UnsafePlan("; ".join(r.message for r in planned.refusals), hint=planned.refusals[0].hint)
    if any(_delivers(step) for step in steps_of(planned.plan.acting)):
        session.sink.check()
    _consent_to_widening(options, session, planned, wishes)


def _consent_to_widening(options: Options, session: Session, planned: Planned, wishes: Wishes) -> None:
    """More authority for an agent wants a yes of its own: --yes is about the rest. UnsafePlan where it is not given."""
    count = sum(change.widens for change in planned.plan.acting)
    if not count or wishes.allow_widening or session.project.fleet.guards.policy_widening == "allow":
        return
    question = f"Give agents more authority at {count} pairing(s), marked ▲ above?"
    if not options.text or not sys.stdin.isatty() or not _agreed(question):
        message = f"the plan gives agents more authority at {count} pairing(s), and nobody agreed to that"
        raise UnsafePlan(message, hint="pass --allow-widening, or set guards.policyWidening to allow")


class Relay:
    """Passes events to whichever meter is shown now."""

    def __init__(self, options: Options) -> None:
        self.meter: Meter | None = None
        self._options = options

    def __call__(self, event: Event) -> None:
        if self.meter is not None:
            told(self._options, self.meter, event)


async def _plan(options: Options, session: Session, wishes: Wishes, relay: Relay) -> Planned:
    with Meter(options, "reading", len(session.project.resources)) as meter:
        relay.meter = meter
        planned = await make_plan(session, wishes, meter.tick)
    denials = await stale(session.world, planned.plan, wishes.ahead)
    if not denials:
        return planned
    scene = replace(planned.scene, denials={**planned.scene.denials, **denials})
    return replace(planned, plan=wishes.narrow(build_plan(scene), scene), scene=scene)


async def _plan_again(options: Options, session: Session, wishes: Wishes, relay: Relay) -> Planned:
    """A plan that sees what was done until now, in however new a block."""
    await session.chain.head()
    return await _plan(options, session, wishes, relay)


async def _settled_earlier(options: Options, session: Session, planned: Planned, wishes: Wishes, relay: Relay) -> bool:
    """Settle what earlier runs left open; True where that may have changed the world."""
    if wishes.selection and session.world.journal.unsettled():
        # What is left out now was not left out then, and is wanted still.
        planned = await _plan(options, session, replace(wishes, selection=EVERYTHING, narrow=whole), relay)
    # What is signed already is wanted as long as the manifest asks for it, whether its key is here or it is held back.
    scene = replace(planned.scene, has_key=lambda signer: True, held={}, left_out={})
    asked = [*planned.plan.acting, *build_plan(scene).acting]
    wanted = {Label(str(change.address), step.title) for change in asked for step in change.steps}
    # Who holds nothing has nothing in the pool either: it could not be paid for.
    accounts = sorted({session.world.keyring.address(signer) for signer, wei in planned.wei.items() if wei})
    with Meter(options, "settling an earlier apply", 1) as meter:
        relay.meter = meter
        recovered = await recover(session.world, wanted.__contains__)
        return await drained(session.world, accounts, planned.block) or recovered > 0


def _agreed(question: str) -> bool:
    # The loop turns Ctrl-C into a cancellation, which nothing would notice while we wait for an answer here.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return bool(click.confirm(question, default=False, err=True))
    finally:
        signal.signal(signal.SIGINT, before)


def _delivers(step: Step) -> bool:
    """True where the step's answer holds a token that must be stored."""
    return isinstance(step.effect, SignedRequest) and step.effect.secret is not None


async def run(options: Options, session: Session, planned: Planned, relay: Relay) -> Result:
    with Meter(options, "applying", len(planned.plan.acting)) as meter:
        relay.meter = meter
        return await Execution(session.world, planned.plan, planned.scene).run()


def exit_code(planned: Planned, result: Result) -> int:
    if result.count(Stage.UNKNOWN) or result.unsettled:
        return Exit.UNKNOWN
    left = result.count(Stage.FAILED) + result.count(Stage.SKIPPED) + planned.plan.count(Action.BLOCKED)
    return Exit.PARTLY if left else Exit.DONE


def report(options: Options, session: Session, planned: Planned, result: Result, code: int) -> None:
    if options.text:
        _told(options, planned, result)
    if not documented(options):
        return
    ended = {**result_data(result), "headline": _sum(planned, result)}
    answered(options, "apply", {**plan_data(session, planned), "result": ended, "exitCode": code})


def _told(options: Options, planned: Planned, result: Result) -> None:
    """How it ended, for people."""
    console = answer(options)
    waiting = 0
    for outcome in result.outcomes.values():
        if outcome.stage is Stage.SKIPPED or outcome.reason.startswith(WAITS):
            waiting += 1
        elif outcome.stage is not Stage.DONE:
            _left(console, f"{outcome.address}: {outcome.stage}: {outcome.reason}", outcome.hint)
    for change in planned.plan.changes:
        if change.action in (Action.BLOCKED, Action.PARKED) and change.resource.machine not in planned.scene.held:
            # One cause, told once: what only waits for it is counted.
            if change.reason.startswith(WAITS):
                waiting += 1
            else:
                _left(console, f"{change.address}: {change.action}: {change.reason}", "")
    if waiting:
        _left(console, f"{waiting} more wait{'s' if waiting == 1 else ''} for these", "")
    for text in result.unsettled:
        _left(console, text, "apply again to settle it")
    console.print(Text(_sum(planned, result), style="bold"))


def _left(console: Console, text: str, hint: str) -> None:
    console.print(Text(one_line(text), style="yellow"))
    if hint:
        console.print(Text(f"  → {hint}"))


def _sum(planned: Planned, result: Result) -> str:
    if not planned.plan.acting and not planned.plan.count(Action.BLOCKED, Action.PARKED):
        return "; ".join(["Nothing to do: 0 transactions, 0 writes", *left_out(planned.plan)]) + "."
    counts = {
        "done": result.count(Stage.DONE),
        "failed": result.count(Stage.FAILED),
        "not tried": result.count(Stage.SKIPPED),
        "unknown": result.count(Stage.UNKNOWN),
        "blocked": planned.plan.count(Action.BLOCKED),
        "parked": planned.plan.count(Action.PARKED) + result.count(Stage.PARKED),
    }
    shown = ", ".join(f"{n} {name}" for name, n in counts.items() if n or name == "done")
    sent = f"{result.transactions} transactions, {result.writes} writes"
    return "; ".join([f"Apply: {shown}", sent, *left_out(planned.plan)]) + "."
