"""Native token amounts: always wei inside, always with a unit outside."""

import re
from collections.abc import Iterable
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from reconciler.core.address import Burden, expected
from reconciler.core.effects import ChainCall, Signer, Step, calls_of
from reconciler.core.value import Value

PEAQ = 10**18
GWEI = 10**9
_UNITS = {"peaq": PEAQ, "agung": PEAQ, "agng": PEAQ, "gwei": GWEI, "wei": 1}
_AMOUNT = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*$")


def parse_amount(text: Any) -> int:
    """Wei of `0.05 PEAQ`, `5 gwei` or `7 wei`. Raises ValueError with the remedy."""
    match = _AMOUNT.match(text) if isinstance(text, str) else None
    unit = _UNITS.get(match[2].lower()) if match else None
    if match is None or unit is None:
        raise ValueError(f"an amount is a plain number with a unit, such as `0.05 PEAQ` or `5 gwei`; got {text!r}")
    wei = Fraction(match[1]) * unit
    if wei.denominator != 1:
        raise ValueError(f"{text!r} is finer than one wei")
    return int(wei)


def format_amount(wei: int, digits: int = 6) -> str:
    """`0.05 PEAQ`; rounded up at `digits` decimals, so that a cost is never understated."""
    scale = 10 ** (18 - digits)
    units = -(-wei // scale)
    whole, part = divmod(units, 10**digits)
    return f"{whole}.{part:0{digits}}".rstrip("0").rstrip(".") + " PEAQ"


Amount = Annotated[
    int,
    BeforeValidator(parse_amount),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^\s*\d+(\.\d+)?\s*(PEAQ|peaq|AGUNG|AGNG|gwei|wei)\s*$",
            "description": "An amount with its unit",
            "examples": ["0.05 PEAQ", "5 gwei"],
        }
    ),
]


class Cost(Value):
    """What one signer pays, in wei: values by purpose, deposits reserved by the runtime, gas at worst."""

    bond: int = 0
    transfer: int = 0
    deposit: int = 0
    gas: int = 0

    @property
    def total(self) -> int:
        return self.bond + self.transfer + self.deposit + self.gas

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.bond + other.bond,
            self.transfer + other.transfer,
            self.deposit + other.deposit,
            self.gas + other.gas,
        )


def cost_of(steps: Iterable[Step], gas_price: int) -> dict[Signer, Cost]:
    """Cost of the chain calls in `steps` by signer; values not yet known count as zero."""
    totals: dict[Signer, Cost] = {}
    for step in steps:
        for call in calls_of(step.effect):
            signer = expected(call.signer)
            totals[signer] = totals.get(signer, Cost()) + call_cost(call, gas_price)
    return totals


def call_cost(call: ChainCall, gas_price: int) -> Cost:
    if call.purpose == "bond":
        return Cost(bond=call.pays, gas=call.gas * gas_price)
    return Cost(transfer=call.pays, deposit=call.taken, gas=call.gas * gas_price)


def burdens_of(steps: Iterable[Step], gas_price: int) -> dict[Burden, int]:
    """What these steps take from each signer's wallet, as far as it is known."""
    found: dict[Burden, int] = {}
    for call in (call for step in steps for call in calls_of(step.effect)):
        who, cost = str(expected(call.signer)), call_cost(call, gas_price)
        taken = {Burden(who): call.taken + cost.gas, Burden(who, bonds=True): cost.bond and call.taken}
        for burden, wei in taken.items():
            found[burden] = found.get(burden, 0) + wei
    return found
