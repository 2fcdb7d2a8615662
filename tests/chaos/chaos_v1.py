"""Fleets of protocol v1: bonds, NFTs, top-ups and attributes, each exactly once."""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from chaos_fleet import EDITS, Fleet, any_of, mark_of
from e2e_harness import AT

BASE = ("machineId", "nftTokenId", "operator", "documentation_url")


class V1Fleet(Fleet):
    EDITS: ClassVar[Mapping[str, Callable[[Any, random.Random], None]]] = {
        **EDITS,
        "url": lambda fleet, dice: fleet.edit_url(any_of(fleet, dice), mark_of(dice)),
        "attribute": lambda fleet, dice: fleet.edit_attribute(any_of(fleet, dice), dice.choice([mark_of(dice), None])),
    }
    PENDING: ClassVar[Sequence[Sequence[str]]] = (
        (
            "chain.broadcast/after/operator_identity: register the operator",
            "chain.broadcast/after/machine_identity: register",
            "chain.broadcast/after/machine_nft: mint the Machine NFT",
            "chain.broadcast/after/machine_did: write n DID attributes",
        ),
        (),
    )
    FIRST: ClassVar[str] = "machine_identity: register"

    def begin(self) -> None:
        funding = {"from": "operator", "below": "0.05 PEAQ", "to": "0.2 PEAQ"}
        self.manifest["v1"] = {"publishFleet": True, "funding": funding}
        self.expected["register", ""] += 1

    def join(self, name: str, number: int) -> dict[str, Any]:
        address = self.machines[name].address
        own = address.lower()
        for what in ("registerFor", "mint", "transfer"):
            self.expected[what, own] += 1
        for attribute in BASE:
            self.expected["add", f"{own} {attribute}"] += 1
        return {"address": address, "key": {"file": f"keys/{name}.key"}}

    def did(self, name: str) -> str:
        return f"did:peaq:{self.machines[name].address}"

    def edit_all(self, dice: random.Random) -> None:
        names, mark = list(self.machines), mark_of(dice)
        self.edit_url(names[0], mark)
        self.edit_attribute(names[-1], mark)
        super().edit_all(dice)

    def edit_url(self, name: str, mark: str) -> None:
        self.entry(name)["metadata"] = {"documentationUrl": f"https://docs.example.com/{name}/{mark}"}
        self.expected["update", f"{self.machines[name].address.lower()} documentation_url"] += 1

    def edit_attribute(self, name: str, value: str | None) -> None:
        attributes = self.entry(name).setdefault("v1", {}).setdefault("attributes", {})
        before = attributes.get("firmware")
        if before == value:
            return
        attributes["firmware"] = value
        verb = "remove" if value is None else "add" if before is None else "update"
        self.expected[verb, f"{self.machines[name].address.lower()} firmware"] += 1

    def edit_money(self) -> None:
        """Every machine gets one more top-up."""
        funding = self.manifest["v1"]["funding"]
        funding["below"], funding["to"] = _more(funding["below"], "0.3"), _more(funding["to"], "0.3")
        for name in self.made:
            self.expected["transfer", self.machines[name].address.lower()] += 1

    def check_chain(self, failures: int) -> None:
        calls, _, failed = self.world.effects(self.accounts(), self.since)
        published = f"{self.operator.address.lower()} "
        own = Counter({e: n for e, n in calls.items() if not e[1].startswith(published) and e[0] != "noop"})
        own = Counter({e: n for e, n in own.items() if e != ("transfer", self.operator.address.lower())})
        assert own == +self.expected, {"missing": self.expected - own, "too many": own - self.expected}
        assert failed <= failures, f"{failed} transactions failed on chain"
        assert calls["add", published + "machines"] == 1, calls
        assert calls["add", published + "machineId"] <= 1, calls
        ids = set()
        for name, account in self.machines.items():
            ids.add(self.world.machine_id(account.address))
            url = self.entry(name).get("metadata", {}).get("documentationUrl", f"https://docs.example.com/{name}")
            assert self.world.attribute(account.address, "documentation_url") == url
            assert int(self.world.read(AT.machine_nft, "balanceOf(address)", account.address)) == 1, name
            assert self.world.attribute(account.address, "machineId") == str(self.world.machine_id(account.address))
        assert 0 not in ids
        assert len(ids) == len(self.machines)
        text = self.world.attribute(self.operator.address, "machines") or ""
        assert {int(part) for part in text.strip("[]").split(",")} == ids, text
        own_id = self.world.machine_id(self.operator.address)
        assert own_id > 0
        assert self.world.balance(self.operator.address) > 0


def _more(amount: str, by: str) -> str:
    return f"{round(float(amount.split(maxsplit=1)[0]) + float(by), 6):g} PEAQ"
