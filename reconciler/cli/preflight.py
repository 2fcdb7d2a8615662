"""What is checked before anything is planned or sent: the chain, its contracts, the services, clocks and balances."""

import time
from enum import StrEnum

from reconciler.adapters.terms import Terms, standing, strangers, terms
from reconciler.cli.legacy import legacy
from reconciler.cli.wiring import Session
from reconciler.core.effects import Signer
from reconciler.core.errors import Ambiguous, Rejected, Unreachable
from reconciler.core.money import format_amount
from reconciler.core.observation import Present
from reconciler.core.value import Value
from reconciler.engine.survey import observe
from reconciler.kinds.peaq_v2.ground import TIERS

SKEW_SECONDS = 120
"""Difference between this machine's clock and the newest block from which on we say so."""
CODE_SECONDS = 30
"""Difference from the Gas Station's clock from which on one of the two is wrong. Codes are made for its clock."""
LEAST_BLOCK_GAS = 5_000_000
"""Under this, packing calls gains little."""


DAY = 24 * 3600


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


class Finding(Value):
    level: Level
    what: str
    detail: str


async def chain_findings(session: Session) -> list[Finding]:
    """Cheap enough for every plan. That the chain is the right one and the contracts are there is known already."""
    head = await session.world.chain.recent()
    behind = time.time() - head.timestamp
    # A development chain may mine only when there is something to mine, so its age says nothing.
    skewed = -behind > SKEW_SECONDS or (session.project.fleet.network.live and behind > SKEW_SECONDS)
    apart = f"{behind:.0f} s old by" if behind >= 0 else f"{-behind:.0f} s ahead of"
    age = f"block {head.number} is {apart} this machine's clock"
    hint = "; is the node behind, or a clock wrong?" if skewed else ""
    low = head.gas_limit < LEAST_BLOCK_GAS
    batch = "usable" if session.world.settings.batch else "not used: calls go one by one, and groups are not atomic"
    views = "usable" if session.abilities.multicall else "not usable: reads go in JSON-RPC batches"
    return [
        Finding(Level.WARNING if skewed else Level.OK, "clock", age + hint),
        Finding(Level.WARNING if low else Level.OK, "block gas", f"{head.gas_limit:,} a block"),
        Finding(Level.OK if session.world.settings.batch else Level.WARNING, "Batch", batch),
        Finding(Level.OK, "Multicall", views),
    ]


async def all_findings(session: Session) -> list[Finding]:
    """Everything, for a person who asks."""
    fleet = session.project.fleet
    found = [Finding(Level.OK, "chain", f"{fleet.network.name}, chain id {fleet.network.chain_id}, contracts answer")]
    found += await chain_findings(session)
    found += [*await _protocols(session), *await _registry(session)]
    if "v2" in fleet.protocols:
        found += await _v2(session)
    for name, operator in fleet.operators.items():
        signer = Signer("operator", name)
        wei = await session.world.chain.balance(operator.address or "")
        text = f"{operator.address} holds {format_amount(wei)}"
        declared = "" if session.project.keyring.declared(signer) else "; the manifest names no key for it"
        level = Level.WARNING if wei == 0 or declared else Level.OK
        found.append(Finding(level, str(signer), text + declared))
    return [*found, *await _markets(session), *await _station(session)]


async def _protocols(session: Session) -> list[Finding]:
    """What the chain runs, whatever the fleet lives by."""
    fleet, contracts = session.project.fleet, session.project.fleet.network.contracts
    there = await standing(session.chain, contracts)
    as_well = f"v1 contracts are there as well{' (legacy)' if fleet.network.live else ''}"
    beside = as_well if "v1" in there else "no v1 contracts are known here"
    text = f"this chain runs v2 (MachineRegistry at {contracts.machine_registry}); {beside}"
    if "v2" not in there:
        text = f"this chain runs v1 (IdentityRegistry at {contracts.identity_registry}), and no v2 that we know of"
    said = legacy(fleet)
    return [Finding(Level.OK, "protocol", text), *([Finding(Level.WARNING, "protocol v1", said)] if said else [])]


async def _v2(session: Session) -> list[Finding]:
    contracts = session.project.fleet.network.contracts
    try:
        said = await terms(await session.world.snapshot(0), TIERS)
    except (Unreachable, Rejected) as error:
        hint = f"; {error.hint}" if error.hint else ""
        return [Finding(Level.FAILED, "v2 terms", f"{error}{hint}")]
    peers = [
        Finding(Level.FAILED, "v2 contracts", f"the InfoDesk names {address}; correct network.contracts.{role}")
        for role, address in strangers(said, contracts).items()
    ]
    peers = peers or [Finding(Level.OK, "v2 contracts", f"the InfoDesk at {contracts.info_desk} names the same")]
    takes = "takes bonds" if said.authority else "takes no bonds: it is not the economic authority"
    runs = "technically paused by its owner" if said.paused else "not paused"
    level = Level.OK if said.authority and not said.paused else Level.FAILED
    return [*peers, Finding(level, "v2 state", f"{takes}; {runs}"), _prices(said)]


def _prices(said: Terms) -> Finding:
    priced = ", ".join(f"{tier} {format_amount(wei)}" for tier, wei in said.prices.items())
    if not priced:
        return Finding(Level.FAILED, "v2 bonds", "the protocol has no price now, and takes none; try again later")
    return Finding(Level.OK, "v2 bonds", f"{priced}, each for {said.period // DAY} days")


async def _registry(session: Session) -> list[Finding]:
    reader = await session.world.snapshot(0)
    found = []
    for resource in session.project.resources:
        if resource.address.kind == "registry":
            observation = await observe(resource, reader)
            if not isinstance(observation, Present):
                found.append(Finding(Level.FAILED, "registry", getattr(observation, "reason", "absent")))
                continue
            refusal = resource.kind.refuse(resource.spec, observation.state)
            bond = resource.kind.outputs(resource.spec, observation.state).get("min_bond")
            text = f"a bond is {format_amount(bond)}" if isinstance(bond, int) else "no bond is asked for"
            found.append(Finding(Level.FAILED if refusal else Level.OK, "registry", refusal or text))
    return found


async def _markets(session: Session) -> list[Finding]:
    if session.markets is None:
        return [Finding(Level.OK, "Machine Markets", "not configured")]
    try:
        await session.markets.get(("machines",), limit=1)
    except (Unreachable, Rejected) as error:
        hint = f"; {error.hint}" if error.hint else ""
        return [Finding(Level.FAILED, "Machine Markets", f"{error}{hint}")]
    return [Finding(Level.OK, "Machine Markets", "answers, and takes our key")]


async def _station(session: Session) -> list[Finding]:
    if session.station is None:
        return []
    try:
        skew = await session.station.skew()
    except (Unreachable, Ambiguous) as error:
        return [Finding(Level.FAILED, "Gas Station", f"{error}; {error.hint}")]
    off = f"; its clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} ours" if skew else ""
    return [Finding(Level.WARNING if abs(skew) > CODE_SECONDS else Level.OK, "Gas Station", f"answers{off}")]
