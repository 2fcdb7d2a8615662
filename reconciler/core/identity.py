"""Who a machine is to the services, whatever protocol it lives by: asked for through the fleet."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.core.address import Address
from reconciler.core.section import Section

if TYPE_CHECKING:
    from reconciler.core.fleet import Fleet, Machine


@dataclass(frozen=True)
class Identity:
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

    def identity(self, machine: "Machine", fleet: "Fleet") -> Identity:
        """Who the machine is. Pure: known before anything exists."""
        raise NotImplementedError


def account_identity(machine: "Machine") -> Identity:
    """The identity of a machine that is known by its own account."""
    return Identity(
        f"did:peaq:{machine.address}",
        Address("machine_identity", machine.name),
        Address("machine_did", machine.name),
        machine.custody != "none",
    )
