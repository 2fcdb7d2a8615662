"""Transactions that are signed before they are wanted, by keys kept elsewhere: what to sign, and what of it holds."""

import asyncio
from collections.abc import Collection, Iterator

from reconciler.core.address import Address, is_bound
from reconciler.core.effects import ChainGroup, Signer
from reconciler.core.errors import Rejected
from reconciler.core.plan import Plan, PlannedChange
from reconciler.core.ports import Draft, Fees, Raw
from reconciler.engine.world import World

GAS_MARGIN = 1.5
"""More than a lane wants over its own, later estimate."""
NO_FEES = Fees(0, None)


def signed_ahead(change: PlannedChange, ahead: Collection[Signer]) -> Iterator[ChainGroup]:
    """The groups of a change that wait for a signature from elsewhere."""
    for step in change.steps:
        if isinstance(step.effect, ChainGroup) and step.effect.signer in ahead:
            yield step.effect


async def drafts(world: World, group: ChainGroup, headroom: float) -> list[Draft]:
    """What the group's lane would have signed, with gas and fees to spare: fees `headroom` times those of now."""
    account = world.keyring.address(group.signer)
    nonce, now = await asyncio.gather(world.chain.nonce(account, "pending"), world.chain.fees())
    most = world.settings.max_fee
    max_fee = int(now.max_fee * headroom)
    fees = Fees(max_fee if most is None else min(max_fee, most), now.tip)
    transactions = _transactions(world, group)
    outcomes = await asyncio.gather(*(world.chain.estimate(account, raw) for raw, _ in transactions))
    # An estimate may fail for now: the wallet is topped up, or an earlier call is made, before this is sent.
    needed = [guess if o.revert else o.gas for (_, guess), o in zip(transactions, outcomes, strict=True)]
    # A lane gives no transaction less gas than those before it.
    gas = int(max(needed) * GAS_MARGIN)
    chain_id = world.settings.chain_id
    return [Draft(nonce + n, raw, gas, fees, chain_id) for n, (raw, _) in enumerate(transactions)]


def _transactions(world: World, group: ChainGroup) -> list[tuple[Raw, int]]:
    """The group as a lane sends it, each with a guess of its gas."""
    raws = [world.chain.encode(call) for call in group.calls]
    if len(raws) > 1 and world.settings.batch:
        return [(world.chain.pack(raws), sum(call.gas for call in group.calls))]
    return [(raw, call.gas) for raw, call in zip(raws, group.calls, strict=True)]


async def stale(world: World, plan: Plan, ahead: Collection[Signer]) -> dict[Address, str]:
    """Why which changes of `plan` cannot be made with what was signed ahead."""
    asked = [
        (change.address, group) for change in plan.acting for group in signed_ahead(change, ahead) if is_bound(group)
    ]
    reasons = await asyncio.gather(*(_refused(world, group) for _, group in asked))
    return {address: reason for (address, _), reason in zip(asked, reasons, strict=True) if reason}


async def _refused(world: World, group: ChainGroup) -> str:
    nonce = await world.chain.nonce(world.keyring.address(group.signer), "pending")
    try:
        for number, (raw, _) in enumerate(_transactions(world, group)):
            draft = Draft(nonce + number, raw, 0, NO_FEES, world.settings.chain_id)
            world.keyring.sign_transaction(group.signer, draft)
    except Rejected as error:
        return f"{error}; {error.hint}"
    return ""
