"""Coins in a machine's wallet, for what it signs itself: what the kinds of either protocol have in common."""

from typing import TypeVar

from reconciler.core.address import Address, Burden
from reconciler.core.change import FieldChange
from reconciler.core.effects import ChainCall, ChainGroup, Signer
from reconciler.core.kind import Kind
from reconciler.core.money import format_amount
from reconciler.core.observation import Absent, Present, Unreadable
from reconciler.core.ports import Reader
from reconciler.core.value import Value


class Wallet(Value):
    """A wallet that is to hold so much. Amounts are wei, beside what this plan will take from it."""

    address: Address
    account: str
    payer: str
    """Name of the operator that sends the coins."""
    below: int
    to: int
    burden: int | Burden
    """What this plan will take from it: bonds, deposits and gas at worst."""

    @property
    def taken(self) -> int:
        """The burden, once it is known."""
        return 0 if isinstance(self.burden, Burden) else self.burden


class Balance(Value):
    balance: int
    """Wei."""


WalletT = TypeVar("WalletT", bound=Wallet)


class TopUp(Kind[WalletT, Balance]):
    """Fills a wallet up to `to` where it would fall under `below`."""

    fields = ("balance",)

    async def observe(self, spec: WalletT, read: Reader) -> Present[Balance] | Absent | Unreadable:
        return Present(Balance(await read.balance(spec.account)))

    def diff(self, spec: WalletT, state: Balance) -> tuple[FieldChange, ...]:
        if state.balance - spec.taken >= spec.below:
            return ()
        return (FieldChange("balance", format_amount(state.balance), format_amount(spec.to + spec.taken)),)

    def missing(self, spec: WalletT, state: Balance | None) -> int:
        """Wei that fill it up."""
        return spec.to + spec.taken - (state.balance if state else 0)

    def transfer(self, spec: WalletT, wei: int) -> ChainGroup:
        return ChainGroup((ChainCall(Signer("operator", spec.payer), spec.account, value=wei, gas=40_000),))

    def subject(self, spec: WalletT) -> str:
        return spec.account

    def equal(self, spec: WalletT, state: Balance) -> str:
        return f"holds {format_amount(state.balance)}, not under {format_amount(spec.below)}"
