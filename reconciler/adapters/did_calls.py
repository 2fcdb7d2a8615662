"""What a call of the DID precompile says, read back from its bytes. Everything else is refused."""

from reconciler.adapters.abi import arguments, selector
from reconciler.core.fleet import ContractAddresses
from reconciler.core.ports import Raw
from reconciler.core.signing import Write

DID = ContractAddresses.model_fields["did"].default.lower()
"""The same on every chain of this family."""
FUNCTIONS = {
    "add": "addAttribute(address,bytes,bytes,uint32)",
    "update": "updateAttribute(address,bytes,bytes,uint32)",
    "remove": "removeAttribute(address,bytes)",
}
FOREVER = 0


def write_of(call: Raw, owner: str) -> Write:
    """The attribute that `call` writes into the DID of `owner`. ValueError where it does anything else."""
    if call.value:
        raise ValueError(f"a call that sends {call.value} wei")
    for action, function in FUNCTIONS.items():
        if call.data.startswith("0x" + selector(function).hex()):
            account, name, *rest = arguments(function, call.data)
            if account.lower() != owner.lower():
                raise ValueError(f"a write to the DID of {account}, not of the signer")
            if rest and rest[1] != FOREVER:
                raise ValueError("an attribute that ends by itself")
            return Write(action=action, attribute=name.decode(), value=rest[0].decode() if rest else None)
    raise ValueError(f"a call of an unknown function {call.data[:10]}")
