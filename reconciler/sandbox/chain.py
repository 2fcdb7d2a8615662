"""The v1 contracts on the dev node: put there at `up`, and what an administrator may change later."""

import asyncio
from collections.abc import Sequence
from typing import Any

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from reconciler.sandbox.config import DELEGATE, Contracts
from reconciler.sandbox.contracts import artifact
from reconciler.sandbox.errors import SandboxError
from reconciler.sandbox.rpc import NodeError, NodeRpc

ADMIN_GAS = 3_000_000
RECEIPT_POLLS = 500
RECEIPT_POLL_SECONDS = 0.01


def places(at: Contracts) -> dict[str, str]:
    """Contract name -> address."""
    return {
        "IdentityRegistry": at.identity_registry,
        "IdentityStaking": at.identity_staking,
        "EventRegistry": at.event_registry,
        "MachineNFT": at.machine_nft,
        "Did": at.did,
        "Batch": at.batch,
        "Wpeaq": at.wpeaq,
        "Delegate": DELEGATE,
        "Multicall3": at.multicall,
    }


def calldata(signature: str, *arguments: Any) -> str:
    """0x-hex of a call such as calldata("mint(uint256,address)", 1, wallet)."""
    types = signature[signature.index("(") + 1 : -1]
    body = encode(types.split(",") if types else [], arguments)
    return "0x" + (keccak(text=signature)[:4] + body).hex()


class Chain:
    """The node's administrator: owner of the contracts, holder of the coins."""

    def __init__(self, node: NodeRpc, at: Contracts, admin: str, *, automine: bool = True) -> None:
        self.automine = automine
        self.node = node
        self.at = at
        self.admin = admin

    async def install(self) -> None:
        """Place and wire all contracts on a fresh chain."""
        await self.node.batch(
            [("anvil_setCode", (address, artifact(name).runtime)) for name, address in places(self.at).items()]
        )
        for address, data in self._wiring():
            await self.send(address, data)

    async def fund(self, address: str, wei: int) -> None:
        """Transfer coins from the faucet."""
        await self.send(address, "0x", wei)

    async def send(self, to: str, data: str, wei: int = 0) -> None:
        """An administrator's transaction, mined before this returns."""
        transaction = {"from": self.admin, "to": to, "data": data, "value": hex(wei), "gas": hex(ADMIN_GAS)}
        try:
            tx_hash = await self.node.call("eth_sendTransaction", transaction)
        except NodeError as error:
            raise SandboxError(f"the chain refused an administrator's call: {error}") from error
        if not self.automine:  # do not wait for the next block
            await self.node.call("evm_mine")
        if (await self._receipt(tx_hash))["status"] != "0x1":
            raise SandboxError("an administrator's call failed on the chain")

    async def _receipt(self, tx_hash: str) -> dict[str, Any]:
        for _ in range(RECEIPT_POLLS):  # it may be missing for a moment after the block
            receipt: dict[str, Any] | None = await self.node.call("eth_getTransactionReceipt", tx_hash)
            if receipt is not None:
                return receipt
            await asyncio.sleep(RECEIPT_POLL_SECONDS)
        raise SandboxError("an administrator's call was not mined")

    def _wiring(self) -> Sequence[tuple[str, str]]:
        at, admin = self.at, self.admin
        registry, staking = at.identity_registry, at.identity_staking
        three = "initialize(address,address,address)"
        return (
            (registry, calldata("initialize(address)", admin)),
            (staking, calldata("initialize(address,address)", at.wpeaq, admin)),
            (at.machine_nft, calldata(three, registry, staking, admin)),
            (at.event_registry, calldata(three, registry, staking, admin)),
            (at.did, calldata("initialize(address)", admin)),
            (registry, calldata("setIdentityStaking(address)", staking)),
            (registry, calldata("setWPEAQ(address)", at.wpeaq)),
            (registry, calldata("setDIDPrecompile(address)", at.did)),
            (staking, calldata("authorize(address)", registry)),
        )
