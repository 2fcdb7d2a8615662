"""A pairing's delegation policy as data: in one shape whoever wrote it, and what gives an agent more authority."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from reconciler.core.address import Address, Output
from reconciler.core.ports import Json, Reader
from reconciler.core.value import Value

LISTS = ("allowedSkillKeys", "deniedSkillKeys", "allowedServiceIds", "deniedServiceIds")
LIMITS = ("perTransactionLimit", "dailySpendLimit", "currency")


class Paired(Value):
    """An agent and a machine, as every kind about the two names them."""

    address: Address
    identity_ref: str
    agent: str
    agent_address: str
    record: str | Output
    adopted: str | None
    """Id of a record that the list does not show."""
    operator: str


async def living(read: Reader, record: Json) -> list[Json]:
    """The pairings of a record that are not revoked; may fail as the reader may."""
    pairings = await read.items("machines", record["id"], "agent-pairings")
    return [pairing for pairing in pairings if pairing.get("status") != "revoked"]


def normal(policy: Json) -> dict[str, Any]:
    """All fields that we know, with nothing as an empty list or None."""
    lists = {name: policy.get(name) or [] for name in LISTS}
    return lists | {name: policy.get(name) for name in LIMITS}


def fingerprint(pairing: Json) -> str:
    """SHA-256 of what a pairing's policy says, or "" where it says none.

    The order of lists, 5 for 5.0 and null for absent make no difference.
    """
    policy = pairing.get("delegationPolicy")
    if not isinstance(policy, Mapping):
        return ""
    said = {name: sorted(map(str, value)) if name in LISTS else value for name, value in normal(policy).items()}
    said |= {name: float(value) for name, value in said.items() if isinstance(value, int)}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def widens(name: str, policy: Json, after: Any) -> bool:
    """True where the new value of a policy's field lets the agent do what the old policy did not."""
    before = policy[name]
    if name in ("perTransactionLimit", "dailySpendLimit"):
        return before is not None and (after is None or after > before)
    if name == "currency":
        # Which of two currencies is worth more is not for us to say; without a limit neither says anything.
        return policy["perTransactionLimit"] is not None or policy["dailySpendLimit"] is not None
    lost, gained = set(before) - set(after), set(after) - set(before)
    if name.startswith("denied"):
        return bool(lost)
    # An empty list of what is allowed allows everything.
    return bool(before) and (not after or bool(gained))
