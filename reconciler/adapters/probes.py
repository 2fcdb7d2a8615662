"""What a chain can do, judged by calls and not by code: precompiles may have none, and accounts may have some."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.adapters import abi, reverts
from reconciler.adapters.chain import RpcChain
from reconciler.adapters.redact import host_of
from reconciler.adapters.rpc import Rpc
from reconciler.adapters.views import Views
from reconciler.core.errors import ConfigError, Rejected, Unreachable
from reconciler.core.fleet import ROLES, Network, Protocol

NOBODY = "0x00000000000000000000000000000000f1ee7c71"
BLOCK_NUMBER = "getBlockNumber()(uint256)"
READ_ATTRIBUTE = "readAttribute(address,bytes)((bytes,bytes,uint32,uint256))"


@dataclass(frozen=True)
class Abilities:
    multicall: bool
    batch: bool
    """True where every operator may call Batch."""


async def probe(
    chain: RpcChain, rpc: Rpc, network: Network, protocols: Sequence[Protocol], operators: Sequence[str]
) -> Abilities:
    """Raises ConfigError where the chain is another one or a contract is missing, Unreachable where none answers."""
    chain_id = await chain.chain_id()
    if chain_id != network.chain_id:
        raise ConfigError(
            f"the node at {host_of(network.rpc_urls[0])} is chain {chain_id}; the manifest says {network.chain_id}",
            hint="correct network or its rpcUrl",
        )
    await _contracts(chain, network, protocols)
    block = (await chain.head()).number
    if "v1" in protocols:
        await _did(Views(rpc, None, block), network)
    return Abilities(await _multicall(rpc, network, block), await _batch(chain, operators, block))


async def _contracts(chain: RpcChain, network: Network, protocols: Sequence[Protocol]) -> None:
    roles = [(protocol, role) for protocol in protocols for role in ROLES[protocol]]
    addresses = [network.contracts.at(role) for _, role in roles]
    codes = await asyncio.gather(*(chain.code(address) for address in addresses))
    for (protocol, role), address, code in zip(roles, addresses, codes, strict=True):
        if code in ("0x", ""):
            message = f"there is no contract at {address} ({role}), and protocol {protocol} needs it"
            raise ConfigError(message, hint=f"correct network.contracts.{role}, or the protocol of the machines")


async def _did(views: Views, network: Network) -> None:
    """A read of what cannot exist must be answered as absent, or absence could not be told from trouble."""
    data = abi.calldata(READ_ATTRIBUTE, (NOBODY, b"fleetctl-probe"))
    try:
        await views.read(network.contracts.did, data)
    except Rejected as error:
        if error.reason in reverts.NOT_THERE:
            return
    except Unreachable as error:
        if reverts.EMPTY not in error.message:
            raise
    raise ConfigError(
        f"the DID precompile at {network.contracts.did} does not answer as one", hint="correct network.contracts.did"
    )


async def _multicall(rpc: Rpc, network: Network, block: int) -> bool:
    if network.contracts.multicall is None:
        return False
    try:
        data = await Views(rpc, None, block).read(network.contracts.multicall, abi.calldata(BLOCK_NUMBER, ()))
        return len(abi.results(BLOCK_NUMBER, data)) == 1
    except (Rejected, Unreachable, ValueError):
        return False


async def _batch(chain: RpcChain, operators: Sequence[str], block: int) -> bool:
    empty = chain.pack([])
    return all([not (await chain.dry_run(operator, empty, block)).revert for operator in operators])
