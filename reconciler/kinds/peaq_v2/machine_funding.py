"""Coins for a v2 machine that activates itself: its wallet gets what this plan takes from it, bonds above all.

They are spent at once on what they are for, so they are counted where they are sent and not again where they are paid.
"""

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from reconciler.core.address import Address, Burden
from reconciler.core.change import FieldChange
from reconciler.core.effects import Signer, Step
from reconciler.core.fleet import Fleet
from reconciler.core.funding import Balance, TopUp, Wallet
from reconciler.core.kind import Need
from reconciler.core.money import Amount, format_amount
from reconciler.core.section import Loc, Section
from reconciler.kinds.peaq_v2.ground import PARTS, blocks


class MachineFunding(Section):
    """Send machines that activate themselves what an apply takes from their wallets, when it is about to take it."""

    from_: Literal["operator"] = Field(default="operator", alias="from")
    """Who pays: the machine's operator. The Gas Station pays no bonds."""
    reserve: Amount = 0
    """What a wallet holds beside: gas at worst is counted already, so this is for fees that rise beyond that."""


class MachineFundingSection(Section):
    funding: MachineFunding | None = None
    """Leave out to fund the wallets of `custody: machine` yourself."""


class MachineWallet(TopUp[Wallet]):
    name = "machine_funding"
    protocol = "v2"
    sections = {"fleet.v2": MachineFundingSection}

    def expand(self, fleet: Fleet) -> Iterable[Wallet]:
        section = fleet.section(MachineFundingSection)
        if section is None or section.funding is None:
            return
        for machine, block, _ in blocks(fleet):
            if block.custody == "machine":
                reserve = section.funding.reserve if machine.state == "active" else 0
                address, burden = Address(self.name, machine.name), Burden(str(Signer("machine", machine.name)))
                yield Wallet(address, machine.address or "", machine.operator, reserve, reserve, burden)

    def precedes(self, spec: Wallet) -> Iterable[Need]:
        return (Need(Address(kind, spec.address.name)) for kind in PARTS)

    def diff(self, spec: Wallet, state: Balance) -> tuple[FieldChange, ...]:
        # Who has nothing to sign needs nothing, and least of all a machine that somebody else has.
        return super().diff(spec, state) if spec.taken else ()

    def steps(self, spec: Wallet, state: Balance | None, fields: tuple[FieldChange, ...]) -> tuple[Step, ...]:
        return (Step("fund the wallet", self.transfer(spec, self.missing(spec, state)), irreversible=True),)

    def declared(self, spec: Wallet) -> dict[str, object]:
        return {"balance": None}

    def kept(self, field: str, declared: object, observed: object) -> bool:
        # It follows from what the machine has to sign, and from prices.
        return True

    def written(self, spec: Wallet, field: str) -> Iterable[Loc]:
        return (("v2", "funding", "reserve"), ("v2", "funding"))

    def equal(self, spec: Wallet, state: Balance) -> str:
        what = f"{format_amount(spec.taken)} will be taken from it" if spec.taken else "nothing is taken from it"
        return f"holds {format_amount(state.balance)}; {what}"
