"""No noise on a real sandbox: fleets that nobody would write, applied, and then there is nothing left to do."""

from collections.abc import Callable
from random import Random

import pytest
from e2e_harness import Yard
from eth_account import Account
from generated_fleets import generated

MakeYard = Callable[..., Yard]


@pytest.mark.parametrize("seed", range(6))
def test_a_generated_fleet_is_applied_and_then_left_alone(seed: int, new_yard: MakeYard) -> None:
    rng = Random(seed)
    yard = new_yard(3)
    buyer = Account.create()
    yard.write_key("buyer", buyer)
    agents = {**yard.manifest["agents"]}
    agents["buyer"] = {
        "address": buyer.address,
        "provider": rng.choice(["openai", "Ünïcode"]),
        "key": {"file": "keys/buyer.key"},
    }
    accounts = {name: account.address for name, account in yard.accounts.items()}
    fleet = generated(rng, accounts, list(agents))
    for machine in fleet["machines"]:
        machine["key"] = {"file": f"keys/{machine['name']}.key"}
    yard.manifest = {**yard.manifest, **fleet, "agents": agents}
    if "funding" not in fleet["v1"]:
        for account in accounts.values():
            yard.world.fund(account, 1)
    applied = yard.run("apply", "--yes")
    assert applied.code == 0, applied.said
    drift = yard.run("drift")
    assert drift.code == 0, drift.said
    yard.check_quiet()
