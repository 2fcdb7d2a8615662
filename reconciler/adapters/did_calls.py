"""What a transaction to the DID precompile says, read back from its bytes. Everything else is refused."""

from collections.abc import Iterable
from typing import Any

from eth_abi.abi import decode, encode

from reconciler.adapters.abi import selector, split
from reconciler.adapters.chain import BATCH_ALL
from reconciler.core.fleet import ContractAddresses
from reconciler.core.ports import Raw
from reconciler.core.signing import Write

DID = ContractAddresses.model_fields["did"].default.lower()
BATCH = ContractAddresses.model_fields["batch"].default.lower()
"""The same on every chain of this family; nowhere else is written to by somebody who cannot look things up."""
FUNCTIONS = {
    "add": "addAttribute(address,bytes,bytes,uint32)",
    "update": "updateAttribute(address,bytes,bytes,uint32)",
    "remove": "removeAttribute(address,bytes)",
}
FOREVER = 0


def writes_of(call: Raw, owner: str) -> tuple[Write, ...]:
    """Every attribute that `call` writes, all into the DID of `owner`. ValueError where it does anything else."""
    return tuple(_write(part, owner) for part in _parts(call))


def _parts(call: Raw) -> Iterable[Raw]:
    if call.to.lower() != BATCH:
        return (call,)
    if call.value:
        raise ValueError("a batch that is sent coins")
    targets, values, datas, gas = _arguments(BATCH_ALL, call.data)
    if not len(targets) == len(values) == len(datas) or any(gas):
        raise ValueError("a batch whose parts do not fit together")
    if not targets:
        raise ValueError("a batch of nothing")
    return (Raw(to, "0x" + data.hex(), value) for to, value, data in zip(targets, values, datas, strict=True))


def _write(call: Raw, owner: str) -> Write:
    if call.to.lower() != DID:
        raise ValueError(f"a call to {call.to}, which is not the DID precompile")
    if call.value:
        raise ValueError(f"a call that sends {call.value} wei")
    for action, function in FUNCTIONS.items():
        if call.data.startswith("0x" + selector(function).hex()):
            account, name, *rest = _arguments(function, call.data)
            if account.lower() != owner.lower():
                raise ValueError(f"a write to the DID of {account}, not of the signer")
            if rest and rest[1] != FOREVER:
                raise ValueError("an attribute that ends by itself")
            return Write(action=action, attribute=name.decode(), value=rest[0].decode() if rest else None)
    raise ValueError(f"a call of an unknown function {call.data[:10]}")


def _arguments(function: str, data: str) -> tuple[Any, ...]:
    """Decoded, and just what encodes to `data`: nothing hides behind them."""
    types, given = split(function)[1], bytes.fromhex(data.removeprefix("0x"))
    try:
        values = decode(types, given[4:])
    except Exception:
        raise ValueError(f"arguments that are not those of {function}") from None
    if given != selector(function) + encode(types, values):
        raise ValueError(f"more than the arguments of {function}")
    return values
