"""Coins in a machine's wallet, for the gas and deposits of what it signs itself: sent, or from the Gas Station."""

from collections.abc import Iterable
from typing import Literal

from pydantic import Field, model_validator

from reconciler.core.address import Address, Burden
from reconciler.core.change import FieldChange
from reconciler.core.effects import ChainGroup, CodedRequest, HttpRequest, Signer, Step
from reconciler.core.fleet import Fleet, Mistake, Operator
from reconciler.core.funding import Balance, TopUp, Wallet
from reconciler.core.kind import Need, Strength
from reconciler.core.money import Amount, format_amount, parse_amount
from reconciler.core.section import Loc, Section
from reconciler.core.value import Value


class Funding(Section):
    """Top up a machine's wallet when it falls under a threshold."""

    from_: Literal["operator", "gasStation"] = Field(default="operator", alias="from")
    """Who pays. The Gas Station gives an amount of its own choice, once a day or so."""
    fallback: Literal["operator"] | None = None
    """Who pays what the Gas Station declines, its daily caps above all."""
    below: Amount
    """Threshold, after what this plan will take from the wallet."""
    to: Amount
    """Balance to reach, beside what this plan will take from the wallet."""

    @model_validator(mode="after")
    def _grows(self) -> "Funding":
        if self.to < self.below:
            raise ValueError("`to` must not be less than `below`")
        if self.fallback and self.from_ == "operator":
            raise ValueError("`fallback` is for `from: gasStation`; the operator pays already")
        return self


class FundingSection(Section):
    funding: Funding | None = None
    """Leave out to fund wallets yourself."""


DECLINES = ("CAP_EXCEEDED_OWNER", "CAP_EXCEEDED_WALLET", "RATE_LIMITED", "SUFFICIENT_BALANCE")
"""Why the Gas Station does not pay although the request is good (machine-markets-api §7.7)."""


class Station(Value):
    """The Gas Station as payer: for whom it pays, on which of its chains, and whether the operator pays otherwise."""

    owner: str
    chain: str
    falls_back: bool


class Spec(Wallet):
    station: Station | None = None
    leaves: bool = False
    """True where the machine is retired: then it is not the identity that comes first."""


class WalletFunding(TopUp[Spec]):
    name = "wallet_funding"
    protocol = "v1"
    sections = {"fleet.v1": FundingSection}

    def expand(self, fleet: Fleet) -> Iterable[Spec]:
        section = fleet.section(FundingSection)
        funding = section.funding if section else None
        if funding is None:
            return
        for machine in fleet.of("v1"):
            leaves = machine.state == "retired"
            if machine.signs:
                address = Address(self.name, machine.name)
                burden = Burden(str(Signer("machine", machine.name)))
                station = _station(fleet, fleet.operator_of(machine), funding)
                account, payer = machine.address or "", machine.operator
                # Who leaves gets what leaving costs, and no more.
                below, to = (0, 0) if leaves else (funding.below, funding.to)
                yield Spec(address, account, payer, below, to, burden, station, leaves)

    def check(self, fleet: Fleet) -> Iterable[Mistake]:
        section = fleet.section(FundingSection)
        if section is None or section.funding is None or section.funding.from_ == "operator":
            return
        if fleet.services.gas_station is None:
            hint = 'add `gasStation: {url: "${PEAQOS_GAS_STATION_URL}"}` under services'
            yield Mistake(loc=("v1", "funding", "from"), message="no Gas Station under services", hint=hint)
        for name in sorted({m.operator for m in fleet.of("v1")} & set(fleet.operators)):
            if fleet.operators[name].totp is None:
                hint = "add `totp: {env: PEAQOS_TOTP_SECRET}` or `totp: {file: …}` to it; setup may come later"
                message = f"operator {name} has no `totp`, without which the Gas Station pays nothing"
                yield Mistake(loc=("v1", "funding", "from"), message=message, hint=hint)

    def needs(self, spec: Spec) -> Iterable[Need]:
        strength = Strength.RIDES if spec.station is None else Strength.HARD
        if not spec.leaves:
            yield Need(Address("machine_identity", spec.address.name), strength)

    def precedes(self, spec: Spec) -> Iterable[Need]:
        if spec.leaves:
            yield Need(Address("machine_identity", spec.address.name))

    def steps(self, spec: Spec, state: Balance | None, fields: tuple[FieldChange, ...]) -> tuple[Step, ...]:
        value = self.missing(spec, state)
        transfer = self.transfer(spec, value)
        if spec.station is None:
            return (Step("top up the wallet", transfer, irreversible=True),)
        return (Step("ask the Gas Station", _asked(spec, spec.station, value, transfer), irreversible=True),)

    def declared(self, spec: Spec) -> dict[str, object]:
        return {"balance": format_amount(spec.below, 18)}

    def kept(self, field: str, declared: object, observed: object) -> bool:
        return parse_amount(observed) >= parse_amount(declared)

    def written(self, spec: Spec, field: str) -> Iterable[Loc]:
        return (("v1", "funding", "to"),)


def _station(fleet: Fleet, operator: Operator, funding: Funding) -> Station | None:
    if funding.from_ == "operator":
        return None
    chain = "agung" if fleet.network.name == "agung" else "peaq"
    return Station(operator.address or "", chain, funding.fallback is not None)


def _asked(spec: Spec, station: Station, value: int, transfer: ChainGroup) -> CodedRequest:
    body = {"ownerAddress": station.owner, "targetWalletAddress": spec.account, "chainId": station.chain}
    return CodedRequest(
        Signer("totp", spec.payer),
        HttpRequest("POST", ("faucet", "fund"), body),
        code="twoFactorCode",
        ident="requestId",
        account=spec.account,
        wei=value,
        declines=DECLINES,
        otherwise=transfer if station.falls_back else None,
    )
