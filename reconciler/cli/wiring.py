"""The only place that builds adapters: from a manifest and options to the ports of one run."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import click
from platformdirs import user_state_path

from reconciler.adapters.chain import RpcChain
from reconciler.adapters.checksum import checksum
from reconciler.adapters.gas_station import GasStation
from reconciler.adapters.http_api import SECONDS as API_SECONDS
from reconciler.adapters.http_api import HttpApi
from reconciler.adapters.journal_store import JournalStore
from reconciler.adapters.keyring import HeldKeys, Holder
from reconciler.adapters.keys import open_key, stated_address
from reconciler.adapters.locks import locked
from reconciler.adapters.machine_logs import machines_in_logs
from reconciler.adapters.probes import Abilities, probe
from reconciler.adapters.reader import WorldReader
from reconciler.adapters.renamed import RenamedJournal, RenamedSink
from reconciler.adapters.rpc import SECONDS as RPC_SECONDS
from reconciler.adapters.rpc import Rpc
from reconciler.adapters.secrets import Missing, Secrets
from reconciler.adapters.sinks import ActionsSink, CheckedSink, CommandSink, DirectorySink, EnvFileSink
from reconciler.adapters.totp import Pace, UsedSteps
from reconciler.adapters.vault import VaultSink
from reconciler.adapters.views import Outlook
from reconciler.cli.options import Options
from reconciler.cli.reading import read_manifest
from reconciler.core.alike import Alike
from reconciler.core.effects import Signer
from reconciler.core.errors import ConfigError, Unreachable
from reconciler.core.fleet import Agent, Fleet, KeyRef, Machine, Operator, Service
from reconciler.core.kind import AnyKind, Resource
from reconciler.core.ports import Block, Reader
from reconciler.core.value import Value, replace
from reconciler.engine.events import Event
from reconciler.engine.world import PATIENCE, Settings, World
from reconciler.kinds import discover
from reconciler.kinds.markets.session_token import TokensSection
from reconciler.manifest.expand import expand
from reconciler.manifest.parse import Manifest

HoldingT = TypeVar("HoldingT", Operator, Agent, Machine)
LAG_SECONDS, STILL_SECONDS = 30, 13
"""How long a node may be behind a block that was shown to us, and how long without a new block of its own."""


class Project(Value):
    """A manifest with every address known, and the keys it names."""

    manifest: Manifest
    fleet: Fleet
    resources: tuple[Resource, ...]
    keyring: HeldKeys
    secrets: Secrets
    notices: tuple[str, ...]
    kinds: tuple[AnyKind, ...]
    """Those that are asked what else is there."""

    # asyncio spells out what a run returns, and this holds a whole fleet.
    __repr__ = object.__repr__


class Session(Value):
    """A project connected to its world."""

    project: Project
    world: World
    rpc: Rpc
    chain: RpcChain
    markets: HttpApi | None
    mcr: HttpApi | None
    station: GasStation | None
    sink: CheckedSink
    abilities: Abilities

    # As above.
    __repr__ = object.__repr__


class SystemClock:
    def now(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def open_project(options: Options, environ: Mapping[str, str] = os.environ) -> Project:
    """Raises ManifestError, or ConfigError for an address that only an absent key could give."""
    manifest = read_manifest(options, environ)
    secrets = Secrets(options.file.parent, environ)
    fleet = _addressed(manifest.fleet, secrets)
    totps = {Signer("totp", name): o.totp for name, o in fleet.operators.items() if o.totp is not None}
    keyring = HeldKeys(secrets, _holders(fleet), totps, fleet.former_keys)
    # As it is from now on: of a large fleet there is no second one.
    manifest, kinds = replace(manifest, fleet=fleet), discover()
    notices = (*manifest.notices, *(text for kind in kinds.values() for text in kind.notices(fleet)))
    return Project(manifest, fleet, expand(fleet, kinds), keyring, secrets, notices, tuple(kinds.values()))


def _addressed(fleet: Fleet, secrets: Secrets) -> Fleet:
    operators = {name: _with_address(o, f"operator {name}", secrets) for name, o in fleet.operators.items()}
    agents = {name: _with_address(a, f"agent {name}", secrets) for name, a in fleet.agents.items()}
    alike = Alike()
    placed = (_with_address(m, f"machine {m.name}", secrets) if m.has_account else m for m in fleet.machines)
    machines = tuple(map(alike.thinned, placed))
    return fleet.model_copy(update={"operators": operators, "agents": agents, "machines": machines})


def _with_address(holding: HoldingT, what: str, secrets: Secrets) -> HoldingT:
    """With its address, checksummed: as declared, or as its key gives it."""
    address = checksum(holding.address or _address_of(holding.key, what, secrets))
    return holding if holding.address == address else holding.model_copy(update={"address": address})


def _address_of(key: KeyRef | None, what: str, secrets: Secrets) -> str:
    if key is not None and (stated := stated_address(secrets, key)):
        return stated
    try:
        return open_key(secrets, key, f"the key of {what}").address
    except Missing as error:
        hint = "write its `address` in the manifest, or make the key available here"
        raise ConfigError(f"the address of {what} is not known: {error.message}", hint=hint) from None


def _holders(fleet: Fleet) -> dict[Signer, Holder]:
    named: list[tuple[Signer, Operator | Agent | Machine]] = [
        *((Signer("operator", name), operator) for name, operator in fleet.operators.items()),
        *((Signer("agent", name), agent) for name, agent in fleet.agents.items()),
        *((Signer("machine", machine.name), machine) for machine in fleet.machines if machine.has_account),
    ]
    return {signer: Holder(signer, holding.address, holding.key) for signer, holding in named}


def alone(project: Project, what: str) -> AbstractContextManager[None]:
    """While it is entered, no other run sends for one of the manifest's operators or machines. Raises Locked."""
    fleet = project.fleet
    holdings: tuple[Operator | Machine, ...] = (*fleet.operators.values(), *fleet.machines)
    accounts = [holding.address for holding in holdings if holding.address]
    return locked(user_state_path("fleetctl") / "locks", fleet.network.chain_id, accounts, what)


@asynccontextmanager
async def connected(
    project: Project, options: Options, journal: JournalStore, emit: Callable[[Event], None], *, batch: bool = True
) -> AsyncIterator[Session]:
    """Everything open and checked: right chain, contracts there. Raises ConfigError or Unreachable."""
    fleet, network = project.fleet, project.fleet.network
    async with AsyncExitStack() as stack:
        rpc = Rpc(network.rpc_urls, timeout=min(RPC_SECONDS, options.timeout))
        stack.push_async_callback(rpc.aclose)
        chain = RpcChain(rpc, network.contracts)
        seconds = min(API_SECONDS, options.timeout)
        markets = _api("Machine Markets", fleet.services.markets, "api/v1", project.secrets, stack, seconds=seconds)
        mcr = _api("the MCR API", fleet.services.mcr, "", project.secrets, stack, seconds=seconds)
        station = _station(project)
        if station is not None:
            stack.push_async_callback(station.aclose)
        abilities = await probe(
            chain, rpc, network, fleet.protocols, [o.address or "" for o in fleet.operators.values()]
        )
        sink = _sink(fleet, options.file.parent, project.secrets)
        # What was kept under the old name of a machine is found under it.
        kept, receipts = RenamedSink(sink, fleet.renamed), RenamedJournal(journal, fleet.renamed)

        outlook = Outlook(rpc, network.contracts.multicall if abilities.multicall else None)

        async def minted(account: str, last: int) -> Collection[str]:
            registry = network.contracts.at("machineRegistry")
            return await machines_in_logs(rpc, registry, network.chain_id, account, last)

        async def snapshot(block: int) -> Reader:
            views = outlook.at(await _caught_up(chain, block))
            return WorldReader(
                views,
                network.contracts,
                markets=markets,
                mcr=mcr,
                receipts=receipts,
                sink=kept,
                minted=minted,
                now=time.time(),
            )

        settings = Settings(
            chain_id=network.chain_id,
            depth=network.confirmations.depth,
            tag=network.confirmations.tag,
            batch=abilities.batch and batch,
            timeout=options.timeout,
            patience=min(options.timeout, PATIENCE),
            max_fee=fleet.guards.max_fee,
            max_spend=fleet.guards.max_spend,
        )
        keyring, held, clock = project.keyring, project.secrets, SystemClock()
        world = World(chain, keyring, markets, receipts, kept, held, clock, snapshot, settings, emit, station)
        yield Session(project, options.around(world), rpc, chain, markets, mcr, station, sink, abilities)


@asynccontextmanager
async def gas_station(project: Project) -> AsyncIterator[GasStation]:
    """The Gas Station alone. ConfigError where the manifest names none."""
    station = _station(project)
    if station is None:
        raise ConfigError("the manifest names no Gas Station", hint="add services.gasStation.url to it")
    try:
        yield station
    finally:
        await station.aclose()


def _station(project: Project) -> GasStation | None:
    service = project.fleet.services.gas_station
    if service is None:
        return None
    clock, used = SystemClock(), UsedSteps(user_state_path("fleetctl") / "totp")
    return GasStation(service.url, Pace(project.keyring, used, clock), clock)


def _api(
    name: str, service: Service | None, root: str, secrets: Secrets, stack: AsyncExitStack, *, seconds: float
) -> HttpApi | None:
    if service is None:
        return None
    key = secrets.read(service.api_key, f"the API key of {name}") if service.api_key else None
    api = HttpApi(name, f"{service.url.rstrip('/')}/{root}", api_key=key, timeout=seconds)
    stack.push_async_callback(api.aclose)
    return api


async def _caught_up(chain: RpcChain, block: int) -> Block:
    """The newest block, once it is at least `block`."""
    seen, moved, begun = -1, 0.0, time.monotonic()
    while True:
        now, head = time.monotonic(), await chain.recent(block)
        if head.number >= block:
            return head
        if head.number != seen:
            seen, moved = head.number, now
        if now - begun >= LAG_SECONDS or now - moved >= STILL_SECONDS:
            break
        await asyncio.sleep(0.1)
    raise Unreachable(f"the node is behind: it does not show block {block}", hint="name another rpcUrl")


def _sink(fleet: Fleet, root: Path, secrets: Secrets) -> CheckedSink:
    sink = (fleet.section(TokensSection) or TokensSection()).tokens.sink
    if sink.env_file is not None:
        return EnvFileSink(root / sink.env_file)
    if sink.command is not None:
        return CommandSink(sink.command, root)
    if sink.vault is not None:
        token = partial(secrets.read, sink.vault.token, "the token of Vault")
        return VaultSink(sink.vault.address, sink.vault.mount, sink.vault.prefix, token)
    if sink.github_output is not None:
        return ActionsSink(secrets.environ, lambda line: click.echo(line, err=True))
    return DirectorySink(root / (sink.directory or ""))
