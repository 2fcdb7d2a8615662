"""Checks on a whole plan. A refusal names the limit, the numbers, and what would pass it."""

from collections.abc import Mapping

from reconciler.core.effects import Signer
from reconciler.core.fleet import Guards
from reconciler.core.money import Cost, format_amount
from reconciler.core.plan import Plan
from reconciler.core.value import Value


class Refusal(Value):
    code: str
    message: str
    hint: str


def refusals(
    plan: Plan, guards: Guards, balances: Mapping[Signer, int], accounts: Mapping[Signer, str]
) -> list[Refusal]:
    """Every reason not to run `plan`. `balances` are wei by signer, `accounts` their addresses."""
    costs = plan.costs()
    incoming = plan.incoming()
    received = {signer: incoming.get(accounts[signer].lower(), 0) for signer in costs if signer in accounts}
    found = [*_spend(costs, received, guards), *_widening(plan, guards)]
    for signer, cost in costs.items():
        if signer not in balances:
            continue
        available = balances[signer] + received[signer]
        if available < cost.total:
            found.append(_short(signer, accounts[signer], cost, available))
    return found


def _spend(costs: Mapping[Signer, Cost], received: Mapping[Signer, int], guards: Guards) -> list[Refusal]:
    # What a wallet spends of what this plan sends to it is counted once, where it is sent.
    total = sum(max(0, cost.total - received.get(signer, 0)) for signer, cost in costs.items())
    if guards.max_spend is None or total <= guards.max_spend:
        return []
    message = f"the plan may cost {format_amount(total)}; guards.maxSpend allows {format_amount(guards.max_spend)}"
    return [Refusal("guard.max_spend", message, "raise guards.maxSpend, or take machines out of this apply")]


def _widening(plan: Plan, guards: Guards) -> list[Refusal]:
    count = sum(change.widens for change in plan.changes)
    if not count or guards.policy_widening != "deny":
        return []
    message = f"the plan gives agents more authority at {count} pairing(s); guards.policyWidening is deny"
    return [Refusal("guard.policy_widening", message, "narrow the policies, or set guards.policyWidening to ask")]


def _short(signer: Signer, account: str, cost: Cost, available: int) -> Refusal:
    parts = {"bonds": cost.bond, "transfers": cost.transfer, "DID deposits": cost.deposit, "gas at worst": cost.gas}
    spent = " + ".join(f"{format_amount(wei)} {what}" for what, wei in parts.items() if wei)
    message = f"{signer} ({account}) holds {format_amount(available)} and needs {format_amount(cost.total)}: {spent}"
    missing = format_amount(cost.total - available)
    return Refusal("guard.balance", message, f"send at least {missing} to {account}")
