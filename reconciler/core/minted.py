"""Whether a machine of protocol v2 is there: the one question about it that not only its own kinds ask."""

from reconciler.core.errors import Rejected
from reconciler.core.ports import Reader

NOT_MINTED = "ERC721NonexistentToken"
LARGEST = 2**256
"""No id is as large."""


async def owner_of(read: Reader, machine_id: str) -> str | None:
    """Who owns a machine, or None where the registry says clearly that there is none."""
    if int(machine_id) >= LARGEST:
        return None
    try:
        (owner,) = await read.view("machineRegistry", "ownerOf(uint256)(address)", int(machine_id))
    except Rejected as error:
        if error.reason == NOT_MINTED:
            return None
        raise
    return str(owner)
