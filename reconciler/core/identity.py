"""Who a machine is to the services, whatever protocol it lives by: asked for through the fleet."""

from typing import Literal

from reconciler.core.address import Address
from reconciler.core.section import Section
from reconciler.core.value import Value


class Identity(Value):
    """A machine's name in the world and the resources that make it so."""

    did: str
    """What Machine Markets and the MCR call it."""
    made: Address
    """The resource that makes the identity exist."""
    shown: Address
    """The resource after which the services can know the machine and who controls it."""
    provable: bool = True
    """False where nobody will ever sign for it: then no service can take it in."""


class ProtocolBlock(Section):
    """A machine's protocol block, where its identity is not made of its own account."""

    def identity(self, name: str) -> Identity:
        """Who the machine of this name is. Pure: known before anything exists."""
        raise NotImplementedError

    @property
    def has_account(self) -> bool:
        """Whether the machine signs for itself, and so has an account of its own."""
        return False


class Custody(Section):
    """Whose key signs for a machine that is known by its own account."""

    custody: Literal["key", "none"] = "key"
    """`none`: nobody will ever sign for this machine, so it gets its identity and NFT only."""


def account_identity(name: str, account: str, *, provable: bool) -> Identity:
    """The identity of a machine that is known by its own account."""
    made, shown = Address("machine_identity", name), Address("machine_did", name)
    return Identity(f"did:peaq:{account}", made, shown, provable)
