"""A world that was made before, in one directory: the chain, what the services remember, its operator's key."""

import gzip
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from reconciler.sandbox.errors import SandboxError
from reconciler.sandbox.rpc import NodeRpc

CHAIN = "chain.json"
SERVICES = "services.db"
ABOUT = "snapshot.json"


@dataclass(frozen=True)
class Snapshot:
    """What is needed to go on with a saved world beside its two files."""

    operator_private_key: str
    admin: str
    """The account that owns the contracts and holds the faucet's coins. Nobody has its key."""


async def save_chain(node: NodeRpc, directory: Path, about: Snapshot) -> None:
    """Write the chain's state and the heads of its blocks. The services' file is the caller's to put beside it.

    Events are not kept, so MCR lists no machine of v2 that was minted before.
    """
    dumped = bytes.fromhex((await node.call("anvil_dumpState")).removeprefix("0x"))
    chain = json.loads(gzip.decompress(dumped))
    # Each transaction comes with a trace of all that it did, many times the size of what came of it.
    chain["transactions"] = []
    for block in chain["blocks"]:
        block["transactions"] = []
    (directory / CHAIN).write_text(json.dumps(chain), encoding="utf-8")
    (directory / ABOUT).write_text(json.dumps(asdict(about)), encoding="utf-8")


def read_snapshot(directory: Path) -> Snapshot:
    """SandboxError where there is no whole one."""
    try:
        about = Snapshot(**json.loads((directory / ABOUT).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise SandboxError(f"there is no snapshot in {directory}") from error
    if not (directory / CHAIN).is_file() or not (directory / SERVICES).is_file():
        raise SandboxError(f"the snapshot in {directory} is not whole")
    return about


def restore_services(directory: Path, state: Path) -> None:
    """Give a new sandbox the services' memory; it writes to a copy."""
    shutil.copyfile(directory / SERVICES, state / SERVICES)
    (state / SERVICES).chmod(0o600)
