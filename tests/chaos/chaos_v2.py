"""Fleets of protocol v2, whoever owns the machines: bonds, documents, renewals and hand-overs, each exactly once.

What happened is read from the contracts' events. A fleet needs a sandbox to itself, since it moves the clock.
"""

import random
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

from chaos_fleet import EDITS, Fleet, any_of, mark_of
from e2e_harness import METHODS, PEAQ
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak

from reconciler.sandbox.chain import calldata
from reconciler.sandbox.config import AGUNG_V2, WPEAQ_PRECOMPILE

REGISTRY, SUBSCRIPTION = AGUNG_V2.machine_registry, AGUNG_V2.machine_subscription
TYPE, BOND, DAY = "air-sensor", PEAQ // 2, 24 * 3600
PERIOD = 365 * DAY
RENEW_BEFORE = 30
"""Days."""
EVENTS = {
    "MachineOnboarded": "MachineOnboarded(uint256,address)",
    "Activated": "Activated(uint256,address,uint8,uint256,uint64,uint64)",
    "Renewed": "Renewed(uint256,address,uint8,uint256,uint64)",
    "ControllerUpdated": "ControllerUpdated(uint256,address,address)",
    "VerificationMethodsUpdated": "VerificationMethodsUpdated(uint256)",
    "AuthenticationUpdated": "AuthenticationUpdated(uint256)",
    "ServiceEndpointsUpdated": "ServiceEndpointsUpdated(uint256)",
    "OperatorPausedSet": "OperatorPausedSet(uint256,bool)",
}
TOPICS = {"0x" + keccak(text=signature).hex(): name for name, signature in EVENTS.items()}
TRANSFER = "0x" + keccak(text="Transfer(address,address,uint256)").hex()
SOLE, ITSELF, SOLD = 1, 2, 0
"""Custodies, by the remainder of a machine's number: the operator's, the machine's own, handed over."""


@dataclass
class V2Fleet(Fleet):
    EDITS: ClassVar[Mapping[str, Callable[[Any, random.Random], None]]] = {
        **EDITS,
        "url": lambda fleet, dice: fleet.edit_url(any_of(fleet, dice), mark_of(dice)),
        "method": lambda fleet, dice: fleet.edit_method(any_of(fleet, dice), mark_of(dice)),
        "authentication": lambda fleet, dice: fleet.edit_authentication(any_of(fleet, dice)),
        "pause": lambda fleet, dice: fleet.edit_pause(any_of(fleet, dice)),
        "controller": lambda fleet, _: fleet.usurp("air-1"),
    }
    PENDING: ClassVar[Sequence[Sequence[str]]] = (
        (
            "chain.broadcast/after/allowance: allow the subscription contract to take n PEAQ",
            "chain.broadcast/after/machine_activation: activate",
        ),
        (
            "chain.broadcast/after/allowance: allow the subscription contract to take n PEAQ",
            "chain.broadcast/after/subscription: renew what ends n",
        ),
    )
    FIRST: ClassVar[str] = "machine_activation: activate"

    left: int = 0
    """Wei that were allowed and are not needed any more."""
    spread: int = 0
    """Wei by which more may be left than that, since prices moved."""
    prices: set[int] = field(default_factory=lambda: {BOND})
    periods: set[int] = field(default_factory=lambda: {PERIOD})
    """All that there ever were, in wei and seconds."""

    @cached_property
    def customer(self) -> LocalAccount:
        """Who gets what is handed over."""
        account: LocalAccount = Account.create()
        self.world.fund(account.address, 50)
        return account

    def begin(self) -> None:
        self.manifest["protocol"] = "v2"
        self.manifest["defaults"]["v2"] = {
            "machineType": TYPE,
            "credentialSubject": f"{self.operator.address} {{name}}",
            "renewBefore": f"{RENEW_BEFORE}d",
        }

    def join(self, name: str, number: int) -> dict[str, Any]:
        own: dict[str, Any] = {"verificationMethods": [_method("#one", "1"), _method("#two", "2")]}
        own["authentication"] = ["#two"]
        kept: dict[str, Any] = {"v2": own}
        if number % 3 == ITSELF:
            account = self.machines[name]
            self.world.fund(account.address, 50)
            self.world.control("mine", blocks=4)  # so that a view of some blocks ago knows of it, too
            own |= {"custody": "machine", "paused": True}
            self.expected["OperatorPausedSet", self.id(name)] += 1
            kept |= {"address": account.address, "key": {"file": f"keys/{name}.key"}}
        elif number % 3 == SOLD:
            own |= {"custody": "handover", "owner": self.customer.address}
        # One is minted, the other is the hand-over.
        self.expected["Transfer", self.id(name)] += 2 if number % 3 == SOLD else 1
        for what in ("MachineOnboarded", "Activated"):
            self.expected[what, self.id(name)] += 1
        return kept

    def id(self, name: str) -> str:
        subject = f"{self.operator.address} {name}".encode()
        return str(self.world.read(REGISTRY, "computeTokenId(string,bytes)", TYPE, subject))

    def did(self, name: str) -> str:
        return f"did:peaq:{self.id(name)}"

    # Edits.

    def edit_all(self, dice: random.Random) -> None:
        names, mark = list(self.machines), mark_of(dice)
        self.usurp(names[0])
        self.edit_url(names[0], mark)
        self.edit_method(names[-1], mark)
        # Each once: what is changed twice is as it was.
        for name in {names[0], names[-1]}:
            self.edit_authentication(name)
        for name in {names[len(names) // 2], names[-1]}:
            self.edit_pause(name)
        super().edit_all(dice)

    def edit_url(self, name: str, mark: str) -> None:
        self.entry(name)["metadata"] = {"documentationUrl": f"https://docs.example.com/{name}/{mark}"}
        self.expected["ServiceEndpointsUpdated", self.id(name)] += 1

    def edit_method(self, name: str, mark: str) -> None:
        self.entry(name)["v2"]["verificationMethods"][0] = _method("#one", mark)
        self.expected["VerificationMethodsUpdated", self.id(name)] += 1

    def edit_authentication(self, name: str) -> None:
        block = self.entry(name)["v2"]
        block["authentication"] = ["#one"] if block["authentication"] == ["#two"] else ["#two"]
        self.expected["AuthenticationUpdated", self.id(name)] += 1

    def edit_pause(self, name: str) -> None:
        block = self.entry(name)["v2"]
        block["paused"] = not block.get("paused", False)
        self.expected["OperatorPausedSet", self.id(name)] += 1

    def usurp(self, name: str) -> None:
        """The controller becomes another; it is to be put back."""
        data = calldata("setController(uint256,address)", int(self.id(name)), Account.create().address)
        self.world.send(self.operator, REGISTRY, data)
        self.expected["ControllerUpdated", self.id(name)] += 2

    def edit_money(self) -> None:
        """Time passes until the machine that has paid for least is due; others may be as well."""
        self.pass_time(until_end=(RENEW_BEFORE - 1) * DAY)

    def pass_time(self, until_end: int) -> None:
        """Until the machine that has paid for least has so many seconds left; what is due then is to be renewed."""
        ends = {name: self.subscription(name)[2] for name in sorted(self.made)}
        if not ends:
            return
        now = int(self.world.rpc("eth_getBlockByNumber", "latest", False)["timestamp"], 16)
        then = max(now, min(ends.values()) - until_end)
        self.world.control("increaseTime", seconds=then - now)
        due = [name for name, end in ends.items() if end - then < RENEW_BEFORE * DAY]
        for name in due:
            self.expected["Renewed", self.id(name)] += 1
        taken = BOND * sum(not self.pays_itself(name) for name in due)
        # Where it is too little, what is needed is allowed in its place.
        self.left = self.left - taken if self.left >= taken else 0

    def tempt(self) -> None:
        # Machines pay for themselves, and allow it as they pay; the operator has allowed more than is needed.
        for name in self.machines:
            block = self.entry(name)["v2"]
            if block.get("custody") == "machine":
                block["controller"] = self.machines[name].address
        plenty = 40 * BOND
        self.world.send(self.operator, WPEAQ_PRECOMPILE, calldata("approve(address,uint256)", SUBSCRIPTION, plenty))
        self.left = plenty - BOND * sum(not self.pays_itself(name) for name in self.machines)

    def pays_itself(self, name: str) -> bool:
        """True where no operator pays for it."""
        return "controller" in self.entry(name)["v2"]

    def renew_by_owner(self, name: str) -> None:
        """Whoever bought the machine pays for it, before we do."""
        self.world.send(self.customer, WPEAQ_PRECOMPILE, calldata("approve(address,uint256)", SUBSCRIPTION, BOND))
        self.world.send(self.customer, SUBSCRIPTION, calldata("renew(uint256)", int(self.id(name))))
        self.left += BOND

    # What must be true.

    def subscription(self, name: str) -> tuple[int, int, int, int, int]:
        """Tier, start, end, bond, points."""
        returns = "(uint8,uint64,uint64,uint256,uint256)"
        found: tuple[int, int, int, int, int] = self.world.read(
            SUBSCRIPTION, "subscriptions(uint256)", int(self.id(name)), returns=returns
        )
        return found

    def payments(self, machine: int) -> list[tuple[int, int]]:
        """What each cost in wei, and how many seconds it bought, in order."""
        names = [topic for topic, name in TOPICS.items() if name in ("Activated", "Renewed")]
        about = "0x" + machine.to_bytes(32, "big").hex()
        logs = self.world.rpc("eth_getLogs", {"fromBlock": hex(self.since + 1), "topics": [names, about]})
        found, until = [], 0
        for log in logs:
            _, wei, *times = (int(word, 16) for word in re.findall(".{64}", log["data"][2:]))
            found.append((wei, times[-1] - (until or times[0])))
            until = times[-1]
        return found

    def happened(self) -> Counter[tuple[str, str]]:
        """Events of this fleet's machines, by name and machine."""
        ids = {self.id(name) for name in self.machines}
        wanted = {"fromBlock": hex(self.since + 1), "topics": [[*TOPICS, TRANSFER]]}
        found: Counter[tuple[str, str]] = Counter()
        for log in self.world.rpc("eth_getLogs", wanted):
            name, *rest = log["topics"]
            # Of coins, the third is none: they have an amount in its place.
            place = rest[2] if name == TRANSFER and len(rest) == 3 else rest[0]
            if (machine := str(int(place, 16))) in ids:
                found[TOPICS.get(name, "Transfer"), machine] += 1
        return found

    def check_chain(self, failures: int) -> None:
        found = self.happened()
        assert found == +self.expected, {"missing": self.expected - found, "too many": found - self.expected}
        _, _, failed = self.world.effects(self.accounts(), self.since)
        assert failed <= failures, f"{failed} transactions failed on chain"
        operator = self.operator.address.lower()
        for account in self.accounts():
            left = self.world.read(WPEAQ_PRECOMPILE, "allowance(address,address)", account, SUBSCRIPTION)
            least, most = (self.left, self.left + self.spread) if account == operator else (0, 0)
            assert least <= left <= most, f"{account} still allows {left}"
        for name, account in self.machines.items():
            block, machine = self.entry(name)["v2"], int(self.id(name))
            _, start, end, bond, _ = self.subscription(name)
            paid = self.payments(machine)
            assert (bond, end - start) == tuple(map(sum, zip(*paid, strict=True))), (name, bond, start, end, paid)
            assert {wei for wei, _ in paid} <= self.prices, paid
            assert {seconds for _, seconds in paid} <= self.periods, paid
            owner = {"machine": account.address, "handover": block.get("owner")}.get(block.get("custody", ""), operator)
            assert self._of(machine, "ownerOf", "address") == str(owner).lower()
            assert self._of(machine, "controllerOf", "address") == block.get("controller", operator).lower()
            methods = self._of(machine, "verificationMethodsOf", METHODS)
            assert [m[3] for m in methods] == [m["publicKeyMultibase"] for m in block["verificationMethods"]]
            used = [methods[place][0] for place in self._of(machine, "authenticationOf", "uint256[]")]
            assert used == block["authentication"]
            url = self.entry(name).get("metadata", {}).get("documentationUrl", f"https://docs.example.com/{name}")
            assert [e[2] for e in self._of(machine, "serviceEndpointsOf", "(string,string,string)[]")] == [url]
            state = AGUNG_V2.machine_state_and_sync
            paused = self.world.read(state, "isOperatorPaused(uint256)", machine, returns="bool")
            assert paused == block.get("paused", False)

    def _of(self, machine: int, function: str, returns: str) -> Any:
        return self.world.read(REGISTRY, f"{function}(uint256)", machine, returns=returns)


def _method(name: str, mark: str) -> dict[str, str]:
    return {"id": name, "type": "Ed25519VerificationKey2020", "publicKeyMultibase": f"z6Mk{mark}"}
