"""Machines of protocol v2 in a yard, and what the chain says of them."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from e2e_harness import ENDPOINTS, METHODS, Ran, World, Yard
from eth_account import Account

from reconciler.sandbox.config import AGUNG_V2

REGISTRY, STATE, SUBSCRIPTION = (
    AGUNG_V2.machine_registry,
    AGUNG_V2.machine_state_and_sync,
    AGUNG_V2.machine_subscription,
)
TYPE = "air-sensor"
DAY = 24 * 3600


@dataclass(frozen=True)
class Chained:
    """One machine as the contracts have it."""

    world: World
    id: int

    def read(self, to: str, function: str, returns: str) -> Any:
        return self.world.read(to, f"{function}(uint256)", self.id, returns=returns)

    @property
    def owner(self) -> str:
        return str(self.read(REGISTRY, "ownerOf", "address"))

    @property
    def controller(self) -> str:
        return str(self.read(REGISTRY, "controllerOf", "address"))

    @property
    def methods(self) -> list[str]:
        return [method[0] for method in self.read(REGISTRY, "verificationMethodsOf", METHODS)]

    @property
    def authentication(self) -> list[int]:
        return list(self.read(REGISTRY, "authenticationOf", "uint256[]"))

    @property
    def endpoints(self) -> dict[str, str]:
        return {name: url for name, _, url in self.read(REGISTRY, "serviceEndpointsOf", ENDPOINTS)}

    @property
    def paused(self) -> bool:
        return bool(self.read(STATE, "isOperatorPaused", "bool"))

    @property
    def paid_until(self) -> int:
        return int(self.read(SUBSCRIPTION, "subscriptions", "(uint8,uint64,uint64,uint256,uint256)")[2])


def live_by_v2(yard: Yard, *names: str, **block: Any) -> None:
    """These machines in place of the yard's, which say the same of themselves: `block` under `v2`."""
    yard.manifest["protocol"] = "v2"
    yard.manifest.pop("v1", None)
    subject = f"{yard.operator.address} {{name}}"
    yard.manifest["defaults"] = {
        "metadata": {"documentationUrl": "https://docs.example.com/{name}"},
        "v2": {"machineType": TYPE, "credentialSubject": subject, **block},
    }
    yard.manifest["machines"] = [{"name": name, "v2": {}} for name in names]


def with_keys(yard: Yard) -> None:
    """Each machine gets an account of its own, and its key."""
    for machine in yard.manifest["machines"]:
        account = yard.accounts.setdefault(machine["name"], Account.create())
        yard.write_key(machine["name"], account)
        machine |= {"address": account.address, "key": {"file": f"keys/{machine['name']}.key"}}


def chained(yard: Yard, name: str) -> Chained:
    subject = f"{yard.operator.address} {name}".encode()
    return Chained(yard.world, yard.world.read(REGISTRY, "computeTokenId(string,bytes)", TYPE, subject))


def did(yard: Yard) -> Ran:
    """An apply that does all it has to, after which nothing is left to do."""
    applied = yard.run("apply", "--yes")
    assert applied.code == 0, applied.said
    yard.check_quiet()
    return applied


def since(yard: Yard, head: int) -> Counter[str]:
    """Which calls took effect since then, by name."""
    found: Counter[str] = Counter()
    for (name, _), count in yard.effects(head).items():
        found[name] += count
    return found
