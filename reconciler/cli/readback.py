"""What a transaction says that is to be signed by somebody who cannot look things up. Everything else is refused."""

from collections.abc import Iterable

from reconciler.adapters.abi import arguments
from reconciler.adapters.chain import BATCH_ALL
from reconciler.adapters.did_calls import DID, write_of
from reconciler.cli.machine_calls import call_of
from reconciler.core.fleet import ContractAddresses
from reconciler.core.ports import Raw
from reconciler.core.signing import Deed

BATCH = ContractAddresses.model_fields["batch"].default.lower()
"""The same on every chain of this family."""


def deeds_of(call: Raw, owner: str, contracts: ContractAddresses | None) -> tuple[Deed, ...]:
    """What `call` does, all of it: writes into the DID of `owner`, and calls of these contracts of protocol v2.

    Without contracts, those of its chain are not known. ValueError where it does anything else.
    """
    return tuple(write_of(part, owner) if part.to.lower() == DID else _call(part, contracts) for part in _parts(call))


def _call(part: Raw, contracts: ContractAddresses | None) -> Deed:
    if contracts is None:
        what = "which is not the DID precompile; the contracts of protocol v2 on this chain are not known here"
        raise ValueError(f"a call to {part.to}, {what}")
    return call_of(part, contracts)


def _parts(call: Raw) -> Iterable[Raw]:
    if call.to.lower() != BATCH:
        return (call,)
    if call.value:
        raise ValueError("a batch that is sent coins")
    targets, values, datas, gas = arguments(BATCH_ALL, call.data)
    if not len(targets) == len(values) == len(datas) or any(gas):
        raise ValueError("a batch whose parts do not fit together")
    if not targets:
        raise ValueError("a batch of nothing")
    return (Raw(to, "0x" + data.hex(), value) for to, value, data in zip(targets, values, datas, strict=True))
