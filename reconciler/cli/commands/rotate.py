"""fleetctl rotate: new session tokens, because somebody asks for them or because they are due."""

import asyncio

import click

from reconciler.adapters.journal_store import JournalStore
from reconciler.cli.commands.apply import Relay, check_keys, exit_code, report, run
from reconciler.cli.commands.plan import print_plan
from reconciler.cli.completing import machine_names
from reconciler.cli.options import Command, Options
from reconciler.cli.planning import Planned, Wishes, make_plan
from reconciler.cli.render.progress import Meter
from reconciler.cli.wiring import Project, Session, alone, connected, open_project
from reconciler.core.change import Action
from reconciler.core.errors import ConfigError
from reconciler.core.kind import Resource
from reconciler.core.observation import Present
from reconciler.core.plan import Plan
from reconciler.core.value import Value, replace
from reconciler.engine.survey import observe_all

KIND = "session_token"


class Choice(Value):
    """Which tokens: of these machines, of these agents, all of them, or those that end within so many seconds."""

    machines: tuple[str, ...]
    agents: tuple[str, ...]
    everything: bool
    due: float | None

    def names(self, resource: Resource) -> bool:
        machine, _, agent = resource.address.name.partition("/")
        chosen = (not self.machines or machine in self.machines) and (not self.agents or agent in self.agents)
        return resource.address.kind == KIND and chosen


@click.command("rotate", cls=Command)
@click.option(
    "--machine", "machines", multiple=True, shell_complete=machine_names, help="Tokens of this machine; may be repeated"
)
@click.option("--agent", "agents", multiple=True, help="Tokens of this agent; may be repeated")
@click.option("--all", "everything", is_flag=True, help="Every token")
@click.option("--due", is_flag=True, help="Tokens that have ended, end soon, or stopped being valid: for cron")
@click.option("--within", default=600.0, show_default=True, help="What soon means, in seconds")
def command(options: Options, *, due: bool, within: float, **given: tuple[str, ...] | bool) -> int:
    """Replace session tokens. The old ones are refused from then on. Needs the agents' keys."""
    choice = Choice(due=within if due else None, **given)  # type: ignore[arg-type]
    if not (choice.machines or choice.agents or choice.everything or due):
        raise click.UsageError("say which tokens: --machine, --agent, --all or --due")
    project = open_project(options)
    if not any(choice.names(resource) for resource in project.resources):
        raise ConfigError("no pairing of the manifest is meant", hint="check --machine and --agent")
    check_keys(project, "agent")
    with alone(project, f"rotate of {options.file}"):
        return asyncio.run(_rotate(options, project, choice))


async def _rotate(options: Options, project: Project, choice: Choice) -> int:
    journal = JournalStore(options.state_directory / "journal.sqlite")
    relay = Relay(options)
    try:
        async with connected(project, options, journal, relay) as connection:
            with Meter(options, "reading", len(project.resources)) as relay.meter:
                session = await _asked(connection, choice)
                planned = await make_plan(session, Wishes(project.keyring.has, ignore_windows=True))
            planned = _only(planned, choice)
            if not options.json:
                print_plan(options, session, planned)
            if planned.plan.acting:
                session.sink.check()
            result = await run(options, session, planned, relay)
            code = exit_code(planned, result)
            report(options, session, planned, result, code)
            return code
    finally:
        journal.close()


async def _asked(session: Session, choice: Choice) -> Session:
    """A session about nothing but the chosen tokens and their records, each session asked for marked as retired."""
    tokens = [resource for resource in session.project.resources if choice.names(resource)]
    machines = {resource.address.name.partition("/")[0] for resource in tokens}
    records = [
        r for r in session.project.resources if r.address.kind == "machine_record" and r.address.name in machines
    ]
    found = await observe_all(tokens, await session.world.snapshot(0))
    marked: dict[object, Resource] = {}
    for resource in tokens:
        observation = found[resource.address]
        if isinstance(observation, Present) and _is_due(observation.state.seconds_left, choice):
            spec = replace(resource.spec, retired=str(observation.state.pairing.get("sessionId")))  # type: ignore[type-var]
            marked[resource.address] = replace(resource, spec=spec)
    changed = (*records, *(marked.get(resource.address, resource) for resource in tokens))
    return replace(session, project=replace(session.project, resources=changed, kinds=()))


def _is_due(seconds_left: float | None, choice: Choice) -> bool:
    return choice.due is None or (seconds_left is not None and seconds_left < choice.due)


def _only(planned: Planned, choice: Choice) -> Planned:
    """The plan without what this command is not about; the first token of a pairing comes with the pairing."""
    chosen = [change for change in planned.plan.changes if choice.names(change.resource)]
    unpaired = sum(change.action is Action.CREATE for change in chosen)
    notices = (f"{unpaired} pairing(s) do not exist yet; apply makes them",) if unpaired else ()
    changes = tuple(change for change in chosen if change.action is not Action.CREATE)
    # Nobody moved what is replaced because somebody asks for it.
    return replace(planned, plan=Plan(changes, planned.plan.gas_price, notices), refusals=(), moved={})
