"""Coins in a machine's wallet, for the gas and deposits of what it signs itself."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pydantic import Field, model_validator

from reconciler.core.address import Address, Burden
from reconciler.core.change import FieldChange
from reconciler.core.effects import ChainCall, ChainGroup, Signer, Step
from reconciler.core.fleet import Fleet, Section
from reconciler.core.kind import Kind, Need, Strength
from reconciler.core.money import Amount, format_amount
from reconciler.core.observation import Absent, Present, Unreadable
from reconciler.core.ports import Reader


class Funding(Section):
    """Top up a machine's wallet when it falls under a threshold."""

    from_: Literal["operator"] = Field(default="operator", alias="from")
    """Who pays."""
    below: Amount
    """Threshold, after what this plan will take from the wallet."""
    to: Amount
    """Balance to reach, beside what this plan will take from the wallet."""

    @model_validator(mode="after")
    def _grows(self) -> "Funding":
        if self.to < self.below:
            raise ValueError("`to` must not be less than `below`")
        return self


class FundingSection(Section):
    funding: Funding | None = None
    """Leave out to fund wallets yourself."""


@dataclass(frozen=True)
class Spec:
    address: Address
    account: str
    payer: str
    below: int
    to: int
    burden: int | Burden


@dataclass(frozen=True)
class State:
    balance: int
    """Wei."""


class WalletFunding(Kind[Spec, State]):
    name = "wallet_funding"
    sections = {"fleet.v1": FundingSection}

    def expand(self, fleet: Fleet) -> Iterable[Spec]:
        section = fleet.section(FundingSection)
        funding = section.funding if section else None
        if funding is None:
            return
        for machine in fleet.machines:
            if machine.custody != "none":
                address = Address(self.name, machine.name)
                burden = Burden(str(Signer("machine", machine.name)))
                yield Spec(address, machine.address or "", machine.operator, funding.below, funding.to, burden)

    def needs(self, spec: Spec) -> Iterable[Need]:
        yield Need(Address("machine_identity", spec.address.name), Strength.RIDES)

    async def observe(self, spec: Spec, read: Reader) -> Present[State] | Absent | Unreadable:
        return Present(State(await read.balance(spec.account)))

    def diff(self, spec: Spec, state: State) -> tuple[FieldChange, ...]:
        burden = 0 if isinstance(spec.burden, Burden) else spec.burden
        if state.balance - burden >= spec.below:
            return ()
        return (FieldChange("balance", format_amount(state.balance), format_amount(spec.to + burden)),)

    def steps(self, spec: Spec, state: State | None, fields: tuple[FieldChange, ...]) -> tuple[Step, ...]:
        burden = 0 if isinstance(spec.burden, Burden) else spec.burden
        value = spec.to + burden - (state.balance if state else 0)
        call = ChainCall(Signer("operator", spec.payer), spec.account, value=value, gas=40_000)
        return (Step("top up the wallet", ChainGroup((call,)), irreversible=True),)

    def equal(self, spec: Spec, state: State) -> str:
        return f"holds {format_amount(state.balance)}, not under {format_amount(spec.below)}"
