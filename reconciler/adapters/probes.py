"""What a chain can do, judged by calls and not by code: precompiles may have none, and accounts may have some."""

import asyncio
from collections.abc import Sequence

from reconciler.adapters import reverts
from reconciler.adapters.chain import RpcChain
from reconciler.adapters.reader import READ_ATTRIBUTE
from reconciler.adapters.redact import host_of
from reconciler.adapters.rpc import Rpc
from reconciler.adapters.views import Question, Unclear, Views
from reconciler.core.errors import ConfigError, Rejected, Unreachable
from reconciler.core.fleet import ROLES, Network, Protocol
from reconciler.core.value import Value

NOBODY = "0x00000000000000000000000000000000f1ee7c71"
BLOCK_NUMBER = "getBlockNumber()(uint256)"
CHAIN_ID = "getChainId()(uint256)"
VIEWS = {
    "identityRegistry": "minBond()(uint256)",
    "identityStaking": "paused()(bool)",
    "machineNft": "paused()(bool)",
    "infoDesk": "peaqToken()(address)",
    "machineRegistry": "infoDesk()(address)",
    "machineStateAndSync": "infoDesk()(address)",
    "machineSubscription": "infoDesk()(address)",
    "crossChainMirror": "infoDesk()(address)",
}
"""What each contract answers wherever it is that contract."""


class Abilities(Value):
    multicall: bool
    batch: bool
    """True where every operator may call Batch."""


async def probe(
    chain: RpcChain, rpc: Rpc, network: Network, protocols: Sequence[Protocol], operators: Sequence[str]
) -> Abilities:
    """Raises ConfigError where the chain is another one or a contract is missing, Unreachable where none answers."""
    block = (await chain.recent()).number
    packed = _answered(rpc, network, protocols, block)
    answered, batch = await asyncio.gather(packed, _batch(chain, operators, block))
    # What one packed call shows need not be asked one by one; what it does not show is named.
    return Abilities(answered or await _one_by_one(chain, rpc, network, protocols, block), batch)


async def _answered(rpc: Rpc, network: Network, protocols: Sequence[Protocol], block: int) -> bool:
    """True where Multicall is on the right chain and gets an answer from every contract."""
    at = network.contracts
    if at.multicall is None:
        return False
    views = Views(rpc, at.multicall, block)
    did = _did(views, network) if "v1" in protocols else asyncio.sleep(0)
    roles = [role for protocol in protocols for role in ROLES[protocol]]
    asked = [
        Question("multicall", at.multicall, CHAIN_ID),
        *(Question(role, at.at(role), VIEWS[role]) for role in roles),
    ]
    try:
        answers, _ = await asyncio.gather(asyncio.gather(*map(views.ask, asked)), did)
    except (Rejected, Unreachable, ConfigError):
        return False
    return bool(answers[0] == (network.chain_id,))


async def _one_by_one(chain: RpcChain, rpc: Rpc, network: Network, protocols: Sequence[Protocol], block: int) -> bool:
    """Whether Multicall can be used. Raises as `probe`."""
    chain_id = await chain.chain_id()
    if chain_id != network.chain_id:
        raise ConfigError(
            f"the node at {host_of(network.rpc_urls[0])} is chain {chain_id}; the manifest says {network.chain_id}",
            hint="correct network or its rpcUrl",
        )
    await _contracts(chain, network, protocols)
    if "v1" in protocols:
        await _did(Views(rpc, None, block), network)
    return await _multicall(rpc, network, block)


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
    try:
        await views.ask(Question("did", network.contracts.did, READ_ATTRIBUTE, (NOBODY, b"fleetctl-probe")))
    except Rejected as error:
        if error.reason in reverts.NOT_THERE:
            return
    except Unclear:
        pass
    raise ConfigError(
        f"the DID precompile at {network.contracts.did} does not answer as one", hint="correct network.contracts.did"
    )


async def _multicall(rpc: Rpc, network: Network, block: int) -> bool:
    if network.contracts.multicall is None:
        return False
    try:
        await Views(rpc, None, block).ask(Question("multicall", network.contracts.multicall, BLOCK_NUMBER))
    except (Rejected, Unreachable):
        return False
    return True


async def _batch(chain: RpcChain, operators: Sequence[str], block: int) -> bool:
    empty = chain.pack([])
    tried = await asyncio.gather(*(chain.dry_run(operator, empty, block) for operator in operators))
    return all(not outcome.revert for outcome in tried)
